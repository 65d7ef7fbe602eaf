"""Serves in version 2 what changed since a position, so that a site can keep its own tables."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from attrs import frozen
from quart import request

from api.endpoint import Parameter
from api.openapi import shapes
from api.streams import json_object
from api.v2 import params
from api.v2.problems import Problem
from tracker.ports import ChangesQuery

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from api.replies import Response
    from tracker import ports
    from tracker.ports import Account, ChangesPage, TorrentSummary

START: Final = "start"
_POSITION: Final = re.compile(r"([0-9a-f]{32}):([0-9]{1,10}):([0-9]{1,19})")
_CURSOR: Final = re.compile(r"([0-9]{1,19})\.([0-9]{1,19})")
SINCE: Final = Parameter(
    name="changed_since", schema=shapes.STRING,
    description="only what changed since the `position` of an earlier answer, with `start` everything; "
    "takes `after` and `limit` only",
)  # fmt: skip
COUNTS: Final = shapes.record(
    info_hash=shapes.HASH, seeders=shapes.WHOLE, completed=shapes.WHOLE, leechers=shapes.WHOLE
)
_ANEW: Final = f"begin anew with changed_since={START}"


def wanted() -> bool:
    """Tells whether the current request asks a list for what changed."""
    return "changed_since" in request.args


def listing(
    name: str, changed: shapes.Schema, listed: shapes.Schema | None = None
) -> shapes.Schema:
    """Makes the schema of a page of a list that may be asked for what changed.

    `listed`: the rows where it is not asked so, if they are others.
    """
    page = shapes.page(name, listed or changed, shapes.CURSOR)
    since = shapes.page(name, changed, shapes.STRING, position=shapes.STRING)
    return {"anyOf": [since, page]}


@frozen
class Changes:
    changes: ports.Changes

    async def accounts(self, shape: Callable[[Account], dict[str, object]]) -> Response:
        """Lists totals by account, ascending. `position` is for the next question, once all pages
        were read.
        """
        page = await self._page(self.changes.accounts)
        return await self._shown("accounts", page, list(map(shape, page.items)))

    async def torrents(self) -> Response:
        """Lists counts, also those of torrents that have no peers any more, in no order."""
        page = await self._page(self.changes.torrents)
        return await self._shown("torrents", page, list(map(_torrent_json, page.items)))

    async def _page(
        self, ask: Callable[[ChangesQuery], Awaitable[ChangesPage[ports.changes.Item] | None]]
    ) -> ChangesPage[ports.changes.Item]:
        given = params.only(request.args, "changed_since", "after", "limit")
        query = ChangesQuery(
            since=self._since(given["changed_since"]),
            limit=params.limit(given),
            after=_cursor(given["after"]) if "after" in given else None,
        )
        page = await ask(query)
        if page is None:
            raise Problem(409, f"changed_since: too much changed since this position; {_ANEW}")
        return page

    def _since(self, text: str) -> int:
        if text == START:
            return 0
        found = _POSITION.fullmatch(text)
        if found is None:
            raise Problem(400, f"changed_since: expected the `position` of an answer, or `{START}`")
        if found[1] != self.changes.log_id:
            raise Problem(409, f"changed_since: this position is of another log; {_ANEW}")
        if int(found[2]) != self.changes.epoch:
            raise Problem(
                409,
                f"changed_since: this position is from before the tracker's last start; {_ANEW}",
            )
        return int(found[3])

    async def _shown(
        self, name: str, page: ChangesPage[object], items: Sequence[object]
    ) -> Response:
        following = None if page.following is None else "{}.{}".format(*page.following)
        position = f"{self.changes.log_id}:{self.changes.epoch}:{page.seq}"
        return await json_object({name: items, "next": following, "position": position})


def _cursor(text: str) -> tuple[int, int]:
    found = _CURSOR.fullmatch(text)
    if found is None:
        raise Problem(400, "after: expected the `next` of the page before")
    return int(found[1]), int(found[2])


def _torrent_json(one: TorrentSummary) -> dict[str, object]:
    return {
        "info_hash": one.info_hash.hex(),
        "seeders": one.seeders,
        "completed": one.completed,
        "leechers": one.leechers,
    }
