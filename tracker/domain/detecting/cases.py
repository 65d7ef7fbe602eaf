"""Makes cases of what detectors found and what staff said about it.

There is one case for each account and detector. Findings and events of staff are entered in the
order of the log, so that the same log gives the same cases.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from tracker.domain.events.admin import CaseClosed, CaseTaken, CaseWaiting

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tracker.domain.detecting.intervals import Finding
    from tracker.domain.events.admin import CaseEvent

OPEN, TAKEN, WAITING = "open", "taken", "waiting"
CONFIRMED, HARMLESS, MISTAKEN = OUTCOMES = ("confirmed", "harmless", "mistaken")
STATES = (OPEN, TAKEN, WAITING, *OUTCOMES)
"""The states of a case; the outcomes are those of a closed one."""


class Found(NamedTuple):
    """A finding, and the event that showed it."""

    seq: int
    date_us: int
    finding: Finding  # its times are dates
    epoch: int = 0  # of the event; 0 = an earlier version did not note it
    first: int = 0  # the first event that was not looked at when it was found: see `late`

    @property
    def late(self) -> bool:
        """Tells whether it was found after later events had been looked at, as another version of
        the detectors does. Then readers get it with event `first`.
        """
        return self.seq < self.first

    @property
    def placed(self) -> int:
        return max(self.seq, self.first)


class Said(NamedTuple):
    """What staff said about a case."""

    seq: int
    date_us: int
    event: CaseEvent
    epoch: int = 0  # as in `Found`
    first: int = 0

    @property
    def late(self) -> bool:
        return self.seq < self.first

    @property
    def placed(self) -> int:
        return max(self.seq, self.first)


class Case:
    """What one detector found about one account, and what became of it."""

    __slots__ = (
        "account", "detector", "found", "grade", "holder", "outcome", "said", "since_us", "state",
        "until_us",
    )  # fmt: skip

    def __init__(self, account: int, detector: str) -> None:
        self.account, self.detector = account, detector
        self.state = OPEN
        self.since_us = 0  # date since when it is in that state
        self.holder: str | None = None  # label of the token of who took it; None = nobody has
        self.outcome: str | None = None  # with which it was closed last
        self.until_us: int | None = None  # of the last closing, see `CaseClosed`
        self.grade = 0  # the highest of what was found
        self.found: list[Found] = []
        self.said: list[Said] = []

    def enter(self, entry: Found | Said) -> None:
        """Enters what was found or said next."""
        if isinstance(entry, Found):
            self.found.append(entry)
            self.grade = max(self.grade, entry.finding.grade)
            if self.state in OUTCOMES and not self._foreseen(entry):
                self._to(OPEN, entry.date_us)
            self.since_us = self.since_us or entry.date_us
        else:
            self.said.append(entry)
            self._obey(entry)

    def _foreseen(self, found: Found) -> bool:
        return self.until_us is not None and found.date_us < self.until_us

    def _obey(self, said: Said) -> None:
        event = said.event
        if isinstance(event, CaseTaken):
            self.holder = (event.by or {}).get("token")
            self._to(TAKEN, said.date_us)
        elif isinstance(event, CaseWaiting):
            self._to(WAITING, said.date_us)
        elif isinstance(event, CaseClosed):
            self.outcome, self.until_us = event.outcome, event.until_us
            self._to(event.outcome, said.date_us)
            # What was found meanwhile was not known to whoever closed it.
            if any(each.seq > event.upto and not self._foreseen(each) for each in self.found):
                self._to(OPEN, said.date_us)

    def _to(self, state: str, date_us: int) -> None:
        if state == OPEN:
            self.holder = None
        self.state, self.since_us = state, date_us


def cases(
    entries: Iterable[Found | Said], made: Mapping[tuple[int, str], Case] | None = None
) -> dict[tuple[int, str], Case]:
    """Makes the cases of all that was found and said, by account and detector.

    `made`: those of all entries before these, which are changed.
    """
    made = dict(made or {})
    for entry in sorted(entries, key=lambda each: each.seq):
        about = entry.finding if isinstance(entry, Found) else entry.event
        name = about.account, about.detector
        if name not in made:
            made[name] = Case(*name)
        made[name].enter(entry)
    return dict(sorted(made.items()))


def tally(made: Iterable[Case], detector: str) -> dict[str, int]:
    """Counts a detector's cases by the outcome of their last closing."""
    outcomes = [case.outcome for case in made if case.detector == detector]
    return {each: outcomes.count(each) for each in OUTCOMES}
