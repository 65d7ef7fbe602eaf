"""Answers what is asked about cases, from the timeline that the follower writes."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

from attrs import asdict

from tracker import ports
from tracker.domain.detecting.case_changes import changes
from tracker.domain.detecting.cases import Found, cases, tally
from tracker.domain.detecting.intervals import GRADES
from tracker.domain.detecting.watch import DETECTORS
from tracker.domain.events import codec
from tracker.store import case_files
from tracker.store.replay import collector_off

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tracker.domain.detecting.case_changes import Change
    from tracker.domain.detecting.cases import Case, Said


MOST_FINDINGS = 1000
"""The most findings that are shown of a case, the newest ones."""


class CaseList:
    """The cases of a log as they were written last. Blocking."""

    def __init__(self, log: Path) -> None:
        """Raises `CasesError`, where there are none, and what reading the log raises."""
        self._log = log
        with collector_off():
            self._timeline = case_files.read(log)
            self.cases = cases(self._timeline.entries)
        self._changes: list[ports.Derived] | None = None

    def go_on(self) -> None:
        """Reads what was added meanwhile. Raises `CasesError`, and what reading the log raises."""
        before = self._timeline
        if case_files.read_list(self._log) == before.listed:
            return
        self._timeline = case_files.read(self._log, before)
        entries, count = self._timeline.entries, len(before.entries)
        if entries == before.entries:
            return
        self._changes = None
        newest = max((each.seq for each in before.entries), default=-1)
        more = entries[count:]
        if entries[:count] == before.entries and all(each.seq > newest for each in more):
            self.cases = cases(more, self.cases)
        else:
            self.cases = cases(entries)

    @property
    def changes(self) -> list[ports.Derived]:
        """How they changed, in the order in which readers who follow them get it."""
        if self._changes is None:
            self._changes = list(map(_derived, changes(self._timeline.entries)))
        return self._changes

    @property
    def upto(self) -> int:
        """The first event that was not looked at."""
        return self._timeline.listed.upto

    def page(self, query: ports.CasesQuery) -> ports.CasesPage:
        chosen = list(islice(self._chosen(query), query.limit + 1))
        following = None
        if len(chosen) > query.limit:
            last = chosen[query.limit - 1]
            following = last.account, last.detector
        return ports.CasesPage(list(map(_shown, chosen[: query.limit])), following, self.upto - 1)

    def _chosen(self, query: ports.CasesQuery) -> Iterator[Case]:
        for name, case in self.cases.items():
            if (
                case.state in query.states
                and GRADES[case.grade] in query.grades
                and query.account in (None, case.account)
                and query.detector in (None, case.detector)
                and (query.after is None or name > query.after)
            ):
                yield case

    def told(self, account: int, detector: str) -> ports.CaseTold | None:
        """Returns a case with all that belongs to it; None = there is none."""
        case = self.cases.get((account, detector))
        if case is None:
            return None
        findings = list(map(_finding, case.found[-MOST_FINDINGS:]))
        return ports.CaseTold(_shown(case), findings, list(map(_change, case.said)), self.upto - 1)


def _derived(change: Change) -> ports.Derived:
    entry = change.entry
    info_hash = entry.finding.info_hash if isinstance(entry, Found) else None
    facts = {
        "detector": change.detector, "state": change.state, "grade": GRADES[change.grade] or None,
        "holder": change.holder,
    }  # fmt: skip
    place = ports.DerivedPlace(change.seq, change.n)
    return ports.Derived(
        change.type, entry.date_us, entry.epoch, place, change.account, info_hash, facts
    )


def detectors(found: CaseList | None) -> list[ports.Detector]:
    """Returns the detectors of this version, and how their cases came out."""
    made = list(found.cases.values()) if found else []
    shown = []
    for make in DETECTORS:
        detector = make()
        number = sum(1 for case in made if case.detector == detector.name and case.found)
        parameters = asdict(detector.parameters)
        shown.append(
            ports.Detector(detector.name, parameters, number, **tally(made, detector.name))
        )
    return shown


def _shown(case: Case) -> ports.Case:
    findings = [one.finding for one in case.found]
    return ports.Case(
        account=case.account, detector=case.detector, state=case.state, since_us=case.since_us,
        grade=GRADES[case.grade] or None, holder=case.holder, outcome=case.outcome,
        until_us=case.until_us, findings=len(findings),
        first_us=min((one.begin_us for one in findings), default=None),
        last_us=max((one.end_us for one in findings), default=None),
    )  # fmt: skip


def _finding(found: Found) -> ports.CaseFinding:
    one = found.finding
    return ports.CaseFinding(
        seq=found.seq, time_us=found.date_us, grade=GRADES[one.grade], info_hash=one.info_hash,
        begin_us=one.begin_us, end_us=one.end_us, amount=one.amount, unit=one.unit,
        evidence=one.evidence, facts=one.facts,
    )  # fmt: skip


def _change(said: Said) -> ports.CaseChange:
    data, by = codec.to_data(said.event), said.event.by or {}
    return ports.CaseChange(
        seq=said.seq, time_us=said.date_us, type=said.event.name, by=by.get("token"),
        reason=by.get("reason"), note=data.get("note"), outcome=data.get("outcome"),
        until_us=data.get("until_us"),
    )  # fmt: skip
