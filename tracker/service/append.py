"""Appends an event to the log and applies it to the state, with no await between."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from attrs import evolve

from tracker.domain import events
from tracker.domain.events import codec, schemas
from tracker.domain.events.records import Tick
from tracker.domain.events.registry import ClockEvent

if TYPE_CHECKING:
    from eventlog import Pool
    from tracker.domain.events.registry import AdminEvent, FixedRecord
    from tracker.domain.state import State


class Log(Protocol):
    """The side of an event log that appends; `eventlog.EventLog` is one."""

    pool: Pool

    def has_room(self, *, reserved: bool = False) -> bool:
        """Tells whether another event may be appended.

        `reserved` counts the room that is kept for administrators as well.
        """

    def appended(self) -> None:
        """Lets the log commit what was appended."""

    async def wait_durable(self, seq: int) -> None:
        """Returns once the event is on stable storage. Raises `LogFailedError`."""


class Clock(Protocol):
    """Log time, in microseconds since 1970; it never goes back."""

    def now_us(self) -> int: ...

    def wall_us(self) -> int: ...

    def earlier_us(self) -> int: ...

    def adjust(self) -> int: ...


def append_admin(
    log: Log, state: State, clock: Clock, event: AdminEvent, now: int | None = None
) -> int:
    """Appends and applies an admin event, and lets the log commit it.

    `now`: log time that the clock showed just before; None = as it is now. Adds the wall clock to
    an event that says it. Returns the event's sequence number.
    """
    now = clock.now_us() if now is None else now
    if isinstance(event, ClockEvent):
        event = evolve(event, wall_us=clock.wall_us())
        log.pool.lead_us = state.dates.after(now, event.wall_us)
    body = codec.encode_event(event, now)
    schema = schemas.NEWEST[events.ADMIN]
    seq = log.pool.append(events.ADMIN, schema, now, body, lasting=event.stays())
    state.apply_admin(event, now)
    log.appended()
    return seq


def append_record(log: Log, state: State, record: FixedRecord) -> None:
    """Appends and applies a record of fixed size.

    The caller calls `log.appended` after the last record.
    """
    if isinstance(record, Tick):
        log.pool.lead_us = state.dates.after(record.time_us, record.wall_us)
    log.pool.append(record.kind, record.schema, record.time_us, record.pack())
    state.apply_record(record)
