"""Serves ready lists in version 2: the questions that staff asks again and again.

Each is one declaration: a list of the state or of the book, with some parameters filled in. Further
parameters of that list narrow it down.
"""

from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from attrs import frozen
from quart import request

from api.endpoint import Endpoint, Parameter, answer
from api.openapi import shapes
from api.streams import json_object
from api.times import rfc3339
from api.v2 import params, torrents
from api.v2.ledgers import allow_time
from api.v2.lists import SECONDS, TIME, Listing, following, listed
from tracker.ports import LogPart, ReadModel, RefusedTimes, named

if TYPE_CHECKING:
    from collections.abc import Callable

    from api.reads import Reads
    from api.replies import Response
    from tracker import ports
    from tracker.ports import RefusedPage, SeededTorrent

_DAY_US: Final = 86_400_000_000
_MOST: Final = 100_000  # days, hours or seeders
_READ_SECONDS: Final = 2.0
"""How long one request reads refusals from the log; the next one goes on."""
_NEVER: Final = RefusedTimes(0, 0)

_SEEDED: Final = Listing(
    "info_hash",
    {
        "added": ("added_us", TIME),
        "first_seeded": ("first_us", TIME),
        "last_seeded": ("last_us", TIME),
        "unseeded_since": ("unseeded_us", TIME),
        "waited_seconds": ("waited_us", SECONDS),
    },
)
_ROW: Final = shapes.record(
    info_hash=shapes.HASH, label=shapes.nullable(shapes.STRING),
    **dict.fromkeys(("added", "first_seeded", "last_seeded", "unseeded_since"), shapes.nullable(shapes.TIME)),
    waited_seconds=shapes.nullable(shapes.WHOLE), account=shapes.nullable(shapes.NUMBER),
    owner=shapes.nullable(shapes.STRING), seeders=shapes.WHOLE, leechers=shapes.WHOLE,
    completed=shapes.WHOLE,
)  # fmt: skip
_REFUSED: Final = shapes.record(
    info_hash=shapes.HASH, label=shapes.nullable(shapes.STRING), times=shapes.WHOLE,
    members=shapes.array(shapes.record(
        account=shapes.NUMBER, owner=shapes.nullable(shapes.STRING), times=shapes.WHOLE,
        last=shapes.TIME,
    )),
)  # fmt: skip


@frozen
class Ready:
    """A ready list: what it is a part of, and the parameters that make it."""

    name: str
    summary: str
    of: str  # "swarms" | "torrents" | "seeded"
    number: tuple[str, int] | None  # its own parameter, and what it is where it is left out
    filled: Callable[[int], dict[str, str]]  # `sort` only where none is given


def _ago(days: int) -> str:
    return rfc3339(time.time_ns() // 1000 - days * _DAY_US) or ""


READY: Final = (
    Ready(
        "no-seeder", "Swarms with leechers and no seeder.", "swarms", None,
        lambda _: {"max_seeders": "0", "min_leechers": "1", "sort": "-leechers"},
    ),
    Ready(
        "one-seeder", "Swarms with one seeder.", "swarms", None,
        lambda _: {"min_seeders": "1", "max_seeders": "1", "sort": "-leechers"},
    ),
    Ready(
        "few-seeders", "Torrents with fewer than `seeders` seeders.", "torrents", ("seeders", 3),
        lambda n: {"max_seeders": str(n - 1), "sort": "seeders"},
    ),
    Ready(
        "unseeded", "Torrents whose last seeder left: when, and who.", "seeded", None,
        lambda _: {"min_last_seeded": "1970-01-01T00:00:00Z", "sort": "-last_seeded"},
    ),
    Ready(
        "dead", "Torrents that nobody has seeded for `days` days.", "seeded", ("days", 30),
        lambda n: {"max_unseeded_since": _ago(n), "sort": "unseeded_since"},
    ),
    Ready(
        "seeded-late", "Torrents that nobody seeded within `hours` hours of adding.", "seeded",
        ("hours", 24), lambda n: {"min_waited_seconds": str(n * 3600), "sort": "-added"},
    ),
)  # fmt: skip


@frozen
class ReadyLists:
    reads: Reads
    books: ports.Ledgers
    log: ports.Events

    def endpoints(self) -> list[Endpoint]:
        page = shapes.page("torrents", shapes.TORRENT, shapes.CURSOR)
        seeded = shapes.page(
            "torrents", _ROW, shapes.CURSOR, since=shapes.SIGNED, seq=shapes.SIGNED
        )
        refused = shapes.record(
            torrents=shapes.array(_REFUSED), next=shapes.nullable(shapes.SEQ), end=shapes.SEQ
        )
        return [
            *(
                Endpoint(
                    "GET", f"/lists/{one.name}", partial(self._show, one), one.summary,
                    answer(seeded if one.of == "seeded" else page),
                    query=(*_number(one), *_listing(one).parameters()),
                )
                for one in READY
            ),
            Endpoint(
                "GET", "/lists/unregistered", self.unregistered,
                "Torrents that were refused because they are not whitelisted, by count and member.",
                answer(refused),
                query=(
                    Parameter(name="days", schema=shapes.WHOLE, description="of the last days; else 1"),
                    params.AFTER_SEQ,
                ),
            ),
        ]  # fmt: skip

    async def _show(self, one: Ready) -> Response:
        listing, number = _listing(one), 0
        own = () if one.number is None else (one.number[0],)
        given = listing.given(*own)
        if one.number is not None:
            name, usual = one.number
            number = params.whole(name, given.get(name, str(usual)), _MOST)
        filled = one.filled(max(1, number))
        given = {"sort": filled.pop("sort")} | given | filled
        query = listing.query(given)
        if one.of == "seeded":
            return await self._seeded(query)
        found = self.reads.each(ReadModel.listed_torrents, query, one.of == "swarms")
        return await listed("torrents", found, query, torrents.torrent_json, "info_hash")

    async def _seeded(self, query: ports.ListQuery) -> Response:
        allow_time()
        page = await self.books.seeded(query)
        body = {
            "torrents": [self._row(row) for row in page.rows],
            "next": following(page.following, query),
            "since": page.since,
            "seq": page.seq,
        }
        return await json_object(named(body, self.reads.live.now()))

    def _row(self, row: SeededTorrent) -> dict[str, Any]:
        found = self.reads.live.now().summary(row.info_hash)
        return {
            "info_hash": row.info_hash.hex(),
            "added": rfc3339(row.added_us),
            "first_seeded": rfc3339(row.first_us),
            "last_seeded": rfc3339(row.last_us),
            "unseeded_since": rfc3339(row.unseeded_us),
            "waited_seconds": None if row.waited_us is None else row.waited_us // 1_000_000,
            "account": row.account,
            "seeders": found.seeders if found else 0,
            "leechers": found.leechers if found else 0,
            "completed": found.completed if found else 0,
        }

    async def unregistered(self) -> Response:
        """Counts the refusals of torrents that are not whitelisted, the most refused first.

        The log has the first of each member in ten minutes.
        """
        given = params.only(request.args, "days", "after")
        days = params.whole("days", given.get("days", "1"), _MOST)
        first = params.whole("after", given["after"], 2**63 - 1) + 1 if "after" in given else 0
        part = LogPart(first=first, from_us=max(0, time.time_ns() // 1000 - days * _DAY_US))
        found, ends = dict[bytes, dict[int, RefusedTimes]](), time.monotonic() + _READ_SECONDS
        while True:
            page = await self.log.refused(part, "not_whitelisted")
            self._count(found, page)
            if page.following is None or time.monotonic() > ends:
                break
            part = LogPart(first=page.following, from_us=part.from_us)
        rows = [
            (sum(one.times for one in members.values()), info_hash, members)
            for info_hash, members in found.items()
        ]
        rows.sort(key=lambda row: (-row[0], row[1]))
        shown = [_refused(*row) for row in rows[: params.MAX_LIMIT]]
        after = None if page.following is None else page.following - 1
        body = {"torrents": shown, "next": after, "end": page.end}
        return await json_object(named(body, self.reads.live.now()))

    def _count(self, found: dict[bytes, dict[int, RefusedTimes]], page: RefusedPage) -> None:
        """Adds the counts of a page by torrent and account."""
        live = self.reads.live.now()
        accounts: dict[int, int | None] = {}
        for (info_hash, key_ref), more in page.times.items():
            if key_ref not in accounts:
                key = live.key(key_ref)
                accounts[key_ref] = key.account if key else None
            account = accounts[key_ref]
            if account is not None:
                members = found.setdefault(info_hash, {})
                one = members.get(account, _NEVER)
                last_us = max(one.last_us, more.last_us)
                members[account] = RefusedTimes(one.times + more.times, last_us)


def _refused(times: int, info_hash: bytes, members: dict[int, RefusedTimes]) -> dict[str, Any]:
    most = sorted(members.items(), key=lambda one: -one[1].times)
    return {
        "info_hash": info_hash.hex(),
        "times": times,
        "members": [
            {"account": account, "times": one.times, "last": rfc3339(one.last_us)}
            for account, one in most
        ],
    }


def _listing(one: Ready) -> Listing:
    return _SEEDED if one.of == "seeded" else torrents.LISTING


def _number(one: Ready) -> tuple[Parameter, ...]:
    if one.number is None:
        return ()
    name, usual = one.number
    return (Parameter(name=name, schema=shapes.WHOLE, description=f"else {usual}"),)
