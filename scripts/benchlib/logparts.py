"""Runs one timed part of scripts/bench log, each in its own process.

Usage: `python -m benchlib.logparts PART FOLDER... NUMBER...`. Every part prints one JSON object:
`events`, `seconds` (wall), `cpu` (seconds, all threads), and figures of its own.
"""

from __future__ import annotations

import json
import random
import shutil
import statistics
import sys
import time
from contextlib import asynccontextmanager
from itertools import chain, count, islice
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from eventlog import EventLog, Reader, open_log
from tracker.domain import events
from tracker.domain.events import announce, codec
from tracker.domain.events.admin import TrackerStarted, TrackerStopped
from tracker.domain.settings import Settings
from tracker.domain.state import State
from tracker.offline.verify import Verification
from tracker.service.clock import LogClock
from tracker.service.service import Service
from tracker.store import server_secret
from tracker.store import snapshots as files
from tracker.store.address_keys import Keyring, day_of
from tracker.store.noting import NotedLog
from tracker.store.replay import replay
from tracker.store.tag_keys import TagKeys

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    Numbers = dict[str, float]
    Peer = tuple[bytes, bytes, bytes, int]

BATCH = 256  # announces in one pass of the loop, as in the UDP tracker
SWARMS_SHARE = 20  # peers in a swarm
NEW_SHARE = 100  # one announce in so many is of a new peer
ACKNOWLEDGED = 200


def generate(folder: Path, announces: int, peers: int) -> Numbers:
    """Writes a log through the tracker's own write path: random peers announce again and again."""
    chance, _, crowd = _crowd(peers)
    announcing = islice(chain(crowd, _again(chance, crowd)), announces)
    log = _opened(folder)
    return _timed(announces, lambda: trio.run(_write, log, State(), announcing))


def _opened(folder: Path, keys: Keyring | None = None) -> EventLog:
    """Opens a log for appending; its secrets are beside it. With `keys` addresses are encrypted."""
    return _noted(folder, keys).log


def _noted(folder: Path, keys: Keyring | None = None) -> NotedLog:
    """Opens a log with the note that a start looks for."""
    secrets = folder.with_name("secrets")
    server_secret.load_or_create(secrets)
    log = open_log(folder, codec.RECORD_SIZES, TagKeys(secrets), encryptor=keys)
    return NotedLog(log, secrets)


def go_on(folder: Path, secrets: Path, announces: int, peers: int) -> Numbers:
    """Writes the log of a killed tracker: a snapshot, and so many encrypted announces after it.

    One announce in a hundred is of a new peer. `before` is the number of peers in the snapshot.
    """
    keys = Keyring(secrets)
    state = replay(Reader(folder, to_end=True))
    keys.prepare(day_of(state.time_us))
    if files.write(folder, state, keys) is None:
        raise SystemExit("no snapshot was written")
    before = _peers(state)
    chance, hashes, crowd = _crowd(peers)
    known = _again(chance, crowd[:before])
    new = (_peer(chance, hashes, number) for number in count(peers))
    announcing = (next(known if number % NEW_SHARE else new) for number in range(announces))
    log = _opened(folder, keys)
    numbers = _timed(announces, lambda: trio.run(_write, log, state, announcing))
    return {**numbers, "before": before}


def _crowd(peers: int) -> tuple[random.Random, list[bytes], list[Peer]]:
    chance = random.Random(1)  # noqa: S311  # the same log every time
    hashes = [chance.randbytes(20) for _ in range(max(1, peers // SWARMS_SHARE))]
    return chance, hashes, [_peer(chance, hashes, number) for number in range(peers)]


def _again(chance: random.Random, crowd: list[Peer]) -> Iterator[Peer]:
    while True:
        yield crowd[chance.randrange(len(crowd))]


def _peer(chance: random.Random, hashes: list[bytes], number: int) -> Peer:
    """Returns info hash, address, port and bytes left. Three in ten are seeders."""
    address = bytes([10, *number.to_bytes(3, "big")])
    return chance.choice(hashes), address, b"\x1a\xe1", 0 if chance.random() < 0.3 else 1000


async def _write(log: EventLog, state: State, announcing: Iterator[Peer]) -> None:
    """Runs the tracker's write path while these peers announce."""
    numbered = enumerate(announcing)
    async with _running(log):
        service = Service(log, state, LogClock(state.time_us), bytes(32))
        service.append(TrackerStarted("bench", log.epoch))
        service.change_settings(Settings())
        while batch := list(islice(numbered, BATCH)):
            service.begin()
            for number, peer in batch:
                _announce(service, peer, number)
            service.end()
            await _breathe(log)


def _announce(service: Service, peer: Peer, number: int) -> None:
    info_hash, address, port, left = peer
    service.announce(
        0, events.UDP4, address, port, info_hash, b"-XX0001-abcdefghijkl", number, number,
        left, events.NONE, 50, 0, 7,
    )  # fmt: skip


def _peers(state: State) -> int:
    return state.swarms.seeders_total + state.swarms.leechers_total


def append(folder: Path, records: int) -> Numbers:
    """Appends announce records as fast as the log commits them: no decision, no state."""
    plain, protected = bytes(codec.PLAIN.size) * BATCH, bytes(codec.PROTECTED.size) * BATCH
    commits: list[int] = []

    async def main() -> None:
        log = _opened(folder)
        async with _running(log):
            for number in range(records // BATCH):
                frame = log.pool.frame(events.ANNOUNCE, announce.SCHEMA, number)
                frame.plain += plain
                frame.protected += protected
                log.appended()
                await _breathe(log)
            await log.wait_durable(log.next_seq - 1)
            commits.append(log.statistics().commits)

    return {**_timed(records, lambda: trio.run(main)), "commits": commits[0]}


def acknowledge(folder: Path) -> Numbers:
    """Appends an event at a time and waits for it, like an admin write. Median and worst in ms."""
    waits: list[float] = []
    record = codec.encode_admin(TrackerStopped.number, 0, {"reason": "bench"})

    async def main() -> None:
        noted = _noted(folder)
        async with _running(noted.log), trio.open_nursery() as nursery:
            await nursery.start(noted.run, lambda: 0)
            for _ in range(ACKNOWLEDGED):
                began = time.perf_counter()
                seq = noted.pool.append(events.ADMIN, TrackerStopped.schema, 0, record)
                await noted.wait_durable(seq)
                waits.append((time.perf_counter() - began) * 1000)
            nursery.cancel_scope.cancel()

    numbers = _timed(ACKNOWLEDGED, lambda: trio.run(main))
    return {**numbers, "median_ms": statistics.median(waits), "max_ms": max(waits)}


def replay_all(folder: Path) -> Numbers:
    """Replays the log as a start does: every checksum, every event."""
    states: list[State] = []
    numbers = _timed(0, lambda: states.append(replay(Reader(folder, to_end=True))))
    return {**numbers, "events": states[0].seq}


def snapshots(folder: Path) -> Numbers:
    """Writes the state to a file and loads it again, as the follower and a start do.

    `load` is seconds of CPU.
    """
    keys = Keyring(folder.with_name("secrets"))
    state = replay(Reader(folder, to_end=True))
    keys.prepare(day_of(state.time_us))
    try:
        wrote = _timed(0, lambda: files.write(folder, state, keys))
        size = sum(path.stat().st_size for path in files.found(folder))
        loaded: list[State] = []
        load = _timed(0, lambda: loaded.append(files.start(folder, keys, to_end=True)[0]))
        slices_s = _timed(0, lambda: [state.digest_of_slice(at) for at in range(100)])["cpu"]
        if not loaded[0].seq:
            raise SystemExit("the snapshot was not used")
        return {
            **wrote, "load": load["cpu"], "load_seconds": load["seconds"], "size": size, "events": _peers(state),
            "slice_ms": slices_s * 10,
        }  # fmt: skip
    finally:
        shutil.rmtree(folder / "snap", ignore_errors=True)


def verify(folder: Path) -> Numbers:
    verification = Verification(folder, Keyring(folder.with_name("secrets")))
    found: list[object] = []
    numbers = _timed(0, lambda: found.extend(verification.findings(lambda _done, _total: None)))
    if found:
        raise SystemExit(f"the log that was generated is damaged: {found[0]}")
    return {**numbers, "events": verification.state.seq}


@asynccontextmanager
async def _running(log: EventLog) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        await nursery.start(log.run)
        yield
        nursery.cancel_scope.cancel()


async def _breathe(log: EventLog) -> None:
    """Gives the committer its turn, and waits for it when it is far behind."""
    await trio.lowlevel.checkpoint()
    if log.statistics().pending_bytes > 16 << 20:
        await log.wait_durable(log.next_seq - 1)


def _timed(count: int, part: Callable[[], object]) -> Numbers:
    began, cpu = time.perf_counter(), time.process_time()
    part()
    return {
        "events": count,
        "seconds": time.perf_counter() - began,
        "cpu": time.process_time() - cpu,
    }


def main() -> None:
    part, *arguments = sys.argv[1:]
    places = [Path(each) for each in arguments if not each.isdecimal()]
    numbers = [int(each) for each in arguments if each.isdecimal()]
    parts: dict[str, Callable[..., Numbers]] = {
        "generate": generate,
        "go_on": go_on,
        "append": append,
        "acknowledge": acknowledge,
        "replay": replay_all,
        "snapshots": snapshots,
        "verify": verify,
    }
    sys.stdout.write(json.dumps(parts[part](*places, *numbers)) + "\n")


if __name__ == "__main__":
    main()
