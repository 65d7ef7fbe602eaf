"""Turns records into bytes and back, by the declarations of `events/admin.py` and
`events/records.py`.

docs/log-format.md has the layouts. The module also exports the codec of announces
(`events/announce.py`).
"""

from __future__ import annotations

import json
from struct import Struct, error
from typing import TYPE_CHECKING, Any, NamedTuple

from cattrs import Converter

from tracker.domain import events, plain_json
from tracker.domain.events import announce, schemas
from tracker.domain.events.admin import (
    ADMIN_EVENTS,
    AddressesLost,
    AddressesSeen,
    ClockStepped,
    FormatBegun,
    LogPruned,
    OldAnnounceRefused,
    TokenUsed,
    TrackerStarted,
    TrackerStopped,
)
from tracker.domain.events.announce import PLAIN as PLAIN
from tracker.domain.events.announce import PROTECTED as PROTECTED
from tracker.domain.events.announce import PROTECTED4 as PROTECTED4
from tracker.domain.events.announce import V4_MAPPED as V4_MAPPED
from tracker.domain.events.announce import Plain as Plain
from tracker.domain.events.announce import Private as Private
from tracker.domain.events.announce import decode_announces as decode_announces
from tracker.domain.events.errors import CodecError as CodecError
from tracker.domain.events.errors import UnknownEventError as UnknownEventError
from tracker.domain.events.records import RECORDS
from tracker.domain.hit_and_run import Rule
from tracker.domain.moved import Moved
from tracker.domain.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

    from tracker.domain.events.registry import AdminEvent, FixedRecord

ADMIN = Struct("<IHHQ")
"""The head of an admin record: length of the JSON, number, schema, time in microseconds. The JSON
follows, filled up with zeros to a multiple of 16 bytes.
"""

RECORD_SIZES = {events.ANNOUNCE: PLAIN.size, events.ADMIN: 0}
RECORD_SIZES |= {kind: one.layout.size for kind, one in sorted(RECORDS.items())}
"""The plain bytes of a record, by kind, as eventlog needs them; 0 = the size varies."""

UNKNOWN = "unknown"
"""The `type` of events that a newer version wrote and this version does not know."""

_ADMIN_NAMES = tuple(one.name for one in ADMIN_EVENTS.values())

TYPES = {events.ANNOUNCE: frozenset({announce.NAME})}
TYPES |= {kind: frozenset({one.name}) for kind, one in RECORDS.items()}
TYPES |= {events.ADMIN: frozenset({*_ADMIN_NAMES, UNKNOWN})}
"""Every `type` that the events of a frame can have, by its kind."""

EVENT_TYPES = tuple(
    dict.fromkeys(
        (announce.NAME, *(one.name for one in RECORDS.values()), *_ADMIN_NAMES, UNKNOWN)
    )  # a record may have the name of the admin event whose place it took
)
"""Every `type` that `tracker events` can print."""

_BY_NOBODY = (
    TrackerStarted, TrackerStopped, ClockStepped, OldAnnounceRefused, AddressesLost, AddressesSeen, LogPruned,
    FormatBegun, TokenUsed,
)  # fmt: skip
"""Admin events that change nothing by somebody's will."""
GROUPS = {"staff": frozenset(_ADMIN_NAMES) - {one.name for one in _BY_NOBODY}}
"""What a filter may name in place of several types. `staff`: changes by staff, or by a schedule in
their place."""


def types_of(names: Iterable[str]) -> frozenset[str]:
    """Returns the types that names of types and groups stand for."""
    return frozenset[str]().union(*(GROUPS.get(name, {name}) for name in names))


# Unknown records.


def unknown(seq: int, kind: int, schema: int, writer: str = "") -> UnknownEventError:
    """Returns the error for a frame of an unknown kind or schema.

    `writer`: the version that wrote the frame, or "".
    """
    return _unknown(f"event {seq} is of kind {kind}, schema {schema}", writer)


def unknown_admin(seq: int, record: AdminRecord, writer: str = "") -> UnknownEventError:
    """Returns the error for an admin event of an unknown number or schema."""
    what = f"event {seq} is an admin event of type {record.type}, schema {record.schema}"
    return _unknown(what, writer)


def _unknown(what: str, writer: str) -> UnknownEventError:
    wrote = f"version {writer} wrote it: use that one" if writer else "use the one that wrote it"
    return UnknownEventError(f"{what}, unknown to this version; {wrote} or a later one")


# Records of fixed size.


def decode_records(kind: int, plain: bytes | memoryview) -> Iterator[FixedRecord]:
    """Reads the records of a frame. Its kind is declared, and its schema is the newest.

    Raises `CodecError`.
    """
    return RECORDS[kind].unpack(plain)


# Admin events.


class AdminRecord(NamedTuple):
    """An admin event as it was read from the log.

    If the type and schema are known, `data` has the form of the newest schema, and keeps members
    that this version does not know. Else `data` is as it was written.
    """

    type: int
    time_us: int
    data: dict[str, Any]
    schema: int

    @property
    def known(self) -> bool:
        return schemas.known_admin(self.type, self.schema)

    def event(self) -> AdminEvent:
        """Returns the declared event of a known record.

        Raises `CodecError` if the JSON does not fit the declaration.
        """
        return from_data(self.type, self.data)


def encode_event(event: AdminEvent, time_us: int) -> bytes:
    """Returns an admin event as the bytes for the log, in the newest schema."""
    return encode_admin(event.number, time_us, to_data(event))


def encode_admin(number: int, time_us: int, data: dict[str, Any], schema: int = 0) -> bytes:
    """Returns a head and canonical JSON (sorted, compact, UTF-8), padded to a multiple of 16 bytes.

    `data` holds no floats. `schema`: 0 = the newest.
    """
    body = json.dumps(
        data, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    ).encode()
    head = ADMIN.pack(len(body), number, schema or schemas.NEWEST_ADMIN.get(number, 1), time_us)
    return head + body + bytes(-len(body) % 16)


def decode_admin(
    plain: bytes | memoryview, only: Container[int] | None = None
) -> Iterator[AdminRecord]:
    """Reads the records of an admin frame. `only`: the types whose JSON is read, because reading it
    takes longest; the others have no `data`. Raises `CodecError`.
    """
    offset = 0
    while offset < len(plain):
        try:
            size, number, schema, time_us = ADMIN.unpack_from(plain, offset)
            offset += ADMIN.size
            if only is not None and number not in only:
                offset += size + (-size % 16)
                yield AdminRecord(number, time_us, {}, schema)
                continue
            data = plain_json.loads(bytes(plain[offset : offset + size]))
        except (error, ValueError) as problem:
            raise CodecError(f"admin record: {problem}") from None
        if not isinstance(data, dict):
            raise CodecError("admin record: its JSON is no object")
        offset += size + (-size % 16)
        if schemas.known_admin(number, schema):
            data = schemas.newest_admin(number, schema, data)
            schema = schemas.NEWEST_ADMIN[number]
        yield AdminRecord(number, time_us, data, schema)


def to_data(event: AdminEvent) -> dict[str, Any]:
    """Returns the members of an event's JSON, without those that have their default."""
    data: dict[str, Any] = _converter.unstructure(event)
    return data


def from_data(number: int, data: dict[str, Any]) -> AdminEvent:
    """Makes an event from the members of its JSON; ignores unknown members. Raises `CodecError`."""
    cls = ADMIN_EVENTS[number]
    try:
        return _converter.structure(data, cls)
    except KeyError as missing:
        raise CodecError(f"{cls.name}: {missing} is missing") from None
    except Exception as problem:
        # Any exception means the same: the JSON may be anything.
        raise CodecError(f"{cls.name}: {problem}") from None


def _exactly(value: Any, kind: Any) -> Any:
    if type(value) is not kind:
        raise TypeError(f"{value!r} is no {kind.__name__}")
    return value


def _texts(value: Any, _: object) -> dict[str, str]:
    return dict(value)


_converter = Converter(omit_if_default=True, detailed_validation=False)
_converter.register_structure_hook(int, _exactly)
_converter.register_structure_hook(str, _exactly)
_converter.register_structure_hook_func(lambda kind: kind == dict[str, str], _texts)
_converter.register_structure_hook(bytes, lambda text, _: bytes.fromhex(text))
_converter.register_unstructure_hook(bytes, bytes.hex)
_converter.register_structure_hook(Settings, lambda data, _: Settings.from_data(data))
_converter.register_unstructure_hook(Settings, Settings.as_data)
_converter.register_structure_hook(Rule, lambda data, _: Rule.from_data(data))
_converter.register_unstructure_hook(Rule, Rule.as_data)
_converter.register_structure_hook(Moved, lambda data, _: Moved.from_data(data))
_converter.register_unstructure_hook(Moved, Moved.as_data)
_converter.register_structure_hook(bool, _exactly)
