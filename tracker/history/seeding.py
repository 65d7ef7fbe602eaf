"""Counts for how long each account seeded each torrent in an hour, for a site's bonus points.

It replays the hour: the rules that count seeding time are those of the tracker itself.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tracker.domain.booking import Booking
from tracker.ports import LogPart, NoMomentError, SeedingRow
from tracker.store.replay import apply_all
from tracker.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterable

    from eventlog import Frame
    from tracker.domain.state import State
    from tracker.store.moments import ForwardReplay

_SEEDING = 4  # word of a row of `Booking`


def between(log: ForwardReplay, from_us: int, until_us: int) -> list[SeedingRow]:
    """Returns who seeded what between two dates, by account and torrent. `log` must not have begun.

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
    return [_row(state, *name, time_us, until_us) for name, time_us in sorted(found.items())]


def gained(
    state: State, frames: Iterable[Frame], from_us: int, until_us: int
) -> dict[tuple[int, bytes], int]:
    """Applies frames to a state. Returns the microseconds between two log times for which accounts
    are listed as seeders, by account and torrent.
    """
    before = _open(state, from_us)
    state.book = book = Booking()
    apply_all(state, frames, lambda _seq: None)
    state.book = None
    found = _open(state, max(until_us, state.time_us))
    for account, info_hash, words in book.gains():
        name = account, info_hash
        found[name] = found.get(name, 0) + words[_SEEDING]
    for name, time_us in before.items():
        found[name] = found.get(name, 0) - time_us
    return {name: time_us for name, time_us in found.items() if time_us > 0}


def _open(state: State, time_us: int) -> dict[tuple[int, bytes], int]:
    """Returns the time that is not counted yet, because it goes on."""
    time_us = max(time_us, state.time_us)
    return {
        (account, info_hash): seeding_us
        for account in range(1, len(state.accounts.uploaded))
        for info_hash, seeding_us, _ in state.seeding.open(account, time_us)
    }


def _row(state: State, account: int, info_hash: bytes, time_us: int, until_us: int) -> SeedingRow:
    facts = json.loads(state.facts.get(info_hash) or "{}")
    size = facts.get("size") or state.swarms.least_size(info_hash) or None
    added_us = facts.get("added_us")
    age_us = None if added_us is None else max(0, until_us - added_us)
    seeders = state.swarms.counts(info_hash)[0]
    return SeedingRow(account, info_hash, time_us, seeders, size, age_us)
