"""The small log of docs/log-format.md, byte by byte: `python -m tests.golden.sample` prints it.

The code that writes logs makes it, with fixed times, ids and key.
"""

from __future__ import annotations

import hmac
import sys
from pathlib import Path
from struct import Struct
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

from eventlog import FrameId
from eventlog.frame import HEADER, WATERMARK, build_header, padding, seed_of
from eventlog.segment import SegmentHeader
from tests.support import START_US, endpoint4, hash_of
from tracker.domain import events
from tracker.domain.events import codec
from tracker.domain.events.admin import TrackerStarted
from tracker.domain.state import State
from tracker.store.address_keys import Keyring, day_name, day_of

if TYPE_CHECKING:
    from collections.abc import Iterator

LOG_ID = bytes(range(16))
KEY = bytes(range(0x20, 0x40))
DAY = day_of(START_US)
BOOT_NS = 5_000_000_000
FRAME_ID = FrameId(LOG_ID, 1, 1, BOOT_NS + 2)
STARTED = codec.encode_admin(TrackerStarted.number, START_US, {"version": "1.0.0", "epoch": 1})
ANNOUNCED_US = START_US + 1_000_000
PLAIN = codec.PLAIN.pack(
    ANNOUNCED_US, hash_of(1), b"-XX0001-", 1000, 0, 500, 0, 0, 50, 0, 0,
    events.UDP4 << 4 | events.STARTED, events.RULE_FIRST,
)  # fmt: skip
PRIVATE = codec.PROTECTED4.pack(
    codec.V4_MAPPED, endpoint4(1)[:4], b"abcdefghijkl", endpoint4(1)[4:], crc32(b"abc") & 0xFFFF
)

_SEGMENT = Struct("<8sHHI16sQQQII60sI")
_SEGMENT_FIELDS = (
    "magic", "format", "zero", "header length", "log id", "base_seq", "created", "boottime", "epoch", "prev_crc", "zero",
    "CRC-32 of the 124 bytes before",
)  # fmt: skip
_FRAME_FIELDS = (
    "magic", "kind", "schema", "flags", "count", "plain length", "protected length", "epoch", "base_seq", "durable_seq", "time",
    "boottime", "key_epoch", "prev_crc", "payload_crc", "key_check", "header_crc",
)  # fmt: skip
_ANNOUNCE_FIELDS = (
    "time", "info_hash", "peer_id[0:8]", "uploaded", "downloaded", "left", "key_ref", "prev_seq", "numwant", "flags",
    "listener", "event started, UDP over IPv4", "rule first",
)  # fmt: skip


class Field(NamedTuple):
    data: bytes
    name: str


def _fields(layout: Struct, data: bytes, names: tuple[str, ...]) -> Iterator[Field]:
    at = 0
    for code, name in zip(_codes(layout), names, strict=True):
        size = Struct("<" + code).size
        yield Field(data[at : at + size], name)
        at += size


def _codes(layout: Struct) -> list[str]:
    """Split a format in the codes of its fields: `16s`, `Q`, `H`."""
    found, digits = [], ""
    for each in layout.format[1:]:
        if each.isdecimal():
            digits += each
        else:
            found.append(digits + each)
            digits = ""
    return found


def fields() -> Iterator[Field]:
    """Yield the segment, field by field."""
    header = SegmentHeader(LOG_ID, 0, START_US * 1000, BOOT_NS, 1, 0).pack()
    yield from _fields(_SEGMENT, header, _SEGMENT_FIELDS)
    chain = yield from _frame(events.ADMIN, STARTED, 0, 1, START_US, 0, 0)
    yield Field(STARTED[:16], "length of the JSON, type 1, schema 1, time")
    size = codec.ADMIN.unpack_from(STARTED)[0]
    yield Field(STARTED[16 : 16 + size], f"JSON: {STARTED[16 : 16 + size].decode()}")
    yield Field(STARTED[16 + size :], "zeros to a multiple of 16")
    chain = yield from _frame(events.ANNOUNCE, PLAIN, 1, 1, ANNOUNCED_US, 1, chain)
    yield from _fields(codec.PLAIN, PLAIN, _ANNOUNCE_FIELDS)
    yield Field(_encrypted()[1], "the protected section, encrypted")
    yield from _frame(WATERMARK, b"", 2, 0, ANNOUNCED_US, 2, chain)


def _frame(
    kind: int, plain: bytes, seq: int, count: int, time_us: int, durable: int, chain: int
) -> Iterator[Field]:
    check, encrypted = _encrypted() if kind == events.ANNOUNCE else (0, b"")
    header, chain = build_header(
        kind, 0 if kind == WATERMARK else 1, count, plain, encrypted, epoch=1, base_seq=seq, durable_seq=durable,
        time_us=time_us, boottime_ns=BOOT_NS + 1 + seq, prev_crc=chain, key_epoch=DAY if encrypted else 0,
        key_check=check, seed=seed_of(LOG_ID),
    )  # fmt: skip
    assert not padding(len(plain) + len(encrypted))
    yield from _fields(HEADER, header, _FRAME_FIELDS)
    return chain


def _encrypted() -> tuple[int, bytes]:
    """Encrypt the announce under the example's key.

    Returns `key_check` and the protected section.
    """
    with TemporaryDirectory() as folder:
        (Path(folder) / "privacy").mkdir()
        (Path(folder) / "privacy" / f"{day_name(DAY)}.key").write_bytes(KEY)
        done = Keyring(Path(folder)).encrypt(FRAME_ID, ANNOUNCED_US, PRIVATE)
    return done.check, done.data


def segment() -> bytes:
    return b"".join(each.data for each in fields())


def annotated() -> Iterator[str]:
    """Yield lines of at most 16 bytes: offset, bytes, name of the field."""
    at = 0
    for data, name in fields():
        for row in range(0, len(data), 16):
            piece = data[row : row + 16]
            yield f"{at:04x}  {piece.hex(' '):<47}  {'' if row else name}".rstrip()
            at += len(piece)


def vectors() -> Iterator[str]:
    """Yield test vectors: inputs and results."""
    context = b"swarmlog frame" + Struct("<16sIQQ").pack(*FRAME_ID)
    derived = hmac.digest(KEY, context, "sha512")
    yield f"CRC-32 of `123456789`           {crc32(b'123456789'):08x}"
    yield f"CRC-32 of the log id            {seed_of(LOG_ID):08x}"
    yield f"file                            privacy/{day_name(DAY)}.key"
    yield f"key of the day                  {KEY.hex()}"
    yield f"HMAC's text                     {context.hex()}"
    yield f"AES-128 key                     {derived[:16].hex()}"
    yield f"first counter block             {derived[16:32].hex()}"
    yield f"key_check, as in the file       {derived[32:40].hex()}"
    yield f"protected section, decrypted    {PRIVATE.hex()}"
    yield f"slice 0 of the state before any event  {State().digest_of_slice(0):016x}"


def main() -> None:
    sys.stdout.write("\n".join([*annotated(), "", *vectors()]) + "\n")


if __name__ == "__main__":
    main()
