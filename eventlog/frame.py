"""Packs and parses frames: a frame is a batch of records of one kind. Pure functions, no files.

Layout, little-endian, then the plain section, the protected section and zeros up to a multiple of
16 (see docs/log-format.md). This version writes format 2 and reads both:

format 1   format 2
off size   off size  field
  0    4     0    4  magic: "EVF1", "EVF2"
  4    1     4    1  kind           kind of the records; 240 and above belong to this package
  5    1     5    1  schema         version of the record layout of that kind
  6    2     6    2  flags          bit 0: readers that do not know the records skip them
  8    4     8    4  count          records in the frame
 12    4    12    4  plain length   bytes
 16    4    16    4  protected length  bytes
 20    4    20    4  epoch          incarnation of the writer, equal to the segment's
 24    8    24    8  base_seq       sequence number of the first record
 32    8    32    8  durable_seq    every record below it was on stable storage when this was built
 40    8    40    8  time           log time of the first record, microseconds, never decreases
 48    8    48    8  boottime       CLOCK_BOOTTIME in nanoseconds
 56    4    56    4  key_epoch      which key encrypts the protected section; none: 0, all ones
 60    4    --       prev_crc       header_crc of the frame before: chains the frames
 64    4    60    4  payload_crc    CRC-32 of both sections as they are here
 68    8    64    8  key_check      tells the encrypting key from others; 0 = not encrypted
 --         72   16  seed           random; the tag's key is derived from it
 --         88   16  previous       tag of the frame before: chains the frames
 --        104    4  lead           log time less the wall clock, seconds: the date is time - lead
 --        108   16  tag            authenticates bytes 0..107 and both sections
 76    4   124    4  header_crc     CRC-32 of all before, begun with the CRC-32 of the log id
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

if TYPE_CHECKING:
    from collections.abc import Callable

MAGIC = b"EVF"
"""The magic of every frame begins with it; the format's digit follows."""
HEADER_SIZES = {1: 80, 2: 128}
"""Bytes of a frame's header, by format."""
HEADER_SIZE = HEADER_SIZES[2]
"""Bytes of the header of the frames that this version writes. No other format's is longer."""
TAG_SIZE = 16
"""Bytes of a tag, of its seed and of a chain value."""
ALIGN = 16
MAX_SECTION = 1 << 20

MAX_RECORDS = MAX_SECTION
"""Most records of a frame, because each has a byte at least."""
LAST_TIME_US = 253_402_300_799_999_999
"""Microseconds since 1970 of the last moment of the year 9999, because no later one has a date."""
LAST_SEQ = (1 << 63) - 1
"""The highest number that an event may have. No tracker gets there in a million years."""

WATERMARK = 0xF0  # a frame without records: says only how far the log is durable
IGNORABLE = 0x0001
"""Flag of frames whose records a reader may skip when it does not know them, because they change
nothing."""
NOT_ENCRYPTED = 0xFFFF_FFFF
"""`key_epoch` of a frame whose protected section is in clear, or that has none."""
LEAST_LEAD = -65_536
"""The least lead in seconds. Numbers of 32 bits from here on, in two's complement, are below zero;
the others are not, because log time may be ahead of the clock by a century, and never far behind.
"""
NO_CHAIN = bytes(TAG_SIZE)
"""Chain value before the first frame of a log."""

_FORMAT_1 = Struct("<4sBBHIIIIQQQQIIIQI")
_FORMAT_2 = Struct("<4sBBHIIIIQQQQIIQ16s16sI16sI")
_TAGGED = 108  # bytes of the header that the tag covers
_CRC = Struct("<I")


class FrameError(ValueError):
    """Bytes are not a whole and undamaged frame."""


class NonsenseError(FrameError):
    """A frame's checksum is right, and its numbers are those of no log."""


class Header(NamedTuple):
    format: int
    kind: int
    schema: int
    flags: int
    records: int
    plain_size: int
    protected_size: int
    epoch: int
    base_seq: int
    durable_seq: int
    time_us: int
    boottime_ns: int
    key_epoch: int  # `NOT_ENCRYPTED` where there is no key
    payload_crc: int
    key_check: int
    seed: bytes  # 16 random bytes; empty in format 1
    previous: bytes  # chain value of the frame before
    lead: int  # seconds as in the file; 0 in format 1
    chain: bytes  # chain value of this frame: its tag, or in format 1 its header_crc and zeros

    @property
    def size(self) -> int:
        """Bytes of the header itself."""
        return HEADER_SIZES[self.format]

    @property
    def lead_us(self) -> int:
        """Log time less the wall clock, for all records of the frame."""
        low = self.lead - (1 << 32)
        return (low if low >= LEAST_LEAD else self.lead) * 1_000_000

    @property
    def date_us(self) -> int:
        """The date of the first record, by the wall clock."""
        return max(1, self.time_us - self.lead_us)

    @property
    def encrypted(self) -> bool:
        return self.key_epoch != NOT_ENCRYPTED

    @property
    def payload_size(self) -> int:
        """Bytes that follow the header, padding included."""
        size = self.plain_size + self.protected_size
        return size + -size % ALIGN

    @property
    def next_seq(self) -> int:
        return self.base_seq + self.records

    @property
    def ignorable(self) -> bool:
        return bool(self.flags & IGNORABLE)


class Frame(NamedTuple):
    """A frame of a log.

    From a reader, `protected` is decrypted, or empty when its key is missing
    (`header.protected_size` still tells its length). From anything else it is as in the file.
    """

    header: Header
    plain: memoryview
    protected: memoryview


def padding(size: int) -> int:
    return -size % ALIGN


def build_header(
    kind: int,
    schema: int,
    count: int,
    plain: bytes | bytearray,
    protected: bytes | bytearray,
    *,
    epoch: int,
    base_seq: int,
    durable_seq: int,
    time_us: int,
    boottime_ns: int,
    previous: bytes,
    seed: bytes,
    sign: Callable[[bytes, bytes | bytearray, bytes | bytearray], bytes],
    flags: int = 0,
    key_epoch: int = NOT_ENCRYPTED,
    key_check: int = 0,
    lead_us: int = 0,
    crc_start: int = 0,
) -> tuple[bytes, bytes]:
    """Build the header of a frame. Returns it with its tag, which is the `previous` of the next
    frame.

    `plain` and `protected` are the sections as in the file. `previous` and `seed` have 16 bytes.
    `sign` computes the tag of the header's first bytes and the sections. `crc_start`: see
    `crc_start_of`.
    """
    tagged = _FORMAT_2.pack(
        b"EVF2", kind, schema, flags, count, len(plain), len(protected), epoch, base_seq,
        durable_seq, time_us, boottime_ns, key_epoch, crc32(protected, crc32(plain)), key_check,
        seed, previous, lead_us // 1_000_000 % (1 << 32), NO_CHAIN, 0,
    )[:_TAGGED]  # fmt: skip
    tag = sign(tagged, plain, protected)
    body = tagged + tag
    return body + _CRC.pack(crc32(body, crc_start)), tag


def crc_start_of(log_id: bytes) -> int:
    """Return the value that the header checksums of a log begin with.

    Records hold bytes that strangers choose. Without the log's id strangers cannot make them look
    like a header.
    """
    return crc32(log_id)


def tagged_part(header: bytes | memoryview) -> bytes | memoryview:
    """Return the part of a header of format 2 that its tag covers, beside the two sections."""
    return header[:_TAGGED]


def parse_header(data: bytes | memoryview, crc_start: int = 0) -> Header:
    """Parse a header of any format; `data` may be longer. Raises `FrameError`, which says what is
    wrong. The tag is not checked."""
    version = _format_of(data)
    size = HEADER_SIZES[version]
    if len(data) < size:
        raise FrameError("incomplete frame header")
    if _CRC.unpack_from(data, size - _CRC.size)[0] != crc32(data[: size - _CRC.size], crc_start):
        raise FrameError("frame header checksum does not match")
    header = _parse_1(data[:size]) if version == 1 else _parse_2(data[:size])
    if header.plain_size > MAX_SECTION or header.protected_size > MAX_SECTION:
        raise FrameError("frame is longer than any frame may be")
    if header.records > MAX_RECORDS:
        raise NonsenseError("frame has more records than any frame may have")
    if header.next_seq > LAST_SEQ or header.durable_seq > LAST_SEQ:
        raise NonsenseError("frame has event numbers that no log comes to")
    if header.time_us > LAST_TIME_US:
        raise NonsenseError("frame is of a time after the year 9999")
    return header


def _format_of(data: bytes | memoryview) -> int:
    if len(data) < HEADER_SIZES[1]:
        raise FrameError("incomplete frame header")
    if data[:3] != MAGIC or data[3] not in b"12":
        raise FrameError("no frame begins here")
    return data[3] - 0x30


def _parse_1(data: bytes | memoryview) -> Header:
    *fields, day, prev_crc, payload_crc, key_check, header_crc = _FORMAT_1.unpack(data)[1:]
    key = day or NOT_ENCRYPTED, payload_crc, key_check
    return Header._make((1, *fields, *key, b"", chain_of(prev_crc), 0, chain_of(header_crc)))


def chain_of(crc: int) -> bytes:
    """Return the chain value of a frame of format 1."""
    return _CRC.pack(crc) + bytes(TAG_SIZE - _CRC.size)


def _parse_2(data: bytes | memoryview) -> Header:
    return Header._make((2, *_FORMAT_2.unpack(data)[1:-1]))


def split_payload(header: Header, payload: bytes, *, checked: bool = False) -> Frame:
    """Check a payload of `header.payload_size` bytes and cut it in sections.

    `checked`: its sections are known to be right. Raises `FrameError`.
    """
    plain_size = header.plain_size
    size = plain_size + header.protected_size
    if len(payload) < header.payload_size:
        raise FrameError("incomplete frame")
    view = memoryview(payload)
    if any(payload[size:]) or not (checked or crc32(view[:size]) == header.payload_crc):
        raise FrameError("frame checksum does not match")
    return Frame(header, view[:plain_size], view[plain_size:size])
