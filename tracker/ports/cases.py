"""The values of cases: what a detector found about an account, and what staff says about it.

Times are dates in Unix microseconds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

CASE_OUTCOMES = ("confirmed", "harmless", "mistaken")
"""The states of a closed case."""
CASE_STATES = ("open", "taken", "waiting", *CASE_OUTCOMES)
CASE_GRADES = ("lead", "case", "proof")


@frozen
class CaseClosing:
    """How a case is closed."""

    outcome: str  # one of `CASE_OUTCOMES`
    upto: int  # whoever closes it knows what was found up to this event
    until_us: int | None = None  # what is found before that date does not open it again


@frozen(kw_only=True)
class Case:
    """What one detector found about one account."""

    account: int
    detector: str
    state: str
    since_us: int  # since when it is in that state
    grade: str | None  # the highest of its findings; None = there are none any more
    holder: str | None  # label of the token of who took it
    outcome: str | None  # with which it was closed last
    until_us: int | None  # of the last closing
    findings: int
    first_us: int | None  # when what was found began
    last_us: int | None  # when it ended


@frozen(kw_only=True)
class CaseFinding:
    """Evidence of a case."""

    seq: int  # the event that showed it
    time_us: int
    grade: str
    info_hash: bytes | None
    begin_us: int
    end_us: int
    amount: int
    unit: str
    evidence: Sequence[int]  # seqs of announces
    facts: Mapping[str, int]


@frozen(kw_only=True)
class CaseChange:
    """What staff said about a case."""

    seq: int
    time_us: int
    type: str  # name of the event
    by: str | None  # label of the token
    reason: str | None
    note: str | None
    outcome: str | None
    until_us: int | None


@frozen
class CaseTold:
    """A case with all that belongs to it, in the order of the log."""

    case: Case
    findings: Sequence[CaseFinding]
    history: Sequence[CaseChange]
    seq: int  # up to this event


@frozen(kw_only=True)
class CasesQuery:
    """Which cases are wanted, by account and detector, ascending."""

    states: Sequence[str] = CASE_STATES
    grades: Sequence[str] = CASE_GRADES
    account: int | None = None
    detector: str | None = None
    after: tuple[int, str] | None = None  # the last one of the page before
    limit: int


@frozen
class CasesPage:
    cases: Sequence[Case]
    following: tuple[int, str] | None  # the `after` of the next page; None = there is none
    seq: int  # up to this event; -1 = nobody looks for cases


@frozen
class Detector:
    """A detector, and how its closed cases came out."""

    name: str
    parameters: Mapping[str, int | Sequence[str]]
    cases: int  # that have a finding
    confirmed: int
    harmless: int
    mistaken: int
