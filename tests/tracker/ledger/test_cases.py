"""The list of cases is read page by page, and each case with all that belongs to it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from eventlog import Reader
from tests.support import START_US, hash_of
from tests.tracker.upkeep.book.site import Site
from tracker.domain.detecting.cases import Found, Said
from tracker.domain.detecting.intervals import CASE, LEAD, Finding
from tracker.domain.events import DAY_US
from tracker.domain.events.admin import CaseClosed, CaseNoted, CaseTaken
from tracker.ledger.cases import CaseList
from tracker.ledger.worker import LedgerWorker
from tracker.ports import CASE_GRADES, CasesPage, CasesQuery
from tracker.store import case_files

if TYPE_CHECKING:
    from pathlib import Path

RATE, OTHER = "impossible_rate", "another"


def found(seq: int, account: int, detector: str = RATE, grade: int = CASE) -> Found:
    finding = Finding(
        detector,
        grade,
        account,
        hash_of(1),
        10 * seq,
        10 * seq + 5,
        7,
        "bytes",
        (1, seq),
        {"up": 7},
    )
    return Found(seq, 10 * seq + 6, finding)


ENTRIES: list[Found | Said] = [
    found(1, 1), found(2, 1, OTHER, LEAD), found(3, 2), found(4, 3),
    Said(5, 5, CaseTaken(2, RATE, by={"token": "ops", "reason": "mine"})),
    Said(6, 6, CaseClosed(3, RATE, "mistaken", 5)),
    Said(7, 7, CaseNoted(9, RATE, "nothing was found")),
]  # fmt: skip


@pytest.fixture
def log(tmp_path: Path) -> Path:
    site = Site(tmp_path / "log")
    site.keys.prepare(START_US // DAY_US)
    site.go_on(2)
    last = [frame.header for frame in Reader(site.log, to_end=True).frames()][-1]
    writer = case_files.Writer.open(site.log, None)
    writer.write(ENTRIES[:4], last.base_seq, last.chain)
    writer.write(ENTRIES[4:], last.next_seq, last.chain)
    return site.log


def names(page: CasesPage) -> list[tuple[int, str]]:
    return [(one.account, one.detector) for one in page.cases]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({}, [(1, OTHER), (1, RATE), (2, RATE), (3, RATE)]),
        ({"states": ("open", "mistaken")}, [(1, OTHER), (1, RATE), (3, RATE)]),
        ({"grades": CASE_GRADES[1:]}, [(1, RATE), (2, RATE), (3, RATE)]),
        ({"account": 1}, [(1, OTHER), (1, RATE)]),
        ({"detector": OTHER}, [(1, OTHER)]),
    ],
)
def test_what_is_listed(log: Path, query: dict[str, object], expected: object) -> None:
    """Cases without a finding are not."""
    found = CaseList(log)
    assert names(found.page(CasesQuery(limit=9, **query))) == expected  # type: ignore[arg-type]  # any of its members
    pages, after = [], None
    while not pages or after:
        page = found.page(CasesQuery(limit=1, after=after, **query))  # type: ignore[arg-type]  # likewise
        pages, after = pages + names(page), page.following
    assert pages == expected


def test_one_case(log: Path) -> None:
    told = CaseList(log).told(2, RATE)
    assert told is not None
    case, (finding,), (change,) = told.case, told.findings, told.history
    assert (case.state, case.holder, case.first_us, case.last_us) == ("taken", "ops", 30, 35)
    assert (finding.info_hash, finding.evidence, finding.facts) == (hash_of(1), (1, 3), {"up": 7})
    assert (change.type, change.by, change.reason) == ("case_taken", "ops", "mine")
    noted = CaseList(log).told(9, RATE)
    assert noted is not None
    assert (noted.case.grade, noted.case.findings, noted.history[0].note) == (
        None, 0, "nothing was found",
    )  # fmt: skip
    assert CaseList(log).told(8, RATE) is None


def test_reading_on(log: Path) -> None:
    """A list that goes on is equal to one that is read anew: nothing new, new entries, a late one,
    and a timeline that was made anew.
    """
    kept = CaseList(log)
    last = [frame.header for frame in Reader(log, to_end=True).frames()][-1]
    writer = case_files.Writer.open(log, case_files.read_list(log))
    closed = Said(8, 8, CaseClosed(1, RATE, "confirmed", 5))
    for entries in ([], [found(7, 7), closed], [found(5, 1, OTHER)], [], None, [found(9, 9)]):
        if entries is None:
            writer, entries = case_files.Writer.open(log, None), [found(4, 4), found(3, 3)]
        writer.write(entries, last.next_seq, last.chain)
        kept.go_on()
        anew = CaseList(log)
        assert kept.page(CasesQuery(limit=99)) == anew.page(CasesQuery(limit=99))
        assert [kept.told(*name) for name in kept.cases] == [
            anew.told(*name) for name in anew.cases
        ]
        assert kept.changes == anew.changes


def test_the_worker_answers_also_without_cases(log: Path) -> None:
    worker = LedgerWorker(log, None)
    counted = {one.name: one for one in worker.detectors()}[RATE]
    assert (counted.cases, counted.mistaken, counted.confirmed) == (3, 1, 0)
    assert counted.parameters["least_seconds"] == 300
    assert worker.case(1, OTHER) is not None
    assert worker.cases(CasesQuery(limit=9)) == CaseList(log).page(CasesQuery(limit=9))
    last = [frame.header for frame in Reader(log, to_end=True).frames()][-1]
    listed = case_files.read_list(log)
    more = case_files.Writer.open(log, listed)
    more.write([found(8, 7)], last.next_seq, last.chain)
    assert worker.case(7, RATE) is not None
    (log / case_files.FOLDER / case_files.LIST).unlink()
    assert worker.cases(CasesQuery(limit=9)) == CasesPage([], None, -1)
    assert worker.case(1, OTHER) is None
    assert {one.cases for one in worker.detectors()} == {0}
