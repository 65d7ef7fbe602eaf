"""The power goes at any moment of a removal: the log starts, and holds what it held."""

from __future__ import annotations

import random
import shutil
from typing import TYPE_CHECKING

import pytest
import trio

from eventlog import EventLog, LogFailedError, Reader, list_segments, make_folder, open_log
from eventlog.seals import write_missing
from tests.simulation import scheduling
from tests.simulation.disk import Disk, PowerCut
from tests.support import SECOND, Rig, keys_of
from tests.tracker.logged import history
from tests.tracker.pruned import prune
from tracker.domain.events import codec
from tracker.ports import LogUnavailableError
from tracker.store.address_keys import Keyring
from tracker.store.book import open_newest
from tracker.store.replay import replay
from tracker.upkeep import pruning
from tracker.upkeep.follower_process import Follower

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    Live = Callable[[Rig, EventLog], Awaitable[None]]

CALLS = 360
"""System calls from the begin of a removal, more than it makes."""
SEEDS = [*range(30), *(pytest.param(seed, marks=pytest.mark.faults) for seed in range(30, 700))]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_cut_while_pruning(tmp_path: Path, seed: int) -> None:
    """Whatever names and bytes survive, the next start finds a whole log and goes on removing."""
    chance = random.Random(seed)
    root = tmp_path / "disk"
    root.mkdir()
    disk = Disk(root, chance)
    with disk.attached():
        digest = _written(disk)
        try:
            _pruned(disk, chance.randrange(CALLS), chance)
        except* (PowerCut, LogUnavailableError, LogFailedError):
            assert disk.dead
    disk.power_up()
    with disk.attached():
        keyring = keys_of(root / "secrets")
        log = open_log(root / "log", codec.RECORD_SIZES, keyring.tags, encryptor=keyring)
        try:
            state = replay(Reader(root / "log", to_end=True, keys=keyring))
            assert state.seq >= digest[0]
            pruned = state.tally.pruned
            pruning.finish(root / "log", pruned[-1].first_seq if pruned else 0)
            again = replay(Reader(root / "log", to_end=True, keys=keyring))
            assert again.digest() == state.digest()
        finally:
            log.release()
        _check_book(root)
    shutil.rmtree(tmp_path)


def _check_book(root: Path) -> None:
    """Checks that the book goes on from the one that the log names, if it names one."""
    follower = Follower(root / "log", root / "secrets", lambda **_: None, seconds=0, pause=0)
    follower.catch_up()
    book = open_newest(root / "log", keys_of(root / "secrets"))
    assert book is not None
    assert book.since == 0
    accounts = follower.state.accounts
    for account in range(1, len(accounts.uploaded)):
        uploaded = sum(row.uploaded for row in book.of_account(account))
        assert uploaded == accounts.uploaded[account]


def _written(disk: Disk) -> tuple[int, str]:
    """Writes a log of several segments that no peer needs any more. Returns its end."""
    found: list[tuple[int, str]] = []

    async def live(rig: Rig, log: EventLog) -> None:
        for _ in history(rig):
            await log.wait_durable(log.next_seq - 1)
        for _ in range(4):
            rig.time.advance(1000 * SECOND)
            rig.service.tick()
        await log.wait_durable(log.next_seq - 1)
        found.append((rig.state.seq, rig.state.digest()))

    _run(disk, live, random.Random(1))
    return found[0]


def _pruned(disk: Disk, cut_in: int, chance: random.Random) -> None:
    async def live(rig: Rig, log: EventLog) -> None:
        await log.seal_finished()
        rig.time.advance(8000 * SECOND)
        disk.cut_in = cut_in
        await prune(rig.service, log, 2_000, keys_of(disk.path / "secrets"))

    _run(disk, live, chance)


def _run(disk: Disk, live: Live, chance: random.Random) -> None:
    path, keyring = disk.path / "log", keys_of(disk.path / "secrets")
    log = open_log(
        path,
        codec.RECORD_SIZES,
        keyring.tags,
        segment_bytes=1_500,
        linger_seconds=0,
        encryptor=keyring,
    )
    rig = Rig(log=log, state=replay(Reader(path, to_end=True, keys=keyring)))

    async def main() -> None:
        async with trio.open_nursery() as nursery:
            await nursery.start(log.run)
            await live(rig, log)
            nursery.cancel_scope.cancel()

    scheduling.run(main, chance)


@pytest.mark.parametrize("seed", range(8))
def test_a_cut_after_sealing(tmp_path: Path, seed: int) -> None:
    """A seal that survives proves a next segment that survives too, however new its name was."""
    root = tmp_path / "disk"
    root.mkdir()
    disk = Disk(root, random.Random(seed))
    with disk.attached():
        _written(disk)
        newest = list_segments(root / "log" / "seg")[-1]
        newest.rename(newest.with_suffix(".tmp"))
        newest.with_suffix(".tmp").rename(newest)
        write_missing(root / "log", keys_of(root / "secrets").tags)
        disk.dead = True
    disk.power_up()
    assert newest.exists()


@pytest.mark.parametrize("seed", range(8))
def test_a_cut_after_a_key_that_was_not_synced(tmp_path: Path, seed: int) -> None:
    """A key that an attempt made and could not sync is durable before it encrypts anything."""
    root = tmp_path / "disk"
    root.mkdir()
    disk = Disk(root, random.Random(seed))
    with disk.attached():
        make_folder(root / "secrets" / "privacy")
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("eventlog.files.sync_directory", lambda _: None)
            key = Keyring(root / "secrets").prepare(20_000)
        assert Keyring(root / "secrets").prepare(20_000) == key
        disk.dead = True
    disk.power_up()
    assert Keyring(root / "secrets").prepare(20_000) == key
