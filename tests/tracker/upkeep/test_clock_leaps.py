"""Retention and shredding wait when the clock leapt, is set right, or the tracker was off."""

from __future__ import annotations

import time
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
import trio

from eventlog import Reader, open_log
from tests.days import SETTINGS, Site
from tests.eventlog.logs import running, segments
from tests.support import keys_of
from tests.tracker.pruned import InlinePruner
from tracker import ports
from tracker.domain.events import DAY_US, codec
from tracker.store.replay import replay
from tracker.upkeep.clock_leaps import ScheduleClock, leap_at, segment_starts
from tracker.upkeep.shredding import Shredder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

HOUR = 3_600_000_000
BY = ports.Actor("shred_days", "", "")


@pytest.mark.parametrize(
    ("begun_h", "now_h", "leap_h"),
    [
        ([], 500, 0),
        ([0, 1, 2], 3, 0),
        ([0, 1, 25], 25, 0),
        ([0, 1, 26], 26, 25),
        ([0, 1], 505, 504),
        ([0, 1, 505, 506], 507, 504),
        ([0, 1, 505, 506], 528, 504),
        ([0, 1, 505, 506], 529, 0),
        ([0, 1, 505], 2, 0),
        ([0, 1, 505, 3, 4], 5, 0),
        ([0, 1, 505, 3, 508], 509, 505),
        ([0, 48, 96, 144], 145, 48),
    ],
    ids=[
        "nothing",
        "an hour each",
        "a day is none",
        "more than a day is",
        "in the newest segment",
        "some hours ago",
        "nearly a day ago",
        "a day ago",
        "set right at once",
        "set right since",
        "and wrong again",
        "one hour every other day",
    ],
)
def test_leapt(begun_h: Sequence[int], now_h: int, leap_h: int) -> None:
    """`leapt` counts the leaps of the last day, without those that were taken back."""
    assert leap_at([HOUR * each for each in begun_h], HOUR * now_h) == HOUR * leap_h


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    """Makes six days with a run each, under a clock that the test sets."""
    site = Site(tmp_path)
    monkeypatch.setattr(time, "time_ns", lambda: site.time.wall * 1000)
    first = site.time.wall
    for day in range(6):
        site.time.wall = first + day * DAY_US
        site.live(1)
    return site


def look(site: Site, hours: float = 0) -> tuple[int, list[str], int]:
    """Starts a tracker some hours later with three days to keep; returns removed segments, shredded
    days and the leap in hours.
    """
    site.time.advance(round(hours * HOUR))
    keyring = keys_of(site.secrets)
    log = open_log(site.log, codec.RECORD_SIZES, keyring.tags, encryptor=keyring)
    state = replay(Reader(site.log, to_end=True, keys=keyring))
    found: list[tuple[int, list[str], int]] = []

    async def main() -> None:
        async with running(log):
            service = site.service(log, state)
            service.change_settings(SETTINGS)
            for _ in range(100):
                service.tick(goes_on=not service.state.sweep.done)
            await log.wait_durable(log.next_seq - 1)
            pruner = InlinePruner(service, log, 3, 10**9, site.secrets)
            made = await pruner.look()
            shredder = Shredder(service, log, keyring, 3)
            done = await shredder.shred(None, BY, await pruner.clock.now_us())
            leap = pruner.clock.leap_us // HOUR
            found.append((made.segments if made else 0, done.shredded, leap))

    trio.run(main)
    return found[0]


def test_without_a_leap(site: Site) -> None:
    """Without a leap old data goes."""
    removed, shredded, leap = look(site, 1)
    assert (removed, shredded, leap) == (2, [site.day(0), site.day(1)], 0)


def test_a_clock_that_is_wrong_for_some_hours(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """A wrong clock makes nothing go early, even set right while log time stays ahead."""
    look(site, 1)
    before = segments(site.log), keys_of(site.secrets).days()
    site.time.wall += 40 * DAY_US
    for _ in range(3):
        removed, shredded, leap = look(site, 2)
        assert (removed, shredded) == (0, [])
        assert leap in range(24 * 40, 24 * 40 + 6)
    assert sum("the clock is wrong" in record.getMessage() for record in caplog.records) == 3
    site.time.wall -= 40 * DAY_US
    assert look(site, 1) == (0, [], 0)
    assert before[0] == segments(site.log)[: len(before[0])]
    assert set(before[1]) <= set(keys_of(site.secrets).days())
    # Later, what was logged goes by its date, although log time is ahead.
    look(site, 7 * 24)
    look(site, 20)
    removed, shredded, leap = look(site, 5)
    assert (removed > 0, leap) == (True, 0)
    assert shredded == [site.day(3), site.day(4), site.day(5)]


def test_a_tracker_that_was_off(site: Site) -> None:
    """A tracker that was off for three weeks removes old data a day after its start."""
    look(site, 1)
    removed, shredded, leap = look(site, 21 * 24)
    assert (removed, shredded, leap) == (0, [], 21 * 24)
    removed, shredded, leap = look(site, 20)
    assert (removed, shredded) == (0, [site.day(2)])  # as 20 hours after its end
    removed, shredded, leap = look(site, 5)
    assert (removed, leap) == (4, 0)
    assert shredded == [site.day(3), site.day(4), site.day(5)]


def test_the_command_does_not_wait(site: Site) -> None:
    """The shred command does not wait, because the administrator knows the time."""
    site.time.advance(40 * DAY_US)
    look(site)
    keyring = keys_of(site.secrets)
    log = open_log(site.log, codec.RECORD_SIZES, keys_of(site.secrets).tags)
    state = replay(Reader(site.log, to_end=True, keys=keyring))

    async def main() -> None:
        async with running(log):
            service = site.service(log, state)
            done = await Shredder(service, log, keyring, 3).shred(None, BY)
            assert done.shredded == [site.day(number) for number in range(2, 6)]

    trio.run(main)


def test_segments_without_a_frame(site: Site) -> None:
    """Segments without a frame, left by a crash or just begun, give no time."""
    times = segment_starts(site.log)
    assert [after - before for before, after in pairwise(times)] == [DAY_US] * 5
    newest = segments(site.log)[-1]
    with newest.open("r+b") as file:
        file.truncate(192)
    assert segment_starts(site.log) == times[:-1]


async def test_a_leap_is_logged_once(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    """The text log has one line when a leap begins to hold data, and one at its end."""

    class Clocks:
        now = segment_starts(site.log)[-1]

        def earlier_us(self) -> int:
            return self.now

    clocks = Clocks()
    clock = ScheduleClock(site.log, clocks)  # type: ignore[arg-type]  # has the used part of a service
    for hours in (0, 30, 0.5, 0.5, -30):
        clocks.now += round(hours * HOUR)
        await clock.now_us()
    said = [record.getMessage()[:20] for record in caplog.records]
    assert said == ["The clock went ahead", "What is old is remov"]
