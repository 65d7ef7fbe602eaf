"""Logs made for tests: written to a folder, taken apart, put back damaged."""

from __future__ import annotations

import hmac
import os
import threading
from contextlib import asynccontextmanager
from hashlib import sha256
from typing import TYPE_CHECKING

import trio
from attrs import frozen

from eventlog import EventLog, Part, Reader, open_log
from eventlog.frame import HEADER_SIZE as LONGEST_FRAME_HEADER
from eventlog.frame import Header, crc_start_of, parse_header
from eventlog.segment import HEADER_SIZES

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    import pytest

TEXT = 1  # records vary
PAIR = 2  # records of 16 bytes
RECORD_SIZES = {TEXT: 0, PAIR: 16}
DATES_TWICE = (
    (50, 0), (60, 9), (61, 0), (62, 9), (3000, 0), (3600, 3000), (3601, 2994), (3602, 3000),
)  # fmt: skip
"""Log time and lead, in seconds, of events of which some have the same date, or an earlier one than
the event before. From the sixth on they are in another segment."""


class ToyTags:
    """`eventlog.Tags` with one key."""

    def __init__(self, key: bytes = b"the key of the tests") -> None:
        self._key = key
        self.key_id = sha256(key).digest()[:16]

    def sign(self, log_id: bytes, seed: bytes, *parts: Part) -> bytes:
        return hmac.digest(self._key, log_id + seed + b"".join(parts), "sha256")[:16]

    def tag(self, key_id: bytes, log_id: bytes, seed: bytes, *parts: Part) -> bytes | None:
        return self.sign(log_id, seed, *parts) if key_id == self.key_id else None

    def mac(self, purpose: bytes, data: bytes) -> bytes:
        return hmac.digest(self._key, purpose + b"\0" + data, "sha256")

    def mac_of(self, key_id: bytes, purpose: bytes, data: bytes) -> bytes | None:
        return self.mac(purpose, data) if key_id == self.key_id else None


TAGS = ToyTags()


def append(log: EventLog, *records: bytes) -> int:
    """Append text records. Returns the number of the last one."""
    for record in records:
        log.pool.append(TEXT, 1, 1000 + log.next_seq, record)
    log.appended()
    return log.next_seq - 1


@asynccontextmanager
async def running(log: EventLog, seconds: float = 20) -> AsyncIterator[EventLog]:
    """Run the log for so many seconds at most, and close it in order at the end."""
    with trio.fail_after(seconds):
        async with trio.open_nursery() as nursery:
            await nursery.start(log.run)
            yield log
            nursery.cancel_scope.cancel()


def write(folder: Path, *batches: Sequence[bytes], segment_bytes: int = 64 << 20) -> None:
    """Open the log, commit each batch by itself, and close."""
    log = open_log(folder, RECORD_SIZES, TAGS, segment_bytes=segment_bytes, linger_seconds=0)

    async def main() -> None:
        async with running(log):
            for batch in batches:
                await log.wait_durable(append(log, *batch))

    trio.run(main)


def segments(folder: Path) -> list[Path]:
    return sorted((folder / "seg").glob("*.evl"))


@frozen
class Place:
    """A frame in a segment file."""

    offset: int
    header: Header

    @property
    def end(self) -> int:
        return self.offset + self.header.size + self.header.payload_size


def places(data: bytes) -> list[Place]:
    """The frames of an undamaged segment, watermarks included."""
    found = []
    crc_start = crc_start_of(data[16:32])
    offset = HEADER_SIZES[data[8]]
    while offset < len(data):
        header = parse_header(data[offset : offset + LONGEST_FRAME_HEADER], crc_start)
        place = Place(offset, header)
        found.append(place)
        offset = place.end
    return found


Read = list[tuple[int, bytes]]


def read(folder: Path, *, to_end: bool = True) -> Read:
    """First number and plain bytes of every frame a new reader gives."""
    return read_on(Reader(folder, to_end=to_end))


def read_on(reader: Reader) -> Read:
    return [(frame.header.base_seq, bytes(frame.plain)) for frame in reader.frames()]


class Gate:
    """Stands in for `os.fdatasync`: lets the committing thread through when the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._real = os.fdatasync
        self._entered = threading.Semaphore(0)
        self._opened = threading.Semaphore(0)
        self.error: OSError | None = None
        monkeypatch.setattr(os, "fdatasync", self._fdatasync)

    def _fdatasync(self, descriptor: int) -> None:
        self._entered.release()
        if not self._opened.acquire(timeout=20):
            raise OSError("the test never opened the gate")
        if self.error is not None:
            raise self.error
        self._real(descriptor)

    async def entered(self) -> None:
        """Return once a commit waits at the gate."""
        assert await trio.to_thread.run_sync(lambda: self._entered.acquire(timeout=20))

    def open(self, times: int = 1000) -> None:
        self._opened.release(times)
