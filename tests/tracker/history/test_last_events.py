"""The last events, read from the end backwards, are the tail of what is read from the beginning;
and counts are those of the events one by one.
"""

from __future__ import annotations

from collections import Counter
from itertools import product
from shutil import copytree, rmtree
from typing import TYPE_CHECKING, Any

import pytest
import trio
from attrs import evolve

import eventlog.log
from eventlog import Reader, base_seq_of, segments_of
from tests.support import SECOND, StillLog, hash_of, key_text, replayed
from tests.tracker.upkeep.book.site import Site
from tracker.history import event_scan, events_worker, kind_count, last_events
from tracker.history import events as module
from tracker.history.events import LogEvents
from tracker.history.events_worker import EventsWorker
from tracker.ports import EventFilter, LogPart
from tracker.store import frame_index, opening_balance
from tracker.store.known_frames import KeptIndexes
from tracker.times import parse
from tracker.upkeep import retention

if TYPE_CHECKING:
    from pathlib import Path

    from eventlog import Frame
    from tests.support import Rig

FILTERS = (
    EventFilter(),
    EventFilter(account=2),
    EventFilter(account=1, info_hash=hash_of(1)),
    EventFilter(key_ref=1),
    EventFilter(key_ref=0),
    EventFilter(info_hash=hash_of(2), types=frozenset({"announced", "key_issued"})),
    EventFilter(info_hash=hash_of(9)),
    EventFilter(types=frozenset({"tick"})),
    EventFilter(types=frozenset({"key_issued", "key_rotated"})),
    EventFilter(types=frozenset({"announced"})),
)


def _rotate(rig: Rig) -> None:
    """Nothing is written for two minutes, and then a little."""
    rig.time.advance(120 * SECOND)
    rig.rotate(key_text(1), key_text(11))


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Site:
    """A log whose beginning was removed, whose clock was set, and which begins anew five times."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(eventlog.log, "WATERMARK_SECONDS", 0.001)
        patch.setattr(retention, "MOST_AT_ONCE", 64)
        site = Site(tmp_path_factory.mktemp("last") / "log")
        site.go_on(20)
        site.go_on(20, pruned=True)
        site.go_on(12, wall_us=site.time.wall - 600 * SECOND, speak=_rotate)
        site.go_on(12, wall_us=site.time.wall + 90 * SECOND)
        site.go_on(12)
    assert len(segments_of(site.log)) > 5
    return site


def _parts(site: Site) -> tuple[LogPart, ...]:
    end = site.frames[-1].header.next_seq
    begin_us, end_us = site.frames[0].header.date_us, site.frames[-1].header.date_us
    third = (end_us - begin_us) // 3
    return (
        LogPart(),
        LogPart(first=end // 3, last=end * 2 // 3),
        LogPart(first=3, last=40),
        LogPart(from_us=begin_us + third, to_us=begin_us + 2 * third),
        LogPart(from_us=end_us - third, last=end - 5),
        LogPart(first=end + 7),
    )


def _log(site: Site, worker: EventsWorker | None = None) -> LogEvents:
    end = site.frames[-1].header.next_seq
    account_of = replayed(site.frames).access.account_of
    secrets = site.log / "secrets"
    worker = worker or EventsWorker(site.log, secrets)
    return LogEvents(StillLog(site.log, end), account_of, trio.Event(), secrets, worker)


async def _forwards(log: LogEvents, part: LogPart, wanted: EventFilter) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    while True:
        page = await log.read(part, wanted, 1000)
        found += page.events
        if page.following is None:
            return found
        part = evolve(part, first=page.following)


async def _backwards(
    log: LogEvents, part: LogPart, wanted: EventFilter, limit: int, pages: int
) -> list[dict[str, Any]]:
    """Reads some pages of the last events."""
    found: list[dict[str, Any]] = []
    for _ in range(pages):
        page = await log.read_last(part, wanted, limit)
        assert (page.following, page.end) == (None, log.end)
        assert len(page.events) <= limit
        found = page.events + found
        if page.previous is None:
            return found
        part = evolve(part, last=page.previous - 1)
    return found


@pytest.fixture(autouse=True)
def _kept_frames_are_right(monkeypatch: pytest.MonkeyPatch) -> None:
    """A start looked at them, and noted it."""
    monkeypatch.setattr(opening_balance, "compare_kept", lambda *_: None)


async def _compare(site: Site, parts: slice) -> int:
    log, count = _log(site), 0
    for part, wanted in product(_parts(site)[parts], FILTERS):
        whole = await _forwards(log, part, wanted)
        last = await _backwards(log, part, wanted, 7, 2)
        assert last == whole[len(whole) - len(last) :], (part, wanted)
        assert len(last) >= min(len(whole), 7)
        assert await _backwards(log, part, wanted, 60, 10**6) == whole
        count += len(whole)
    return count


def _index(site: Site) -> None:
    """Makes the index of frames, and tears the end as a crash does."""
    site.follow()
    while frame_index.write_next(site.log, site.keys):
        pass
    newest = segments_of(site.log)[-1]
    newest.write_bytes(newest.read_bytes() + newest.read_bytes()[-100:])


def test_they_are_the_tail(site: Site) -> None:
    """By every filter: with an index of frames, and behind a torn write."""
    _index(site)
    assert trio.run(_compare, site, slice(2)) > 300


@pytest.mark.faults
def test_they_are_the_tail_of_any_part(site: Site) -> None:
    """Without an index and with one."""
    rmtree(site.log / frame_index.FOLDER, ignore_errors=True)
    assert trio.run(_compare, site, slice(9)) > 500
    _index(site)
    assert trio.run(_compare, site, slice(2, 9)) > 200


def test_indexes_that_are_kept(site: Site, tmp_path: Path) -> None:
    """Scans that share indexes find the same as those that have none, while the log grows by pieces
    of frames, and gets further segments and their indexes.
    """
    _index(site)
    log, (*before, third, second, last) = tmp_path / "log", segments_of(site.log)
    copytree(site.log, log)
    for one in (third, second, last):
        (log / "seg" / one.name).unlink()
    account_of = replayed(site.frames).access.account_of
    kept, part = KeptIndexes(site.keys), LogPart(last=site.frames[-1].header.next_seq)
    counts: list[int] = []
    for segment in (third, second, last):
        data, path = segment.read_bytes(), log / "seg" / segment.name
        for size in (256, len(data) // 2, len(data) // 2 + 99, len(data)):
            path.write_bytes(data[:size])
            for one in (*FILTERS[:4], *FILTERS[-3:]):
                wanted = event_scan.Filter(one, account_of, site.keys)
                whole = event_scan.Scan(log, part, wanted, site.keys)
                scan = event_scan.Scan(log, part, wanted, site.keys, kept)
                back = last_events.LastScan(log, part, wanted, site.keys, 10**6, indexes=kept)
                for each in (whole, scan):
                    while not each.over:
                        each.step(10**6)
                while not back.over:
                    back.step()
                found = whole.take()
                assert scan.take() == found, (segment.name, size, wanted)
                assert back.take(10**6)[::-1] == found, (segment.name, size, wanted)
            counts.append(len(found))
    assert counts == sorted(counts)
    assert counts[0] < counts[-1]
    assert len(kept._sealed) == len(before) + 2


def test_a_page_has_an_end(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """A page whose time is over has a place to go on before, and pages together have all."""
    monkeypatch.setattr(module, "READ_SECONDS", 0.0)
    monkeypatch.setattr(events_worker, "SLICE_SECONDS", 1e-9)
    for one in (event_scan, last_events):
        monkeypatch.setattr(one, "STEP_SECONDS", 1e-9)

    async def compare() -> None:
        log = _log(site)
        for wanted in FILTERS[:2]:
            whole = await _forwards(log, LogPart(), wanted)
            assert await _backwards(log, LogPart(), wanted, 1000, 10**6) == whole

    trio.run(compare)


def test_a_walk_that_nobody_goes_on_with_is_dropped(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "READ_SECONDS", 0.0)
    monkeypatch.setattr(events_worker, "SLICE_SECONDS", 1e-9)
    monkeypatch.setattr(last_events, "STEP_SECONDS", 1e-9)
    log = _log(site)
    worker = log._helper.worker
    assert isinstance(worker, EventsWorker)
    trio.run(_backwards, log, LogPart(), EventFilter(), 1000, 3)
    assert len(worker._walks) == 3
    monkeypatch.setattr(events_worker, "KEPT_SECONDS", 0.0)
    trio.run(_backwards, log, LogPart(), EventFilter(), 1000, 1)
    assert len(worker._walks) == 1


def _counted(events: list[dict[str, Any]], part: LogPart, step_us: int | None) -> Any:
    """Counts events one by one."""
    found: dict[int, Counter[str]] = {}
    for one in events:
        since_us = (parse(one["time"]) or 0) - (part.from_us or 0)
        piece = 0 if step_us is None else since_us // step_us
        found.setdefault(piece, Counter())[one["type"]] += 1
    return found


async def _count(log: LogEvents, part: LogPart, step_us: int | None) -> Any:
    found: dict[int, Counter[str]] = {}
    while True:
        page = await log.count(part, step_us)
        for piece, types in page.counts.items():
            found.setdefault(piece, Counter()).update(types)
        if page.following is None:
            assert page.end == log.end
            return found
        part = evolve(part, first=page.following)


async def _compare_counts(site: Site, log: LogEvents) -> None:
    begin_us, end_us = site.frames[0].header.date_us, site.frames[-1].header.date_us
    for part in _parts(site):
        events = await _forwards(log, part, EventFilter())
        for step_us in (None, 7 * SECOND, 1800 * SECOND):
            timed = step_us is None or part.from_us is not None
            counted = part if timed else evolve(part, from_us=begin_us - 1, to_us=end_us)
            assert await _count(log, counted, step_us) == _counted(events, counted, step_us)


def test_counts(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Counts by type and piece of time are those of the events one by one, and most frames are not
    read for them. A page that ends early is gone on with.
    """
    _index(site)
    trio.run(_compare_counts, site, _log(site))
    read: list[int] = []
    told = kind_count._told

    def noted(frame: Frame, piece: Any) -> Any:
        read.append(frame.header.base_seq)
        return told(frame, piece)

    monkeypatch.setattr(kind_count, "_told", noted)
    found = trio.run(_count, _log(site), LogPart(), None)
    assert 0 < len(read) * 2 < len(list(Reader(site.log, to_end=True).frames()))
    monkeypatch.setattr(module, "READ_SECONDS", 0.0)
    monkeypatch.setattr(events_worker, "SLICE_SECONDS", 1e-9)
    monkeypatch.setattr(event_scan, "STEP_SECONDS", 1e-9)
    assert trio.run(_count, _log(site), LogPart(), None) == found


def test_few_segments_are_read(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The index passes over segments in which nothing is wanted, also by types of administrators'
    events.
    """
    _index(site)
    made: list[tuple[int, int | None]] = []

    class Counted(event_scan.Scan):
        def __init__(self, folder: Path, part: LogPart, *rest: Any) -> None:
            made.append((part.first, part.last))
            super().__init__(folder, part, *rest)

    monkeypatch.setattr(last_events, "Scan", Counted)
    issued = EventFilter(types=frozenset({"key_rotated"}))
    page = trio.run(_log(site).read_last, LogPart(), issued, 1)
    assert [one["type"] for one in page.events] == ["key_rotated"]
    unsealed = base_seq_of(segments_of(site.log)[-1])
    assert len([one for one in made if one[0] < unsealed]) == 1
