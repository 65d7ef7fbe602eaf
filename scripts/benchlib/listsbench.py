"""Times the lists that staff asks for, for scripts/bench lists: a page of 100 rows of each.

It makes the state of a private site whose torrents are all described, and a book of 5 million rows,
and asks as the API does, without the HTTP around it.
"""

from __future__ import annotations

import json
import random
import time
from array import array
from hashlib import sha256
from typing import TYPE_CHECKING, Any, cast

import trio

from benchlib.logparts import BATCH, breathe, opened_noted, running
from tracker.domain import events
from tracker.domain.book_days import BookDays
from tracker.domain.events.admin import KeyIssued, TrackerStarted
from tracker.domain.seeded import Known, Seeded
from tracker.domain.settings import Settings
from tracker.domain.state import State
from tracker.ledger import rows
from tracker.ledger.seeded import SeededTorrents
from tracker.ports import BookQuery, ListQuery
from tracker.service.clock import LogClock
from tracker.service.read_model import Projection
from tracker.service.service import Service
from tracker.store import book_files, book_rows, seeded_rows
from tracker.store.book import Book
from tracker.store.book_files import Facts, Listed, Part, Series
from tracker.store.snapshot_file import Position

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tracker.service.announce import Holder

MEMBERS, TORRENTS, PEERS, ROWS = 20_000, 100_000, 200_000, 5_000_000
PAGE = 100  # rows
ROUNDS = 5
BEGIN_US, DAY_US = 1_800_000_000_000_000, 86_400_000_000
_TEXT = {"sort": "owner", "empty": ""}


def bench(folder: Path, say: Callable[[str], None]) -> list[str]:
    """Makes state and book, and times each list; returns the table."""
    chance = random.Random(1)  # noqa: S311  # the same every time
    hashes = sorted(chance.randbytes(20) for _ in range(TORRENTS))
    say(f"{MEMBERS:,} members, {TORRENTS:,} torrents, {PEERS:,} peers ...")
    model = Projection(_state(folder / "log", chance, hashes), {})
    say(f"{ROWS:,} rows of the book ...")
    book = _book(folder / "book", chance, hashes)
    lines = ["| List | median, ms | slowest, ms |", "|---|---|---|"]
    say("\n".join(lines))
    for name, ask in _lists(model, book, hashes):
        took = sorted(_timed(ask) for _ in range(ROUNDS))
        lines.append(f"| {name} | {took[ROUNDS // 2] * 1000:.0f} | {took[-1] * 1000:.0f} |")
        say(lines[-1])
    return lines


def _timed(ask: Callable[[], Any]) -> float:
    began = time.perf_counter()
    found = ask()
    took = time.perf_counter() - began
    if not found:
        raise SystemExit("a list is empty that should not be")
    return took


def _state(folder: Path, chance: random.Random, hashes: list[bytes]) -> State:
    """Makes the state through the tracker's own write path, but for what the site says."""
    log = opened_noted(folder)
    state = State()

    async def main() -> None:
        async with running(log.log):
            clock = LogClock(0, lambda: BEGIN_US, lambda: 0)
            service = Service(log.log, state, clock, bytes(32))
            service.append(TrackerStarted("bench", log.log.epoch))
            service.change_settings(Settings(private=True, accounting=2))
            digests = [sha256(b"%d" % number).digest() for number in range(MEMBERS)]
            for number, digest in enumerate(digests, 1):
                service.append(KeyIssued(digest, number, number, None, f"member{number}"))
            holders = [service.held(digest) for digest in digests]
            for first in range(0, PEERS, BATCH):
                service.begin()
                for number in range(first, min(first + BATCH, PEERS)):
                    info_hash = hashes[min(int(chance.paretovariate(0.7)), TORRENTS) - 1]
                    service.announce(
                        0, events.UDP4, bytes([10, *number.to_bytes(3, "big")]), b"\x1a\xe1",
                        info_hash, b"-XX0001-%012d" % number, 0, 0, 0 if number % 3 else 1000,
                        events.NONE, 50, 0, 7, cast("Holder", holders[number % MEMBERS]),
                    )  # fmt: skip
                service.end()
                await breathe(log.log)

    trio.run(main)
    for name in ("uploaded", "downloaded", "seeding_us", "snatched"):
        amounts = [0, *(chance.randrange(1 << 40) for _ in range(MEMBERS))]
        setattr(state.accounts, name, array("Q", amounts))
    for number, info_hash in enumerate(hashes):
        said = {
            "label": f"Some title {number} (2027) 1080p", "size": chance.randrange(1 << 36),
            "site_id": number, "uploader": f"member{number % 500}", "added_us": BEGIN_US + number,
        }  # fmt: skip
        state.facts[info_hash] = json.dumps(said)
        state.access.add_to_whitelist(info_hash)
    return state


def _book(folder: Path, chance: random.Random, hashes: list[bytes]) -> Book:
    """Writes a book as three parts, as after two merges."""
    folder.mkdir()
    (folder / "identity.json").write_text(json.dumps({"log_id": "ab" * 16, "format": 2}))
    (folder / book_files.FOLDER).mkdir()
    each = ROWS // MEMBERS
    parts = []
    for share in (each * 8 // 10, each * 15 // 100, each - each * 8 // 10 - each * 15 // 100):
        names = [
            book_rows.name(account, hashes[torrent])
            for account in range(1, MEMBERS + 1)
            for torrent in sorted(chance.sample(range(TORRENTS), share))
        ]
        pairs = sorted(one[5:] + one[:4] for one in names)
        packed = (book_rows.pack(one, _row(chance)) for one in names)
        parts.append(book_files.write_part(folder, 0, packed, pairs, len(names), 0))
    seeded = Seeded()
    for info_hash in hashes:
        last_us = BEGIN_US - chance.randrange(90 * DAY_US) if chance.random() < 0.5 else 0
        fields = (1, BEGIN_US - 90 * DAY_US, BEGIN_US - 89 * DAY_US, last_us, 7, 0)
        seeded.changed[info_hash] = Known(fields)
    noted = [seeded_rows.noted(seeded)]
    part: Part = book_files.write_part(folder, 0, noted, (), TORRENTS, 0, book_files.SEEDED)
    position, facts = Position(bytes(16), 1, 0, bytes(32)), Facts(BookDays(), 0, 0, 0)
    listed = Listed(folder, "", position, tuple(parts), facts, seeded=Series((part,), 0))
    return Book(folder, listed)


def _row(chance: random.Random) -> book_rows.Row:
    amount, seen_us = chance.randrange(1 << 40), BEGIN_US - chance.randrange(90 * DAY_US)
    return book_rows.Row(
        1, 9, 1, amount & 1, 0, amount, amount, amount, amount, amount, 0, seen_us, seen_us, 0
    )


def _lists(
    model: Projection, book: Book, hashes: list[bytes]
) -> Iterator[tuple[str, Callable[[], Any]]]:
    """Yields each list and how to ask for its first page."""

    def state(method: Any, *arguments: Any, **asked: Any) -> Callable[[], Any]:
        query = ListQuery(limit=PAGE, **asked)
        return lambda: [one for one in method(query, *arguments) if one is not None]

    def page(of: int | bytes, **asked: Any) -> Callable[[], Any]:
        query = BookQuery(limit=PAGE, **asked)
        return lambda: rows.page(rows.stored(book, of, query), of, query)[0]

    def seeded(**asked: Any) -> Callable[[], Any]:
        query = ListQuery(limit=PAGE, **asked)
        return lambda: torrents.page(query).rows

    most = 2**66
    yield "accounts by number", state(model.listed_accounts)
    yield "accounts by ratio", state(model.listed_accounts, sort="ratio_permille")
    yield "accounts by upload", state(model.listed_accounts, sort="uploaded", descending=True)
    yield "accounts by seeding time", state(model.listed_accounts, sort="seeding_us")
    yield "accounts by owner", state(model.listed_accounts, **_TEXT)
    yield "accounts, a search", state(model.listed_accounts, search="ember1234")
    yield "keys by number", state(model.listed_keys)
    yield "keys by owner", state(model.listed_keys, **_TEXT)
    yield "torrents by info hash", state(model.listed_torrents, False)
    yield "torrents by label", state(model.listed_torrents, False, sort="label", empty="")
    yield "torrents by size", state(model.listed_torrents, False, sort="size", descending=True)
    yield "torrents, a search", state(model.listed_torrents, False, search="title 4711")
    few = (("seeders", 0, 2),)
    yield "few-seeders", state(model.listed_torrents, False, sort="seeders", bounds=few)
    alone = (("seeders", 0, 0), ("leechers", 1, most))
    yield "no-seeder", state(model.listed_torrents, True, sort="leechers", bounds=alone)
    yield "swarms by seeders", state(model.listed_torrents, True, sort="seeders", descending=True)
    yield "a member's torrents", page(7)
    yield "a member's torrents by last seen", page(7, sort="last_us", descending=True)
    yield "a torrent's members", page(hashes[7])
    yield (
        "snatched by",
        page(hashes[7], sort="last_us", descending=True, bounds=(("snatched", 1, most),)),
    )
    yield "the torrents of a new book", lambda: SeededTorrents(book)
    torrents = SeededTorrents(book)
    left = (("last_us", 0, most),)
    yield "unseeded", seeded(sort="last_us", descending=True, bounds=left)
    dead = (("unseeded_us", 0, BEGIN_US - 30 * DAY_US),)
    yield "dead", seeded(sort="unseeded_us", bounds=dead)
    late = (("waited_us", 1, most),)
    yield "seeded-late", seeded(sort="added_us", descending=True, bounds=late)
