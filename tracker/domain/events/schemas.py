"""Names the schema in which each kind is written, and converts records of older schemas.

A layout never changes. A kind that needs another layout gets the next schema, and a step in this
module that converts records of the schema before. All reading goes through these steps, so that no
other code knows an older schema. The same holds for the JSON of admin events, by number.
"""

from __future__ import annotations

import struct
from struct import error
from typing import TYPE_CHECKING, Any

from tracker.domain import events
from tracker.domain.events import announce
from tracker.domain.events.admin import ADMIN_EVENTS, ClockStepped, TrackerStarted
from tracker.domain.events.errors import CodecError
from tracker.domain.events.records import NO_WALL, RECORDS, Tick

if TYPE_CHECKING:
    from collections.abc import Callable

Section = bytes | memoryview
Sections = tuple[Section, Section]
"""The plain and the protected section; the second is empty if no key decrypted it."""

NEWEST = {events.ANNOUNCE: announce.SCHEMA, events.ADMIN: 1}
NEWEST |= {kind: one.schema for kind, one in RECORDS.items()}
"""The schema that is written, by kind."""

NEWEST_ADMIN = {number: one.schema for number, one in ADMIN_EVENTS.items()}
"""The schema of the JSON that is written, by number of the admin event."""


def _without_client(plain: Section, protected: Section) -> Sections:
    """Converts announces whose flags and rule had two bytes, and which named no client."""
    old = bytes(plain)
    if any(old[75::80]) or any(old[79::80]):
        raise ValueError("flags or a rule beyond one byte")
    new = bytearray(old)
    new[75::80], new[76::80], new[77::80] = old[76::80], old[77::80], old[78::80]
    new[78::80] = new[79::80] = b"\xff" * len(old[79::80])  # announce.NOT_RECORDED
    return bytes(new), protected


def _tick_without_wall(plain: Section, protected: Section) -> Sections:
    """Converts ticks that do not say what the wall clock showed."""
    if len(plain) % 32:
        raise ValueError("a tick that has not 32 bytes")
    ticks = struct.iter_unpack("32s", plain)
    return b"".join(tick + NO_WALL.to_bytes(8, "little") for (tick,) in ticks), protected


STEPS: dict[tuple[int, int], Callable[[Section, Section], Sections]] = {
    (events.ANNOUNCE, 1): _without_client,
    (Tick.kind, 1): _tick_without_wall,
}
"""By kind and schema: functions that convert both sections of a frame to the next schema."""


def _without_wall(data: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if name != "wall_us"}


ADMIN_STEPS: dict[tuple[int, int], Callable[[dict[str, Any]], dict[str, Any]]] = {
    # Schema 2 may have `wall_us`; without it the lead stays.
    (TrackerStarted.number, 1): _without_wall,
    (ClockStepped.number, 1): _without_wall,
}
"""By number and schema: functions that convert the JSON of an admin event to the next schema."""


def known(kind: int, schema: int) -> bool:
    """Tells whether this version can read frames of this kind and schema."""
    return 0 < schema <= NEWEST.get(kind, 0)


def known_admin(number: int, schema: int) -> bool:
    """Tells whether this version can read admin events of this number and schema."""
    return 0 < schema <= NEWEST_ADMIN.get(number, 0)


def newest(kind: int, schema: int, plain: Section, protected: Section) -> Sections:
    """Converts both sections of a frame from a known schema to the newest.

    Raises `CodecError`.
    """
    while schema != NEWEST[kind]:
        try:
            plain, protected = STEPS[kind, schema](plain, protected)
        except (error, ValueError, KeyError) as problem:
            raise CodecError(f"records of kind {kind} in schema {schema}: {problem!r}") from None
        schema += 1
    return plain, protected


def newest_admin(number: int, schema: int, data: dict[str, Any]) -> dict[str, Any]:
    """Converts the JSON of an admin event from a known schema to the newest.

    Raises `CodecError`.
    """
    while schema != NEWEST_ADMIN[number]:
        try:
            data = ADMIN_STEPS[number, schema](data)
        except (TypeError, ValueError, KeyError) as problem:
            raise CodecError(f"admin event {number} in schema {schema}: {problem!r}") from None
        schema += 1
    return data
