"""Finds what the follower made from events, in the order of the log."""

from __future__ import annotations

import heapq
from typing import TYPE_CHECKING

from tracker.domain import derived
from tracker.domain.hit_and_run import STATES
from tracker.ports import ANY_EPOCH, Derived, DerivedPage, DerivedPlace, TransitionPlace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracker.ports import DerivedQuery
    from tracker.store.book import Book
    from tracker.store.placed_rows import Placed

LOOKED_AT = 50_000
"""The most rows that are looked at for a page, which takes a tenth of a second."""


class Derivations:
    """What a book has. Blocking."""

    def __init__(self, book: Book) -> None:
        self._log_id = book.listed.position.log_id.hex()
        self._placed, self._milestones = book.placed, book.milestones
        self._upto = DerivedPlace(book.upto - 1, derived.MOST_N)

    def page(self, after: DerivedPlace, query: DerivedQuery) -> DerivedPage:
        """Returns what is wanted after a place."""
        found: list[Derived] = []
        number, reached = 0, after
        for number, one in enumerate(self._after(after, query), 1):
            if len(found) == query.limit or number > LOOKED_AT:
                return DerivedPage(found, reached, True, self._log_id)
            found += [one] if _fits(one, query) else []
            reached = one.place
        return DerivedPage(found, max(reached, self._upto), False, self._log_id)

    def _after(self, after: DerivedPlace, query: DerivedQuery) -> Iterator[Derived]:
        place = TransitionPlace(ANY_EPOCH, after.seq, after.n)
        sources = [map(_milestone, self._milestones.after(place))]
        if derived.HIT_AND_RUN in query.types and self._placed is not None:
            sources.append(map(_transition, self._placed.after(place)))
        return heapq.merge(*sources, key=_place)


def _place(one: Derived) -> DerivedPlace:
    return one.place


def _fits(one: Derived, query: DerivedQuery) -> bool:
    return (
        one.type in query.types
        and query.account in (None, one.account)
        and query.info_hash in (None, one.info_hash)
    )


def _milestone(row: Placed) -> Derived:
    return _made(row, derived.MILESTONES[row.state], {})


def _transition(row: Placed) -> Derived:
    return _made(row, derived.HIT_AND_RUN, {"state": STATES[row.state]})


def _made(row: Placed, what: str, facts: dict[str, object]) -> Derived:
    epoch, seq, n = row.place
    account = int.from_bytes(row.name[:4], "big")
    return Derived(what, row.date_us, epoch, DerivedPlace(seq, n), account, row.name[5:], facts)
