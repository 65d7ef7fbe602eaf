"""The API's reads of events: any part, any filter, any page size, and new events as they arrive."""

from __future__ import annotations

import shutil
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

import pytest
import trio

from eventlog import Reader
from tests.support import START_US, StillLog
from tests.tracker.logged import HASH, OTHER, write_log
from tracker.history import event_json, event_scan, events_worker
from tracker.history import events as module
from tracker.history.events import LogEvents
from tracker.history.events_worker import EventsWorker
from tracker.ports import EventFilter, LogPart, UnreadableLogError
from tracker.store.replay import replay
from tracker.times import parse, rfc3339

if TYPE_CHECKING:
    from pathlib import Path

Event = dict[str, Any]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log of several segments with every kind of event."""
    path = tmp_path_factory.mktemp("events") / "log"
    write_log(path, segment_bytes=700)
    assert len(list((path / "seg").iterdir())) >= 3
    return path


@pytest.fixture
def every(folder: Path) -> list[Event]:
    return [event for frame in Reader(folder).frames() for event in event_json.narrate(frame)]


def log_events(folder: Path, stopping: trio.Event) -> LogEvents:
    state = replay(Reader(folder, to_end=True))
    log, account_of = StillLog(folder, state.seq), state.access.account_of
    return LogEvents(log, account_of, stopping, worker=EventsWorker(folder, None))


async def read_all(
    reader: LogEvents, part: LogPart, wanted: EventFilter, limit: int
) -> list[Event]:
    found: list[Event] = []
    while True:
        page = await reader.read(part, wanted, limit)
        found += page.events
        if page.following is None:
            return found
        assert page.following > part.first
        part = LogPart(first=page.following, last=part.last, from_us=part.from_us, to_us=part.to_us)


async def test_rates(folder: Path, every: list[Event]) -> None:
    """Each announce has the rate that its event and the one before tell, and no other event has
    one."""
    announces = {one["seq"]: one for one in every if one["type"] == "announced"}
    pairs = {
        seq: (announces[one["prev_seq"]], one)
        for seq, one in announces.items()
        if one["prev_seq"] in announces
    }
    expected = {seq: rate for seq, pair in pairs.items() if (rate := rate_of(*pair))}
    assert len(expected) > 5
    assert any(sum(rate) for rate in expected.values())
    log = log_events(folder, trio.Event())
    assert await log.rates(range(len(every) + 9)) == expected
    assert await log.rates([]) == {}
    seq = max(expected)
    assert await log.rates([seq, 0]) == {seq: expected[seq]}


def rate_of(before: Event, one: Event) -> tuple[int, int] | None:
    begin, end = (parse(each.get("log_time", each["time"])) or 0 for each in (before, one))
    up, down = (one[name] - before[name] for name in ("uploaded", "downloaded"))
    if end <= begin or min(up, down) < 0:
        return None
    return up * 1_000_000 // (end - begin), down * 1_000_000 // (end - begin)


async def test_a_damaged_log(folder: Path, tmp_path: Path) -> None:
    """Whoever follows it gets the same error as a reader of pages."""
    copy = tmp_path / "log"
    shutil.copytree(folder, copy)
    reader = log_events(copy, trio.Event())
    oldest = min((copy / "seg").iterdir())
    data = bytearray(oldest.read_bytes())
    data[len(data) // 2] ^= 1
    oldest.write_bytes(data)
    with pytest.raises(UnreadableLogError):
        await reader.read(LogPart(), EventFilter(), 1000)
    with pytest.raises(UnreadableLogError):
        await follow_to_the_end(reader)


async def follow_to_the_end(reader: LogEvents) -> None:
    async with aclosing(reader.follow(-1, EventFilter())) as following:
        async for found in following:
            if found.seen >= reader.end - 1:
                return


@pytest.mark.parametrize("limit", [1, 4, 1000])
async def test_any_part(folder: Path, every: list[Event], limit: int) -> None:
    """A read from any event to any other gives exactly those events, whatever the page size."""
    reader = log_events(folder, trio.Event())
    for first in range(0, len(every) + 2, 5):
        for last in (first - 1, first, first + 7, None):
            part = LogPart(first=first, last=last)
            found = await read_all(reader, part, EventFilter(), limit)
            assert found == every[first : None if last is None else max(0, last + 1)]


async def test_any_time(folder: Path, every: list[Event]) -> None:
    """A read from any time to any other includes both ends."""
    reader = log_events(folder, trio.Event())
    moments = [START_US + seconds * 500_000 for seconds in range(-1, 220, 13)]
    for from_us in moments:
        for to_us in (None, from_us - 1, from_us, from_us + 3_000_000):
            part = LogPart(from_us=from_us, to_us=to_us)
            begin = rfc3339(from_us)
            end = "~" if to_us is None else rfc3339(to_us)
            expected = [event for event in every if begin <= event["time"] <= end]
            assert await read_all(reader, part, EventFilter(), 1000) == expected


FILTERS = [
    (EventFilter(types=frozenset({"tick"})), lambda one: one["type"] == "tick"),
    (
        EventFilter(types=frozenset({"evicted", "key_issued"})),
        lambda one: one["type"] in ("evicted", "key_issued"),
    ),
    (EventFilter(info_hash=OTHER), lambda one: one.get("info_hash") == OTHER.hex()),
    (
        EventFilter(info_hash=HASH, types=frozenset({"announced"})),
        lambda one: one["type"] == "announced" and one["info_hash"] == HASH.hex(),
    ),
    (EventFilter(key_ref=2), lambda one: one.get("key_ref") == 2),
    (EventFilter(account=1), lambda one: 1 in (one.get("key_ref"), one.get("account"))),
    (EventFilter(info_hash=bytes(20)), lambda _: False),
]


@pytest.mark.parametrize(("wanted", "holds"), FILTERS)
@pytest.mark.parametrize("hurried", [False, True])
async def test_filters(
    folder: Path,
    every: list[Event],
    monkeypatch: pytest.MonkeyPatch,
    wanted: EventFilter,
    holds: Any,
    hurried: bool,
) -> None:
    """A filter finds exactly the matching events. A short time limit only makes more pages."""
    if hurried:
        monkeypatch.setattr(module, "READ_SECONDS", 1e-9)
        monkeypatch.setattr(events_worker, "SLICE_SECONDS", 1e-6)
        monkeypatch.setattr(event_scan, "STEP_SECONDS", 1e-6)
    found = await read_all(log_events(folder, trio.Event()), LogPart(), wanted, 3)
    assert found == [event for event in every if holds(event)]


async def test_pages_are_bounded(
    folder: Path, every: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page whose time is over still has a cursor that advances, before the first event too."""
    monkeypatch.setattr(module, "PAGE_SECONDS", 0.0)
    monkeypatch.setattr(events_worker, "SLICE_SECONDS", 1e-9)
    monkeypatch.setattr(event_scan, "STEP_SECONDS", 1e-9)
    reader = log_events(folder, trio.Event())
    for first in range(0, len(every), 7):
        part, found, pages = LogPart(first=first), [], 0
        while True:
            page = await reader.read(part, EventFilter(), 1000)
            found += page.events
            pages += 1
            assert pages < 1000
            if page.following is None:
                break
            part = LogPart(first=page.following)
        assert found == every[first:]
        assert pages > (len(every) - first) / 4


async def test_the_next_page_continues_the_walk(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page continues the walk of the page before. The reader keeps eight walks, for half a
    minute."""
    made: list[LogPart] = []

    class Counted(event_scan.Scan):
        def __init__(self, folder: Path, part: LogPart, *rest: Any) -> None:
            made.append(part)
            super().__init__(folder, part, *rest)

    monkeypatch.setattr(events_worker, "Scan", Counted)
    reader = log_events(folder, trio.Event())
    assert len(await read_all(reader, LogPart(), EventFilter(), 2)) > 20
    assert made == [LogPart()]
    for first in range(9):
        await reader.read(LogPart(first=first), EventFilter(), 1)
    made.clear()
    # The ninth walk displaced the first one, which stood at event 1.
    await reader.read(LogPart(first=1), EventFilter(), 1)
    assert made == [LogPart(first=1)]
    monkeypatch.setattr(module, "PARKED_SECONDS", -1.0)
    await reader.read(LogPart(first=20), EventFilter(), 1)
    await reader.read(LogPart(first=21), EventFilter(), 1)
    assert made[1:] == [LogPart(first=20), LogPart(first=21)]


@pytest.mark.parametrize("after", [None, -1, 5])
async def test_follow(folder: Path, every: list[Event], after: int | None) -> None:
    """A stream begins after an event or at the present, and ends when the tracker stops."""
    stopping = trio.Event()
    found: list[Event] = []
    with trio.fail_after(20):
        async with aclosing(log_events(folder, stopping).follow(after, EventFilter())) as stream:
            async for each in stream:
                found += each.events
                if each.seen >= len(every) - 1:
                    stopping.set()
    assert found == ([] if after is None else every[after + 1 :])
