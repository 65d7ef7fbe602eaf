"""Readers who follow cases get each change once, in an order that later findings do not disturb."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tests.tracker.domain.detecting.test_cases import ANNA, NAME, closed, found, said
from tracker.domain.derived import FIRST_CASE, FIRST_LATE
from tracker.domain.detecting.case_changes import changes
from tracker.domain.detecting.cases import CONFIRMED, HARMLESS, OUTCOMES, cases
from tracker.domain.detecting.intervals import CASE, LEAD
from tracker.domain.events.admin import CaseNoted, CaseTaken

if TYPE_CHECKING:
    from tracker.domain.detecting.cases import Found, Said


def test_what_changes() -> None:
    entries = [
        found(1, LEAD), found(2), found(3, LEAD), said(4, CaseTaken(*NAME, by=ANNA)),
        said(5, CaseNoted(*NAME, "asked her")), said(6, closed(CONFIRMED)), found(7),
        found(8, LEAD, account=2),
    ]  # fmt: skip
    made = [
        (one.seq, one.n - FIRST_CASE, one.type, one.state, one.holder) for one in changes(entries)
    ]
    assert made == [
        (2, 0, "case_opened", "open", None),
        (3, 0, "case_evidence", "open", None),
        (4, 0, "case_changed", "taken", "anna"),
        (6, 0, "case_changed", "confirmed", "anna"),
        (7, 0, "case_evidence", "open", None),
        (7, 1, "case_changed", "open", None),
    ]  # fmt: skip


def test_what_is_found_late() -> None:
    """It is given where it was found, and what staff knew and closed meanwhile stays closed."""
    late = found(1)._replace(first=9)
    made = list(changes([found(3), said(4, closed(HARMLESS)), late, found(9, account=2)]))
    assert [(one.seq, one.n, one.type, one.state) for one in made[2:]] == [
        (9, FIRST_CASE, "case_opened", "open"), (9, FIRST_LATE, "case_evidence", HARMLESS)
    ]  # fmt: skip


@pytest.mark.parametrize("seed", range(30))
def test_nothing_comes_before_what_was_given(seed: int) -> None:
    """However much is found late; and the last state of each case is that of the list."""
    dice = random.Random(seed)
    entries: list[Found | Said] = []
    upto, given = 0, list(changes(()))
    for _ in range(6):
        more: list[Found | Said] = []
        until = upto + dice.randrange(1, 9)
        for _ in range(dice.randrange(5)):
            seq = dice.choice([dice.randrange(upto, until), dice.randrange(until)])
            one = found(seq, dice.choice([LEAD, CASE, CASE]), account=dice.choice([1, 1, 2]))
            more.append(one._replace(first=upto if seq < upto else 0))
        if dice.random() < 0.7:
            more.append(said(until - 1, closed(dice.choice(OUTCOMES), upto=dice.randrange(until))))
        more.sort(key=lambda one: one.seq)
        entries += more
        upto = until
        now = list(changes(entries))
        assert now[: len(given)] == given
        assert all(one.seq < upto for one in now)
        places = [(one.seq, one.n) for one in now]
        assert places == sorted(set(places))
        given = now
    for name, case in cases(entries).items():
        mine = [one for one in given if (one.account, one.detector) == name]
        if case.grade >= CASE:
            assert mine[-1].state == case.state
