"""Runs one part of scripts/bench audit, each in its own process: `python -m benchlib.auditparts
PART FOLDER NUMBER...`. Every part prints one JSON object.

The log is of a private site with a rule of hit and run: each peer announces every half hour or so,
and one announce in fifty says that it leaves. Most come back half an hour later, a tenth never.
"""

from __future__ import annotations

import json
import random
import resource
import sys
import time
from array import array
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio
from attrs import frozen

from benchlib.logparts import BATCH, breathe, opened_noted, running, timed
from eventlog import Reader
from tracker.domain import events
from tracker.domain.events.admin import (
    HitAndRunRuleSet,
    KeyIssued,
    TorrentWhitelisted,
    TrackerStarted,
)
from tracker.domain.hit_and_run import Rule
from tracker.domain.settings import Settings
from tracker.domain.state import State
from tracker.history.events import LogEvents
from tracker.history.past_worker import PastWorker
from tracker.ledger.worker import LedgerWorker
from tracker.ports import Actor, JudgedQuery, LogPart, Moment, StaysQuery
from tracker.service.clock import LogClock
from tracker.service.service import Service
from tracker.store import frame_index, seeded_hours
from tracker.store.address_keys import Keyring
from tracker.store.stay_files import read_list
from tracker.times import parse
from tracker.upkeep.follower_process import Follower

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchlib.logparts import Numbers
    from tracker.service.announce import Holder

PEERS, MEMBERS, TORRENTS = 200_000, 10_000, 10_000
INTERVAL_US = 1_800_000_000
TICK_US = 10_000_000
REFUSED, UNLISTED = 200, 50
"""One announce in so many is of one of these torrents, which are not whitelisted."""
LEAVES = 50  # one announce in so many is `stopped`
SIZE, STEP = 1 << 30, 1 << 27  # bytes of a torrent, and of it from one announce to the next
BEGIN_US = 1_800_000_000_000_000


class Crowd:
    """The peers, and what they announce."""

    def __init__(self, service: Service) -> None:
        self._service, self._chance = service, random.Random(1)  # noqa: S311  # the same every time
        chance = self._chance
        self._hashes = [chance.randbytes(20) for _ in range(TORRENTS)]
        self._of = [(chance.randrange(MEMBERS), chance.randrange(TORRENTS)) for _ in range(PEERS)]
        self._down = [0] * PEERS
        self._there, self._gone = bytearray(PEERS), bytearray(PEERS)
        self._unlisted = [chance.randbytes(20) for _ in range(UNLISTED)]
        for info_hash in self._hashes:
            service.append(TorrentWhitelisted(info_hash))
        self._holders = [self._issued(number) for number in range(MEMBERS)]

    def _issued(self, number: int) -> Holder:
        digest = sha256(b"%d" % number).digest()
        self._service.append(KeyIssued(digest, number + 1, number + 1, None, f"member{number}"))
        holder = self._service.held(digest)
        if isinstance(holder, int):
            raise SystemExit("the key that was issued is not known")
        return holder

    def announce(self, number: int) -> None:
        peer = number % PEERS
        if self._gone[peer]:
            return
        torrent = self._of[peer][1]
        if number % REFUSED == 0:
            self._announce(number, 0, 0, events.NONE, self._unlisted[peer % UNLISTED])
        seeds = peer % 10 < 3
        event = events.NONE if self._there[peer] else events.STARTED
        if self._there[peer] and self._chance.randrange(LEAVES) == 0:
            event = events.STOPPED
            self._gone[peer] = peer % 10 == 4 and self._down[peer] > 0
        self._there[peer] = event != events.STOPPED
        if self._down[peer] < SIZE and not seeds and event == events.NONE:
            self._down[peer] += STEP
        down = self._down[peer]
        up, left = number if seeds else 0, 0 if seeds else SIZE - down
        self._announce(number, up, left, event, self._hashes[torrent])

    def _announce(self, number: int, up: int, left: int, event: int, info_hash: bytes) -> None:
        peer = number % PEERS
        self._service.announce(
            0, events.UDP4, bytes([10, *peer.to_bytes(3, "big")]), b"\x1a\xe1", info_hash,
            b"-XX0001-%012d" % peer, up, self._down[peer], left, event, 50, 0, 7,
            self._holders[self._of[peer][0]],
        )  # fmt: skip


def generate(folder: Path, announces: int, end_us: int = 0) -> Numbers:
    """Writes the log through the tracker's own write path. `end_us`: when it ends, Unix
    microseconds; 0 = it begins at `BEGIN_US`.
    """
    log, at = opened_noted(folder), [0]
    begin_us = end_us - INTERVAL_US * announces // PEERS if end_us else BEGIN_US

    async def main() -> None:
        async with running(log.log):
            clock = LogClock(0, lambda: begin_us + at[0], lambda: at[0])
            service = Service(log.log, State(), clock, bytes(32))
            service.append(TrackerStarted("bench", log.log.epoch))
            service.change_settings(
                Settings(private=True, listed=True, accounting=2, max_peer_timeout=2700)
            )
            rule = Rule(seed_seconds=36_000, warn_absent=7_200, grace_absent=21_600)
            service.append(HitAndRunRuleSet(rule), Actor("bench", "", "", "a load"))
            crowd, ticked = Crowd(service), 0
            for first in range(0, announces, BATCH):
                service.begin()
                for number in range(first, first + BATCH):
                    crowd.announce(number)
                service.end()
                at[0] += INTERVAL_US * BATCH // PEERS
                if at[0] - ticked >= TICK_US:
                    ticked = at[0]
                    service.tick()
                    while not service.state.sweep.done:
                        service.tick(goes_on=True)
                await breathe(log.log)

    return timed(announces, lambda: trio.run(main))


def follow(folder: Path) -> dict[str, Any]:
    """Lets the follower catch up, with book, judging, index of stays, seals and snapshots."""
    said: list[dict[str, Any]] = []
    follower = Follower(folder, folder.with_name("secrets"), lambda **told: said.append(told))
    numbers: dict[str, Any] = timed(0, follower.catch_up)
    follower._write_book()  # else the rest would be due in ten seconds
    follower._write_stays()  # likewise
    while frame_index.write_next(folder, Keyring(folder.with_name("secrets"))):
        pass  # likewise
    numbers["events"] = follower.state.seq
    numbers["rss_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    for name in ("stays", "book", "frames"):
        size = sum(path.stat().st_size for path in (folder / name).iterdir())
        numbers[f"{name}_bytes"] = size / follower.state.seq
    numbers["problems"] = [one for one in said if set(one) & {"failed", "unbooked", "unindexed"}]
    return numbers


def ask(folder: Path) -> dict[str, list[float]]:
    """Asks everything once. Returns seconds by the clock, and of CPU."""
    secrets, end = folder.with_name("secrets"), read_list(folder).upto
    info_hash = random.Random(1).randbytes(20)  # noqa: S311  # the first torrent of `Crowd`
    past, middle = PastWorker(folder, secrets), Moment(seq=end * 2 // 3)
    found = {
        "at= cold": _seconds(lambda: past.one(middle, "stats", ())),
        "at= repeated": _seconds(lambda: past.one(middle, "stats", ())),
        "explain": _seconds(lambda: PastWorker(folder, secrets).explain(_announce_at(folder, end))),
    }
    hours = sorted((folder / seeded_hours.FOLDER).glob("*.rows"))
    if hours:
        hour = parse(f"{hours[-1].stem}:00:00Z") or 0
        for name in ("who seeded in an hour", "who seeded in an hour, replayed"):
            found[name] = _seconds(
                lambda: PastWorker(folder, secrets).seeding(hour, (0, b""), 1000)
            )
            hours[-1].unlink(missing_ok=True)  # then it is replayed
    ledger = LedgerWorker(folder, secrets)
    found["an account's ledger"] = _seconds(lambda: ledger.entries(7, None, None, -1, 1000))
    found["an account's sums"] = _seconds(lambda: ledger.account_totals(7, None, None, 1000))
    found["violated downloads"] = _seconds(
        lambda: ledger.judged(JudgedQuery(states=("violated",), limit=1000), None)
    )
    found["an account's downloads"] = _seconds(
        lambda: ledger.judged(JudgedQuery(account=7, limit=1000), None)
    )
    found["transitions"] = _seconds(lambda: ledger.transitions(None, 1000))
    found["unregistered torrents"] = _seconds(lambda: trio.run(_unregistered, folder, secrets, end))
    whole = Moment(), Moment()
    for name, query in {
        "torrent": {"info_hash": info_hash}, "account": {"account": 7}, "key": {"key_ref": 7},
        "address": {"address": bytes([10, 0, 1, 2])}, "network": {"network": "10.0.1.0/24"},
        "peer_id": {"peer_id": b"-XX0001-0000"}, "listener": {"listener": 0},
    }.items():  # fmt: skip
        sought = StaysQuery(whole, **query)  # type: ignore[arg-type]  # of several types
        look_up = partial(PastWorker(folder, secrets).stays, sought, 100)
        found[f"stays by {name}"] = _seconds(look_up)
    return found


async def _unregistered(folder: Path, secrets: Path, end: int) -> None:
    """Counts the refusals of the last day, as the ready list does."""
    log = LogEvents(_Still(folder, end), array("I"), trio.Event(), secrets)
    first: int | None = 0
    while first is not None:
        page = await log.refused(LogPart(first=first, from_us=BEGIN_US), "not_whitelisted")
        first = page.following
    if not page.times:
        raise SystemExit("there are no refusals that should be there")


@frozen
class _Still:
    """A log that nobody writes."""

    path: Path
    durable_seq: int

    async def wait_readable_briefly(self, seq: int) -> None:
        """It is readable."""


def _announce_at(folder: Path, end: int) -> int:
    """Returns an announce in the middle of the log."""
    frames = Reader(folder, end // 2, to_end=True).frames()
    return next(one.header.base_seq for one in frames if one.header.kind == events.ANNOUNCE)


def _seconds(do: Callable[[], object]) -> list[float]:
    began, cpu = time.perf_counter(), time.process_time()
    do()
    return [time.perf_counter() - began, time.process_time() - cpu]


def main() -> None:
    part, folder, *numbers = sys.argv[1:]
    parts: dict[str, Callable[..., Any]] = {"generate": generate, "follow": follow, "ask": ask}
    sys.stdout.write(json.dumps(parts[part](Path(folder), *map(int, numbers))) + "\n")


if __name__ == "__main__":
    main()
