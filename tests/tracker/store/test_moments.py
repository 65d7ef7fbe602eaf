"""Replay to any moment of a log gives the state that was live then."""

from __future__ import annotations

from array import array
from itertools import product
from typing import TYPE_CHECKING

import pytest

from eventlog import LogCorruptError, Reader, base_seq_of, first_and_last_frame, frame_at, open_log
from tests.eventlog.logs import DATES_TWICE, TAGS, running, segments
from tests.support import SECOND, START_US, Rig, events_in
from tests.tracker.logged import HASH, record, write_log
from tracker.cli.moment_options import failing_if_interrupted
from tracker.cli.moment_options import moment as parsed
from tracker.cli.output import CannotError
from tracker.domain import events
from tracker.domain.events import codec
from tracker.domain.events.admin import TrackerStarted, TrackerStopped
from tracker.history.event_scan import Filter, Scan
from tracker.history.state_summary import members, summary
from tracker.ports import EventFilter, LogPart, Moment, NoMomentError, Outage
from tracker.store.moments import ForwardReplay, span

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def ignore_progress(_done: int, _total: int) -> None:
    """Ignores the progress."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("past") / "log"
    write_log(made)
    assert len(segments(made)) > 2
    return made


@pytest.fixture(scope="module")
def times(folder: Path) -> list[int]:
    """Log time of each event."""
    found = [event["time"] for event in events_in(Reader(folder).frames())]
    return [parsed(time).time_us or 0 for time in found]


def test_after_every_event(folder: Path, times: list[int]) -> None:
    """The digest after any event is the live one, in the middle of batches too."""
    live = record()
    assert max(live) == len(times) - 1
    assert len(live) > 25
    for seq, digest in live.items():
        assert ForwardReplay(folder, ignore_progress).at(Moment(seq=seq)).digest() == digest, seq


def test_at_every_time(folder: Path, times: list[int]) -> None:
    """A state at a time has every event up to that microsecond and none after it."""
    for time_us in sorted({*times, *(each - 1 for each in times if each > times[0])}):
        state = ForwardReplay(folder, ignore_progress).at(Moment(time_us=time_us))
        assert state.seq == sum(each <= time_us for each in times)


def test_forward(folder: Path) -> None:
    """One replay goes to later moments, to the same one again, and to the end."""
    live = record()
    past = ForwardReplay(folder, ignore_progress)
    for seq in sorted(live):
        assert past.at(Moment(seq=seq)).digest() == live[seq]
        assert past.at(Moment(seq=seq)).digest() == live[seq]
    assert past.at(None).digest() == live[max(live)]


def test_outside(folder: Path, times: list[int]) -> None:
    """A moment that the log does not hold is refused, and the text names the range."""
    held = str(span(folder))
    for moment in (
        Moment(seq=len(times)),
        Moment(seq=10**30),
        Moment(time_us=times[0] - 1),
        Moment(time_us=times[-1] + 1),
        Moment(time_us=-1),
    ):
        with pytest.raises(NoMomentError) as caught:
            ForwardReplay(folder, ignore_progress).at(moment)
        assert str(moment) in str(caught.value)
        assert held in str(caught.value)


def test_an_empty_log(tmp_path: Path) -> None:
    """An empty log has a state now, and no moments."""
    write_log(tmp_path / "log", lambda _rig: iter(()))
    assert span(tmp_path / "log") is None
    assert ForwardReplay(tmp_path / "log", ignore_progress).at(None).seq == 0
    with pytest.raises(NoMomentError, match="empty"):
        ForwardReplay(tmp_path / "log", ignore_progress).at(Moment(seq=0))


def test_damage_ends_it(tmp_path: Path) -> None:
    """There is no state beyond damage; moments before it can still be reached."""
    write_log(tmp_path / "log")
    path = segments(tmp_path / "log")[1]
    data, begin = bytearray(path.read_bytes()), base_seq_of(path)
    data[-10] ^= 1
    path.write_bytes(data)
    replay = ForwardReplay(tmp_path / "log", ignore_progress)
    assert replay.at(Moment(seq=begin - 1)).seq == begin
    with pytest.raises(LogCorruptError):
        ForwardReplay(tmp_path / "log", ignore_progress).at(None)


def test_ends_and_frames_by_time(folder: Path, times: list[int]) -> None:
    """The reader's short cuts find the same frames as reading everything."""
    frames = list(Reader(folder).frames())
    first, last = first_and_last_frame(folder) or (None, None)
    assert (first and first.header, last and last.header) == (frames[0].header, frames[-1].header)
    for time_us in {*times, times[0] - 1, times[-1] + 1}:
        after = sum(each.header.time_us <= time_us for each in frames)
        found = frame_at(folder, time_us)
        assert found is not None or after == 0
        if found is not None:
            shown = [each and each.header for each in found]
            assert shown == [
                each and each.header for each in [*frames, None][after - 1 : after + 1]
            ]


def test_outages(tmp_path: Path) -> None:
    """A time between two runs, or of a minute without events, is an outage; its ends are not."""
    began = START_US + 3 * SECOND

    def first(rig: Rig) -> Iterator[None]:
        rig.service.append(TrackerStarted("test", 1))
        rig.service.append(TrackerStopped("signal"))
        yield

    def second(rig: Rig) -> Iterator[None]:
        rig.time.advance(3 * SECOND)
        rig.service.append(TrackerStarted("test", 2))
        for pause in (0, 20 * SECOND, 70 * SECOND):
            rig.time.advance(pause)
            rig.service.tick()
            yield

    write_log(tmp_path / "log", first)
    write_log(tmp_path / "log", second)
    past = ForwardReplay(tmp_path / "log", ignore_progress)

    def outage(time_us: int) -> Outage | None:
        past.resolve(Moment(time_us=time_us))
        return past.outage

    off = Outage("stopped", "signal", START_US, began, 1, 2)
    assert [outage(each) for each in (START_US, START_US + 1, began - 1, began)] == [
        None, off, off, None,
    ]  # fmt: skip
    assert outage(began + 10 * SECOND) is None
    silent = Outage("silent", None, began + 20 * SECOND, began + 90 * SECOND, 4, 5)
    assert outage(silent.from_us) is None
    assert outage(silent.from_us + SECOND) == silent
    past.resolve(Moment(seq=0))
    assert past.outage is None


def test_members(folder: Path) -> None:
    """The members of a private swarm: one peer with both its addresses, account and key."""
    evicted = next(e["seq"] for e in events_in(Reader(folder).frames()) if e["type"] == "evicted")
    found = members(ForwardReplay(folder, ignore_progress).at(Moment(seq=evicted - 1)), HASH)
    assert [(one.addresses, one.role, one.uploaded, one.left, one.owner, one.account, one.key_ref, one.client) for one in found] == [
        (("127.0.0.1:6881", "[2001:db8::1]:6881"), "leecher", 30, 97, "anna", 1, 1, None),
        (("127.0.0.2:6881",), "seeder", 0, 0, None, 2, 2, "Transmission"),
    ]  # fmt: skip
    after = members(ForwardReplay(folder, ignore_progress).at(Moment(seq=evicted + 1)), HASH)
    assert [one.owner for one in after] == [None, None]
    assert members(ForwardReplay(folder, ignore_progress).at(None), HASH) == []


def test_counters_are_named() -> None:
    """Counters of refusals and of dropped datagrams have the words of the metrics."""
    rig = Rig()
    for counter, label in (
        (events.REFUSED_REQUESTS, 0),
        (events.REFUSED_REQUESTS, 2),
        (events.UDP_DROPPED, 0),
        (events.UDP_DROPPED, events.DROPPED_BANNED),
    ):
        rig.service.count(counter, label)
    rig.service.flush_counters()
    assert summary(rig.state)["counters"] == {
        "refused_requests_malformed": 1,
        "refused_requests_not_whitelisted": 1,
        "udp_dropped_malformed": 1,
        "udp_dropped_banned": 1,
    }


def test_interrupted() -> None:
    """An interrupted command has no result, and its exit code says so."""
    with pytest.raises(CannotError, match="interrupted"), failing_if_interrupted():
        raise KeyboardInterrupt


async def test_events_between_dates_that_came_twice(tmp_path: Path) -> None:
    """All are found, also where the clock was set back by some seconds within a segment."""
    log = open_log(tmp_path / "log", codec.RECORD_SIZES, TAGS, linger_seconds=0)
    rig = Rig(log=log)  # type: ignore[arg-type]  # a real log
    async with running(log):
        for time_s, lead_s in DATES_TWICE:
            log.pool.lead_us = lead_s * SECOND
            rig.time.advance(START_US + time_s * SECOND - rig.time.wall)
            await log.wait_durable(rig.service.append(TrackerStopped("x")))
        await log.wait_readable(7)
    dates = [one.header.date_us for one in Reader(tmp_path / "log").frames()]
    assert [(each - START_US) // SECOND for each in dates] == [50, 51, 61, 53, 3000, 600, 607, 602]
    for begin, end in product({*dates}, {each + more for each in dates for more in (-1, 0)}):
        part = LogPart(first=0, from_us=begin, to_us=end)
        scan = Scan(tmp_path / "log", part, Filter(EventFilter(), array("I")), None)
        while not scan.over:
            scan.step(1000)
        expected = [at for at, each in enumerate(dates) if begin <= each <= end]
        assert [one["seq"] for one in scan.take()] == expected
