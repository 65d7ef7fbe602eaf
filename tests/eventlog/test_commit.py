"""Commits: in groups, one at a time, never claimed too early, never lost at the end."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from eventlog import FRAME_BYTES, EventLog, LogFailedError, Reader, open_log
from eventlog.log import MANY_BYTES, WATERMARK_SECONDS, lingering
from tests.eventlog.logs import (
    RECORD_SIZES,
    TAGS,
    TEXT,
    append,
    places,
    read,
    read_on,
    running,
    segments,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.eventlog.logs import Gate

ENDLESS = 1000.0  # seconds of lingering


@pytest.fixture
def log(folder: Path) -> EventLog:
    return open_log(folder, RECORD_SIZES, TAGS, linger_seconds=0)


async def test_durable_means_synced(log: EventLog, gate: Gate) -> None:
    """No waiter goes on before the sync has ended."""
    told = trio.Event()

    async def wait() -> None:
        await log.wait_durable(seq)
        told.set()

    async with running(log), trio.open_nursery() as nursery:
        seq = append(log, b"one")
        nursery.start_soon(wait)
        await gate.entered()
        await trio.testing.wait_all_tasks_blocked()
        assert not told.is_set()
        assert (log.durable_seq, log.statistics().pending_bytes) == (0, 3)
        gate.open()
        await told.wait()
        assert (log.durable_seq, log.statistics().pending_bytes) == (1, 0)


async def test_leaving_does_not_stop_the_commit(log: EventLog, gate: Gate) -> None:
    """A cancelled waiter disturbs neither the commit nor other waiters."""
    async with running(log), trio.open_nursery() as nursery:
        seq = append(log, b"one")
        scope = await nursery.start(wait_in_scope, log, seq)
        nursery.start_soon(log.wait_durable, seq)
        await gate.entered()
        scope.cancel()
        await trio.testing.wait_all_tasks_blocked()
        assert log.durable_seq == 0
        gate.open()
        await log.wait_durable(seq)
    assert read(log.path) == [(0, b"one")]


async def wait_in_scope(
    log: EventLog, seq: int, task_status: trio.TaskStatus[trio.CancelScope]
) -> None:
    with trio.CancelScope() as scope:
        task_status.started(scope)
        await log.wait_durable(seq)


async def test_many_appends_are_one_commit(folder: Path) -> None:
    """Records appended during the linger share one frame and one sync."""
    log = open_log(folder, RECORD_SIZES, TAGS, linger_seconds=ENDLESS)
    async with running(log):
        for number in range(100):
            append(log, b"%02d" % number)
            await trio.testing.wait_all_tasks_blocked()
        assert log.statistics().commits == 0
        await log.wait_durable(99)
        assert (log.statistics().commits, log.durable_seq) == (1, 100)
    assert [len(plain) for _, plain in read(folder)] == [200]


LINGERINGS = [
    (0.005, 0.0, 0, 0.005),  # nothing was committed yet
    (0.005, 0.001, 0, 0.005),
    (0.005, 0.003, 0, 0.012),
    (0.005, 3.0, 0, 0.020),
    (0.050, 3.0, 0, 0.100),
    (1.0, 0.2, 0, 1.0),
    (1.0, 3.0, 0, 1.0),
    (0.0, 3.0, 0, 0.0),  # asked for none
    (0.005, 0.001, MANY_BYTES - 1, 0.005),
    (0.005, 0.001, MANY_BYTES, 0.020),
    (0.050, 0.001, MANY_BYTES, 0.100),
    (1.0, 0.001, MANY_BYTES, 1.0),
    (0.0, 0.001, MANY_BYTES, 0.0),
]


@pytest.mark.parametrize(("seconds", "last_commit", "last_bytes", "expected"), LINGERINGS)
def test_slow_and_large_commits_become_fewer(
    seconds: float, last_commit: float, last_bytes: int, expected: float
) -> None:
    """The linger is as configured, and longer where commits would take more than a fifth of the
    time, or are large."""
    assert lingering(seconds, last_commit, last_bytes) == pytest.approx(expected)


async def test_a_slow_commit_is_gathered_for(
    folder: Path, gate: Gate, mock_clock: trio.testing.MockClock
) -> None:
    """After a commit of 7.5 ms the next one comes 30 ms after its first record, not 10."""
    log = open_log(folder, RECORD_SIZES, TAGS, linger_seconds=0.010)
    async with running(log):
        append(log, b"one")
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(0.010)
        await gate.entered()
        append(log, b"two")
        mock_clock.jump(0.0075)
        gate.open()
        while not log.durable_seq:
            await trio.lowlevel.checkpoint()
        await trio.testing.wait_all_tasks_blocked()
        mock_clock.jump(0.029)
        await trio.testing.wait_all_tasks_blocked()
        assert not log.pool.empty
        mock_clock.jump(0.002)
        await gate.entered()


async def test_enough_is_not_gathered_for(folder: Path, gate: Gate) -> None:
    """A pending mebibyte is committed at once, even without a waiter."""
    log = open_log(folder, RECORD_SIZES, TAGS, linger_seconds=ENDLESS)
    async with running(log):
        for _ in range(9):
            append(log, bytes(131_072))
        await gate.entered()
        gate.open()


async def test_a_waiter_ends_the_linger(folder: Path) -> None:
    """A waiter ends the linger, even one that comes while a commit is in flight."""
    log = open_log(folder, RECORD_SIZES, TAGS, linger_seconds=ENDLESS)
    async with running(log), trio.open_nursery() as nursery:
        for number in range(5):
            nursery.start_soon(log.wait_durable, append(log, b"%d" % number))
            await trio.lowlevel.checkpoint()


async def test_a_record_that_comes_in_place_of_a_watermark(
    folder: Path, mock_clock: trio.testing.MockClock
) -> None:
    """Readers get it all the same. Who runs first when both are due is left to chance, so the two
    meet ten times.
    """
    log = open_log(folder, RECORD_SIZES, TAGS, segment_bytes=1 << 20, linger_seconds=0)

    async def meet() -> None:
        await trio.sleep(WATERMARK_SECONDS)
        await log.wait_readable(append(log, b"just now"))

    async with running(log):
        for _ in range(10):
            mock_clock.rate = 0
            await log.wait_durable(append(log, b"before"))
            async with trio.open_nursery() as nursery:
                nursery.start_soon(meet)
                await trio.testing.wait_all_tasks_blocked()
                mock_clock.jump(WATERMARK_SECONDS)
                mock_clock.rate = 1


async def test_one_commit_at_a_time(log: EventLog, gate: Gate) -> None:
    """Records appended during a commit wait for the next one, and this one does not claim them."""
    async with running(log):
        append(log, b"one")
        await gate.entered()
        second = append(log, b"two")
        gate.open(1)
        await log.wait_durable(0)
        assert log.durable_seq == 1
        await gate.entered()
        gate.open()
        await log.wait_durable(second)
    assert read(log.path) == [(0, b"one"), (1, b"two")]


async def test_the_end_commits_what_is_left(folder: Path) -> None:
    """Cancelled during the linger, the log makes everything durable and writes a watermark."""
    log = open_log(folder, RECORD_SIZES, TAGS, linger_seconds=ENDLESS)
    async with running(log):
        append(log, b"one", b"two")
    assert log.durable_seq == 2
    assert read_on(Reader(folder)) == [(0, b"onetwo")]
    last = places(segments(folder)[-1].read_bytes())[-1].header
    assert (last.records, last.durable_seq) == (0, 2)
    assert not log.has_room()
    assert log.trouble() == "it is closed"


async def test_the_end_during_a_commit(log: EventLog, gate: Gate) -> None:
    """Cancelled during a commit, the log ends it and commits the records that came meanwhile."""
    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            await nursery.start(log.run)
            append(log, b"one")
            await gate.entered()
            append(log, b"two")
            nursery.cancel_scope.cancel()
            gate.open()
    assert log.durable_seq == 2
    assert read_on(Reader(log.path)) == [(0, b"one"), (1, b"two")]


class CancelJustBefore(trio.abc.Instrument):
    """Cancels a task that is about to go on: the task sees that at its next checkpoint."""

    def __init__(self, scope: trio.CancelScope) -> None:
        self._scope = scope

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        if "EventLog.run" in task.name:
            self._scope.cancel()


async def test_the_end_just_before_a_commit(folder: Path) -> None:
    """Cancelled between taking records and writing them, the log claims nothing unwritten."""
    log = open_log(folder, RECORD_SIZES, TAGS, linger_seconds=ENDLESS)
    with trio.fail_after(10):
        async with trio.open_nursery() as outer:
            async with trio.open_nursery() as nursery:
                await nursery.start(log.run)
                append(log, b"one")
                await trio.testing.wait_all_tasks_blocked()
                instrument = CancelJustBefore(nursery.cancel_scope)
                trio.lowlevel.add_instrument(instrument)
                outer.start_soon(log.wait_durable, 0)  # ends the lingering
            trio.lowlevel.remove_instrument(instrument)
            outer.cancel_scope.cancel()
    assert read_on(Reader(folder)) == [(0, b"one")]
    assert log.durable_seq == 1


BROKEN = OSError(errno.EIO, "Input/output error")


def failing(error: BaseException) -> Callable[..., int]:
    def fail(*_: object) -> int:
        raise error

    return fail


@pytest.mark.parametrize("call", ["pwrite", "fdatasync", "fsync", "open", "rename"])
async def test_a_failed_write_ends_the_log(
    log: EventLog, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """A commit that fails in a second file too ends the log: all waiters get the error, and nothing
    is claimed."""
    heard = []

    async def wait(seq: int) -> None:
        with pytest.raises(LogFailedError) as caught:
            await log.wait_durable(seq)
        heard.append(str(caught.value))

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            monkeypatch.setattr(os, call, failing(BROKEN))
            for record in (b"one", b"two"):
                nursery.start_soon(wait, append(log, record))
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(LogFailedError):
                await log.run()
            monkeypatch.undo()
        await wait(0)  # a later waiter gets the error too
    assert len(heard) == 3
    assert not log.has_room()
    assert log.trouble() == heard[0]
    assert log.durable_seq == 0


class UnforeseenError(Exception):
    """An unexpected error."""


async def test_an_unforeseen_error_claims_nothing(
    log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever error ends a commit, its records are not called durable."""
    monkeypatch.setattr(os, "pwrite", failing(UnforeseenError()))
    append(log, b"one")
    with trio.fail_after(10), pytest.raises((UnforeseenError, LogFailedError)):
        await log.run()
    assert log.durable_seq == 0


async def test_a_failed_log_is_readable_up_to_its_last_commit(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a disk breaks half-way through a write, the next start has everything that was
    durable."""
    log = open_log(folder, RECORD_SIZES, TAGS, linger_seconds=0)
    real = os.pwrite

    def half(descriptor: int, data: bytes, offset: int) -> int:
        if offset < 400:
            return real(descriptor, data[:10], offset)
        raise BROKEN

    with trio.fail_after(10), pytest.RaisesGroup(LogFailedError):
        async with trio.open_nursery() as nursery:
            await nursery.start(log.run)
            await log.wait_durable(append(log, b"one"))
            monkeypatch.setattr(os, "pwrite", half)
            with pytest.raises(LogFailedError):
                await log.wait_durable(append(log, b"t" * 500))
    monkeypatch.undo()
    assert log.durable_seq == 1
    again = open_log(folder, RECORD_SIZES, TAGS)
    assert (again.next_seq, again.recovery.next_seq) == (1, 1)
    assert again.recovery.cut_bytes > 0
    async with running(again):
        append(again, b"later")
    assert read(folder) == [(0, b"one"), (1, b"later")]


async def test_a_failure_at_the_end_lets_go_of_the_lock(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A log whose last commit fails is closed all the same, and can be opened again."""
    log = open_log(folder, RECORD_SIZES, TAGS, linger_seconds=ENDLESS)
    with trio.fail_after(10), pytest.RaisesGroup(LogFailedError):
        async with trio.open_nursery() as nursery:
            await nursery.start(log.run)
            append(log, b"one")
            await trio.testing.wait_all_tasks_blocked()
            monkeypatch.setattr(os, "pwrite", failing(BROKEN))
            nursery.cancel_scope.cancel()
    monkeypatch.undo()
    assert log.durable_seq == 0
    async with running(open_log(folder, RECORD_SIZES, TAGS)) as again:
        assert again.next_seq == 0


async def test_no_room_behind_a_hung_disk(
    log: EventLog, gate: Gate, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes in flight and bytes waiting both count, and room comes back with the disk."""
    monkeypatch.setattr("eventlog.log.MAX_PENDING_BYTES", log.pool.reach + 1000)
    async with running(log):
        append(log, b"x" * 600)
        await gate.entered()
        assert log.has_room()
        append(log, b"y" * FRAME_BYTES)
        assert log.has_room()  # an open frame counts as full anyway
        seq = append(log, b"z")
        assert not log.has_room()
        assert log.trouble() == "its disk is too slow for what comes"
        gate.open()
        await log.wait_durable(seq)
        assert log.has_room()


async def test_fixed_records_are_counted_by_their_bytes(log: EventLog) -> None:
    """Extending the sections of an open frame numbers its records; full frames are followed by new
    ones."""
    async with running(log):
        for _ in range(10_000):
            frame = log.pool.frame(2, 7, 5)
            frame.plain += b"p" * 16
            frame.protected += b"s"
        assert log.next_seq == 10_000
        await log.wait_durable(9_999)
    frames = list(Reader(log.path).frames())
    assert len(frames) == 3
    ends = [frame.header.next_seq for frame in frames]
    assert [frame.header.base_seq for frame in frames] == [0, *ends[:-1]]
    assert frames[-1].header.next_seq == 10_000
    assert b"".join(bytes(frame.protected) for frame in frames) == b"s" * 10_000


async def test_time_in_headers_never_decreases(log: EventLog) -> None:
    """A record with an earlier time does not take a frame's header back."""
    async with running(log):
        for time_us in (50, 70, 60):
            log.pool.append(1, time_us, time_us, b"x")
        await log.wait_durable(log.next_seq - 1)
    assert [frame.header.time_us for frame in Reader(log.path).frames()] == [50, 70, 70]


async def test_no_room_beyond_a_bound(folder: Path) -> None:
    """A log at its bound has room only for what is reserved. Each new segment wakes whoever removes
    old ones.
    """
    log = open_log(folder, RECORD_SIZES, TAGS, segment_bytes=1, linger_seconds=0)
    async with running(log):
        append(log, b"one")
        await log.wait_segment_begun(0)
        assert log.segments_begun == 1
        log.grow_until = log.statistics().written_bytes + log.pool.reach - 1
        assert not log.has_room()
        assert log.trouble() == "it has grown to its bound, until old segments are removed"
        assert log.has_room(reserved=True)
        log.grow_until += 1
        assert log.has_room()
        append(log, b"a frame that is counted as full")
        assert log.has_room()
        await log.wait_segment_begun(1)
        assert log.segments_begun == 2
        assert not log.has_room()


async def test_a_clock_that_was_set_begins_a_segment(folder: Path) -> None:
    """The lead stands in the frames that are opened after it changed, and a lead that differs by
    more than ten seconds begins a segment."""
    log = open_log(folder, RECORD_SIZES, TAGS, linger_seconds=0)
    async with running(log):
        for lead_us, begun in ((0, 1), (9_000_000, 1), (3600_000_000, 2), (0, 3)):
            log.pool.lead_us = lead_us
            await log.wait_durable(log.pool.append(TEXT, 1, 7_200_000_000, b"x"))
            assert log.segments_begun == begun
    dates = [one.header.date_us // 1_000_000 for one in Reader(folder, to_end=True).frames()]
    assert dates == [7200, 7191, 3600, 7200]
