"""Readers notice that retention removed the segments that they read."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest
import trio

from eventlog import EventLog, LogPrunedError, Reader, first_seq
from tests.tracker.pruned import prune
from tests.tracker.upkeep.retention.logs import live, script
from tracker.history.events import LogEvents
from tracker.history.events_worker import EventsWorker
from tracker.offline.verify import Verification
from tracker.ports import EventFilter, EventPage, LogPart, PrunedMomentError

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from eventlog import Frame
    from tests.support import Rig


def test_overtaken(tmp_path: Path) -> None:
    """A reader raises `LogPrunedError` when its next segment was removed. A reader at the end goes
    on.
    """

    async def overtake(rig: Rig, log: EventLog) -> None:
        await script(rig, log)
        behind, kept_behind = Reader(log.path).frames(), Reader(log.path)
        next(behind)
        ahead = Reader(log.path, to_end=True)
        seen = sum(frame.header.records for frame in ahead.frames())
        assert await prune(rig.service, log, 5000)
        with pytest.raises(LogPrunedError):
            list(behind)
        with pytest.raises(LogPrunedError):
            list(kept_behind.frames())
        seen += sum(frame.header.records for frame in ahead.frames())
        assert seen == rig.state.seq

    live(tmp_path / "log", overtake)


async def read_on(log_events: LogEvents, page: EventPage) -> None:
    while page.following is not None:
        page = await log_events.read(LogPart(first=page.following), EventFilter(), 1)


def test_the_api_is_overtaken(tmp_path: Path) -> None:
    """A page whose events were removed is refused with the new first event. A stream has that
    number and goes on there.
    """

    async def overtake(rig: Rig, log: EventLog) -> None:
        await script(rig, log)
        worker = EventsWorker(log.path, None)
        log_events = LogEvents(log, rig.state.access.account_of, trio.Event(), worker=worker)
        page = await log_events.read(LogPart(), EventFilter(), 1)
        assert page.following == 1
        late = log_events.follow(0, EventFilter())
        async with aclosing(late), aclosing(log_events.follow(0, EventFilter())) as stream:
            monkeypatch = pytest.MonkeyPatch()
            monkeypatch.setattr("tracker.history.event_scan.STEP_SECONDS", 1e-9)
            assert (await anext(stream)).pruned is None
            assert await prune(rig.service, log)
            begin = first_seq(log.path)
            with pytest.raises(PrunedMomentError, match=f"begins with event {begin}"):
                await read_on(log_events, page)
            monkeypatch.undo()
            first = await anext(late)
            assert (first.pruned, first.seen) == (begin, 0)
            for one in (stream, late):
                found, marks = [], []
                while not found or found[-1]["seq"] < log.durable_seq - 1:
                    each = await anext(one)
                    found += each.events
                    marks += [each.pruned] * (each.pruned is not None)
                assert marks == ([begin] if one is stream else [])
                rest = [event["seq"] for event in found if event["seq"] >= begin]
                assert rest == list(range(begin, log.durable_seq))

    live(tmp_path / "log", overtake)


@pytest.mark.parametrize("walked", [0, 1, 5])
def test_verify_is_overtaken(tmp_path: Path, walked: int) -> None:
    """`verify` reports that the log was pruned while it ran, and no damage."""

    async def overtake(rig: Rig, log: EventLog) -> None:
        await script(rig, log)
        verification = Verification(log.path)
        marks: list[int] = []
        done = False

        def shorten() -> None:
            nonlocal done
            if len(marks) >= walked and not done:
                done = True
                trio.from_thread.run(prune, rig.service, log)

        real = verification._records.problems

        def problems(frame: Frame) -> Iterable[tuple[int, str]]:
            marks.append(frame.header.base_seq)
            shorten()
            return real(frame)

        verification._records.problems = problems  # type: ignore[method-assign]

        def verify() -> None:
            if walked == 0:
                shorten()
            list(verification.findings(lambda _done, _total: None))

        with pytest.raises(LogPrunedError):
            await trio.to_thread.run_sync(verify)
        assert done

    live(tmp_path / "log", overtake)
