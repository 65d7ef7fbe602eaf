"""Serves ledgers in version 2: they explain the credit of accounts.

It shows an account's entries, its sums by torrent, and a torrent's sums by account.
`tracker.ports.Ledgers` reads them from the log, and may take long for the first page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import trio
from attrs import frozen
from quart import g, request

from api.endpoint import Endpoint, Parameter, answer
from api.openapi import shapes
from api.reads import AT, PAST_TIMEOUT, SEQ_MAX, moment_in_query, note_outage
from api.replies import encode
from api.streams import json_array
from api.v2 import params
from api.v2.ledger_shapes import entry_json, sums_json
from api.v2.problems import Problem
from tracker.ports import named

if TYPE_CHECKING:
    from api.replies import Response
    from tracker import ports
    from tracker.ports import EntriesPage, SumsPage

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
        """Lists announces and corrections, ascending.

        A page may be short, or empty, and still have a `next`.
        """
        number = self._known(account)
        given = params.only(request.args, *_PAGE, "info_hash")
        after = params.whole("after", given["after"], SEQ_MAX) if "after" in given else -1
        only = params.info_hash(given["info_hash"]) if "info_hash" in given else None
        moment, limit = moment_in_query(), params.limit(given)
        allow_time()
        page = await self.log.entries(number, only, moment, after, limit)
        _note(page)
        sums = None if page.sums is None else sums_json(page.sums)
        tail = f'],"next":{encode(page.following)},"totals":{encode(sums)}}}'
        names = self.live.now()
        entries = (encode(named(entry_json(entry), names)) for entry in page.entries)
        return await json_array(entries, str, '{"entries":[', tail)

    async def of_account(self, account: str) -> Response:
        """Lists sums by torrent, ascending by info hash.

        The first row, under null, sums up the entries without a torrent.
        """
        number = self._known(account)
        given = params.only(request.args, *_PAGE)
        after = params.info_hash(given["after"], "after") if "after" in given else None
        moment, limit = moment_in_query(), params.limit(given)
        allow_time()
        page = await self.log.account_totals(number, moment, after, limit)
        return await self._sums(page, "info_hash")

    async def of_torrent(self, info_hash: str) -> Response:
        """Lists sums by account, ascending by number.

        The list is empty if no announce of the torrent had a key.
        """
        torrent = params.info_hash(info_hash)
        given = params.only(request.args, *_PAGE)
        after = params.optional_number(given, "after")
        moment, limit = moment_in_query(), params.limit(given)
        allow_time()
        page = await self.log.torrent_totals(torrent, moment, after, limit)
        return await self._sums(page, "account")

    async def _sums(self, page: SumsPage, name: str) -> Response:
        """Sends a page of sums. Each row has its account or torrent under `name`."""
        _note(page)
        tail = {"next": _json_name(page.following), "first_seq": page.first_seq, "seq": page.seq}
        shown = ({name: _json_name(key), **sums_json(sums)} for key, sums in page.rows)
        names = self.live.now()
        rows = (encode(named(one, names)) for one in shown)
        return await json_array(rows, str, '{"totals":[', "]," + encode(tail)[1:])

    def _known(self, account: str) -> int:
        number = params.number(account, "account")
        if self.live.now().account(number) is None:
            raise Problem(404, "there is no such account")
        return number


def allow_time(seconds: float = PAST_TIMEOUT) -> None:
    """Gives the request enough time for a helper process, by default to read a ledger."""
    g.time_limit.deadline = max(g.time_limit.deadline, trio.current_time() + seconds)


def _note(page: EntriesPage | SumsPage) -> None:
    if page.outage is not None:
        note_outage(page.outage)


def _json_name(name: bytes | int | None) -> str | int | None:
    return name.hex() if isinstance(name, bytes) else name
