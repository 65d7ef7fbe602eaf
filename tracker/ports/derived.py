"""The values of what is made from events and is no event of the log (docs/audit.md).

Times are dates in Unix microseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence


DERIVED_TYPES = frozenset(
    (
        "hit_and_run", "completed", "first_seeder", "last_seeder_left", "case_opened", "case_evidence",
        "case_changed",
    )
)  # fmt: skip
"""What a filter of events may name besides types of the log."""


class DerivedPlace(NamedTuple):
    """A place in the log. Places ascend with the log."""

    seq: int  # of an event
    n: int  # which of the things that it shows; -1 = the event itself


@frozen
class Derived:
    """Something that an event shows."""

    type: str  # one of `DERIVED_TYPES`
    time_us: int  # when it happened
    epoch: int
    place: DerivedPlace
    account: int
    info_hash: bytes | None
    facts: Mapping[str, object]  # further members, as JSON shows them


@frozen(kw_only=True)
class DerivedQuery:
    """Which are wanted: those that meet every condition that is given."""

    types: frozenset[str]
    account: int | None = None
    info_hash: bytes | None = None
    limit: int


@frozen
class DerivedPage:
    """Some of them, ascending."""

    found: Sequence[Derived]
    reached: DerivedPlace  # all that are wanted up to here were found
    more: bool  # whether anything after it is known
    log_id: str
