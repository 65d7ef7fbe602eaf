"""A disk that fails at every single call: acknowledged events stay, the log survives one failure,
and it waits for space and descriptors."""

from __future__ import annotations

import errno
import os
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
import trio

import eventlog.log
from eventlog import EventLog, LogError, Reader, open_log, seals
from eventlog.findings import Finding
from eventlog.reserve import Reserve
from eventlog.verify import Verifier
from tests.eventlog.logs import (
    RECORD_SIZES,
    TAGS,
    append,
    places,
    read,
    read_on,
    running,
    segments,
    write,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

RECORDS = [b"record %d, " % number + b"x" * 600 for number in range(8)]
SEGMENT_BYTES = 2000  # a new file after every few records
CALLS = ("open", "pwrite", "fdatasync", "fsync", "rename", "fstatvfs")


class Faults:
    """Stands in for system calls; `times` of them fail, from call number `at` on."""

    def __init__(self, at: int, error: int | None, times: float = 1) -> None:
        self.at = at
        self.error = error  # None: a write that takes only a part
        self.times = times
        self.calls = 0

    def over(self, name: str) -> Callable[..., object]:
        real = getattr(os, name)

        def call(*args: object, **kwargs: object) -> object:
            number = self.calls
            self.calls += 1
            if not self.at <= number < self.at + self.times:
                return real(*args, **kwargs)
            if self.error is not None:
                raise OSError(self.error, os.strerror(self.error))
            if name == "pwrite":
                descriptor, data, offset = args
                return real(descriptor, memoryview(data)[:7], offset)  # type: ignore[arg-type]  # as the log calls it
            return real(*args, **kwargs)

        return call


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eventlog.log, "RETRY_SECONDS", 0.001)


TRIES = 30


async def durable(log: EventLog, seq: int) -> bool:
    """Wait until event `seq` is durable, but not for ever for space. Returns whether it is."""
    most = log.statistics().commits + TRIES
    while log.durable_seq <= seq and log.statistics().commits < most:
        with trio.move_on_after(0.01):
            await log.wait_durable(seq)
    return log.durable_seq > seq


async def fill(folder: Path) -> int:
    """Commit each record by itself. Returns how many were acknowledged before the log gave up."""
    acknowledged = 0
    try:
        log = open_log(folder, RECORD_SIZES, TAGS, segment_bytes=SEGMENT_BYTES, linger_seconds=0)
        with trio.fail_after(20):
            async with running(log):
                for record in RECORDS:
                    if not await durable(log, append(log, record)):
                        assert not log.has_room(reserved=True)
                        break
                    acknowledged += 1
    except* LogError:
        pass
    return acknowledged


def contents(folder: Path) -> bytes:
    return b"".join(plain for _, plain in read(folder))


def under(monkeypatch: pytest.MonkeyPatch, faults: Faults, folder: Path) -> int:
    with monkeypatch.context() as patch:
        for name in CALLS:
            patch.setattr(os, name, faults.over(name))
        return trio.run(fill, folder)


EVER = float("inf")
KINDS = {
    "one EIO": (errno.EIO, 1),
    "one ENOSPC": (errno.ENOSPC, 1),
    "one EMFILE": (errno.EMFILE, 1),
    "EIO from then on": (errno.EIO, EVER),
    "ENOSPC from then on": (errno.ENOSPC, EVER),
    "ENOSPC for a while": (errno.ENOSPC, 12),
    "EDQUOT for a while": (errno.EDQUOT, 12),
    "EMFILE for a while": (errno.EMFILE, 12),
    "a short write": (None, 1),
    "short writes from then on": (None, EVER),
}


QUICK = "one EIO", "a short write", "ENOSPC from then on"
"""Faults that every run tries. The others run with `--faults`, because each takes seconds."""


@pytest.mark.parametrize(
    "kind",
    [pytest.param(one, marks=() if one in QUICK else pytest.mark.faults) for one in KINDS],
)
def test_a_fault_at_every_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Whichever call fails: the next start finds an exact prefix, and all that was acknowledged.

    A log that could be opened takes all in, but for a fault that lasts.
    """
    error, times = KINDS[kind]
    at, faults = 0, Faults(0, error)
    while faults.calls >= at:
        folder = tmp_path / f"{at}"
        faults = Faults(at, error, times)
        acknowledged = under(monkeypatch, faults, folder)
        if error is None:
            assert acknowledged == len(RECORDS)
        if times != EVER:
            assert acknowledged in (0, len(RECORDS)), f"call {at}"
        trio.run(fill, folder)  # recovers, and appends all once more
        kept = contents(folder).removesuffix(b"".join(RECORDS))
        assert b"".join(RECORDS).startswith(kept), f"call {at}"
        assert len(kept) >= len(b"".join(RECORDS[:acknowledged])), f"call {at}"
        at += 1
    assert at > 40


@pytest.fixture
def failing_once(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes the next call of a name fail; a sync does its work before it fails."""

    def arm(name: str) -> None:
        real = getattr(os, name)

        def call(*args: object) -> object:
            monkeypatch.setattr(os, name, real)
            if name == "fdatasync":
                real(*args)  # the old file holds whole frames then, which must not count
            raise OSError(errno.EIO, os.strerror(errno.EIO))

        monkeypatch.setattr(os, name, call)

    return arm


@pytest.mark.parametrize("call", ["pwrite", "fdatasync"])
async def test_one_failed_commit_is_written_again(
    folder: Path, failing_once: Callable[[str], None], call: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The records of a failed write go to a new file of a new epoch, and waiters go on."""
    log = open_log(folder, RECORD_SIZES, TAGS, linger_seconds=0)
    reader = Reader(folder)
    async with running(log):
        await log.wait_durable(append(log, b"one"))
        eager = Reader(folder, to_end=True)
        assert read_on(eager) == [(0, b"one")]
        failing_once(call)
        await log.wait_durable(append(log, b"two"))
        assert log.rewrites == 1
        assert "trying once more" in caplog.text
        assert read_on(eager) == [(1, b"two")]
        await log.wait_durable(append(log, b"three"))
    assert read_on(reader) == [(0, b"one"), (1, b"two"), (2, b"three")]
    assert read(folder) == [(0, b"one"), (1, b"two"), (2, b"three")]
    assert [path.name[-14:-4] for path in segments(folder)] == ["0000000001", "0000000002"]
    notes = [one for one in Verifier(folder).walk() if isinstance(one, Finding)]
    assert [one.damage for one in notes] == [False] * (call == "fdatasync")
    assert open_log(folder, RECORD_SIZES, TAGS).recovery.next_seq == 3


async def test_a_reader_that_saw_the_failed_write(
    folder: Path, failing_once: Callable[[str], None]
) -> None:
    """A reader that saw frames which were then written again elsewhere yields each record once."""
    log = open_log(folder, RECORD_SIZES, TAGS, linger_seconds=0)
    reader = Reader(folder)
    async with running(log):
        await log.wait_durable(append(log, b"one"))
        failing_once("fdatasync")
        held = log.pool  # the frames of the failed write stand in the old file from here on
        append(log, b"two")
        assert not held.empty
        await log.wait_durable(1)
        first = segments(folder)[0]
        later = segments(folder)[1]
        hidden = later.rename(later.with_suffix(".away"))
        seen = read_on(reader)
        hidden.rename(later)
        append(log, b"three")
        await log.wait_durable(2)
        assert b"two" in first.read_bytes()
    assert seen + read_on(reader) == [(0, b"one"), (1, b"two"), (2, b"three")]


def test_a_second_failure_ends_the_log(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When the new file fails too the log stops, and keeps acknowledged events."""
    write(folder, [b"before"])
    with monkeypatch.context() as patch:
        faults = Faults(0, errno.EIO, EVER)
        patch.setattr(os, "fdatasync", faults.over("fdatasync"))
        assert trio.run(fill, folder) == 0
        assert faults.calls == 2
    assert open_log(folder, RECORD_SIZES, TAGS).recovery.next_seq in (1, 2)


async def test_a_full_disk_gives_up_the_reserve(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """When the disk is full a commit uses the space of the reserve, which is made again when there
    is space."""
    reserve = folder / "reserve"
    log = open_log(folder, RECORD_SIZES, TAGS, linger_seconds=0, reserve_bytes=8192)
    real = os.pwrite

    def full(descriptor: int, data: bytes, offset: int) -> int:
        if reserve.exists() or reserve.with_name("reserve.tmp").exists():
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor, data, offset)

    async with running(log):
        await log.wait_durable(append(log, b"one"))
        assert reserve.read_bytes() == bytes(8192)
        with monkeypatch.context() as patch:
            patch.setattr(os, "pwrite", full)
            await log.wait_durable(append(log, b"two"))
            assert not reserve.exists()
            assert "used up its reserve" in caplog.text
            await log.wait_durable(append(log, b"three"))
        await log.wait_durable(append(log, b"four"))
        assert reserve.exists()
    assert [bytes(plain) for _, plain in read(folder)] == [b"one", b"two", b"three", b"four"]
    assert log.rewrites == 1


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
async def test_a_file_that_cannot_be_begun(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, code: int
) -> None:
    """A full disk or a fault when a new segment is due counts as a failed write."""
    log = open_log(
        folder, RECORD_SIZES, TAGS, segment_bytes=1, linger_seconds=0, reserve_bytes=8192
    )
    reserve, real = folder / "reserve", os.open
    failures: list[str] = []

    def failing(path: Path, *rest: int) -> int:
        fails = reserve.exists() if code == errno.ENOSPC else not failures
        if fails and path.parent.name == "seg":
            failures.append(path.name)
            raise OSError(code, os.strerror(code))
        return real(path, *rest)

    async with running(log):
        await log.wait_durable(append(log, b"one"))
        with monkeypatch.context() as patch:
            patch.setattr(os, "open", failing)
            await log.wait_durable(append(log, b"two"))
            assert ("used up its reserve" in caplog.text) == (code == errno.ENOSPC)
        await log.wait_durable(append(log, b"three"))
    assert (len(failures), log.rewrites) == (1, 1)
    assert [bytes(plain) for _, plain in read(folder)] == [b"one", b"two", b"three"]
    assert not [one for one in Verifier(folder).walk() if isinstance(one, Finding)]


def test_no_reserve_on_a_small_disk(folder: Path) -> None:
    """No reserve is made where it would take more than half of the free space."""
    folder.mkdir()
    Reserve(folder, 8192).keep(free=16_000)
    assert list(folder.iterdir()) == []


async def test_a_failed_watermark_keeps_its_file(
    folder: Path, failing_once: Callable[[str], None]
) -> None:
    """A watermark written again is alone in its new file, which is full at once here: the next file
    must not take its name."""
    log = open_log(folder, RECORD_SIZES, TAGS, segment_bytes=1, linger_seconds=0)
    async with running(log):
        await log.wait_durable(append(log, b"one"))
        failing_once("pwrite")  # of the watermark that follows
        while not log.rewrites:  # noqa: ASYNC110  # there is no event for it
            await trio.sleep(0.01)
        await log.wait_durable(append(log, b"two"))
        await log.wait_durable(append(log, b"three"))
    assert read(folder) == [(0, b"one"), (1, b"two"), (2, b"three")]


def test_a_doubtful_end_is_written_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The last commit of a killed process may be in the page cache only, after a failed sync:
    recovery writes it again, because a sync alone would not bring it to the disk."""
    write(folder, [b"one"], [b"two"])
    last = segments(folder)[0]
    first, second, watermark = places(last.read_bytes())
    last.write_bytes(last.read_bytes()[: watermark.offset])
    written = []
    real = os.pwrite

    def pwrite(descriptor: int, data: bytes, offset: int) -> int:
        written.append((bytes(data), offset))
        return real(descriptor, data, offset)

    monkeypatch.setattr(os, "pwrite", pwrite)
    assert open_log(folder, RECORD_SIZES, TAGS).recovery.next_seq == 2
    assert (last.read_bytes()[second.offset :], second.offset) in written
    assert first.offset not in [offset for _, offset in written]


async def test_the_log_waits_for_space(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """While the disk is full the log takes nothing in, loses nothing, leaves no files, and warns
    once."""
    log = open_log(folder, RECORD_SIZES, TAGS, linger_seconds=0)
    tried = []

    def full(_descriptor: int, data: bytes, _offset: int) -> int:
        tried.append(len(data))
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    async with running(log):
        await log.wait_durable(append(log, b"one"))
        with monkeypatch.context() as patch:
            patch.setattr(os, "pwrite", full)
            seq = append(log, b"two")
            assert not await durable(log, seq)
            assert len(tried) >= TRIES
            assert not log.has_room(reserved=True)
            assert log.statistics().pending_bytes >= 3
            seq = append(log, b"three")  # nobody waits for this one, as for a tick
            assert not await durable(log, seq)
        await log.wait_durable(seq)
        assert log.has_room()
    assert read(folder) == [(0, b"one"), (1, b"two"), (2, b"three")]
    assert len(segments(folder)) == 2
    assert [path.suffix for path in (folder / "seg").iterdir()] == [".evl", ".evl"]
    said = [record.getMessage() for record in caplog.records]
    assert [line.partition(" (")[0] for line in said] == [
        "The event log cannot be written",
        "The event log can be written again",
    ]


async def test_want_of_descriptors_at_the_first_write(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a file to go on with, the log waits for a descriptor."""
    log = open_log(folder, RECORD_SIZES, TAGS, linger_seconds=0)
    faults = Faults(0, errno.EMFILE, EVER)
    async with running(log):
        with monkeypatch.context() as patch:
            patch.setattr(os, "open", faults.over("open"))
            seq = append(log, b"one")
            assert not await durable(log, seq)
        await log.wait_durable(seq)
    assert read(folder) == [(0, b"one")]


async def test_stopped_without_space(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A log stopped without space tries once more, and reports that the end is missing."""
    log = open_log(folder, RECORD_SIZES, TAGS, linger_seconds=0)
    with pytest.RaisesGroup(LogError, match=None):
        async with running(log):
            await log.wait_durable(append(log, b"one"))
            monkeypatch.setattr(os, "pwrite", Faults(0, errno.ENOSPC, EVER).over("pwrite"))
            assert not await durable(log, append(log, b"two"))
    monkeypatch.undo()
    assert read(folder) == [(0, b"one")]


# Seals of segments that a failed write left.


async def abandoned(folder: Path, arm: Callable[[str], None]) -> Path:
    """A segment with whole frames of a commit whose sync failed; the log goes on in the next
    segment."""
    log = open_log(folder, RECORD_SIZES, TAGS, linger_seconds=0)
    async with running(log):
        await log.wait_durable(append(log, b"one"))
        arm("fdatasync")
        await log.wait_durable(append(log, b"two"))
    return segments(folder)[0]


async def test_a_left_segment_is_cut_before_it_is_sealed(
    folder: Path, failing_once: Callable[[str], None]
) -> None:
    """Bytes of a failed sync are cut off, so that the seal agrees with the disk."""
    path = await abandoned(folder, failing_once)
    reader = Reader(folder)
    eager = Reader(folder, to_end=True)
    expected = [(0, b"one"), (1, b"two")]
    assert read_on(eager) == expected
    before = path.read_bytes()
    assert b"two" in before
    seals.write_missing(folder, TAGS)
    first = places(before)[0]
    assert path.read_bytes() == before[: first.end]
    assert seals.read_seal(seals.seal_path(path)).length == first.end
    assert read_on(reader) == read(folder) == expected
    assert read_on(eager) == []
    found = list(Verifier(folder).walk())
    assert [one for one in found if isinstance(one, Finding)] == []
    assert open_log(folder, RECORD_SIZES, TAGS).next_seq == 2


@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC])
async def test_a_fault_at_every_call_of_sealing(
    folder: Path, tmp_path: Path, failing_once: Callable[[str], None],
    monkeypatch: pytest.MonkeyPatch, error: int,
) -> None:  # fmt: skip
    """Whichever call of sealing fails leaves only a shorter file, and the next attempt seals."""
    await abandoned(folder, failing_once)
    at, faults = 0, Faults(0, error)
    while faults.calls >= at:
        copy = tmp_path / f"{at}"
        shutil.copytree(folder, copy)
        faults = Faults(at, error)
        with monkeypatch.context() as patch:
            for name in (*CALLS, "ftruncate"):
                patch.setattr(os, name, faults.over(name))
            with suppress(OSError):
                seals.write_missing(copy, TAGS)
        seals.write_missing(copy, TAGS)
        assert [each.suffix for each in (copy / "seal").iterdir()] == [".json"]
        assert read(copy) == [(0, b"one"), (1, b"two")]
        assert [one for one in Verifier(copy).walk() if isinstance(one, Finding)] == []
        at += 1
    assert at > 5


def test_what_does_not_lead_on_is_not_sealed(
    folder: Path, failing_once: Callable[[str], None]
) -> None:
    """A segment damaged before its end is neither cut nor sealed, and neither is one after it."""
    path = trio.run(abandoned, folder, failing_once)
    write(folder, [b"three"])
    data = bytearray(path.read_bytes())
    data[places(bytes(data))[0].end - 8] ^= 1
    path.write_bytes(data)
    with pytest.raises(LogError, match=path.name):
        seals.write_missing(folder, TAGS)
    assert path.read_bytes() == bytes(data)
    assert list((folder / "seal").iterdir()) == []
