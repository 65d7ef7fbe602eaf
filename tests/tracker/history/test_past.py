"""Reads of past moments, directly from the worker and through its processes."""

from __future__ import annotations

import os
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from unittest.mock import AsyncMock

import pytest
import trio
import trio.testing

from eventlog import Reader, open_log
from tests.eventlog.logs import running, segments
from tests.support import Announce, Rig, StillLog, endpoint4, events_in, hash_of, own_keys
from tests.tracker.logged import HASH, write_log
from tests.tracker.pruned import prune
from tracker.domain.events import codec
from tracker.domain.events.admin import TorrentWhitelisted
from tracker.history import past as past_reads
from tracker.history.past import PastReads
from tracker.history.past_worker import PastWorker
from tracker.ports import (
    LISTED_AT_ONCE,
    BusyError,
    Moment,
    NoMomentError,
    PrunedMomentError,
    ReadModel,
    Stats,
)
from tracker.service.read_model import Projection
from tracker.store.moments import ForwardReplay
from tracker.workers import question_pipe
from tracker.workers.question_pipe import Failed, Question

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tracker.store.readable_log import ReadableLog


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("past_reads") / "log"
    write_log(made)
    return made


@pytest.fixture(scope="module")
def end(folder: Path) -> int:
    return len(events_in(Reader(folder).frames()))


def expected(folder: Path, seq: int) -> Projection:
    return Projection(ForwardReplay(folder, lambda _done, _total: None).at(Moment(seq=seq)), {})


def test_every_moment(folder: Path, end: int) -> None:
    """Forward, back and repeated, the worker answers as a replay from the beginning does."""
    worker = PastWorker(folder, folder / "secrets")
    for seq in [*range(end), end // 2, end // 2, 0, end - 1]:
        model = expected(folder, seq)
        assert worker.answer(Question("one", (Moment(seq=seq), "stats", ()))) == model.stats()
        listed = worker.answer(Question("first", (seq + 1, Moment(seq=seq), "peers", (HASH,))))
        assert listed == list(model.peers(HASH))


def test_times(folder: Path, end: int) -> None:
    """A moment may be given by its time. A time or number outside the log is refused."""
    worker = PastWorker(folder, folder / "secrets")
    times = Reader(folder).frames()
    time_us = next(times).header.time_us
    assert isinstance(worker.answer(Question("one", (Moment(time_us=time_us), "stats", ()))), Stats)
    assert isinstance(
        worker.answer(Question("one", (Moment(time_us=time_us - 1), "stats", ()))), NoMomentError
    )
    assert isinstance(worker.answer(Question("one", (Moment(seq=end), "stats", ()))), NoMomentError)


def test_moments_behind_damage_are_refused(tmp_path: Path) -> None:
    """The worker still answers about moments before the damage."""
    write_log(tmp_path / "log")
    path = segments(tmp_path / "log")[2]  # further on than a reader of the first has looked
    worker = PastWorker(tmp_path / "log", tmp_path / "log/secrets")
    before = worker.answer(Question("one", (Moment(seq=4), "stats", ())))
    data = bytearray(path.read_bytes())
    data[300] ^= 1
    path.write_bytes(data)
    assert isinstance(worker.answer(Question("one", (Moment(seq=20), "stats", ()))), Failed)
    assert worker.answer(Question("one", (Moment(seq=4), "stats", ()))) == before


def test_listings_have_an_end(folder: Path) -> None:
    """A finished listing cannot be continued, and an empty one is an empty list."""
    worker = PastWorker(folder, folder / "secrets")
    at = Moment(seq=5)
    assert worker.answer(Question("first", (1, at, "torrents", (0, 9))))
    assert isinstance(worker.answer(Question("more", (1,))), Failed)
    assert worker.answer(Question("first", (2, at, "torrents", (0, 0)))) == []


TORRENTS = 2 * LISTED_AT_ONCE + 50


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of many torrents, with one announce each."""

    def script(rig: Rig) -> Iterator[None]:
        rig.announce(*(Announce(hash_of(number), endpoint4(1)) for number in range(TORRENTS)))
        yield

    made = tmp_path_factory.mktemp("large") / "log"
    write_log(made, script)
    return made


@asynccontextmanager
async def serving_past(log: ReadableLog, helpers: int = 2) -> AsyncIterator[PastReads]:
    """Answers about the past of a log. At the end no process is left."""
    past = PastReads(log, log.path / "secrets", helpers=helpers)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(past.run)
        with trio.fail_after(60):
            yield past
        nursery.cancel_scope.cancel()
    assert not any(helper.runs for helper in past._helpers)


def process_of(past: PastReads) -> int:
    process = past._helpers[0]._process
    assert process is not None
    return process.pid


async def test_a_listing_comes_in_parts(large: Path) -> None:
    """Other questions, about other moments too, may come between the parts."""
    async with serving_past(StillLog(large)) as past:
        last = Moment(seq=TORRENTS - 1)
        sizes = []
        async for some in past.each(last, ReadModel.torrents, 0, 10_000):
            sizes.append(len(some))
            for moment in (last, Moment(seq=len(sizes))):
                stats = await past.ask(moment, ReadModel.stats)
                assert moment.seq is not None
                assert stats.torrents == moment.seq + 1
        assert sizes == [LISTED_AT_ONCE, LISTED_AT_ONCE, 50]


async def test_many_moments_at_once(large: Path) -> None:
    """Two processes answer about ten moments, and later questions wait."""
    async with serving_past(StillLog(large)) as past:
        found: dict[int, int] = {}

        async def look(seq: int) -> None:
            stats = await past.ask(Moment(seq=seq), ReadModel.stats)
            found[seq] = stats.torrents

        async with trio.open_nursery() as nursery:
            for seq in range(10, 20):
                nursery.start_soon(look, seq)
        assert found == {seq: seq + 1 for seq in range(10, 20)}


async def test_a_late_answer_comes_when_the_question_is_repeated(
    large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first question is refused. Questions about other moments wait until the process is
    free."""
    async with serving_past(StillLog(large), 1) as past:
        at = Moment(seq=5)
        await past.ask(at, ReadModel.stats)
        os.kill(process_of(past), signal.SIGSTOP)
        assert (await past.outages(None, None, -1, 5)).outages == []  # of another process
        monkeypatch.setattr(past_reads, "ANSWER_SECONDS", 0.2)
        with pytest.raises(BusyError, match="ask again"):
            await past.ask(at, ReadModel.settings)
        with pytest.raises(BusyError, match="ask again"):
            await past.ask(Moment(seq=6), ReadModel.stats)
        monkeypatch.setattr(past_reads, "ANSWER_SECONDS", 30.0)
        found = []

        async def look() -> None:
            found.append((await past.ask(Moment(seq=6), ReadModel.stats)).torrents)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(look)
            await trio.testing.wait_all_tasks_blocked()
            os.kill(process_of(past), signal.SIGCONT)
        assert found == [7]
        assert (await past.ask(at, ReadModel.stats)).torrents == 6


async def test_who_asks_again_gets_what_the_first_asker_left(
    large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An explanation takes a second, and the page that did not wait for it asks again."""
    async with serving_past(StillLog(large), 1) as past:
        expected = await past.explain(9)
        os.kill(process_of(past), signal.SIGSTOP)
        with trio.move_on_after(0.05):
            await past.explain(9)
        sent = AsyncMock()
        monkeypatch.setattr(question_pipe.Helper, "_send", sent)
        os.kill(process_of(past), signal.SIGCONT)
        assert await past.explain(9) == expected
        assert not sent.called


async def test_an_old_answer_is_not_for_who_asks_again(
    large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The log went on meanwhile."""
    monkeypatch.setattr(question_pipe, "KEPT_SECONDS", 0.0)
    async with serving_past(StillLog(large), 1) as past:
        expected = await past.explain(9)
        os.kill(process_of(past), signal.SIGSTOP)
        with trio.move_on_after(0.05):
            await past.explain(9)
        sent = AsyncMock(wraps=past._helpers[0]._send)
        monkeypatch.setattr(question_pipe.Helper, "_send", sent)
        os.kill(process_of(past), signal.SIGCONT)
        assert await past.explain(9) == expected
        assert sent.call_count == 1


async def test_a_process_that_was_killed(large: Path) -> None:
    """A question to a killed process is refused, and the next question starts a new process."""
    async with serving_past(StillLog(large), 1) as past:
        at = Moment(seq=5)
        await past.ask(at, ReadModel.stats)
        os.kill(process_of(past), signal.SIGKILL)
        with pytest.raises(BusyError, match="ended"):
            await past.ask(at, ReadModel.stats)
        assert (await past.ask(at, ReadModel.stats)).torrents == 6


async def test_open_questions_are_limited(large: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Questions and listings count together, and each that ends makes room."""
    monkeypatch.setattr(past_reads, "MAX_ASKING", 1)
    async with serving_past(StillLog(large), 1) as past:
        at = Moment(seq=TORRENTS - 1)
        listing = past.each(at, ReadModel.torrents, 0, 1000)
        assert len(await anext(listing)) == LISTED_AT_ONCE
        with pytest.raises(BusyError, match="too many"):
            await past.ask(at, ReadModel.stats)
        await listing.aclose()
        assert (await past.ask(at, ReadModel.stats)).torrents == TORRENTS


async def test_an_idle_process_gives_its_memory_back(
    large: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A new process takes its place, also where that one was killed, and ends after a longer
    rest.
    """
    monkeypatch.setattr(question_pipe, "IDLE_SECONDS", 0.1)
    async with serving_past(StillLog(large), 1) as past:
        helper = past._helpers[0]
        assert (await past.ask(Moment(seq=5), ReadModel.stats)).torrents == 6
        first = process_of(past)
        while not helper.fresh:  # noqa: ASYNC110  # the start of a process sets no trio event
            await trio.sleep(0.01)
        assert process_of(past) != first
        os.kill(process_of(past), signal.SIGKILL)
        os.waitid(os.P_PID, process_of(past), os.WEXITED | os.WNOWAIT)  # noqa: ASYNC222  # it was killed
        assert (await past.ask(Moment(seq=5), ReadModel.stats)).torrents == 6
        assert helper.moment == Moment(seq=5)
        monkeypatch.setattr(question_pipe, "REST_SECONDS", 0.1)
        while helper.runs:  # noqa: ASYNC110  # likewise
            await trio.sleep(0.01)


async def exists(past: PastReads, moment: Moment) -> bool:
    try:
        await past.ask(moment, ReadModel.settings)
    except NoMomentError:
        return False
    return True


async def test_a_log_that_grows(tmp_path: Path) -> None:
    """A moment beyond the durable end is refused with the range of events, until the log has grown
    past it."""
    log = open_log(
        tmp_path / "log", codec.RECORD_SIZES, own_keys(tmp_path / "log").tags, linger_seconds=0
    )
    async with running(log), serving_past(log, 1) as past:
        rig = Rig(log=log)
        for number in range(3):
            rig.service.append(TorrentWhitelisted(hash_of(number)))
            await log.wait_durable(number)
            at = Moment(seq=number)
            while not await exists(past, at):  # noqa: ASYNC110  # another process reads it
                await trio.sleep(0.01)  # readers see the new end a moment later
            found = [each async for each in past.each(at, ReadModel.whitelist, b"")]
            assert found == [[hash_of(each) for each in range(number + 1)]]
            with pytest.raises(NoMomentError, match=f"events 0 to {number}"):
                await past.ask(Moment(seq=number + 1), ReadModel.stats)


async def test_a_removed_moment_is_refused_although_its_state_is_cached(tmp_path: Path) -> None:
    """The worker refuses a moment whose events were removed, although its state is still in
    memory."""
    log = open_log(
        tmp_path / "log",
        codec.RECORD_SIZES,
        own_keys(tmp_path / "log").tags,
        segment_bytes=1500,
        linger_seconds=0,
    )
    async with running(log), serving_past(log, 1) as past:
        rig = Rig(log=log)
        for number in range(200):
            rig.service.append(TorrentWhitelisted(hash_of(number)))
            await log.wait_durable(number)
        await past.ask(Moment(seq=3), ReadModel.stats)
        assert await prune(rig.service, log, 1) is not None
        with pytest.raises(PrunedMomentError) as caught:
            await past.ask(Moment(seq=3), ReadModel.stats)
        assert caught.value.first_seq > 3
