"""Packs and parses frames: a frame is a batch of records of one kind. Pure functions, no files.

Layout, little-endian, 80 bytes of header, then the plain section, the protected section and zeros
up to a multiple of 16 (format 1; see docs/log-format.md):

off size field
      0    4 magic "EVF1"
      4    1 kind           kind of the records; 240 and above belong to this package
      5    1 schema         version of the record layout of that kind
      6    2 flags          bit 0: readers that do not know the records skip them; others zero
      8    4 count          records in the frame
     12    4 plain length   bytes
     16    4 protected length  bytes
     20    4 epoch          incarnation of the writer, equal to the segment's
     24    8 base_seq       sequence number of the first record
     32    8 durable_seq    every record below it was on stable storage when this frame was built
     40    8 time           log time of the first record, microseconds, never decreases
     48    8 boottime       CLOCK_BOOTTIME in nanoseconds
     56    4 key_epoch      which key encrypts the protected section; 0 = not encrypted
     60    4 prev_crc       header_crc of the frame before: chains the frames
     64    4 payload_crc    CRC-32 of both sections as they are here, the second one encrypted
     68    8 key_check      tells that key from others; 0 = not encrypted
     76    4 header_crc     CRC-32 of bytes 0..75, so it covers payload_crc and prev_crc too; begun
                            with the CRC-32 of the log id instead of 0
"""

from __future__ import annotations

from struct import Struct
from typing import NamedTuple
from zlib import crc32

MAGIC = b"EVF1"
HEADER = Struct("<4sBBHIIIIQQQQIIIQI")
HEADER_SIZE = HEADER.size
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

_CRC = Struct("<I")


class FrameError(ValueError):
    """Bytes are not a whole and undamaged frame."""


class NonsenseError(FrameError):
    """A frame's checksum is right, and its numbers are those of no log."""


class Header(NamedTuple):
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
    key_epoch: int
    prev_crc: int
    payload_crc: int
    key_check: int
    header_crc: int

    @property
    def payload_size(self) -> int:
        """Bytes that follow the header, padding included."""
        return (
            self.plain_size + self.protected_size + padding(self.plain_size + self.protected_size)
        )

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
    prev_crc: int,
    flags: int = 0,
    key_epoch: int = 0,
    key_check: int = 0,
    seed: int = 0,
) -> tuple[bytes, int]:
    """Build the header of a frame. Returns it with its `header_crc`, which is the `prev_crc` of the
    next frame.

    `plain` and `protected` are the sections as in the file. `seed`: see `seed_of`.
    """
    body = HEADER.pack(
        MAGIC, kind, schema, flags, count, len(plain), len(protected), epoch, base_seq, durable_seq,
        time_us, boottime_ns, key_epoch, prev_crc, crc32(protected, crc32(plain)), key_check, 0,
    )[:-4]  # fmt: skip
    header_crc = crc32(body, seed)
    return body + _CRC.pack(header_crc), header_crc


def seed_of(log_id: bytes) -> int:
    """Return the value that the header checksums of a log begin with.

    Records hold bytes that strangers choose. Without the log's id strangers cannot make them look
    like a header.
    """
    return crc32(log_id)


def parse_header(data: bytes | memoryview, seed: int = 0) -> Header:
    """Parse a header. Raises `FrameError`, which says what is wrong."""
    if len(data) < HEADER_SIZE:
        raise FrameError("incomplete frame header")
    if data[:4] != MAGIC:
        raise FrameError("no frame begins here")
    header = Header._make(HEADER.unpack(data[:HEADER_SIZE])[1:])
    if header.header_crc != crc32(data[: HEADER_SIZE - 4], seed):
        raise FrameError("frame header checksum does not match")
    if header.plain_size > MAX_SECTION or header.protected_size > MAX_SECTION:
        raise FrameError("frame is longer than any frame may be")
    if header.records > MAX_RECORDS:
        raise NonsenseError("frame has more records than any frame may have")
    if max(header.next_seq, header.durable_seq) > LAST_SEQ:
        raise NonsenseError("frame has event numbers that no log comes to")
    if header.time_us > LAST_TIME_US:
        raise NonsenseError("frame is of a time after the year 9999")
    return header


def split_payload(header: Header, payload: bytes) -> Frame:
    """Check a payload of `header.payload_size` bytes and cut it in sections.

    Raises `FrameError`.
    """
    size = header.plain_size + header.protected_size
    if len(payload) < header.payload_size:
        raise FrameError("incomplete frame")
    view = memoryview(payload)
    if crc32(view[:size]) != header.payload_crc or any(view[size:]):
        raise FrameError("frame checksum does not match")
    return Frame(header, view[: header.plain_size], view[header.plain_size : size])
