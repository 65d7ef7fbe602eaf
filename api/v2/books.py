"""Serves the book in version 2: what each account did in each torrent, one row for both.

It shows the rows of an account, or of a torrent, filtered and sorted. `tracker.ports.Ledgers` reads
them in another process.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from attrs import frozen
from quart import request

from api import times
from api.endpoint import Endpoint, Parameter, answer
from api.openapi import shapes
from api.reads import AT, moment_in_query, note_outage
from api.replies import encode
from api.streams import json_array
from api.v2 import params
from api.v2.ledger_shapes import ROW_AMOUNTS, ROW_SECONDS, ROW_TIMES, row_json
from api.v2.ledgers import allow_time
from api.v2.problems import Problem
from tracker.ports import BookCursor, BookQuery

if TYPE_CHECKING:
    from api.replies import Response
    from tracker import ports
    from tracker.ports import BookPage, BookRow

_FIELDS: Final = {**{name: name for name in ROW_AMOUNTS}, **ROW_SECONDS, **ROW_TIMES}
"""Fields of `BookRow` by the members that show them, to filter and to sort by."""
_U64: Final = 2**64 - 1
_LEAST, _MOST = -(2**66), 2**66  # beyond every value
_CURSOR: Final = re.compile(r"(-?[0-9]{1,21}):(-|[0-9a-fA-F]{40}|[0-9]{1,10})")


def _bounds() -> tuple[Parameter, ...]:
    """Describes the filters: `min_` and `max_` before the name of a member."""
    return tuple(
        Parameter(
            name=f"{side}_{name}",
            schema=shapes.TIME if name in ROW_TIMES else shapes.WHOLE,
            description=f"only rows whose `{name}` is not null and at {word} this",
        )
        for name in _FIELDS
        for side, word in (("min", "least"), ("max", "most"))
    )


def _query(name: str, only: Parameter) -> tuple[Parameter, ...]:
    sorts = [f"{sign}{each}" for each in (name, *_FIELDS) for sign in ("", "-")]
    sort = Parameter(
        name="sort",
        schema={"type": "string", "enum": sorts},
        description=f"a member, with `-` before it from the largest down; `{name}` without it",
    )
    after = Parameter(
        name="after",
        schema=shapes.STRING,
        description="the `next` of the page before, which had the same `sort`",
    )
    return sort, after, params.LIMIT, only, AT, *_bounds()


@frozen
class Books:
    live: ports.Live
    log: ports.Ledgers

    def endpoints(self) -> list[Endpoint]:
        torrent = Parameter(name="info_hash", schema=shapes.HASH, description="only this torrent")
        account = Parameter(name="account", schema=shapes.NUMBER, description="only this account")
        by_torrent = {
            "info_hash": shapes.nullable(shapes.HASH),
            "label": shapes.nullable(shapes.STRING),
        }
        return [
            Endpoint(
                "GET", "/accounts/{account}/torrents", self.of_account,
                "What an account did in each torrent.",
                answer(shapes.book("torrents", **by_torrent)), query=_query("info_hash", torrent),
            ),
            Endpoint(
                "GET", "/torrents/{info_hash}/accounts", self.of_torrent,
                "What each account did in a torrent.",
                answer(shapes.book("accounts", account=shapes.NUMBER)), query=_query("account", account),
            ),
        ]  # fmt: skip

    async def of_account(self, account: str) -> Response:
        """Lists the account's torrents, and a row without a torrent for what belongs to none."""
        number = params.number(account, "account")
        if self.live.now().account(number) is None:
            raise Problem(404, "there is no such account")
        query, moment = _asked("info_hash"), moment_in_query()
        allow_time()
        page = await self.log.account_rows(number, moment, query)
        return await self._rows(page, "torrents", "info_hash")

    async def of_torrent(self, info_hash: str) -> Response:
        """Lists the torrent's accounts; none if no announce of it had a key."""
        torrent = params.info_hash(info_hash)
        query, moment = _asked("account"), moment_in_query()
        allow_time()
        page = await self.log.torrent_rows(torrent, moment, query)
        return await self._rows(page, "accounts", "account")

    async def _rows(self, page: BookPage, rows: str, name: str) -> Response:
        if page.outage is not None:
            note_outage(page.outage)

        def shape(row: BookRow) -> str:
            if name == "account":
                return encode({"account": row.account, **self._row_json(row)})
            return encode({**self._torrent_json(row), **self._row_json(row)})

        tail = {"next": _cursor_text(page.following), "since": page.since, "seq": page.seq}
        return await json_array(page.rows, shape, f'{{"{rows}":[', "]," + encode(tail)[1:])

    def _torrent_json(self, row: BookRow) -> dict[str, object]:
        """Shows the torrent of a row, with the label that the site says now."""
        if row.info_hash is None:
            return {"info_hash": None, "label": None}
        torrent = self.live.now().torrent(row.info_hash)
        return {"info_hash": row.info_hash.hex(), "label": torrent and torrent.facts.label}

    def _row_json(self, row: BookRow) -> dict[str, object]:
        client = None if row.client is None else self.live.now().client(row.client)
        return row_json(row, client)


def _asked(name: str) -> BookQuery:
    """Reads the parameters of the query. `name`: the member that names the rows."""
    filters = tuple(f"{side}_{each}" for each in _FIELDS for side in ("min", "max"))
    given = params.only(request.args, "sort", "after", "limit", name, "at", *filters)
    sort = given.get("sort", name)
    field = sort.removeprefix("-")
    if field not in (name, *_FIELDS):
        known = ", ".join((name, *_FIELDS))
        raise Problem(400, f"sort: expected one of {known}; with - before it from the largest down")
    bounds = [_bound(each, given[each]) for each in filters if each in given]
    return BookQuery(
        account=params.optional_number(given, "account"),
        info_hash=params.info_hash(given["info_hash"]) if "info_hash" in given else None,
        bounds=tuple(bounds),
        sort="" if field == name else _FIELDS[field],
        descending=sort.startswith("-"),
        after=_cursor(given["after"], name) if "after" in given else None,
        limit=params.limit(given),
    )


def _bound(parameter: str, text: str) -> tuple[str, int, int]:
    """Reads a filter: a field, and its least and largest value."""
    side, _, name = parameter.partition("_")
    least, most = _value(parameter, name, text)
    return (_FIELDS[name], least, _MOST) if side == "min" else (_FIELDS[name], _LEAST, most)


def _value(parameter: str, name: str, text: str) -> tuple[int, int]:
    """Reads a value of a member: the least and the largest of the field that it stands for."""
    if name in ROW_TIMES:
        time_us = times.parse_in_query(text)
        if time_us is None:
            raise Problem(400, f"{parameter}: expected a time such as 2027-01-31T23:59:59Z")
        return time_us, time_us
    number = params.whole(parameter, text, _U64)
    if name in ROW_SECONDS:
        return number * 1_000_000, number * 1_000_000 + 999_999
    return number, number


def _cursor(text: str, name: str) -> BookCursor:
    """Reads the `next` of an earlier page."""
    found = _CURSOR.fullmatch(text)
    if found is not None:
        value, of = int(found[1]), found[2]
        if name == "account" and re.fullmatch("[0-9]{1,10}", of) and int(of) <= params.NUMBER_MAX:
            return BookCursor(value, int(of))
        if name == "info_hash" and (of == "-" or len(of) == 40):
            return BookCursor(value, None if of == "-" else bytes.fromhex(of))
    raise Problem(400, "after: expected the `next` of the page before")


def _cursor_text(cursor: BookCursor | None) -> str | None:
    """Writes a cursor; None = there is no further page."""
    if cursor is None:
        return None
    name = cursor.name.hex() if isinstance(cursor.name, bytes) else cursor.name or "-"
    return f"{cursor.value}:{name}"
