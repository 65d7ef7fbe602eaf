"""Finds what the follower made from events, in the order of the log."""

from __future__ import annotations

import heapq
from bisect import bisect_right
from itertools import islice
from typing import TYPE_CHECKING

from tracker.domain import derived
from tracker.domain.hit_and_run import STATES
from tracker.ports import ANY_EPOCH, Derived, DerivedPage, DerivedPlace, TransitionPlace

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracker.ledger.cases import CaseList
    from tracker.ports import DerivedQuery
    from tracker.store.book import Book
    from tracker.store.placed_rows import Placed

_MILESTONES, _OF_CASES = frozenset(derived.MILESTONES), frozenset(derived.CASES)
LOOKED_AT = 50_000
"""The most rows that are looked at for a page, which takes a tenth of a second."""


class Derivations:
    """What a book and the cases have. Blocking."""

    def __init__(self, log_id: str, book: Book | None, cases: CaseList | None) -> None:
        """None = there is none now: nothing more is known of what it has."""
        self._log_id, self._book, self._cases = log_id, book, cases

    def page(self, after: DerivedPlace, query: DerivedQuery) -> DerivedPage:
        """Returns what is wanted after a place."""
        found: list[Derived] = []
        upto, reached = max(after, self._upto(query)), after
        for number, one in enumerate(self._after(after, query)):
            if one.place > upto:
                break
            if len(found) == query.limit or number == LOOKED_AT:
                return DerivedPage(found, reached, True, self._log_id)
            found += [one] if _fits(one, query) else []
            reached = one.place
        return DerivedPage(found, upto, False, self._log_id)

    def _upto(self, query: DerivedQuery) -> DerivedPlace:
        """Returns up to where all is known that is wanted."""
        ends = []
        if not query.types or query.types - _OF_CASES:
            ends.append(self._book.upto if self._book else 0)
        if query.types & _OF_CASES:
            ends.append(self._cases.upto if self._cases else 0)
        return DerivedPlace(min(ends) - 1, derived.MOST_N)

    def _after(self, after: DerivedPlace, query: DerivedQuery) -> Iterator[Derived]:
        place, book = TransitionPlace(ANY_EPOCH, after.seq, after.n), self._book
        about = query.account, query.info_hash
        sources: list[Iterator[Derived]] = []
        if book is not None and query.types & _MILESTONES:
            sources.append(map(_milestone, book.milestones.after(place, *about)))
        if book is not None and book.placed is not None and derived.HIT_AND_RUN in query.types:
            sources.append(map(_transition, book.placed.after(place, *about)))
        if self._cases is not None and query.types & _OF_CASES:
            made = self._cases.changes
            sources.append(islice(made, bisect_right(made, after, key=_place), None))
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
