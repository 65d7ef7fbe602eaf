"""Finished segments are read again; damage in them is told once and counted until it is mended."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

import pytest
import trio

from eventlog import LogCorruptError
from eventlog.seals import seal_path, write_missing
from tests.eventlog.logs import segments
from tests.support import own_keys
from tests.tracker.logged import write_log
from tracker.metrics import swarmlog
from tracker.store import checked_segments
from tracker.store.checked_segments import CheckedSegments
from tracker.upkeep.rereading import Rereading

if TYPE_CHECKING:
    from pathlib import Path


def reread(rereading: Rereading, until: set[str]) -> None:
    """Reads all segments twice, and on until these are known as damaged."""
    enough = rereading.segments + 20

    async def main() -> None:
        with trio.fail_after(30):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(rereading.run)
                while rereading.segments < enough or rereading.damaged != until:  # noqa: ASYNC110  # no event tells
                    await trio.sleep(0.01)
                nursery.cancel_scope.cancel()

    trio.run(main)


def test_damage_is_found_and_mended(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Within a pass: a changed segment, one that cannot be read and a bad seal; no other file."""
    write_log(tmp_path, segment_bytes=1)
    write_missing(tmp_path, own_keys(tmp_path).tags)
    first, second, third, *_ = segments(tmp_path)
    rereading = Rereading(tmp_path, pass_seconds=0.01)
    reread(rereading, set())
    whole = first.read_bytes()
    first.write_bytes(whole[:300] + bytes([whole[300] ^ 1]) + whole[301:])
    second.unlink()
    second.mkdir()
    seal_path(third).write_bytes(b"[" * 10_000)
    reread(rereading, {first.name, second.name, third.name})
    told = [one.getMessage() for one in caplog.records if one.levelname == "ERROR"]
    assert len(told) == 3
    assert all(one.startswith("THE LOG IS DAMAGED: ") for one in told)
    damaged, _ = swarmlog.of_rereading(rereading)
    assert [one.value for one in damaged.samples] == [3]
    first.write_bytes(whole)
    reread(rereading, {second.name, third.name})


def test_trackers_that_are_started_again_and_again(tmp_path: Path) -> None:
    """Each reads one segment and ends; together they come to all of them."""
    write_log(tmp_path, segment_bytes=1)
    write_missing(tmp_path, own_keys(tmp_path).tags)
    finished = segments(tmp_path)[:-1]
    for number, path in enumerate(finished):
        data = path.read_bytes()
        if number % 2:
            path.write_bytes(data[:200] + bytes([data[200] ^ 1]) + data[201:])
        os.utime(seal_path(path), (1_000_000_000, 1_000_000_000))
    found: set[str] = set()
    for _ in range(3 * len(finished)):
        rereading = Rereading(tmp_path)
        trio.run(rereading._look)
        found |= rereading.damaged
        if rereading.damaged:  # somebody mends it
            path = tmp_path / "seg" / rereading.damaged.pop()
            data = path.read_bytes()
            path.write_bytes(data[:200] + bytes([data[200] ^ 1]) + data[201:])
    assert found == {path.name for path in finished[1::2]}


def test_a_segment_that_is_gone(tmp_path: Path) -> None:
    """Its seal tells of it."""
    write_log(tmp_path, segment_bytes=1)
    write_missing(tmp_path, own_keys(tmp_path).tags)
    gone = segments(tmp_path)[2]
    gone.unlink()
    reread(Rereading(tmp_path, pass_seconds=0.01), {gone.name})


def test_damage_before_the_seal(tmp_path: Path) -> None:
    """A damaged segment of an earlier run gets no seal that says that it was written so."""
    write_log(tmp_path, segment_bytes=1)
    damaged = segments(tmp_path)[1]
    data = damaged.read_bytes()
    damaged.write_bytes(data[:-20] + bytes([data[-20] ^ 1]) + data[-19:])
    with pytest.raises(LogCorruptError, match="checksum does not match"):
        write_missing(tmp_path, own_keys(tmp_path).tags)
    assert not seal_path(damaged).exists()
    reread(Rereading(tmp_path, pass_seconds=0.01), {damaged.name})


def test_a_disk_that_hangs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A stop does not wait until a segment has been read."""
    write_log(tmp_path, segment_bytes=1)
    begun, goes_on = threading.Event(), threading.Event()

    def hang(*_: object, **_options: object) -> str:
        begun.set()
        goes_on.wait(30)
        return ""

    monkeypatch.setattr("tracker.upkeep.rereading.wrong_by_seal", hang)

    async def main() -> None:
        with trio.fail_after(10):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(Rereading(tmp_path, pass_seconds=0.01).run)
                await trio.to_thread.run_sync(begun.wait)
                nursery.cancel_scope.cancel()

    trio.run(main)
    goes_on.set()


def test_the_next_start_need_not_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Sealed segments are read and remembered at the next look, and again if somebody touches them;
    others are left to the one who seals."""
    monkeypatch.setattr(checked_segments, "REST_NS", 0)
    write_log(tmp_path, segment_bytes=1)
    keys = own_keys(tmp_path)
    write_missing(tmp_path, keys.tags)
    finished = segments(tmp_path)[:-1]
    seal_path(finished[-1]).unlink()
    checked = CheckedSegments(tmp_path, keys)
    assert checked.unknown() == finished
    trio.run(Rereading(tmp_path, keys, checked=checked)._look)
    again = CheckedSegments(tmp_path, keys)
    assert again.unknown() == finished[-1:]
    finished[0].write_bytes(finished[0].read_bytes())
    assert again.unknown() == [finished[0], finished[-1]]
    trio.run(Rereading(tmp_path, keys, checked=again)._look)
    assert again.unknown() == finished[-1:]
