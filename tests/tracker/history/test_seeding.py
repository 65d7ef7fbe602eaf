"""Seeding time between two dates of a log on the disk, and hours that it does not hold."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.golden.test_log_v1 import FOLDER
from tracker.history import seeding
from tracker.history.past_worker import PastWorker
from tracker.ports import Moment, NoMomentError, PrunedMomentError, SeedingRow
from tracker.store.address_keys import Keyring
from tracker.store.moments import ForwardReplay
from tracker.workers.question_pipe import Question

LOGS = FOLDER.parent / "log-v2"
STEP_US = 7_000_000


def replay(name: str) -> ForwardReplay:
    keys = Keyring(LOGS / name / "secrets")
    return ForwardReplay(LOGS / name / "log", lambda _done, _total: None, keys)


def rows(from_us: int, until_us: int) -> list[SeedingRow]:
    return seeding.between(replay("private"), from_us, until_us).after(0, b"", 1000)


def test_pieces_add_up() -> None:
    """Short intervals and the whole time have the seeding time of the accounts."""
    span = replay("private").span
    assert span is not None
    whole: Counter[int] = Counter()
    pieces: Counter[int] = Counter()
    for row in rows(span.first_us, span.last_us):
        whole[row.account] += row.seeding_us
    for from_us in range(span.first_us, span.last_us, STEP_US):
        until_us = min(from_us + STEP_US, span.last_us)
        for row in rows(from_us, until_us):
            pieces[row.account] += row.seeding_us
    state = replay("private").at(Moment(time_us=span.last_us - 1))
    totals = {
        account: state.totals(account).seeding_us
        for account in range(1, len(state.accounts.uploaded))
    }
    assert any(totals.values())
    assert +whole == +pieces == +Counter(totals)


def test_hours_that_the_log_does_not_hold() -> None:
    """One that is not over says up to when the log goes; one that was removed, where it begins."""
    worker = PastWorker(LOGS / "pruned" / "log", LOGS / "pruned" / "secrets")
    span = replay("pruned").span
    assert span is not None
    for from_us, error, text in (
        (span.last_us - 1, NoMomentError, "is not over: the log goes up to 2027-01-15T08:34:01"),
        (span.first_us - 2 * 3_600_000_000, PrunedMomentError, "the log begins with event"),
    ):
        found = worker.answer(Question("seeding", (from_us, (0, b""), 10)))
        assert isinstance(found, error)
        assert text in str(found)


@pytest.mark.parametrize("after", [(0, b""), (1, bytes(20))])
def test_pages(monkeypatch: pytest.MonkeyPatch, after: tuple[int, bytes]) -> None:
    """A page goes on behind the last row of the one before, without another replay."""
    span = replay("private").span
    assert span is not None
    monkeypatch.setattr("tracker.history.past_worker.HOUR_US", span.last_us - span.first_us)
    worker = PastWorker(LOGS / "private" / "log", LOGS / "private" / "secrets")
    rows = worker.seeding(span.first_us, after, 100)
    assert [(one.account, one.info_hash) > after for one in rows] == [True] * len(rows)
    monkeypatch.setattr(seeding, "between", None)
    pages = [*worker.seeding(span.first_us, after, 1)]
    while page := worker.seeding(span.first_us, (pages[-1].account, pages[-1].info_hash), 1):
        pages += page
    assert pages == rows
