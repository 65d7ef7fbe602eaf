"""Gives webhooks the transitions of hit and run as if they were events of the log.

The follower finds them, and the book has them for ever, each with the event that shows it. So they
come some seconds after that event, in the order of the log, and the same after every start.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from tracker.domain.derived import DERIVED_TYPES, HIT_AND_RUN
from tracker.ports import ANY_EPOCH, EventPage, Followed, TransitionPlace
from tracker.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

    from tracker.ports import EventFilter, Events, Ledgers, LogPart, PlacedTransition

_MOST_N = 2**32 - 2
_AT_ONCE = 1000  # of a dead letter


class Transitions:
    """Implements what `ports.Events` has for webhooks."""

    event_types = DERIVED_TYPES

    def __init__(self, events: Events, ledgers: Ledgers) -> None:
        self._events, self._ledgers = events, ledgers

    @property
    def end(self) -> int:
        return self._events.end

    async def follow(
        self,
        after: int | None,
        wanted: EventFilter,  # noqa: ARG002  # there is one type
    ) -> AsyncGenerator[Followed, None]:
        """Yields the transitions that events after `after` show. Of an event with very many it says
        that it was seen when the last of them is yielded.
        """
        seen = self.end - 1 if after is None else after
        begin = TransitionPlace(ANY_EPOCH, seen, _MOST_N)
        async with aclosing(self._ledgers.follow_transitions(begin)) as pages:
            async for page in pages:
                upto = page.transitions[-1].transition.seq - 1 if page.more else page.seq
                seen = max(seen, upto)
                yield Followed(list(map(_shown, page.transitions)), seen)

    async def read(
        self,
        part: LogPart,
        wanted: EventFilter,  # noqa: ARG002  # there is one type
        limit: int,  # noqa: ARG002  # a dead letter is one delivery
    ) -> EventPage:
        """Returns the transitions of the events from `part.first` to `part.last`."""
        after = TransitionPlace(ANY_EPOCH, part.first - 1, _MOST_N)
        found: list[dict[str, Any]] = []
        while True:
            page = await self._ledgers.transitions(after, _AT_ONCE)
            for each in page.transitions:
                if part.last is not None and each.transition.seq > part.last:
                    return EventPage(found, None, self.end)
                found.append(_shown(each))
            if not page.more:
                return EventPage(found, None, self.end)
            last = page.transitions[-1].transition
            after = TransitionPlace(last.epoch, last.seq, last.n)


def _shown(one: PlacedTransition) -> dict[str, Any]:
    told = one.transition
    return {
        "seq": told.seq,
        "time": rfc3339(told.time_us),
        "type": HIT_AND_RUN,
        "position": {
            "log_id": told.log_id, "epoch": told.epoch, "seq": told.seq, "n": told.n,
        },
        "account": one.account,
        "info_hash": one.info_hash.hex(),
        "state": told.state,
    }  # fmt: skip
