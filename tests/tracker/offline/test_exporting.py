"""Tests the rows of exported tables that no short run of a tracker has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support import START_US
from tracker.offline import exporting
from tracker.ports import Case, CasesPage
from tracker.times import rfc3339

if TYPE_CHECKING:
    from tracker.ports import CasesQuery


class Found:
    """A list of two cases, one a page."""

    def page(self, query: CasesQuery) -> CasesPage:
        account = 1 if query.after is None else 2
        case = Case(
            account=account, detector="impossible_rate", state="open", since_us=START_US,
            grade="lead", holder=None, outcome=None, until_us=None, findings=3, first_us=1,
            last_us=START_US,
        )  # fmt: skip
        return CasesPage([case], (1, case.detector) if account == 1 else None, 99)


def test_cases_come_page_by_page() -> None:
    rows = list(exporting.cases(Found()))  # type: ignore[arg-type]  # it has what is needed
    start = rfc3339(START_US)
    rest = ("impossible_rate", "open", start, "lead", None, None, 3, rfc3339(1), start)
    assert rows == [(1, *rest), (2, *rest)]
    assert {len(row) for row in rows} == {len(exporting.TABLES["cases"].columns)}
