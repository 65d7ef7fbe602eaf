"""Gives events of the log, and what the follower made from them, in one order.

An event comes first, and then what it shows. So where both are wanted, an event waits until it is
known what it shows, which takes some seconds.
"""

from __future__ import annotations

from bisect import bisect_right
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import trio
from attrs import evolve, frozen

from tracker.domain.derived import DERIVED_TYPES, MOST_N
from tracker.ports import DerivedPlace, DerivedQuery, EventPage, Followed
from tracker.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Mapping

    from tracker.ports import (
        CountPage,
        Derived,
        DerivedPage,
        EventFilter,
        Events,
        Ledgers,
        LogPart,
        RefusedPage,
    )

AT_ONCE = 200
"""The most that are asked for at once."""
WAIT_SECONDS = 1.0
"""The longest time, in seconds, for which those that were found wait for others to go with them."""
_END = DerivedPlace(2**64, 0)  # after all others


@frozen
class _Chunk:
    """What a source has next, ascending: all that is wanted up to a place."""

    events: list[dict[str, Any]]
    reached: DerivedPlace
    pruned: int | None = None


class Mixed:
    """Implements `ports.Events` for all types."""

    def __init__(self, events: Events, ledgers: Ledgers) -> None:
        self._events, self._ledgers = events, ledgers
        derived = {name: frozenset({name}) for name in DERIVED_TYPES}
        self.event_types = {**events.event_types, **derived}

    @property
    def end(self) -> int:
        return self._events.end

    async def rates(self, seqs: Collection[int]) -> Mapping[int, tuple[int, int]]:
        """See `ports.Events`."""
        return await self._events.rates(seqs)

    async def read_last(self, part: LogPart, wanted: EventFilter, limit: int) -> EventPage:
        """See `ports.Events`."""
        return await self._events.read_last(part, wanted, limit)

    async def count(self, part: LogPart, step_us: int | None) -> CountPage:
        """See `ports.Events`."""
        return await self._events.count(part, step_us)

    async def refused(self, part: LogPart, reason: str) -> RefusedPage:
        """See `ports.Events`."""
        return await self._events.refused(part, reason)

    async def follow(
        self, after: int | None, wanted: EventFilter, n: int | None = None
    ) -> AsyncGenerator[Followed, None]:
        """See `ports.Events`."""
        logged, query = split(wanted)
        if query is None:
            async with aclosing(self._events.follow(after, wanted)) as plain:
                async for found in plain:
                    yield found
            return
        seq = self.end - 1 if after is None else after
        begin = DerivedPlace(seq, MOST_N if n is None else n)
        log_at, derived_at = begin if logged else _END, begin
        waiting, ready = list[dict[str, Any]](), list[dict[str, Any]]()
        due = trio.current_time() + WAIT_SECONDS
        async with (
            aclosing(self._logged(seq, logged or wanted)) as log,
            aclosing(self._derived(begin, query)) as derived,
        ):
            while True:
                behind = log_at <= derived_at
                chunk = await anext(log if behind else derived, None)
                if chunk is None:
                    return
                if behind:
                    log_at = chunk.reached
                else:
                    derived_at = chunk.reached
                upto = min(log_at, derived_at)
                waiting = sorted([*waiting, *chunk.events], key=place_of)
                number = bisect_right(waiting, upto, key=place_of)
                ready, waiting = [*ready, *waiting[:number]], waiting[number:]
                few = len(ready) < AT_ONCE and trio.current_time() < due
                if log_at < derived_at and few and chunk.pruned is None:
                    continue  # because more of the log is known than was read
                seen = upto.seq if upto.n == MOST_N else upto.seq - 1
                yield Followed(ready, seen, chunk.pruned)
                ready, due = [], trio.current_time() + WAIT_SECONDS

    async def _logged(self, after: int, wanted: EventFilter) -> AsyncGenerator[_Chunk, None]:
        async with aclosing(self._events.follow(after, wanted)) as found:
            async for each in found:
                yield _Chunk(each.events, DerivedPlace(each.seen, MOST_N), each.pruned)

    async def _derived(
        self, after: DerivedPlace, query: DerivedQuery
    ) -> AsyncGenerator[_Chunk, None]:
        async with aclosing(self._ledgers.follow_derived(after, query)) as pages:
            async for page in pages:
                yield _Chunk(shown(page), page.reached)

    async def read(self, part: LogPart, wanted: EventFilter, limit: int) -> EventPage:
        """See `ports.Events`. A page has all that its last event shows. It ends before the first
        event of which that is not known yet.
        """
        logged, query = split(wanted)
        if query is None:
            return await self._events.read(part, wanted, limit)
        last = self.end - 1 if part.last is None else min(part.last, self.end - 1)
        events: list[dict[str, Any]] = []
        if logged is not None:
            page = await self._events.read(part, logged, limit)
            events = page.events
            last = last if page.following is None else page.following - 1
        found, reached, more = await self._found(part, last, query, limit)
        events = [one for one in sorted([*events, *found], key=place_of) if one["seq"] <= reached]
        if reached >= last:
            following = last + 1 if last < min(self.end - 1, part.last or self.end) else None
            return EventPage(events, following, self.end)
        return EventPage(events, reached + 1 if more else None, reached + 1)

    async def _found(
        self, part: LogPart, last: int, query: DerivedQuery, limit: int
    ) -> tuple[list[dict[str, Any]], int, bool]:
        """Returns what events of a part show; up to which event that is all; and whether more is
        known.
        """
        place, found, more = DerivedPlace(part.first - 1, MOST_N), list[dict[str, Any]](), True
        while more and place.seq <= last:
            page = await self._ledgers.derived(place, query)
            found += [
                one for one, told in zip(shown(page), page.found, strict=True)
                if told.place.seq <= last and is_within(told, part)
            ]  # fmt: skip
            place, more = page.reached, page.more
            if len(found) >= limit and place.seq > part.first:
                break
        return found, place.seq if place.n == MOST_N else place.seq - 1, more


def split(wanted: EventFilter) -> tuple[EventFilter | None, DerivedQuery | None]:
    """Returns what is wanted of the log, and of what is made from it; None = nothing."""
    types = wanted.types & frozenset(DERIVED_TYPES)
    if not types:
        return wanted, None
    logged = wanted.types - types
    query = DerivedQuery(
        types=types, account=wanted.account, info_hash=wanted.info_hash, limit=AT_ONCE
    )
    return evolve(wanted, types=logged) if logged else None, query


def shown(page: DerivedPage) -> list[dict[str, Any]]:
    """Returns what a page has, as events are shown."""
    return [_shown(one, page.log_id) for one in page.found]


def place_of(event: dict[str, Any]) -> DerivedPlace:
    """Returns the place of an event, or of something that it shows, as JSON has it."""
    return DerivedPlace(event["seq"], event["position"]["n"] if "position" in event else -1)


def _shown(one: Derived, log_id: str) -> dict[str, Any]:
    seq, n = one.place
    return {
        "seq": seq,
        "time": rfc3339(one.time_us),
        "type": one.type,
        "position": {"log_id": log_id, "epoch": one.epoch, "seq": seq, "n": n},
        "account": one.account,
        "info_hash": None if one.info_hash is None else one.info_hash.hex(),
        **one.facts,
    }


def is_within(one: Derived, part: LogPart) -> bool:
    """Tells whether something that events show is in a part of the log."""
    if part.last is not None and one.place.seq > part.last:
        return False
    return (part.from_us is None or part.from_us <= one.time_us) and (
        part.to_us is None or one.time_us <= part.to_us
    )
