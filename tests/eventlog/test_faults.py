"""A disk that fails, at every single call: what was acknowledged stays, and one failure is survived."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest
import trio

from eventlog import LogError, Reader, open_log
from eventlog.findings import Finding
from eventlog.reserve import Reserve
from eventlog.verifier import Verifier
from tests.eventlog.logs import (
    RECORD_SIZES,
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
    """Stands in for system calls; the one numbered `at`, or all from it on, fail."""

    def __init__(self, at: int, error: int | None, *, lasting: bool = False) -> None:
        self.at = at
        self.error = error  # None: a write that takes only a part
        self.lasting = lasting
        self.calls = 0

    def over(self, name: str) -> Callable[..., object]:
        real = getattr(os, name)

        def call(*args: object, **kwargs: object) -> object:
            number = self.calls
            self.calls += 1
            if number != self.at and not (self.lasting and number > self.at):
                return real(*args, **kwargs)
            if self.error is not None:
                raise OSError(self.error, os.strerror(self.error))
            if name == "pwrite":
                descriptor, data, offset = args
                return real(descriptor, memoryview(data)[:7], offset)  # type: ignore[arg-type]  # as the log calls it
            return real(*args, **kwargs)

        return call


async def fill(folder: Path) -> int:
    """Commit each record by itself; how many were acknowledged before the log gave up."""
    acknowledged = 0
    try:
        log = open_log(folder, RECORD_SIZES, segment_bytes=SEGMENT_BYTES, linger_seconds=0)
        with trio.fail_after(20):
            async with running(log):
                for record in RECORDS:
                    await log.wait_durable(append(log, record))
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


KINDS = {
    "one EIO": (errno.EIO, False),
    "one ENOSPC": (errno.ENOSPC, False),
    "EIO from then on": (errno.EIO, True),
    "ENOSPC from then on": (errno.ENOSPC, True),
    "a short write": (None, False),
    "short writes from then on": (None, True),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_fault_at_every_call(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """Whichever call fails: the next start finds an exact prefix, and all that was acknowledged."""
    error, lasting = KINDS[kind]
    at, faults = 0, Faults(0, error)
    while faults.calls >= at:
        folder = tmp_path / f"{at}"
        faults = Faults(at, error, lasting=lasting)
        acknowledged = under(monkeypatch, faults, folder)
        if error is None:
            assert acknowledged == len(RECORDS)
        trio.run(fill, folder)  # recovers, and appends all once more
        kept = contents(folder).removesuffix(b"".join(RECORDS))
        assert b"".join(RECORDS).startswith(kept), f"call {at}"
        assert len(kept) >= len(b"".join(RECORDS[:acknowledged])), f"call {at}"
        at += 1
    assert at > 40


@pytest.fixture
def failing_once(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Makes the next call of that name fail, after it did its work when it is a sync."""

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
    """The records go to a new file of a new epoch; whoever waits gets what was asked for."""
    log = open_log(folder, RECORD_SIZES, linger_seconds=0)
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
    assert open_log(folder, RECORD_SIZES).recovery.next_seq == 3


async def test_a_reader_that_saw_the_failed_write(
    folder: Path, failing_once: Callable[[str], None]
) -> None:
    """It read frames that then were written again elsewhere: it hands each record out once."""
    log = open_log(folder, RECORD_SIZES, linger_seconds=0)
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
    """The new file fails as well: the log stops, and keeps what was acknowledged."""
    write(folder, [b"before"])
    with monkeypatch.context() as patch:
        faults = Faults(0, errno.EIO, lasting=True)
        patch.setattr(os, "fdatasync", faults.over("fdatasync"))
        assert trio.run(fill, folder) == 0
        assert faults.calls == 2
    assert open_log(folder, RECORD_SIZES).recovery.next_seq in (1, 2)


async def test_a_full_disk_gives_up_the_reserve(
    folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Something else took all the space: the commit gets that of the reserve, which comes back with the space."""
    reserve = folder / "reserve"
    log = open_log(folder, RECORD_SIZES, linger_seconds=0, reserve_bytes=8192)
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
    """A full disk, or a fault, just when a new segment is due: it is a failed write like any other."""
    log = open_log(folder, RECORD_SIZES, segment_bytes=1, linger_seconds=0, reserve_bytes=8192)
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
    """It is not made where it would take more than half of what is free."""
    folder.mkdir()
    Reserve(folder, 8192).keep(free=16_000)
    assert list(folder.iterdir()) == []


async def test_a_failed_watermark_keeps_its_file(
    folder: Path, failing_once: Callable[[str], None]
) -> None:
    """It is alone in its new file then, which is full at once here: the next file must not take its name."""
    log = open_log(folder, RECORD_SIZES, segment_bytes=1, linger_seconds=0)
    async with running(log):
        await log.wait_durable(append(log, b"one"))
        failing_once("pwrite")  # of the watermark that follows
        while not log.rewrites:  # noqa: ASYNC110  # the log tells nobody of it
            await trio.sleep(0.01)
        await log.wait_durable(append(log, b"two"))
        await log.wait_durable(append(log, b"three"))
    assert read(folder) == [(0, b"one"), (1, b"two"), (2, b"three")]


def test_a_doubtful_end_is_written_again(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody vouches for the last commit of a killed process; it may be in the page cache only, after a sync that
    failed: a sync alone would not bring it to the disk."""
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
    assert open_log(folder, RECORD_SIZES).recovery.next_seq == 2
    assert (last.read_bytes()[second.offset :], second.offset) in written
    assert first.offset not in [offset for _, offset in written]
