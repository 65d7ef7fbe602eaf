"""Reads and names segments, the files of a log: a 128-byte header, then frames. Blocking calls.

off size field
  0    8 magic 89 45 56 4C 0D 0A 1A 0A   (shows damage by text-mode or 7-bit copying)
  8    2 format
 10    2 reserved, zero
 12    4 header length = 128
 16   16 log id         readers refuse segments of another log
 32    8 base_seq       first sequence number of the file
 40    8 created        wall clock, nanoseconds
 48    8 boottime       CLOCK_BOOTTIME, nanoseconds
 56    4 epoch          grows by one at every opening for writing, and after a failed write
 60    4 prev_crc       header_crc of the frame before the file
 64   60 reserved, zero
124    4 CRC-32 of bytes 0..123
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from copy import copy
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

from eventlog import versions
from eventlog.errors import LogCorruptError, LogFormatError
from eventlog.files import open_file
from eventlog.frame import HEADER_SIZE as FRAME_HEADER_SIZE
from eventlog.frame import (
    LAST_SEQ,
    Frame,
    FrameError,
    Header,
    NonsenseError,
    parse_header,
    seed_of,
    split_payload,
)
from eventlog.frame import MAGIC as FRAME_MAGIC

if TYPE_CHECKING:
    from collections.abc import Iterator
    from io import BufferedReader
    from pathlib import Path

MAGIC = b"\x89EVL\r\n\x1a\n"
HEADER_SIZE = 128
_HEADER = Struct("<8sHHI16sQQQII60xI")
NOT_IN_THE_LOG = "durable events are not in the log"
TAIL_BYTES = 1 << 16
"""Bytes at the end of a segment that are read at once: mostly its last frame is among them."""
LAST_EPOCH = (1 << 32) - 1
"""No segment is of this epoch, so that every log can be opened once more."""
_NAME = re.compile(r"([0-9]{20})\.([0-9]{10})\.evl")


End = tuple[int, int]
"""A place between two frames: the next sequence number, and the header_crc of the frame before it.
"""


class SegmentHeader(NamedTuple):
    log_id: bytes
    base_seq: int
    created_ns: int
    boottime_ns: int
    epoch: int
    prev_crc: int

    def pack(self) -> bytes:
        body = _HEADER.pack(
            MAGIC, versions.FORMAT, 0, HEADER_SIZE, self.log_id, self.base_seq, self.created_ns,
            self.boottime_ns, self.epoch, self.prev_crc, 0,
        )[:-4]  # fmt: skip
        return body + crc32(body).to_bytes(4, "little")


def file_name(base_seq: int, epoch: int) -> str:
    return f"{base_seq:020d}.{epoch:010d}.evl"


def list_segments(folder: Path) -> list[Path]:
    """List segments in log order: by first sequence number, then by epoch."""
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))


def base_seq_of(path: Path) -> int:
    return int(path.name[:20])


def epoch_of(path: Path) -> int:
    return int(path.name[21:31])


def read_header(path: Path, data: bytes) -> SegmentHeader:
    """Parse a segment header.

    Raises `LogCorruptError` for damage, `LogFormatError` for another format.
    """
    if len(data) < HEADER_SIZE:
        raise LogCorruptError(path, 0, "incomplete segment header")
    magic, version, _, size, *fields, crc = _HEADER.unpack(data[:HEADER_SIZE])
    if magic != MAGIC:
        raise LogFormatError(path, "this is not a segment of an event log")
    if crc != crc32(data[: HEADER_SIZE - 4]):
        raise LogCorruptError(path, 0, "segment header checksum does not match")
    versions.check(path, version)
    if size != HEADER_SIZE:
        raise LogFormatError(path, f"has a header of {size} bytes, not {HEADER_SIZE}")
    header = SegmentHeader(*fields)
    if header.base_seq > LAST_SEQ or header.epoch >= LAST_EPOCH:
        raise LogCorruptError(path, 0, "segment header has numbers that no log comes to")
    return header


def open_header(path: Path) -> SegmentHeader:
    """Read the header of a segment.

    Raises the errors of `read_header`, and `LogFormatError` if the path is a folder.
    """
    with open_file(path) as file:
        return read_header(path, file.read(HEADER_SIZE))


def first_frame_header(path: Path) -> Header | None:
    """Read the header of the first frame; None = there is no complete header.

    Raises the errors of `open_header`.
    """
    with open_file(path) as file:
        header = read_header(path, file.read(HEADER_SIZE))
        try:
            return parse_header(file.read(FRAME_HEADER_SIZE), seed_of(header.log_id))
        except FrameError:
            return None


def end_before(following: Path, epoch: int) -> End | None:
    """Find the place where the segment `following` continues a segment of `epoch`; None = its end.

    A segment of another epoch follows a crash or a failed write. Bytes of the old file after the
    place do not count.
    """
    header = open_header(following)
    return None if header.epoch == epoch else (header.base_seq, header.prev_crc)


def headers_from_the_end(path: Path, header: SegmentHeader) -> Iterator[tuple[int, Header]]:
    """Yield offset and header of the frames with intact headers, the last one first.

    Reads no more of the file than that takes.
    """
    seed = seed_of(header.log_id)
    with open_file(path) as file:
        end = os.fstat(file.fileno()).st_size
        while end > HEADER_SIZE:
            begin = max(HEADER_SIZE, end - TAIL_BYTES)
            file.seek(begin)
            # A header that begins here may end in the piece that was read before.
            data = file.read(end - begin + FRAME_HEADER_SIZE - 1)
            at = data.rfind(FRAME_MAGIC, 0, end - begin + len(FRAME_MAGIC) - 1)
            while at >= 0:
                with suppress(FrameError):
                    yield begin + at, parse_header(data[at : at + FRAME_HEADER_SIZE], seed)
                at = data.rfind(FRAME_MAGIC, 0, at + len(FRAME_MAGIC) - 1)
            end = begin


def check_border(path: Path, following: Path) -> None:
    """Check that a segment ends where the next one says that the log left it. Reads headers alone.

    Raises `LogCorruptError`, `LogFormatError`.
    """
    before, after = open_header(path), open_header(following)
    end = after.base_seq, after.prev_crc
    size = path.stat().st_size
    found = before.base_seq, before.prev_crc  # of a segment without frames
    for offset, header in headers_from_the_end(path, before):
        found = header.next_seq, header.header_crc
        whole = offset + FRAME_HEADER_SIZE + header.payload_size == size
        if before.epoch == after.epoch and not whole:
            raise LogCorruptError(path, offset, "its last frame is not whole")
        # After a failed write the log goes on in another epoch, from a place in this file.
        if header.durable_seq > after.base_seq:
            raise LogCorruptError(path, offset, NOT_IN_THE_LOG)
        if found == end or before.epoch == after.epoch or header.base_seq < after.base_seq:
            break
    if found[0] < after.base_seq:
        what = f"events {found[0]} to {after.base_seq - 1} are missing before this file"
        raise LogCorruptError(following, 0, what)
    if found != end and (end != (before.base_seq, before.prev_crc)):
        raise LogCorruptError(following, 0, "does not continue the file before it")


def end_of(path: Path) -> End | None:
    """Find the place where the next segment in the folder continues this one; None = its end."""
    later = [each for each in list_segments(path.parent) if each.name > path.name]
    return end_before(later[0], epoch_of(path)) if later else None


class Walk:
    """Walks over the frames of one open segment, and checks them.

    `frames()` yields frames as long as the next frame is whole and undamaged and continues the
    chain. It may be called again when the file has grown. `stopped` is the reason why it ended;
    None = the end of the file. `offset`, `next_seq`, `chain` and `durable_seq` describe the
    accepted part.
    """

    def __init__(self, path: Path, file: BufferedReader) -> None:
        self.path = path
        self.header = read_header(path, file.read(HEADER_SIZE))
        self.offset = HEADER_SIZE
        self.next_seq = self.header.base_seq
        self.chain = self.header.prev_crc
        self._seed = seed_of(self.header.log_id)
        self.durable_seq = 0
        self.last_time_us = 0
        self.stopped: str | None = None
        self._seen = HEADER_SIZE

    @property
    def end(self) -> End:
        """The end of the accepted part. The header of the next segment has the same values."""
        return self.next_seq, self.chain

    def frames(self, file: BufferedReader, end: End | None = None) -> Iterator[Frame]:
        """Yield frames up to `end`, where another segment continues; None = to the last frame."""
        self.stopped = None
        self._seen = os.fstat(file.fileno()).st_size
        file.seek(self.offset)
        while self.end != end and (found := self._next(file)) is not None:
            yield found

    def check_left_over(self, file: BufferedReader) -> None:
        """Check the bytes after the accepted part, if a segment of another epoch continues there.

        Raises `LogCorruptError` unless they are frames of a failed write, whole or torn.
        """
        file.seek(self.offset)
        if highest_mark(file.read(), 0, self.header.log_id) > self.next_seq:
            raise LogCorruptError(self.path, self.offset, NOT_IN_THE_LOG)
        rest = copy(self)
        for _ in rest.frames(file):
            pass
        file.seek(rest.offset)
        try:
            self._check_left_over(rest, parse_header(file.read(FRAME_HEADER_SIZE), self._seed))
        except FrameError:
            return  # torn

    def _check_left_over(self, rest: Walk, header: Header) -> None:
        try:
            rest._check_place(header)
        except FrameError as error:
            raise LogCorruptError(self.path, rest.offset, str(error)) from None

    def grown(self) -> bool:
        """Tells whether the file has grown since `frames` began."""
        return self.path.stat().st_size > self._seen

    def _next(self, file: BufferedReader) -> Frame | None:
        head = file.read(FRAME_HEADER_SIZE)
        if not head:
            return None
        try:
            header = parse_header(head, self._seed)
            self._check_place(header)
            found = split_payload(header, file.read(header.payload_size))
        except FrameError as error:
            self.stopped = str(error)
            return None
        self.offset += FRAME_HEADER_SIZE + header.payload_size
        self.next_seq = header.next_seq
        self.chain = header.header_crc
        self.durable_seq = max(self.durable_seq, header.durable_seq)
        self.last_time_us = header.time_us
        return found

    def _check_place(self, header: Header) -> None:
        if header.epoch != self.header.epoch:
            raise FrameError("frame of another epoch")
        if header.base_seq != self.next_seq:
            raise FrameError(f"sequence {header.base_seq} where {self.next_seq} is due")
        if header.prev_crc != self.chain:
            raise FrameError("frame does not continue the chain")


def highest_mark(data: bytes, start: int, log_id: bytes) -> int:
    """Return the highest `durable_seq` in any intact frame header at or after `start`; 0 = none.

    The result distinguishes a torn tail from damage, because a later header proves that the bytes
    before it were on stable storage.
    """
    highest = 0
    seed = seed_of(log_id)
    position = data.find(FRAME_MAGIC, start)
    while position >= 0:
        try:
            header = parse_header(data[position : position + FRAME_HEADER_SIZE], seed)
            highest = max(highest, header.durable_seq)
        except NonsenseError:
            return LAST_SEQ  # no torn write leaves a right checksum, so nothing here may be cut off
        except FrameError:
            pass
        position = data.find(FRAME_MAGIC, position + 1)
    return highest
