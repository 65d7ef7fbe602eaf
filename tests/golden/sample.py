"""The small log of docs/log-format.md, byte by byte: `python -m tests.golden.sample` prints it.

The code that writes logs makes it, with fixed times, ids and key.
"""

from __future__ import annotations

import hmac
import sys
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from struct import Struct
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

from eventlog import NO_CHAIN, NOT_ENCRYPTED, FrameId
from eventlog.frame import WATERMARK, build_header, crc_start_of, padding
from eventlog.segment import NO_DIGEST, pack_header
from tests.support import START_US, endpoint4, hash_of
from tracker.domain import events
from tracker.domain.events import codec, schemas
from tracker.domain.events.admin import TrackerStarted
from tracker.domain.state import State
from tracker.store.address_keys import Keyring, day_name, day_of

if TYPE_CHECKING:
    from collections.abc import Iterator

LOG_ID = bytes(range(16))
KEY = bytes(range(0x20, 0x40))
SECRET = bytes(range(0x40, 0x60))
DAY = day_of(START_US)
BOOT_NS = 5_000_000_000
FRAME_ID = FrameId(LOG_ID, 1, 1, BOOT_NS + 2, bytes([2]) * 16)
STARTED = codec.encode_admin(
    TrackerStarted.number, START_US, {"version": "1.0.0", "epoch": 1, "wall_us": START_US}
)
ANNOUNCED_US = START_US + 1_000_000
PLAIN = codec.PLAIN.pack(
    ANNOUNCED_US, hash_of(1), b"-XX0001-", 1000, 0, 500, 0, 0, 50, 0, 0,
    events.UDP4 << 4 | events.STARTED, events.RULE_FIRST, 0,
)  # fmt: skip
PRIVATE = codec.PROTECTED4.pack(
    codec.V4_MAPPED, endpoint4(1)[:4], b"abcdefghijkl", endpoint4(1)[4:], crc32(b"abc") & 0xFFFF
)

_SEGMENT = Struct("<8sHHI16sQQQI4s16s16s32sQ16s20s16sI")
_SEGMENT_FIELDS = (
    "magic", "format", "zero", "header length", "log id", "base_seq", "created", "boottime", "epoch", "zero", "previous",
    "key id", "digest", "digest_seq", "seed", "zero", "tag", "CRC-32 of the 188 bytes before",
)  # fmt: skip
_FRAME = Struct("<4sBBHIIIIQQQQIIQ16s16s4s16sI")
_FRAME_FIELDS = (
    "magic", "kind", "schema", "flags", "count", "plain length", "protected length", "epoch", "base_seq", "durable_seq", "time",
    "boottime", "key_epoch", "payload_crc", "key_check", "seed", "previous", "lead", "tag", "header_crc",
)  # fmt: skip
_ANNOUNCE_FIELDS = (
    "time", "info_hash", "peer_id[0:8]", "uploaded", "downloaded", "left", "key_ref", "prev_seq", "numwant", "flags",
    "listener", "event started, UDP over IPv4", "rule first", "client other",
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
    with _keys() as keys:
        header = pack_header(
            keys.tags, bytes(16), LOG_ID, 0, START_US * 1000, BOOT_NS, 1, NO_CHAIN, NO_DIGEST, 0
        )
    yield from _fields(_SEGMENT, header, _SEGMENT_FIELDS)
    chain = yield from _frame(events.ADMIN, STARTED, 0, 1, START_US, 0, NO_CHAIN)
    yield Field(STARTED[:16], "length of the JSON, type 1, schema 2, time")
    size = codec.ADMIN.unpack_from(STARTED)[0]
    yield Field(STARTED[16 : 16 + size], f"JSON: {STARTED[16 : 16 + size].decode()}")
    yield Field(STARTED[16 + size :], "zeros to a multiple of 16")
    chain = yield from _frame(events.ANNOUNCE, PLAIN, 1, 1, ANNOUNCED_US, 1, chain)
    yield from _fields(codec.PLAIN, PLAIN, _ANNOUNCE_FIELDS)
    yield Field(_encrypted()[1], "the protected section, encrypted")
    yield from _frame(WATERMARK, b"", 2, 0, ANNOUNCED_US, 2, chain)


def _frame(
    kind: int, plain: bytes, seq: int, count: int, time_us: int, durable: int, chain: bytes
) -> Iterator[Field]:
    check, encrypted = _encrypted() if kind == events.ANNOUNCE else (0, b"")
    seed = bytes([1 + seq]) * 16
    with _keys() as keys:
        header, chain = build_header(
            kind, schemas.NEWEST.get(kind, 0), count, plain, encrypted, epoch=1, base_seq=seq, durable_seq=durable,
            time_us=time_us, boottime_ns=BOOT_NS + 1 + seq, previous=chain, key_epoch=DAY if encrypted else NOT_ENCRYPTED,
            key_check=check, crc_start=crc_start_of(LOG_ID), seed=seed, sign=partial(keys.tags.sign, LOG_ID, seed),
        )  # fmt: skip
    assert not padding(len(plain) + len(encrypted))
    yield from _fields(_FRAME, header, _FRAME_FIELDS)
    return chain


@contextmanager
def _keys() -> Iterator[Keyring]:
    """Gives the secrets of the example."""
    with TemporaryDirectory() as folder:
        put_secrets(Path(folder))
        yield Keyring(Path(folder))


def put_secrets(folder: Path) -> None:
    """Writes the secrets of the example into a folder."""
    (folder / "privacy").mkdir()
    (folder / "privacy" / f"{day_name(DAY)}.key").write_bytes(KEY)
    (folder / "server.key").write_bytes(SECRET)


def _encrypted() -> tuple[int, bytes]:
    """Encrypt the announce under the example's key.

    Returns `key_check` and the protected section.
    """
    with _keys() as keys:
        done = keys.encrypt(FRAME_ID, ANNOUNCED_US, PRIVATE)
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
    context = b"swarmlog frame" + Struct("<16sIQQ16s").pack(*FRAME_ID)
    tag_key = hmac.digest(SECRET, b"swarmlog tag key", "sha256")
    tag_text = b"swarmlog tag" + LOG_ID + FRAME_ID.seed
    derived = hmac.digest(KEY, context, "sha512")
    yield f"CRC-32 of `123456789`           {crc32(b'123456789'):08x}"
    yield f"CRC-32 of the log id            {crc_start_of(LOG_ID):08x}"
    yield f"file                            privacy/{day_name(DAY)}.key"
    yield f"key of the day                  {KEY.hex()}"
    yield f"HMAC's text                     {context.hex()}"
    yield f"AES-128 key                     {derived[:16].hex()}"
    yield f"first counter block             {derived[16:32].hex()}"
    yield f"key_check, as in the file       {derived[32:40].hex()}"
    yield f"protected section, decrypted    {PRIVATE.hex()}"
    yield f"server.key                      {SECRET.hex()}"
    yield f"tag key                         {tag_key.hex()}"
    yield f"id of the tag key               {hmac.digest(tag_key, b'swarmlog key id', 'sha256')[:16].hex()}"
    yield f"text for the announce's tag     {tag_text.hex()}"
    yield f"AES-128 key of its tag          {hmac.digest(tag_key, tag_text, 'sha256')[:16].hex()}"
    yield f"slice 0 of the state before any event  {State().digest_of_slice(0):016x}"


def main() -> None:
    sys.stdout.write("\n".join([*annotated(), "", *vectors()]) + "\n")


if __name__ == "__main__":
    main()
