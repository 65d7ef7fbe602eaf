"""Tests what webhooks get of hit and run."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from attrs import evolve

from tracker.ports import (
    EventFilter,
    LogPart,
    PlacedTransition,
    Transition,
    TransitionPlace,
    TransitionsPage,
)
from tracker.webhooks.transitions import Transitions

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

PLACES = [(1, 3, 0), (1, 5, 0), (1, 5, 1), (2, 5, 2), (2, 8, 0)]
LOG_ID = "ab" * 16
ALL = EventFilter()


class Book:
    """Implements what `ports.Ledgers` has of transitions: pages of two, up to event 9."""

    async def transitions(self, after: TransitionPlace, limit: int) -> TransitionsPage:
        found = [
            PlacedTransition(7, bytes(20), Transition("liable", 1_000_000, LOG_ID, *place))
            for place in PLACES
            if place[1:] > after[1:]
        ]
        more = len(found) > min(limit, 2)
        return TransitionsPage(found[: min(limit, 2)], more, TransitionPlace(2, 8, 0), LOG_ID, 9)

    async def follow_transitions(
        self, after: TransitionPlace
    ) -> AsyncGenerator[TransitionsPage, None]:
        more = True
        while more:
            page = await self.transitions(after, 200)
            yield page
            last, more = page.transitions[-1].transition, page.more
            after = TransitionPlace(last.epoch, last.seq, last.n)
        yield evolve(page, transitions=[])


def told() -> Transitions:
    book: Any = Book()
    events: Any = SimpleNamespace(end=12)
    return Transitions(events, book)


async def test_following() -> None:
    """An event is done when its last transition was given, so that a crash loses none."""
    found = [(each.seen, each.events) async for each in told().follow(2, ALL)]
    assert [seen for seen, _ in found] == [4, 4, 9, 9]
    events = [event for _, some in found for event in some]
    assert [
        (one["position"]["epoch"], one["seq"], one["position"]["n"]) for one in events
    ] == PLACES
    assert events[0] == {
        "seq": 3, "time": "1970-01-01T00:00:01.000000Z", "type": "hit_and_run", "account": 7,
        "position": {"log_id": LOG_ID, "epoch": 1, "seq": 3, "n": 0}, "info_hash": "00" * 20, "state": "liable",
    }  # fmt: skip


async def test_a_dead_letter() -> None:
    """All transitions of its events are read again."""
    page = await told().read(LogPart(first=4, last=5), ALL, 200)
    assert [one["position"]["n"] for one in page.events] == [0, 1, 2]
    page = await told().read(LogPart(first=6, last=100), ALL, 200)
    assert [one["seq"] for one in page.events] == [8]
