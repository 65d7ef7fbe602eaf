"""Reads and names segments, the files of a log: a header, then frames. Blocking calls.

This version writes format 2 and reads both:

format 1   format 2
off size   off size  field
  0    8     0    8  magic 89 45 56 4C 0D 0A 1A 0A   (shows damage by text-mode or 7-bit copying)
  8    2     8    2  format
 10    2    10    2  reserved, zero
 12    4    12    4  header length = 128 or 192
 16   16    16   16  log id         readers refuse segments of another log
 32    8    32    8  base_seq       first sequence number of the file
 40    8    40    8  created        wall clock, nanoseconds
 48    8    48    8  boottime       CLOCK_BOOTTIME, nanoseconds
 56    4    56    4  epoch          grows by one at every opening, and after a failed write
 60    4    --       prev_crc       header_crc of the frame before the file
 --         60    4  reserved, zero
 --         64   16  previous       tag of the frame before the file, or its header_crc and zeros
 --         80   16  key id         names the key of the tags in this file
 --         96   32  digest         history digest of the newest sealed segment when this one began
 --        128    8  digest_seq     the event after that segment; 0 = none was sealed
 --        136   16  seed           random; the tag's key is derived from it
 64   60   152   20  reserved, zero
 --        172   16  tag            authenticates bytes 0..171
124    4   188    4  CRC-32 of all before
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from copy import copy
from hmac import compare_digest
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

from eventlog import versions
from eventlog.errors import NO_KEY, LogCorruptError, LogFormatError
from eventlog.files import open_file
from eventlog.frame import HEADER_SIZE as LONGEST_FRAME_HEADER
from eventlog.frame import (
    HEADER_SIZES as FRAME_HEADER_SIZES,
)
from eventlog.frame import (
    LAST_SEQ,
    NO_CHAIN,
    Frame,
    FrameError,
    Header,
    NonsenseError,
    chain_of,
    crc_start_of,
    parse_header,
    split_payload,
)
from eventlog.frame import MAGIC as FRAME_MAGIC
from eventlog.tags import FORGED, NO_TAG_KEY, tag_holds

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from io import BufferedReader
    from pathlib import Path

    from eventlog.tags import TagReader, Tags

MAGIC = b"\x89EVL\r\n\x1a\n"
HEADER_SIZES = {1: 128, 2: 192}
"""Bytes of a segment's header, by format."""
HEADER_SIZE = HEADER_SIZES[2]
"""Bytes of the header of the segments that this version writes. No other format's is longer."""
_COMMON = Struct("<8sHHI")
_FORMAT_1 = Struct("<16sQQQII60xI")
_FORMAT_2 = Struct("<16sQQQI4x16s16s32sQ16s20x16sI")
_TAGGED = 172  # bytes of the header that the tag covers
NO_DIGEST = bytes(32)
"""History digest before any segment was sealed."""
UNTAGGED = "a frame without a tag, in a segment of format 2"
NOT_IN_THE_LOG = "durable events are not in the log"
TAIL_BYTES = 1 << 16
"""Bytes at the end of a segment that are read at once: mostly its last frame is among them."""
LAST_EPOCH = (1 << 32) - 1
"""No segment is of this epoch, so that every log can be opened once more."""
_NAME = re.compile(r"([0-9]{20})\.([0-9]{10})\.evl")


End = tuple[int, bytes]
"""A place between two frames: the next sequence number, and the chain value of the frame before it.
"""


class SegmentHeader(NamedTuple):
    format: int
    log_id: bytes
    base_seq: int
    created_ns: int
    boottime_ns: int
    epoch: int
    previous: bytes  # chain value of the frame before the file
    key_id: bytes  # from here on those of format 1 are zeros
    digest: bytes
    digest_seq: int
    seed: bytes
    tag: bytes

    @property
    def size(self) -> int:
        """Bytes of the header itself."""
        return HEADER_SIZES[self.format]


_NO_TAGS = NO_TAG_KEY, NO_DIGEST, 0, NO_CHAIN, NO_CHAIN


def pack_header(
    tags: Tags,
    seed: bytes,
    log_id: bytes,
    base_seq: int,
    created_ns: int,
    boottime_ns: int,
    epoch: int,
    previous: bytes,
    digest: bytes,
    digest_seq: int,
) -> bytes:
    """Build the header of a new segment. `seed`: 16 random bytes."""
    body = _COMMON.pack(MAGIC, versions.FORMAT, 0, HEADER_SIZE) + _FORMAT_2.pack(
        log_id, base_seq, created_ns, boottime_ns, epoch, previous, tags.key_id, digest, digest_seq,
        seed, NO_CHAIN, 0,
    )  # fmt: skip
    tag = tags.sign(log_id, seed, body[:_TAGGED])
    body = body[:_TAGGED] + tag
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
    """Parse a segment header; `data` may be longer. The tag is not checked.

    Raises `LogCorruptError` for damage, `LogFormatError` for another format.
    """
    if len(data) < _COMMON.size:
        raise LogCorruptError(path, 0, "incomplete segment header")
    magic, version, _, size = _COMMON.unpack(data[: _COMMON.size])
    if magic != MAGIC:
        raise LogFormatError(path, "this is not a segment of an event log")
    length = HEADER_SIZES.get(version, min(size, len(data)))  # a later version's may be longer
    if len(data) < max(length, HEADER_SIZES[1]):
        raise LogCorruptError(path, 0, "incomplete segment header")
    if int.from_bytes(data[length - 4 : length], "little") != crc32(data[: length - 4]):
        raise LogCorruptError(path, 0, "segment header checksum does not match")
    versions.check(path, version)
    if size != length:
        raise LogFormatError(path, f"has a header of {size} bytes, not {length}")
    body = data[_COMMON.size : length]
    if version == 1:
        *fields, prev_crc, _ = _FORMAT_1.unpack(body)
        header = SegmentHeader._make((1, *fields, chain_of(prev_crc), *_NO_TAGS))
    else:
        header = SegmentHeader._make((2, *_FORMAT_2.unpack(body)[:-1]))
    if header.base_seq > LAST_SEQ or header.epoch >= LAST_EPOCH:
        raise LogCorruptError(path, 0, "segment header has numbers that no log comes to")
    return header


def check_tag(tags: TagReader, path: Path, header: SegmentHeader, data: bytes) -> None:
    """Check the tag of a segment's header, given as its bytes. One of format 1 passes.

    Raises `LogCorruptError`, also where the key is missing: else a header that names a key of
    nobody would excuse every tag of its segment.
    """
    if header.format == 1:
        return
    expected = tags.tag(header.key_id, header.log_id, header.seed, data[:_TAGGED])
    if expected is None:
        raise LogCorruptError(path, 0, f"its tags are {NO_KEY}")
    if not compare_digest(expected, header.tag):
        what = "segment header tag does not match: these are not the bytes that the tracker wrote"
        raise LogCorruptError(path, 0, what)


def reserved_part(header: SegmentHeader, data: bytes) -> bytes:
    """Return the bytes of a segment's header that are not in use."""
    return data[10:12] + (data[64:124] if header.format == 1 else data[60:64] + data[152:172])


def open_header(path: Path, tags: TagReader | None = None) -> SegmentHeader:
    """Read the header of a segment. `tags`: check its tag too.

    Raises the errors of `read_header`, and `LogFormatError` if the path is a folder.
    """
    with open_file(path) as file:
        data = file.read(HEADER_SIZE)
    header = read_header(path, data)
    if tags is not None:
        check_tag(tags, path, header, data)
    return header


def has_tags(folder: Path) -> bool:
    """Tells whether a log has segments with tags. Raises `LogFormatError`, `OSError`."""
    for path in reversed(list_segments(folder / "seg")):
        with suppress(LogCorruptError):
            return open_header(path).format > 1
    return False


def first_frame_header(path: Path) -> Header | None:
    """Read the header of the first frame; None = there is no complete header.

    Raises the errors of `open_header`.
    """
    with open_file(path) as file:
        header = read_header(path, file.read(HEADER_SIZE))
        file.seek(header.size)
        try:
            return parse_header(file.read(LONGEST_FRAME_HEADER), crc_start_of(header.log_id))
        except FrameError:
            return None


def end_before(following: Path, epoch: int) -> End | None:
    """Find the place where the segment `following` continues a segment of `epoch`; None = its end.

    A segment of another epoch follows a crash or a failed write. Bytes of the old file after the
    place do not count.
    """
    header = open_header(following)
    return None if header.epoch == epoch else (header.base_seq, header.previous)


def begin_of(path: Path) -> End:
    """Read the place in the log where a segment begins, from its header. Raises the errors of
    `open_header`."""
    header = open_header(path)
    return header.base_seq, header.previous


def headers_from_the_end(path: Path, header: SegmentHeader) -> Iterator[tuple[int, Header]]:
    """Yield offset and header of the frames with intact headers, the last one first.

    Reads no more of the file than that takes.
    """
    crc_start = crc_start_of(header.log_id)
    with open_file(path) as file:
        end = os.fstat(file.fileno()).st_size
        while end > header.size:
            begin = max(header.size, end - TAIL_BYTES)
            file.seek(begin)
            # A header that begins here may end in the piece that was read before.
            data = file.read(end - begin + LONGEST_FRAME_HEADER - 1)
            at = data.rfind(FRAME_MAGIC, 0, end - begin + len(FRAME_MAGIC) - 1)
            while at >= 0:
                with suppress(FrameError):
                    yield begin + at, parse_header(data[at : at + LONGEST_FRAME_HEADER], crc_start)
                at = data.rfind(FRAME_MAGIC, 0, at + len(FRAME_MAGIC) - 1)
            end = begin


def place_of(path: Path, end: End) -> int | None:
    """Find a place between two frames, in bytes, by the headers from the end of a segment; None =
    it is not in the file."""
    header = open_header(path)
    for offset, found in headers_from_the_end(path, header):
        if (found.next_seq, found.chain) == end:
            return offset + found.size + found.payload_size
    return header.size if end == (header.base_seq, header.previous) else None


def check_border(path: Path, following: Path) -> None:
    """Check that a segment ends where the next one says that the log left it. Reads headers alone.

    Raises `LogCorruptError`, `LogFormatError`.
    """
    before, after = open_header(path), open_header(following)
    check_order(following, before.format, after.format)
    end = after.base_seq, after.previous
    size = path.stat().st_size
    found = before.base_seq, before.previous  # of a segment without frames
    for offset, header in headers_from_the_end(path, before):
        found = header.next_seq, header.chain
        whole = offset + header.size + header.payload_size == size
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
    if found != end and (end != (before.base_seq, before.previous)):
        raise LogCorruptError(following, 0, "does not continue the file before it")


def check_order(path: Path, before: int, after: int) -> None:
    """Check the format of a segment against that of the segment before it.

    Raises `LogCorruptError` where a tag is due and the format has none.
    """
    if after < before:
        raise LogCorruptError(path, 0, f"is of format {after}, after segments of format {before}")


def end_of(path: Path) -> End | None:
    """Find the place where the next segment in the folder continues this one; None = its end."""
    later = [each for each in list_segments(path.parent) if each.name > path.name]
    return end_before(later[0], epoch_of(path)) if later else None


def end_of_finished(path: Path) -> End:
    """Find the place where a finished segment ends: the next one says it. Raises the errors of
    `open_header`, and `FileNotFoundError` without a next one."""
    later = [each for each in list_segments(path.parent) if each.name > path.name]
    if not later:
        raise FileNotFoundError(f"no segment follows {path}")
    return begin_of(later[0])


class Walk:
    """Walks over the frames of one open segment, and checks them.

    `frames()` yields frames as long as the next frame is whole and undamaged and continues the
    chain. It may be called again when the file has grown. `stopped` is the reason why it ended;
    None = the end of the file. `offset`, `next_seq`, `chain` and `durable_seq` describe the
    accepted part.
    """

    def __init__(self, path: Path, file: BufferedReader, tags: TagReader | None = None) -> None:
        """`tags`: check the tags too.

        Raises `LogCorruptError`, `LogFormatError`.
        """
        self.path = path
        data = file.read(HEADER_SIZE)
        self.header = read_header(path, data)
        self._tags = tags
        if tags is not None:
            check_tag(tags, path, self.header, data)
        self.offset = self.header.size
        self.next_seq = self.header.base_seq
        self.chain = self.header.previous
        self._crc_start = crc_start_of(self.header.log_id)
        self.durable_seq = 0
        self.last_time_us = 0
        self.stopped: str | None = None
        self._seen = self.offset

    @property
    def end(self) -> End:
        """The end of the accepted part. The header of the next segment has the same values."""
        return self.next_seq, self.chain

    def frames(self, file: BufferedReader, end: End | None = None) -> Iterator[Frame]:
        """Yield frames up to `end`, where another segment continues; None = to the last frame.

        Raises `LogCorruptError` for a frame without a tag where one is due, because no torn write
        leaves one.
        """
        self.stopped = None
        self._seen = os.fstat(file.fileno()).st_size
        file.seek(self.offset)
        while (end is None or self.end != end) and (found := self._next(file)) is not None:
            yield found

    def go_to(self, offset: int, end: End) -> None:
        """Go on at another byte. `end`: of the frames before it, as the caller knows."""
        self.offset = offset
        self.next_seq, self.chain = end
        self.stopped = None

    def picked(self, file: BufferedReader, places: Iterable[tuple[int, int]]) -> Iterator[Frame]:
        """Yield some frames, ascending: the byte where each begins, and its first event. Then the
        walk does not know where it is: `go_to` says it.

        Each one is checked for itself, and not that nothing is missing between two of them. Raises
        `LogCorruptError`.
        """
        self._seen = os.fstat(file.fileno()).st_size
        file.seek(self.offset)
        for offset, seq in places:
            if offset != self.offset:
                file.seek(offset)
                self.offset = offset
            found = self._next(file, seq)
            if found is None:
                raise LogCorruptError(self.path, offset, self.stopped or "no frame begins here")
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
            self._check_left_over(
                rest, parse_header(file.read(LONGEST_FRAME_HEADER), self._crc_start)
            )
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

    def _next(self, file: BufferedReader, picked_seq: int | None = None) -> Frame | None:
        """Read the next frame. `picked_seq`: its first event, because frames before it were passed
        over."""
        head = file.read(FRAME_HEADER_SIZES[self.header.format])
        if not head:
            return None
        try:
            header = parse_header(head, self._crc_start)
            if picked_seq is not None:
                self.next_seq, self.chain = picked_seq, header.previous
            self._check_place(header)
            size = header.payload_size
            payload = file.read(size)
            own = self.header
            holds = self._tags and tag_holds(
                self._tags, own.key_id, own.log_id, header, head, payload
            )
            # A tag that holds covers all that the checksum does, at a tenth of its cost.
            found = split_payload(header, payload, checked=bool(holds))
            if holds is False:
                raise FrameError(FORGED)
        except FrameError as error:
            self.stopped = str(error)
            return None
        self.offset += len(head) + size
        self.next_seq = header.next_seq
        self.chain = header.chain
        self.durable_seq = max(self.durable_seq, header.durable_seq)
        self.last_time_us = header.time_us
        return found

    def _check_place(self, header: Header) -> None:
        own = self.header
        if header.format != own.format:
            raise LogCorruptError(self.path, self.offset, UNTAGGED)
        if header.epoch != own.epoch:
            raise FrameError("frame of another epoch")
        if header.base_seq != self.next_seq:
            raise FrameError(f"sequence {header.base_seq} where {self.next_seq} is due")
        if header.previous != self.chain:
            raise FrameError("frame does not continue the chain")


def highest_mark(data: bytes, start: int, log_id: bytes) -> int:
    """Return the highest `durable_seq` in any intact frame header at or after `start`; 0 = none.

    The result distinguishes a torn tail from damage, because a later header proves that the bytes
    before it were on stable storage.
    """
    highest = 0
    crc_start = crc_start_of(log_id)
    position = data.find(FRAME_MAGIC, start)
    while position >= 0:
        try:
            header = parse_header(data[position : position + LONGEST_FRAME_HEADER], crc_start)
            highest = max(highest, header.durable_seq)
        except NonsenseError:
            return LAST_SEQ  # no torn write leaves a right checksum, so nothing here may be cut off
        except FrameError:
            pass
        position = data.find(FRAME_MAGIC, position + 1)
    return highest
