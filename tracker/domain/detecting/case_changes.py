"""Tells how cases change, in the order in which it becomes known, for readers who follow them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tracker.domain.derived import (
    CASE_CHANGED,
    CASE_EVIDENCE,
    CASE_OPENED,
    FIRST_CASE,
    FIRST_LATE,
    MOST_N,
)
from tracker.domain.detecting.cases import Case, Found, Said
from tracker.domain.detecting.intervals import CASE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class Change(NamedTuple):
    """How an entry changed a case."""

    type: str  # one of `derived.CASES`
    seq: int  # where readers get it: the event that shows it, or where it was found late
    n: int
    entry: Found | Said
    account: int
    detector: str
    state: str  # of the case from then on
    grade: int
    holder: str | None


def changes(entries: Iterable[Found | Said]) -> Iterator[Change]:
    """Yields the changes that entries make, ascending. Leads are put before nobody, so they are
    none.
    """
    cases: dict[tuple[int, str], Case] = {}
    last, n = (-1, False), 0
    for entry in sorted(entries, key=_place):
        about = entry.finding if isinstance(entry, Found) else entry.event
        name = about.account, about.detector
        before = cases.get(name) or Case(*name)
        state, grade = before.state, before.grade
        case = cases[name] = _with(before, entry)
        if _place(entry) != last:
            last, n = _place(entry), FIRST_LATE if entry.late else FIRST_CASE
        for what in _made(entry, case, state, grade):
            shown = entry.placed, min(n, MOST_N), entry
            yield Change(what, *shown, *name, case.state, case.grade, case.holder)
            n += 1


def _place(entry: Found | Said) -> tuple[int, bool]:
    return entry.placed, entry.late


def _with(case: Case, entry: Found | Said) -> Case:
    """Returns a case with one more entry. One that was found late counts where it belongs."""
    known: list[Found | Said] = [*case.found, *case.said]
    newest = max((each.seq for each in known), default=0)
    if newest <= entry.seq:
        case.enter(entry)
        return case
    again = Case(case.account, case.detector)
    for each in sorted([*known, entry], key=lambda one: one.seq):
        again.enter(each)
    return again


def _made(entry: Found | Said, case: Case, state: str, grade: int) -> Iterator[str]:
    """Yields the types of changes. `state` and `grade`: those of the case before."""
    if isinstance(entry, Found):
        if case.grade < CASE:
            return
        yield CASE_OPENED if grade < CASE else CASE_EVIDENCE
    if case.state != state:
        yield CASE_CHANGED
