"""A case has one state, which findings and staff change as the table says."""

from __future__ import annotations

import pytest

from tracker.domain.detecting.cases import (
    CONFIRMED,
    HARMLESS,
    MISTAKEN,
    OPEN,
    OUTCOMES,
    TAKEN,
    WAITING,
    Found,
    Said,
    cases,
    tally,
)
from tracker.domain.detecting.intervals import CASE, LEAD, Finding
from tracker.domain.events.admin import CaseClosed, CaseEvent, CaseNoted, CaseTaken, CaseWaiting

ANNA = {"token": "anna"}
NAME = 1, "impossible_rate"


def found(seq: int, grade: int = CASE, account: int = 1) -> Found:
    finding = Finding(NAME[1], grade, account, None, seq, seq, 7, "bytes", (seq,), {})
    return Found(seq, seq, finding)


def said(seq: int, event: CaseEvent) -> Said:
    return Said(seq, seq, event)


def closed(outcome: str, upto: int = 99, until_us: int | None = None) -> CaseEvent:
    return CaseClosed(*NAME, outcome, upto, until_us)


DOES = {
    "found": found(50),
    "take": said(50, CaseTaken(*NAME, by=ANNA)),
    "wait": said(50, CaseWaiting(*NAME)),
    "note": said(50, CaseNoted(*NAME, "asked her")),
    **{each: said(50, closed(each)) for each in OUTCOMES},
}
BEFORE = {
    OPEN: None, TAKEN: CaseTaken(*NAME, by=ANNA), WAITING: CaseWaiting(*NAME),
    **{each: closed(each) for each in OUTCOMES},
    "foreseen": closed(HARMLESS, until_us=51), "over": closed(HARMLESS, until_us=50),
}  # fmt: skip
TABLE = """
            found      take   wait     note       confirmed  harmless  mistaken
open        open       taken  waiting  open       confirmed  harmless  mistaken
taken       taken      taken  waiting  taken      confirmed  harmless  mistaken
waiting     waiting    taken  waiting  waiting    confirmed  harmless  mistaken
confirmed   open       taken  waiting  confirmed  confirmed  harmless  mistaken
harmless    open       taken  waiting  harmless   confirmed  harmless  mistaken
mistaken    open       taken  waiting  mistaken   confirmed  harmless  mistaken
foreseen    harmless   taken  waiting  harmless   confirmed  harmless  mistaken
over        open       taken  waiting  harmless   confirmed  harmless  mistaken
"""
HEAD, *ROWS = [line.split() for line in TABLE.strip().splitlines()]


@pytest.mark.parametrize(
    ("before", "what", "after"),
    [(row[0], what, after) for row in ROWS for what, after in zip(HEAD, row[1:], strict=True)],
)
def test_states(before: str, what: str, after: str) -> None:
    event = BEFORE[before]
    entries = [found(1), *([said(2, event)] if event else []), DOES[what]]
    case = cases(reversed(entries))[NAME]
    assert case.state == after
    changed = what != "note" and what != before and not (what == "found" and after == before)
    if changed and before != "foreseen":
        assert case.since_us == 50


def test_one_case_for_each_account_and_detector() -> None:
    """It takes in what is found later, and has the highest grade of all that was found."""
    made = cases([found(1, LEAD), found(2, CASE), found(3, LEAD), found(4, LEAD, account=2)])
    assert [(*name, len(one.found), one.grade) for name, one in made.items()] == [
        (*NAME, 3, CASE),
        (2, NAME[1], 1, LEAD),
    ]


def test_who_has_it() -> None:
    """Whoever took it, also while the member is asked, until it is open again."""
    entries: list[Found | Said] = [found(1), said(2, CaseTaken(*NAME, by=ANNA))]
    assert cases(entries)[NAME].holder == "anna"
    entries += [said(3, CaseWaiting(*NAME)), said(4, closed(CONFIRMED))]
    assert cases(entries)[NAME].holder == "anna"
    assert cases([*entries, found(5)])[NAME].holder is None


def test_what_was_not_known_at_the_closing_opens_it() -> None:
    """Because it was found between the look and the closing."""
    for upto, state in ((4, MISTAKEN), (3, OPEN)):
        case = cases([found(1), found(4), said(5, closed(MISTAKEN, upto))])[NAME]
        assert (case.state, case.outcome) == (state, MISTAKEN)


def test_a_detector_is_known_by_its_closings() -> None:
    """Each case counts once, by its last one, also while it is open again."""
    entries = [
        found(1), said(2, closed(MISTAKEN)), said(3, closed(CONFIRMED)), found(4),
        found(5, account=2),
    ]  # fmt: skip
    made = cases(entries).values()
    assert tally(made, NAME[1]) == {"confirmed": 1, "harmless": 0, "mistaken": 0}
    assert sum(tally(made, "another").values()) == 0
