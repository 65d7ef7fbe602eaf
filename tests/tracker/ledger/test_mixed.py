"""Events of the log and what they show come in one order, and nothing is missed."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, ClassVar

import pytest
from attrs import define

from tracker.domain.derived import MOST_N
from tracker.ledger.mixed import Mixed, place_of
from tracker.ports import (
    Derived,
    DerivedPage,
    DerivedPlace,
    DerivedQuery,
    EventFilter,
    EventPage,
    Followed,
    LogPart,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator

LOG_ID = "ab" * 16
BOTH = EventFilter(types=frozenset({"key_issued", "completed", "hit_and_run"}))


@define
class Log:
    """Implements what `ports.Events` and `ports.Ledgers` have of both, in pages of any size."""

    dice: random.Random
    seqs: list[int]
    made: list[Derived]
    end: int
    known: DerivedPlace  # up to where it was found what events show

    event_types: ClassVar = {"key_issued": frozenset({"key_issued"})}

    async def read(self, part: LogPart, wanted: EventFilter, limit: int) -> EventPage:
        assert wanted.types == {"key_issued"}
        last = self.end - 1 if part.last is None else part.last
        found = [seq for seq in self.seqs if part.first <= seq <= last]
        number = min(limit, self.dice.randrange(1, 4))
        following = found[number - 1] + 1 if len(found) > number else None
        return EventPage([self._event(seq) for seq in found[:number]], following, self.end)

    async def follow(self, after: int, wanted: EventFilter) -> AsyncGenerator[Followed, None]:
        assert wanted.types == {"key_issued"}
        while True:
            last = min(self.end - 1, after + self.dice.randrange(0, 9))
            page = [self._event(seq) for seq in self.seqs if after < seq <= last]
            pruned = 7 if after < 3 <= last else None
            yield Followed(page, last, pruned)
            after = last
            if after == self.end - 1:
                return

    async def derived(self, after: DerivedPlace, query: DerivedQuery) -> DerivedPage:
        number = min(query.limit, self.dice.randrange(1, 4))
        found = [one for one in self.made if after < one.place <= self.known]
        if len(found) > number:
            return DerivedPage(found[:number], found[number - 1].place, True, LOG_ID)
        return DerivedPage(found, max(after, self.known), False, LOG_ID)

    async def follow_derived(
        self, after: DerivedPlace, query: DerivedQuery
    ) -> AsyncGenerator[DerivedPage, None]:
        assert query.types == {"completed", "hit_and_run"}
        while after < self.known:
            page = await self.derived(after, query)
            yield page
            after = page.reached

    def _event(self, seq: int) -> dict[str, Any]:
        return {"seq": seq, "type": "key_issued"}


def history(seed: int) -> tuple[Log, Mixed, list[DerivedPlace]]:
    """Makes a history of 40 events. Returns also the places of all that it has."""
    dice = random.Random(seed)
    seqs = [seq for seq in range(40) if dice.random() < 0.4]
    made = [
        Derived("completed", 1_000_000 + seq, 1, DerivedPlace(seq, n), 3, bytes(20), {})
        for seq in range(40)
        for n in range(dice.choice([0, 0, 0, 1, 2, 9]))
    ]
    log = Log(dice, seqs, made, 40, DerivedPlace(39, MOST_N))
    places = sorted([*(DerivedPlace(seq, -1) for seq in seqs), *(one.place for one in made)])
    both: Any = log
    return log, Mixed(both, both), places


@pytest.mark.parametrize("seed", range(20))
async def test_following(seed: int) -> None:
    """Each comes once and in order, from any place on, and nothing up to `seen` comes later."""
    _, mixed, places = history(seed)
    seen, found, gaps = -1, list[DerivedPlace](), 0
    async for each in mixed.follow(-1, BOTH):
        found += map(place_of, each.events)
        assert each.seen >= seen
        seen = each.seen
        gaps += each.pruned is not None
        assert [one for one in places if one.seq <= seen] == [
            one for one in found if one.seq <= seen
        ]
    assert (found, seen, gaps) == (places, 39, 1)
    for seq, n in random.Random(seed).sample(places, 5):
        rest = [place_of(one) async for each in mixed.follow(seq, BOTH, n) for one in each.events]
        assert rest == [one for one in places if one > (seq, n)]


@pytest.mark.parametrize("seed", range(20))
async def test_pages(seed: int) -> None:
    """A page has all that its last event shows, and ends where that is not known."""
    log, mixed, places = history(seed)
    log.known = DerivedPlace(30, MOST_N)
    found, following = list[DerivedPlace](), 4
    while True:
        page = await mixed.read(LogPart(first=following, last=35), BOTH, 5)
        found += map(place_of, page.events)
        if page.following is None:
            break
        assert page.following > following
        following = page.following
    assert page.end == 31
    assert found == [one for one in places if 4 <= one.seq <= 30]


async def test_how_they_look() -> None:
    log, mixed, _ = history(0)
    log.made = [
        Derived("hit_and_run", 1_000_000, 1, DerivedPlace(3, 0), 7, bytes(20), {"state": "liable"})
    ]
    log.seqs = []
    part = LogPart(from_us=1_000_000, to_us=1_000_000)
    assert (await mixed.read(part, BOTH, 9)).events == [{
        "seq": 3, "time": "1970-01-01T00:00:01.000000Z", "type": "hit_and_run", "account": 7,
        "position": {"log_id": LOG_ID, "epoch": 1, "seq": 3, "n": 0}, "info_hash": "00" * 20, "state": "liable",
    }]  # fmt: skip
    assert not (await mixed.read(LogPart(to_us=999_999), BOTH, 9)).events
