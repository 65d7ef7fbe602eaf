"""Counts for how long each account seeded each torrent in an hour, for a site's bonus points.

It replays the hour, where the follower left no file of it (`tracker/store/seeded_hours.py`). The
rules that count seeding time are those of the tracker itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracker.domain.booking import Booking
from tracker.ports import LogPart, NoMomentError
from tracker.store.replay import apply_all
from tracker.store.seeded_hours import SEEDING, HourRows, seeded, still_open
from tracker.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventlog import Frame
    from tracker.domain.state import State
    from tracker.store.moments import ForwardReplay


def between(log: ForwardReplay, from_us: int, until_us: int) -> HourRows:
    """Returns who seeded what between two dates. `log` must not have begun.

    Raises `NoMomentError` where the log does not hold all of that time yet, or any more, and what
    replaying raises.
    """
    if log.span is None or log.span.last_us < until_us:
        upto = f"the log goes up to {rfc3339(log.span.last_us)}" if log.span else "the log is empty"
        raise NoMomentError(f"the time until {rfc3339(until_us)} is not over: {upto}")
    begin, end = log.bounds(LogPart(from_us=from_us, to_us=until_us - 1))
    state, frames = log.follow(begin, end)
    lead_us = state.dates.lead_us
    found = gained(state, frames, from_us + lead_us, until_us + lead_us)
    return HourRows.of(state, found, until_us)


def gained(state: State, frames: Iterable[Frame], from_us: int, until_us: int) -> dict[bytes, int]:
    """Applies frames to a state. Returns the microseconds between two log times for which accounts
    are listed as seeders, by account and torrent (`packed.identity`).
    """
    before = still_open(state, from_us)
    state.book = book = Booking()
    apply_all(state, frames, lambda _seq: None)
    state.book = None
    counted = ((name, book.rows[at + SEEDING]) for name, at in book.numbers.items())
    return seeded(before, counted, still_open(state, until_us))
