"""Ledgers in version 2: why a credit is what it is. An account's entries, its sums by torrent, and a torrent's by account.

All are read out of the log by `tracker.ports.Ledgers`, which takes its time for the first page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio
from attrs import frozen
from quart import g, request

from api.endpoint import Endpoint, Parameter, answer
from api.openapi import shapes
from api.reads import AT, PAST_TIMEOUT, SEQ_MAX, asked_moment
from api.replies import json_text
from api.v2 import params
from api.v2.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from api.replies import Response
    from tracker import ports

_PAGE: Final = ("after", "limit", "at")


@frozen
class Ledgers:
    live: ports.Live
    log: ports.Ledgers

    def endpoints(self) -> list[Endpoint]:
        entries = shapes.page(
            "entries", shapes.ANYTHING, shapes.SEQ, totals=shapes.nullable(shapes.ANYTHING)
        )
        by_torrent = shapes.sums("info_hash", shapes.nullable(shapes.HASH), shapes.HASH)
        by_account = shapes.sums("account", shapes.NUMBER, shapes.NUMBER)
        only = Parameter(name="info_hash", schema=shapes.HASH)
        return [
            Endpoint(
                "GET", "/accounts/{account}/ledger", self.entries,
                "What an account's totals are made of.", answer(entries),
                query=(params.AFTER_SEQ, params.LIMIT, only, AT),
            ),
            Endpoint(
                "GET", "/accounts/{account}/totals", self.of_account,
                "An account's sums by torrent.", answer(by_torrent),
                query=(params.AFTER_HASH, params.LIMIT, AT),
            ),
            Endpoint(
                "GET", "/torrents/{info_hash}/totals", self.of_torrent,
                "A torrent's sums by account.", answer(by_account),
                query=(params.AFTER, params.LIMIT, AT),
            ),
        ]  # fmt: skip

    async def entries(self, account: str) -> Response:
        """Announces and corrections, ascending; a page may be short, or empty, and still have a `next`."""
        number = self._known(account)
        given = params.only(request.args, *_PAGE, "info_hash")
        after = params.whole("after", given["after"], SEQ_MAX) if "after" in given else -1
        only = params.info_hash(given["info_hash"]) if "info_hash" in given else None
        moment, limit = asked_moment(), params.limit(given)
        return await _told(self.log.entries(number, only, moment, after, limit))

    async def of_account(self, account: str) -> Response:
        """Sums by torrent, ascending by info hash; under null, first, what belongs to no torrent."""
        number = self._known(account)
        given = params.only(request.args, *_PAGE)
        after = params.info_hash(given["after"], "after") if "after" in given else None
        moment, limit = asked_moment(), params.limit(given)
        return await _told(self.log.account_totals(number, moment, after, limit))

    async def of_torrent(self, info_hash: str) -> Response:
        """Sums by account, ascending by number; of a torrent that nobody announced with a key there are none."""
        torrent = params.info_hash(info_hash)
        given = params.only(request.args, *_PAGE)
        after = params.optional_number(given, "after")
        moment, limit = asked_moment(), params.limit(given)
        return await _told(self.log.torrent_totals(torrent, moment, after, limit))

    def _known(self, account: str) -> int:
        number = params.number(account, "account")
        if self.live.now().account(number) is None:
            raise Problem(404, "there is no such account")
        return number


async def _told(text: Awaitable[str]) -> Response:
    g.time_limit.deadline = max(g.time_limit.deadline, trio.current_time() + PAST_TIMEOUT)
    return json_text(await text)
