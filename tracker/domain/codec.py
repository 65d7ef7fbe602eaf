"""Records as bytes, and back: one struct per kind, of its newest schema (see `schemas`); docs/log-format.md has the fields.

An announce is 112 bytes. The plain 80 alone are enough to recompute every count and total:

    time us | info_hash | peer_id[0:8] | uploaded | downloaded | left | key_ref | prev_seq | numwant |
    flags | listener | event (low nibble), protocol and family (high nibble) | rule

The protected 32 say where the peer is: address (IPv6 or v4-mapped) | peer_id[8:20] | port (big-endian) |
16-bit hash of the client's `key`.
"""

from __future__ import annotations

import json
from struct import Struct, error
from typing import TYPE_CHECKING, Any, NamedTuple

from tracker.domain import events, schemas
from tracker.domain.schemas import CodecError as CodecError
from tracker.domain.schemas import UnknownEventError as UnknownEventError

if TYPE_CHECKING:
    from collections.abc import Iterator

ANNOUNCE_SCHEMA = schemas.NEWEST[events.ANNOUNCE]
ADMIN_SCHEMA = schemas.NEWEST[events.ADMIN]
TICK_SCHEMA = schemas.NEWEST[events.TICK]
COUNTERS_SCHEMA = schemas.NEWEST[events.COUNTERS]
EVICTIONS_SCHEMA = schemas.NEWEST[events.EVICTIONS]
REFUSALS_SCHEMA = schemas.NEWEST[events.REFUSALS]

PLAIN = Struct("<Q20s8sQQQIQHHBBH")
PROTECTED = Struct("<16s12s2sH")
PROTECTED4 = Struct("<12s4s12s2sH")  # the same, the address of an IPv4 peer in two parts
TICK = Struct("<QIIIIQ")
"""time us, interval ms, 1 = goes on with the sweep of the tick before, a slice and its digest (see `slices`) with a reserved
field between."""
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

V4_MAPPED = bytes(10) + b"\xff\xff"


class AdminRecord(NamedTuple):
    """`data` is as of the newest schema, unless the type or schema is not known: then as it is."""

    type: int
    time_us: int
    data: dict[str, Any]
    schema: int

    @property
    def known(self) -> bool:
        return schemas.known_admin(self.type, self.schema)


Plain = tuple[int, bytes, bytes, int, int, int, int, int, int, int, int, int, int]
"""The fields of `PLAIN`."""
Private = tuple[bytes, bytes, bytes, int]
"""The fields of `PROTECTED`."""


def unknown(seq: int, kind: int, schema: int, writer: str = "") -> UnknownEventError:
    """That a frame is of a kind or schema not known. `writer`: the version that wrote it, where that is known."""
    return _unknown(f"event {seq} is of kind {kind}, schema {schema}", writer)


def unknown_admin(seq: int, record: AdminRecord, writer: str = "") -> UnknownEventError:
    """The same of an admin event."""
    what = f"event {seq} is an admin event of type {record.type}, schema {record.schema}"
    return _unknown(what, writer)


def _unknown(what: str, writer: str) -> UnknownEventError:
    wrote = f"version {writer} wrote it: use that one" if writer else "use the one that wrote it"
    return UnknownEventError(f"{what}, unknown to this version; {wrote} or a later one")


def rows(layout: Struct, plain: bytes | memoryview) -> Iterator[tuple[Any, ...]]:
    """The records of a kind whose records are of one size. Raises `CodecError`."""
    try:
        return layout.iter_unpack(plain)
    except error as problem:
        raise CodecError(f"records of {layout.size} bytes: {problem}") from None


def announces(plain: bytes, protected: bytes) -> int:
    """How many announces the sections of a frame hold. Raises `CodecError` where they do not agree."""
    count, rest = divmod(len(plain), PLAIN.size)
    if rest or len(protected) != count * PROTECTED.size:
        raise CodecError(
            f"{len(plain)} plain and {len(protected)} protected bytes are no announces"
        )
    return count


def decode_announces(
    plain: bytes | memoryview, protected: bytes | memoryview
) -> Iterator[tuple[Plain, Private | None]]:
    """The announces of a frame, both parts of each. An empty `protected` could not be decrypted: None for each."""
    rows = PLAIN.iter_unpack(plain)
    if protected:
        return zip(rows, PROTECTED.iter_unpack(protected), strict=True)
    return ((row, None) for row in rows)


def encode_refusals(time_us: int, reason: int, name: str, version: str, delta: int) -> bytes:
    """The name has at most 32 bytes, the version 8."""
    return REFUSAL.pack(time_us, reason, delta, name.encode(), version.encode())


def decode_refusals(plain: bytes | memoryview) -> Iterator[tuple[int, int, str, str, int]]:
    """As `encode_refusals` takes them. Raises `CodecError`."""
    try:
        for time_us, reason, delta, name, version in rows(REFUSAL, plain):
            yield time_us, reason, _text(name), _text(version), delta
    except UnicodeDecodeError as problem:
        raise CodecError(f"refusals record: {problem}") from None


def _text(padded: bytes) -> str:
    return padded.rstrip(b"\0").decode()


def encode_admin(kind: int, time_us: int, data: dict[str, Any], schema: int = 0) -> bytes:
    """Canonical JSON (sorted, compact, UTF-8, no floats) behind a 16-byte head, padded to 16. `schema`: 0 = the newest."""
    body = json.dumps(
        data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()
    head = ADMIN.pack(len(body), kind, schema or schemas.NEWEST_ADMIN.get(kind, 1), time_us)
    return head + body + bytes(-len(body) % 16)


def decode_admin(plain: bytes | memoryview) -> Iterator[AdminRecord]:
    """The records of an admin frame; raises `CodecError`."""
    offset = 0
    while offset < len(plain):
        try:
            size, kind, schema, time_us = ADMIN.unpack_from(plain, offset)
            offset += ADMIN.size
            data = json.loads(bytes(plain[offset : offset + size]))
        except (error, ValueError) as problem:
            raise CodecError(f"admin record: {problem}") from None
        if not isinstance(data, dict):
            raise CodecError("admin record: its JSON is no object")
        offset += size + (-size % 16)
        if schemas.known_admin(kind, schema):
            data = schemas.newest_admin(kind, schema, data)
            schema = schemas.NEWEST_ADMIN[kind]
        yield AdminRecord(kind, time_us, data, schema)
