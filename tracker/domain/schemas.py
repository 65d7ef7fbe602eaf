"""Schemas: which one of each kind is written, and how records of an older one are read.

A layout is never changed: a kind that needs another gets the next schema, and here a step that makes records of the old
schema into records of the new one. All reading goes through these steps, so that only the newest schema has code anywhere
else. The same holds for the JSON of admin events, by type.
"""

from __future__ import annotations

from struct import error
from typing import TYPE_CHECKING, Any

from tracker.domain import events

if TYPE_CHECKING:
    from collections.abc import Callable

Section = bytes | memoryview
Sections = tuple[Section, Section]
"""Plain and protected; protected is empty where it could not be decrypted."""

NEWEST = {
    events.ANNOUNCE: 1,
    events.ADMIN: 1,
    events.TICK: 1,
    events.COUNTERS: 1,
    events.EVICTIONS: 1,
    events.REFUSALS: 1,
}
"""The schema that is written, by kind."""

NEWEST_ADMIN = dict.fromkeys(events.ADMIN_NAMES, 1)
"""The schema of the JSON that is written, by type of admin event."""

STEPS: dict[tuple[int, int], Callable[[Section, Section], Sections]] = {}
"""By kind and schema: both sections of a frame, as of the next schema."""

ADMIN_STEPS: dict[tuple[int, int], Callable[[dict[str, Any]], dict[str, Any]]] = {}
"""By type and schema: what an admin event says, as of the next schema."""


class CodecError(ValueError):
    """A record does not read as its kind and schema say."""


class UnknownEventError(CodecError):
    """Of a kind, type or schema that this version does not know: a newer one wrote it."""


def known(kind: int, schema: int) -> bool:
    """Whether frames of this kind and schema can be read."""
    return 0 < schema <= NEWEST.get(kind, 0)


def known_admin(kind: int, schema: int) -> bool:
    """Whether admin events of this type and schema can be."""
    return 0 < schema <= NEWEST_ADMIN.get(kind, 0)


def newest(kind: int, schema: int, plain: Section, protected: Section) -> Sections:
    """Both sections of a frame of a known schema as of the newest one. Raises `CodecError`."""
    while schema != NEWEST[kind]:
        try:
            plain, protected = STEPS[kind, schema](plain, protected)
        except (error, ValueError, KeyError) as problem:
            raise CodecError(f"records of kind {kind} in schema {schema}: {problem!r}") from None
        schema += 1
    return plain, protected


def newest_admin(kind: int, schema: int, data: dict[str, Any]) -> dict[str, Any]:
    """What an admin event of a known schema says, as of the newest one. Raises `CodecError`."""
    while schema != NEWEST_ADMIN[kind]:
        try:
            data = ADMIN_STEPS[kind, schema](data)
        except (TypeError, ValueError, KeyError) as problem:
            raise CodecError(f"admin event {kind} in schema {schema}: {problem!r}") from None
        schema += 1
    return data
