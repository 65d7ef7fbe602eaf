"""Readers beside a writer: they yield durable frames in order, and more once there are more."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio

from eventlog import LogCorruptError, LogUnusableError, Reader, frame_at, open_log, segment
from tests.eventlog.logs import (
    DATES_TWICE,
    RECORD_SIZES,
    TAGS,
    TEXT,
    append,
    places,
    read,
    read_on,
    running,
    segments,
    write,
)

if TYPE_CHECKING:
    from pathlib import Path

    from tests.eventlog.logs import Gate, Read


async def until_marked(reader: Reader, seq: int) -> Read:
    """Read until the reader knows that everything below `seq` is durable."""
    found: Read = []
    with trio.fail_after(5):
        while True:
            found += read_on(reader)
            if reader.durable_seq >= seq:
                return found
            await trio.sleep(0.005)


async def test_a_reader_stops_at_the_durable_end(folder: Path, gate: Gate) -> None:
    """A reader yields frames only once they are synced."""
    async with running(open_log(folder, RECORD_SIZES, TAGS, linger_seconds=0)) as log:
        gate.open(1)
        await log.wait_durable(append(log, b"one"))
        append(log, b"two")
        await gate.entered()  # of the first commit
        await gate.entered()  # the second is written, and waits to be synced
        reader = Reader(folder)
        assert read_on(reader) == [(0, b"one")]
        assert read(folder, to_end=True)[:2] == [(0, b"one"), (1, b"two")]
        gate.open()
        assert await until_marked(reader, 2) == [(1, b"two")]


async def test_a_reader_follows_through_segments(folder: Path) -> None:
    """One reader sees every frame once, in order, across many rotations."""
    log = open_log(folder, RECORD_SIZES, TAGS, segment_bytes=300, linger_seconds=0)
    found: Read = []
    async with running(log):
        reader = None
        for number in range(20):
            seq = append(log, b"record %d" % number)
            await log.wait_durable(seq)
            reader = reader or Reader(folder)
            found += read_on(reader)
        assert reader is not None
        found += await until_marked(reader, 20)
    assert found == [(number, b"record %d" % number) for number in range(20)]
    assert len(segments(folder)) > 4


async def test_a_reader_goes_on_after_a_restart(folder: Path) -> None:
    """A reader that saw the end of one run goes on with the next one."""
    async with running(open_log(folder, RECORD_SIZES, TAGS)) as log:
        append(log, b"one")
    reader = Reader(folder)
    assert read_on(reader) == [(0, b"one")]
    assert read_on(reader) == []
    async with running(open_log(folder, RECORD_SIZES, TAGS)) as log:
        await log.wait_durable(append(log, b"two"))
        assert await until_marked(reader, 2) == [(1, b"two")]


def test_a_reader_at_the_end_of_a_run_reads_nothing_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that stops before the last watermark of a run goes on from there, when another run
    has begun, as a start does from the snapshot of an orderly stop."""
    write(folder, [b"one"], [b"two"])
    reader = Reader(folder, to_end=True)
    found = reader.frames()
    assert [bytes(next(found).plain), bytes(next(found).plain)] == [b"one", b"two"]
    write(folder, [b"three"])
    monkeypatch.setattr(Reader, "_back_to", None)
    assert read_on(reader) == [(2, b"three")]


async def test_a_reader_may_come_before_the_first_record(folder: Path) -> None:
    """A reader of an empty log yields nothing, and yields the first record when it comes."""
    async with running(open_log(folder, RECORD_SIZES, TAGS)) as log:
        reader = Reader(folder)
        assert read_on(reader) == []
        await log.wait_durable(append(log, b"one"))
        assert await until_marked(reader, 1) == [(0, b"one")]


async def test_an_idle_writer_marks_its_last_commit_durable(folder: Path) -> None:
    """A reader needs no later record, because a watermark follows the last commit."""
    async with running(open_log(folder, RECORD_SIZES, TAGS)) as log:
        await log.wait_durable(append(log, b"one"))
        assert await until_marked(Reader(folder), 1) == [(0, b"one")]


async def test_a_frame_opened_and_left_empty_does_not_keep_the_watermark(
    folder: Path, gate: Gate
) -> None:
    """A batch that logged nothing during a commit does not delay the watermark."""
    async with running(open_log(folder, RECORD_SIZES, TAGS, linger_seconds=0)) as log:
        append(log, b"one")
        await gate.entered()
        log.pool.frame(2, 1, 1)  # as a batch of datagrams does of which none is an announce
        gate.open()
        assert await until_marked(Reader(folder), 1) == [(0, b"one")]


@pytest.mark.parametrize("first", range(9))
def test_from_a_number_on(folder: Path, first: int) -> None:
    """A reader from a number yields the frame that holds it and all later ones."""
    write(folder, [b"a", b"b"], [b"c"], [b"d", b"e", b"f"], [b"g"], segment_bytes=1)
    frames = [(0, 2, b"ab"), (2, 3, b"c"), (3, 6, b"def"), (6, 7, b"g")]
    expected = [(base, plain) for base, end, plain in frames if end > first]
    assert read_on(Reader(folder, first)) == expected


def test_stopping_in_the_middle_loses_nothing(folder: Path) -> None:
    """A reader that is asked for one frame at a time yields each once."""
    write(folder, [b"a"], [b"b"], [b"c"])
    for to_end in (True, False):
        reader = Reader(folder, to_end=to_end)
        found = []
        for _ in range(3):
            for frame in reader.frames():
                found.append(bytes(frame.plain))
                break
        assert found == [b"a", b"b", b"c"]


def test_frames_held_back_are_not_lost_either(folder: Path) -> None:
    """The same when one header makes several frames readable."""
    log = open_log(folder, RECORD_SIZES, TAGS, linger_seconds=0)

    async def main() -> None:
        async with running(log):
            log.pool.append(1, 1, 1, b"a")
            log.pool.append(1, 2, 1, b"b")  # another schema: another frame of the same commit
            log.pool.append(1, 1, 1, b"c")
            await log.wait_durable(2)

    trio.run(main)
    reader = Reader(folder)
    found = []
    for _ in range(3):
        for frame in reader.frames():
            found.append(bytes(frame.plain))
            break
    assert found == [b"a", b"b", b"c"]


def test_damage_in_the_newest_segment_is_no_end(folder: Path) -> None:
    """Reading fails on a damaged frame that a later header calls durable: it must not look like a
    shorter log."""
    write(folder, [b"a"], [b"b"], [b"c"])
    (path,) = segments(folder)
    data = path.read_bytes()
    for place in places(data)[:-1]:
        path.write_bytes(data[: place.offset + 81] + b"?" + data[place.offset + 82 :])
        with pytest.raises(LogCorruptError) as caught:
            read(folder, to_end=False)
        assert caught.value.offset == place.offset


def test_a_frame_in_the_making_is_read_when_it_is_whole(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader looks again at a half-written frame when the writer has gone on."""
    write(folder, [b"a"], [b"b"], [b"c"])
    (path,) = segments(folder)
    data = path.read_bytes()
    real = segment.highest_mark

    def meanwhile(*arguments: Any) -> int:
        path.write_bytes(data)
        return real(path.read_bytes(), *arguments[1:])

    monkeypatch.setattr(segment, "highest_mark", meanwhile)
    for size in [place.offset + part for place in places(data)[:-1] for part in (1, 79, 85)]:
        path.write_bytes(data[:size])
        assert read(folder, to_end=False) == [(0, b"a"), (1, b"b"), (2, b"c")]


def test_no_log_here(tmp_path: Path) -> None:
    """A folder without a log is refused, and nothing is created in it."""
    with pytest.raises(LogUnusableError, match="there is none"):
        Reader(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_reader_takes_no_lock_and_leaves_no_trace(folder: Path) -> None:
    """Reading changes no file."""
    write(folder, [b"a"])
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    read(folder)
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


async def test_a_frame_by_a_date_that_came_twice(folder: Path) -> None:
    """The later one is found, also within a segment, where dates go back by some seconds."""
    log = open_log(folder, RECORD_SIZES, TAGS, linger_seconds=0)
    async with running(log):
        for time_s, lead_s in DATES_TWICE:
            log.pool.lead_us = lead_s * 1_000_000
            await log.wait_durable(log.pool.append(TEXT, 1, time_s * 1_000_000, b"x"))
        assert log.segments_begun == 2
        await log.wait_readable(7)
    frames = [*Reader(folder).frames(), None]
    dates = [time_s - lead_s for time_s, lead_s in DATES_TWICE]
    assert dates == [50, 51, 61, 53, 3000, 600, 607, 602]
    for date in {each + more for each in dates for more in (-1, 0, 1, 5)}:
        after = max((at for at, each in enumerate(dates) if each <= date), default=None)
        found = frame_at(folder, date * 1_000_000)
        if after is None or found is None:
            assert (after, found) == (None, None)
            continue
        assert [one and one.header for one in found] == [
            one and one.header for one in frames[after : after + 2]
        ]
