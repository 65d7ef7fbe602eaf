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
from contextlib import asynccontextmanager, nullcontext
from hashlib import sha256
from itertools import chain, count, islice
from pathlib import Path
from typing import TYPE_CHECKING

import trio

from eventlog import EventLog, Reader, open_log, write_missing
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
from tracker.store.checked_segments import REST_NS, CheckedSegments
from tracker.store.noting import NotedLog
from tracker.store.replay import apply_all, replay

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from eventlog import Frame

    Numbers = dict[str, float]
    Peer = tuple[bytes, bytes, bytes, int]

BATCH = 256  # announces in one pass of the loop, as in the UDP tracker
LIVE_BATCH = 64  # in one pass of a loop that serves `LIVE_RATE`
LIVE_RATE = 100_000  # announces a second
SWARMS_SHARE = 10  # peers in a swarm
NEW_SHARE = 100  # one announce in so many is of a new peer
ACKNOWLEDGED = 200


def generate(folder: Path, announces: int, peers: int) -> Numbers:
    """Writes a log through the tracker's own write path: each peer announces, and then random ones
    again and again. Addresses are encrypted."""
    chance, _, crowd = _crowd(peers)
    announcing = islice(chain(crowd, _again(chance, crowd)), announces)
    log = _opened(folder)
    return timed(announces, lambda: trio.run(_write, log, State(), announcing))


def _opened(folder: Path) -> EventLog:
    """Opens a log for appending; its secrets are beside it."""
    return opened_noted(folder).log


def opened_noted(folder: Path) -> NotedLog:
    """Opens a log with the note that a start looks for."""
    secrets = folder.with_name("secrets")
    server_secret.load_or_create(secrets)
    keys = Keyring(secrets)
    return NotedLog(open_log(folder, codec.RECORD_SIZES, keys.tags, encryptor=keys), secrets)


def _replayed(folder: Path) -> State:
    """Replays a log as a start does: every checksum, every tag, every event."""
    return replay(Reader(folder, to_end=True, keys=Keyring(folder.with_name("secrets"))))


def go_on(folder: Path, secrets: Path, announces: int, peers: int) -> Numbers:
    """Writes the log of a killed tracker: a snapshot, and so many announces after it.

    One announce in a hundred is of a new peer. `before` is the number of peers in the snapshot.
    """
    keys = Keyring(secrets)
    state = _replayed(folder)
    keys.prepare(day_of(state.time_us))
    if files.write(folder, state, keys) is None:
        raise SystemExit("no snapshot was written")
    before = _peers(state)
    chance, hashes, crowd = _crowd(peers)
    known = _again(chance, crowd[:before])
    new = (_peer(chance, hashes, number) for number in count(peers))
    announcing = (next(known if number % NEW_SHARE else new) for number in range(announces))
    log = _opened(folder)
    numbers = timed(announces, lambda: trio.run(_write, log, state, announcing))
    return {**numbers, "before": before}


def settle(folder: Path, secrets: Path) -> Numbers:
    """Does what a tracker has done some time before it is killed: seals the finished segments, and
    notes that it has read them."""
    keys = Keyring(secrets)
    write_missing(folder, keys.tags)
    time.sleep(REST_NS / 1e9)  # what changed a moment ago is not noted
    checked = CheckedSegments(folder, keys)
    checked.check(lambda *_: None)
    checked.save()
    return {}


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
    async with running(log):
        service = Service(log, state, LogClock(state.time_us), bytes(32))
        service.append(TrackerStarted("bench", log.epoch))
        service.change_settings(Settings())
        while batch := list(islice(numbered, BATCH)):
            service.begin()
            for number, peer in batch:
                _announce(service, peer, number)
            service.end()
            await breathe(log)


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
        async with running(log):
            for number in range(records // BATCH):
                frame = log.pool.frame(events.ANNOUNCE, announce.SCHEMA, number)
                frame.plain += plain
                frame.protected += protected
                log.appended()
                await breathe(log)
            await log.wait_durable(log.next_seq - 1)
            commits.append(log.statistics().commits)

    return {**timed(records, lambda: trio.run(main)), "commits": commits[0]}


def live(folder: Path, records: int) -> Numbers:
    """Appends announce records at `LIVE_RATE`, beside a loop that is busy with announces.

    `cpu` is what the log adds to a loop without one: its calls, its commits in their thread, and
    all that comes of two threads. The busy work itself is left out. It gives up the interpreter's
    lock, as system calls do.
    """
    work = bytes(_hashed_in(LIVE_BATCH / LIVE_RATE))
    with_log, commits = trio.run(_live, _opened(folder), records, work)
    without, _ = trio.run(_live, None, records, work)
    seconds = records / LIVE_RATE
    return {"events": records, "seconds": seconds, "cpu": with_log - without, "commits": commits}


async def _live(log: EventLog | None, records: int, work: bytes) -> tuple[float, int]:
    """Returns the seconds of CPU without the work, and the commits."""
    plain, protected = bytes(codec.PLAIN.size) * LIVE_BATCH, bytes(codec.PROTECTED.size)
    protected *= LIVE_BATCH
    worked, commits, now = 0.0, 0, time.time_ns() // 1000
    async with running(log) if log else nullcontext():
        before = log.statistics().commits if log else 0
        began = time.process_time()
        for _ in range(records // LIVE_BATCH):
            if log:
                frame = log.pool.frame(events.ANNOUNCE, announce.SCHEMA, now)
                frame.plain += plain
                frame.protected += protected
                log.appended()
            paused = time.thread_time()
            sha256(work)
            worked += time.thread_time() - paused
            await trio.lowlevel.checkpoint()
        if log:
            await log.wait_durable(log.next_seq - 1)
            commits = log.statistics().commits - before
        cpu = time.process_time() - began - worked
    return cpu, commits


def _hashed_in(seconds: float) -> int:
    """Returns how many bytes this processor hashes in a time."""
    some = bytes(1 << 22)
    began = time.thread_time()
    sha256(some)
    return int(len(some) * seconds / (time.thread_time() - began))


def acknowledge(folder: Path) -> Numbers:
    """Appends an event at a time and waits for it, like an admin write. Median and worst in ms."""
    waits: list[float] = []
    record = codec.encode_admin(TrackerStopped.number, 0, {"reason": "bench"})

    async def main() -> None:
        noted = opened_noted(folder)
        async with running(noted.log), trio.open_nursery() as nursery:
            await nursery.start(noted.run, lambda: 0)
            for _ in range(ACKNOWLEDGED):
                began = time.perf_counter()
                seq = noted.pool.append(events.ADMIN, TrackerStopped.schema, 0, record)
                await noted.wait_durable(seq)
                waits.append((time.perf_counter() - began) * 1000)
            nursery.cancel_scope.cancel()

    numbers = timed(ACKNOWLEDGED, lambda: trio.run(main))
    return {**numbers, "median_ms": statistics.median(waits), "max_ms": max(waits)}


def replay_all(folder: Path, peers: int) -> Numbers:
    """Replays the log as a start does; the first announces of its peers, and then all others.

    `first` and `first_cpu` are of the first announces alone.
    """
    reader = Reader(folder, to_end=True, keys=Keyring(folder.with_name("secrets")))
    state = State()
    state.recent.start(state.swarms)
    found = reader.frames()
    first = timed(0, lambda: apply_all(state, _until(found, state, peers)))
    seq = state.seq
    rest = timed(0, lambda: apply_all(state, found))
    known = state.seq - seq
    return {**rest, "events": known, "first": seq, "first_cpu": first["cpu"]}


def _until(found: Iterator[Frame], state: State, announces: int) -> Iterator[Frame]:
    """Gives frames until a state has seen so many announces."""
    while sum(state.swarms.announces) < announces and (one := next(found, None)):
        yield one


def snapshots(folder: Path) -> Numbers:
    """Writes the state to a file and loads it again, as the follower and a start do.

    `load` is seconds of CPU.
    """
    keys = Keyring(folder.with_name("secrets"))
    state = _replayed(folder)
    keys.prepare(day_of(state.time_us))
    try:
        wrote = timed(0, lambda: files.write(folder, state, keys))
        size = sum(path.stat().st_size for path in files.found(folder))
        loaded: list[State] = []
        load = timed(0, lambda: loaded.append(files.start(folder, keys, to_end=True)[0]))
        slices_s = timed(0, lambda: [state.digest_of_slice(at) for at in range(100)])["cpu"]
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
    numbers = timed(0, lambda: found.extend(verification.findings(lambda _done, _total: None)))
    if found:
        raise SystemExit(f"the log that was generated is damaged: {found[0]}")
    return {**numbers, "events": verification.state.seq}


@asynccontextmanager
async def running(log: EventLog) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:
        await nursery.start(log.run)
        yield
        nursery.cancel_scope.cancel()


async def breathe(log: EventLog) -> None:
    """Gives the committer its turn, and waits for it when it is far behind."""
    await trio.lowlevel.checkpoint()
    if log.statistics().pending_bytes > 16 << 20:
        await log.wait_durable(log.next_seq - 1)


def timed(count: int, part: Callable[[], object]) -> Numbers:
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
        "settle": settle,
        "append": append,
        "live": live,
        "acknowledge": acknowledge,
        "replay": replay_all,
        "snapshots": snapshots,
        "verify": verify,
    }
    sys.stdout.write(json.dumps(parts[part](*places, *numbers)) + "\n")


if __name__ == "__main__":
    main()
