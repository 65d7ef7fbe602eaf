"""Records as bytes, and back. One struct per kind and schema; see docs/log-format.md.

An announce is 112 bytes. The plain 80 alone are enough to recompute every count and total:

    time us | info_hash | peer_id[0:8] | uploaded | downloaded | left | key_ref | prev_seq | numwant |
    flags | listener | event (low nibble), protocol and family (high nibble) | rule

The sealed 32 say where the peer is: address (IPv6 or v4-mapped) | peer_id[8:20] | port (big-endian) |
16-bit hash of the client's `key`.
"""

from __future__ import annotations

import json
from struct import Struct, error
from typing import TYPE_CHECKING, Any, NamedTuple

from tracker.domain import events

if TYPE_CHECKING:
    from collections.abc import Iterator

ANNOUNCE_SCHEMA = 1
ADMIN_SCHEMA = 1
TICK_SCHEMA = 2
COUNTERS_SCHEMA = 1
EVICTIONS_SCHEMA = 1
REFUSALS_SCHEMA = 1

PLAIN = Struct("<Q20s8sQQQIQHHBBH")
SEALED = Struct("<16s12s2sH")
SEALED4 = Struct("<12s4s12s2sH")  # the same, the address of an IPv4 peer in two parts
TICK = Struct("<QIIIIQ")
"""time us, interval ms, 1 = goes on with the sweep of the tick before, a slice and its digest (see `slices`) with a reserved
field between."""
TICK_1 = Struct("<QII")  # schema 1: without the last three
COUNTER = Struct("<QHHIQ")  # time us, counter, label, reserved, delta
EVICTION = Struct("<Q20sIQ")  # time us, info_hash, place and last seq of the peer that has to go
REFUSAL = Struct(
    "<QH6xQ32s8s"
)  # time us, reason, delta, name and version of the client (UTF-8, zeros)
ADMIN = Struct("<IHHQ")  # length of the JSON, type, schema, time us; JSON and zeros to 16 follow

RECORD_SIZES = {
    events.ANNOUNCE: PLAIN.size,
    events.ADMIN: 0,
    events.TICK: TICK.size,
    events.COUNTERS: COUNTER.size,
    events.EVICTIONS: EVICTION.size,
    events.REFUSALS: REFUSAL.size,
}
"""Plain bytes of a record by kind, as eventlog wants them; 0 = records vary."""

_NEWEST = {
    events.ANNOUNCE: ANNOUNCE_SCHEMA,
    events.ADMIN: ADMIN_SCHEMA,
    events.TICK: TICK_SCHEMA,
    events.COUNTERS: COUNTERS_SCHEMA,
    events.EVICTIONS: EVICTIONS_SCHEMA,
    events.REFUSALS: REFUSALS_SCHEMA,
}
_EARLIER = {(events.TICK, 1): TICK_1.size}

V4_MAPPED = bytes(10) + b"\xff\xff"


class CodecError(ValueError):
    """A record does not read as its kind and schema say."""


class AdminRecord(NamedTuple):
    type: int
    time_us: int
    data: dict[str, Any]


Plain = tuple[int, bytes, bytes, int, int, int, int, int, int, int, int, int, int]
"""The fields of `PLAIN`."""
Private = tuple[bytes, bytes, bytes, int]
"""The fields of `SEALED`."""


def record_size(kind: int, schema: int) -> int | None:
    """Plain bytes of a record; 0 = records vary, None = unknown to this version."""
    return RECORD_SIZES[kind] if schema == _NEWEST.get(kind) else _EARLIER.get((kind, schema))


def decode_ticks(
    schema: int, plain: bytes | memoryview
) -> Iterator[tuple[int, int, int, tuple[int, int] | None]]:
    """Time, interval, whether it goes on, and slice and digest, which schema 1 does not have. Raises `CodecError`."""
    try:
        if schema == 1:
            for time_us, interval_ms, goes_on in TICK_1.iter_unpack(plain):
                yield time_us, interval_ms, goes_on, None
        elif schema == TICK_SCHEMA:
            for time_us, interval_ms, goes_on, number, _, digest in TICK.iter_unpack(plain):
                yield time_us, interval_ms, goes_on, (number, digest)
        else:
            raise CodecError(f"ticks of schema {schema}, unknown to this version")
    except error as problem:
        raise CodecError(f"tick record: {problem}") from None


def decode_announces(
    plain: bytes | memoryview, sealed: bytes | memoryview
) -> Iterator[tuple[Plain, Private | None]]:
    """The announces of a frame, both parts of each. An empty `sealed` could not be opened: None for each."""
    rows = PLAIN.iter_unpack(plain)
    if sealed:
        return zip(rows, SEALED.iter_unpack(sealed), strict=True)
    return ((row, None) for row in rows)


def encode_refusals(time_us: int, reason: int, name: str, version: str, delta: int) -> bytes:
    """The name has at most 32 bytes, the version 8."""
    return REFUSAL.pack(time_us, reason, delta, name.encode(), version.encode())


def decode_refusals(plain: bytes | memoryview) -> Iterator[tuple[int, int, str, str, int]]:
    """As `encode_refusals` takes them. Raises `CodecError`."""
    try:
        for time_us, reason, delta, name, version in REFUSAL.iter_unpack(plain):
            yield time_us, reason, _text(name), _text(version), delta
    except (error, UnicodeDecodeError) as problem:
        raise CodecError(f"refusals record: {problem}") from None


def _text(padded: bytes) -> str:
    return padded.rstrip(b"\0").decode()


def encode_admin(kind: int, time_us: int, data: dict[str, Any]) -> bytes:
    """Canonical JSON (sorted, compact, UTF-8, no floats) behind a 16-byte head, padded to 16."""
    body = json.dumps(
        data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()
    head = ADMIN.pack(len(body), kind, ADMIN_SCHEMA, time_us)
    return head + body + bytes(-len(body) % 16)


def decode_admin(plain: bytes | memoryview) -> Iterator[AdminRecord]:
    """The records of an admin frame; raises `CodecError`."""
    offset = 0
    while offset < len(plain):
        try:
            size, kind, _schema, time_us = ADMIN.unpack_from(plain, offset)
            offset += ADMIN.size
            data = json.loads(bytes(plain[offset : offset + size]))
        except (error, ValueError) as problem:
            raise CodecError(f"admin record: {problem}") from None
        if not isinstance(data, dict):
            raise CodecError("admin record: its JSON is no object")
        offset += size + (-size % 16)
        yield AdminRecord(kind, time_us, data)
