"""Milestones of the book are what the state shows, however its files are written and made again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from eventlog import first_seq
from tests.support import events_in, hash_of
from tests.tracker.upkeep.book.site import MEMBERS, TORRENTS, Site
from tracker.domain.derived import CASES, DERIVED_TYPES, FIRST_MILESTONE, MILESTONES
from tracker.domain.state import State
from tracker.ledger.derived import Derivations
from tracker.ports import DerivedPlace, DerivedQuery
from tracker.store import book_files, frames, snapshots
from tracker.store.book import open_newest
from tracker.store.moments import split
from tracker.upkeep import bookkeeping

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventlog import Frame

HASHES = [hash_of(number) for number in range(1, TORRENTS + 1)]


def shown(site: Site, at_once: int, **wanted: Any) -> list[tuple[Any, ...]]:
    """Returns what the book has, read by pages."""
    book = open_newest(site.log, site.keys)
    assert book is not None
    query = DerivedQuery(
        **{"types": frozenset(MILESTONES), "account": None, "info_hash": None} | wanted,
        limit=at_once,
    )
    found: list[tuple[Any, ...]] = []
    place, more, derivations = DerivedPlace(-1, 0), True, Derivations("", book, None)
    while more:
        page = derivations.page(place, query)
        found += [
            (*one.place, one.type, one.info_hash, one.account, one.time_us) for one in page.found
        ]
        place, more = page.reached, page.more
    assert place[0] == book.upto - 1
    return found


def told(site: Site) -> list[tuple[Any, ...]]:
    """Works it out from the state between two events."""
    state, found = State(), list[tuple[Any, ...]]()
    for one in _single(site.frames):
        before, snatched = _seeders(state), list(state.accounts.snatched)
        frames.apply(state, one)
        (event,) = events_in([one])
        date_us = max(1, state.time_us - one.header.lead_us)
        made: list[tuple[Any, ...]] = [
            ("completed", bytes.fromhex(event["info_hash"]), account)
            for account, number in enumerate(state.accounts.snatched)
            if number > (snatched[account] if account < len(snatched) else 0)
        ]
        for info_hash, was, now in zip(HASHES, before, _seeders(state), strict=True):
            if (was > 0) != (now > 0):
                made.append(("first_seeder" if now else "last_seeder_left", info_hash, None))
        found += [(one.header.base_seq, *each, date_us) for each in made]
    return found


def _single(found: list[Frame]) -> Iterator[Frame]:
    for frame in found:
        rest: Frame | None = frame
        while rest is not None:
            one, rest = split(rest, rest.header.base_seq + 1)
            if one is not None:
                yield one


def _seeders(state: State) -> list[int]:
    return [state.swarms.counts(each)[0] for each in HASHES]


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.faults) for seed in range(1, 20))]
)
def test_they_do_not_depend_on_the_files(
    tmp_path: Any, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over restarts, a follower that was down, and a book that is made again."""
    site = Site(tmp_path / "log")
    site.dice.seed(seed)
    for number in range(4):
        monkeypatch.setattr(book_files, "GROWTH", site.dice.choice([0, 3, 10**9]))
        monkeypatch.setattr(bookkeeping, "FULL_PART", site.dice.choice([3, 10, 10**9]))
        site.go_on(site.dice.choice([4, 9, 30]))
        if number % 2 or number == 3:
            site.follow()
    found = shown(site, 7)
    assert sorted((one[0], *one[2:4], one[5]) for one in found) == sorted(
        (one[0], *one[1:3], one[4]) for one in told(site)
    )
    assert [one for one in _without_n(found) if one[1] == "completed"] == [
        one for one in told(site) if one[1] == "completed"
    ]
    places = [one[:2] for one in found]
    assert places == sorted(set(places))
    assert min(n for _, n in places) == FIRST_MILESTONE
    assert {one[2] for one in found} >= set(MILESTONES[seed > 0 :])
    for path in (*site.files(".book"), *snapshots.found(site.log)):
        path.unlink()
    site.follow()
    assert shown(site, 1000) == found
    for account in range(1, MEMBERS + 1):
        assert shown(site, 3, account=account) == [one for one in found if one[4] == account]
    some = frozenset({"completed"})
    assert shown(site, 3, types=some, info_hash=HASHES[0]) == [
        one for one in found if one[2:4] == ("completed", HASHES[0])
    ]
    assert shown(site, 5, types=frozenset({*DERIVED_TYPES} - {*CASES})) == found


def _without_n(found: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    return [(one[0], *one[2:]) for one in found]


def test_old_ones_go_with_their_events(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A part of which the log has no event any more is removed; what is there stays the same."""
    monkeypatch.setattr(bookkeeping, "FULL_PART", 3)
    monkeypatch.setattr(book_files, "GROWTH", 0)
    site = Site(tmp_path / "log")
    for _ in range(4):
        site.go_on(20)
        site.follow()
    before = shown(site, 1000)
    site.go_on(20, pruned=True)
    site.follow()
    after, begin = shown(site, 1000), first_seq(site.log)
    assert [(one[0], one[2]) for one in after if one[0] >= begin] == [
        one[:2] for one in told(site) if one[0] >= begin
    ]
    old = [one for one in after if one[0] < begin]
    assert len(old) < 10 < len(before)
