"""The last events, read from the end backwards, are the tail of what is read from the beginning."""

from __future__ import annotations

from itertools import product
from shutil import rmtree
from typing import TYPE_CHECKING, Any

import pytest
import trio
from attrs import evolve

import eventlog.log
from eventlog import segments_of
from tests.support import SECOND, StillLog, hash_of, key_text, replayed
from tests.tracker.upkeep.book.site import Site
from tracker.history import event_scan, events_worker, last_events
from tracker.history import events as module
from tracker.history.events import LogEvents
from tracker.history.events_worker import EventsWorker
from tracker.ports import EventFilter, LogPart
from tracker.store import frame_index, opening_balance
from tracker.upkeep import retention

if TYPE_CHECKING:
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


def _log(site: Site) -> LogEvents:
    end = site.frames[-1].header.next_seq
    account_of = replayed(site.frames).access.account_of
    secrets = site.log / "secrets"
    worker = EventsWorker(site.log, secrets)
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
