"""Serves the book in version 2: what each account did in each torrent, one row for both.

It shows the rows of an account, or of a torrent, filtered and sorted. `tracker.ports.Ledgers` reads
them in another process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import frozen

from api.endpoint import Endpoint, Parameter, answer
from api.openapi import shapes
from api.reads import moment_in_query, note_outage
from api.replies import encode
from api.streams import json_array
from api.v2 import params
from api.v2.ledger_shapes import ROW_AMOUNTS, ROW_SECONDS, ROW_TIMES, row_json
from api.v2.ledgers import allow_time
from api.v2.lists import SECONDS, TIME, WHOLE, Listing, following
from api.v2.problems import Problem
from tracker.ports import BookQuery

if TYPE_CHECKING:
    from api.replies import Response
    from tracker import ports
    from tracker.ports import BookPage, BookRow

_MEMBERS: Final = {
    **{name: (name, WHOLE) for name in ROW_AMOUNTS},
    **{name: (field, SECONDS) for name, field in ROW_SECONDS.items()},
    **{name: (field, TIME) for name, field in ROW_TIMES.items()},
}
_BY_TORRENT: Final = Listing(
    "info_hash",
    _MEMBERS,
    (Parameter(name="info_hash", schema=shapes.HASH, description="only this torrent"),),
)
_BY_ACCOUNT: Final = Listing(
    "account",
    _MEMBERS,
    (Parameter(name="account", schema=shapes.NUMBER, description="only this account"),),
)


@frozen
class Books:
    live: ports.Live
    log: ports.Ledgers

    def endpoints(self) -> list[Endpoint]:
        by_torrent = {
            "info_hash": shapes.nullable(shapes.HASH),
            "label": shapes.nullable(shapes.STRING),
        }
        return [
            Endpoint(
                "GET", "/accounts/{account}/torrents", self.of_account,
                "What an account did in each torrent.",
                answer(shapes.book("torrents", **by_torrent)), query=_BY_TORRENT.parameters(),
            ),
            Endpoint(
                "GET", "/torrents/{info_hash}/accounts", self.of_torrent,
                "What each account did in a torrent.",
                answer(shapes.book("accounts", account=shapes.NUMBER, owner=shapes.nullable(shapes.STRING))), query=_BY_ACCOUNT.parameters(),
            ),
        ]  # fmt: skip

    async def of_account(self, account: str) -> Response:
        """Lists the account's torrents, and a row without a torrent for what belongs to none."""
        number = params.number(account, "account")
        if self.live.now().account(number) is None:
            raise Problem(404, "there is no such account")
        query, moment = _asked(_BY_TORRENT), moment_in_query()
        allow_time()
        page = await self.log.account_rows(number, moment, query)
        return await self._rows(page, query, "torrents", "info_hash")

    async def of_torrent(self, info_hash: str) -> Response:
        """Lists the torrent's accounts; none if no announce of it had a key."""
        torrent = params.info_hash(info_hash)
        query, moment = _asked(_BY_ACCOUNT), moment_in_query()
        allow_time()
        page = await self.log.torrent_rows(torrent, moment, query)
        return await self._rows(page, query, "accounts", "account")

    async def _rows(self, page: BookPage, query: BookQuery, rows: str, name: str) -> Response:
        if page.outage is not None:
            note_outage(page.outage)

        def shape(row: BookRow) -> str:
            if name == "account":
                owner = self.live.now().owner(row.account)
                return encode({"account": row.account, "owner": owner, **self._row_json(row)})
            return encode({**self._torrent_json(row), **self._row_json(row)})

        tail = {"next": following(page.following, query), "since": page.since, "seq": page.seq}
        return await json_array(page.rows, shape, f'{{"{rows}":[', "]," + encode(tail)[1:])

    def _torrent_json(self, row: BookRow) -> dict[str, object]:
        """Shows the torrent of a row, with the label that the site says now."""
        if row.info_hash is None:
            return {"info_hash": None, "label": None}
        label = self.live.now().label(row.info_hash)
        return {"info_hash": row.info_hash.hex(), "label": label}

    def _row_json(self, row: BookRow) -> dict[str, object]:
        client = None if row.client is None else self.live.now().client(row.client)
        return row_json(row, client)


def _asked(listing: Listing) -> BookQuery:
    given = listing.given()
    return BookQuery(
        account=params.optional_number(given, "account"),
        info_hash=params.info_hash(given["info_hash"]) if "info_hash" in given else None,
        **listing.wanted(given),
    )
