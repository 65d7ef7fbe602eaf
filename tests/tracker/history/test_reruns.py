"""Re-runs for the API, directly from the worker and through its process."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import trio

from eventlog import Reader
from tests.support import StillLog, events_in
from tests.tracker.logged import write_log
from tracker.history import rerun_worker, reruns
from tracker.history.rerun_worker import RerunWorker
from tracker.history.reruns import LogReruns
from tracker.ports import BusyError, InvalidPartError, Moment, NoMomentError
from tracker.workers.question_pipe import Question

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("reruns") / "log"
    write_log(made)
    return made


@pytest.fixture(scope="module")
def decided(folder: Path) -> list[int]:
    """The events that a check decides."""
    events = enumerate(events_in(Reader(folder).frames()))
    return [seq for seq, one in events if one["type"] in ("announced", "tick", "announce_refused")]


@asynccontextmanager
async def asking(reads: LogReruns) -> AsyncIterator[None]:
    """Runs the process, and bounds the time of what is asked."""
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(reads.run)
            yield
            nursery.cancel_scope.cancel()


def test_parts_and_their_bounds(
    folder: Path, decided: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A part is told as the command prints it, with a trace every outcome; one that is too large is
    refused, with its length, and so is an empty one.
    """
    worker, at = RerunWorker(folder, folder / "secrets"), Moment
    whole = worker.check(None, None, trace=False)
    assert isinstance(whole, dict)
    assert (whole["as_recorded"], whole["differing"], whole["outcomes"]) == (len(decided), 0, [])
    part = worker.check(at(seq=decided[1]), at(seq=decided[-2]), trace=True)
    assert isinstance(part, dict)
    assert [one["seq"] for one in part["outcomes"]] == decided[1:-1]
    assert worker.check(at(seq=5), at(seq=3), trace=False) == (
        "no event is in this part: its beginning has to come first"
    )
    monkeypatch.setattr(rerun_worker, "MOST_EVENTS", 3)
    monkeypatch.setattr(rerun_worker, "MOST_TRACED", 2)
    said = "events 2 to 5 are 4, and at most {} can be asked for: choose a smaller part, or run the command"  # fmt: skip
    assert worker.check(at(seq=2), at(seq=5), trace=False) == said.format(3)
    assert worker.check(at(seq=2), at(seq=5), trace=True) == said.format(2)
    assert worker.what_if(at(seq=2), at(seq=5), ["policy.max_peers=1"]) == said.format(3)
    beyond = Question("check", (at(seq=2), at(seq=10**6), False))
    assert isinstance(worker.answer(beyond), NoMomentError)


def test_settings(folder: Path) -> None:
    """Other settings change what they say; a key that cannot be set is named."""
    worker = RerunWorker(folder, folder / "secrets")
    told = worker.what_if(None, None, ["policy.max_peers=1"])
    assert isinstance(told, dict)
    assert told["refused"]["peers_full"] == told["announces"] - told["now"]["replies"]
    refused = worker.what_if(None, None, ["policy.contact=me"])
    assert isinstance(refused, str)
    assert refused.startswith("policy.contact is no key that can be set here. These work: ")


async def test_one_at_a_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several questions get their answers one after the other; too many are refused, and each gets
    the error that is its own.
    """
    reads = LogReruns(StillLog(folder), folder / "secrets")
    told = []

    async def ask(last: int) -> None:
        told.append((await reads.check(None, Moment(seq=last), trace=False))["last"])

    async with asking(reads):
        async with trio.open_nursery() as nursery:
            for last in range(4, 8):
                nursery.start_soon(ask, last)
        assert sorted(told) == [4, 5, 6, 7]
        with pytest.raises(InvalidPartError, match="no key that can be set"):
            await reads.what_if(None, None, ["a=1"])
        with pytest.raises(NoMomentError):
            await reads.check(Moment(seq=10**6), None, trace=False)
        monkeypatch.setattr(reruns, "MAX_ASKING", 1)
        with pytest.RaisesGroup(pytest.RaisesExc(BusyError, match="too many")):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask, 4)
                nursery.start_soon(ask, 4)


async def test_who_leaves_ends_the_work(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process ends with the question whose asker left, or waited too long. The next question
    starts another one.
    """
    reads = LogReruns(StillLog(folder), folder / "secrets")
    async with asking(reads):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: reads.check(None, None, trace=False))
            while not reads._helper.owed:
                await trio.lowlevel.checkpoint()
            nursery.cancel_scope.cancel()
        assert not reads._helper.runs
        assert (await reads.check(None, Moment(seq=4), trace=False))["last"] == 4
        assert reads._helper.runs
        monkeypatch.setattr(reruns, "ANSWER_SECONDS", 0.0)
        with pytest.raises(BusyError, match="in time"):
            await reads.check(None, None, trace=False)
    assert not reads._helper.runs
