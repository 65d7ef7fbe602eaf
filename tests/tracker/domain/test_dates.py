"""The lead of log time over the wall clock, and the dates that follow from it."""

from __future__ import annotations

import pytest

from tests.support import SECOND, START_US, HandTime, Rig, replayed
from tracker.domain import image, refusals
from tracker.domain.dates import LEAST_US, MOST_CHANGES, MOST_US, Dates
from tracker.domain.events.admin import TrackerStarted
from tracker.domain.settings import Settings

DAY = 86_400 * SECOND


@pytest.mark.parametrize(
    ("before", "ahead", "lead"),
    [
        (0, 0, 0),
        (0, SECOND - 1, 0),
        (0, SECOND, SECOND),
        (0, -SECOND, -SECOND),
        (0, 30 * DAY + 3, 30 * DAY),
        (30 * DAY, 30 * DAY - SECOND + 1, 30 * DAY),
        (30 * DAY, -4, 0),
        (SECOND, 1, SECOND),
        (0, MOST_US + DAY, MOST_US),
        (0, LEAST_US - DAY, LEAST_US),
    ],
)
def test_the_lead(before: int, ahead: int, lead: int) -> None:
    """It is in whole seconds, and changes when it is off by a second or more."""
    dates = Dates()
    dates.go_on_with(0, before)
    assert dates.after(START_US, None) == before
    assert dates.after(START_US, START_US - ahead) == lead


def test_a_log_time_has_the_date_of_its_lead() -> None:
    dates = Dates()
    assert dates.of(START_US) == START_US
    dates.note(START_US, START_US - 30 * DAY)
    dates.note(START_US + DAY, START_US - 40 * DAY)
    assert dates.of(START_US - 1) == START_US - 1
    assert dates.of(START_US) == START_US - 30 * DAY
    assert dates.of(START_US + 2 * DAY) == START_US - 39 * DAY
    assert dates.comes(dates.of(START_US + 2 * DAY)) == START_US + 2 * DAY
    assert dates.of(5) == 5
    dates.note(2 * START_US, 7)
    assert dates.of(2 * START_US) == 1


def test_few_changes_are_remembered() -> None:
    dates = Dates()
    for number in range(1, MOST_CHANGES + 3):
        dates.go_on_with(number * DAY, number * SECOND)
    assert len(dates.changes) == MOST_CHANGES
    assert dates.of(DAY) == DAY
    assert dates.of(4 * DAY) == 4 * DAY - 4 * SECOND


def private(time: HandTime) -> Rig:
    rig = Rig(time=time)
    rig.service.append(TrackerStarted("test", 1))
    rig.service.change_settings(Settings(private=True))
    return rig


def again(rig: Rig) -> Rig:
    """Starts once more with the state that the log gives."""
    state = replayed(rig.log.frames())
    assert state.digest() == rig.state.digest()
    dumped = image.dump(state)
    loaded = image.load(dumped.plain, dumped.private)
    assert loaded.digest() == state.digest()
    following = Rig(log=rig.log, time=rig.time, state=loaded)
    following.service._clock = rig.time.log_clock(state.time_us)
    following.service.append(TrackerStarted("test", 2))
    return following


@pytest.mark.parametrize("running", [False, True], ids=["before a restart", "while running"])
@pytest.mark.parametrize(
    "wrong_us",
    [
        *(sign * each for sign in (1, -1) for each in (8 * SECOND, 3600 * SECOND, 2 * DAY)),
        30 * DAY,
        30 * 365 * DAY,
        -START_US,
    ],
)
def test_what_expired_under_a_wrong_clock_is_in_force_again(wrong_us: int, running: bool) -> None:
    """A key and a factor end by the clock, whatever it is, and again by the right one."""
    time = HandTime()
    rig = private(time)
    key = rig.issue(0, valid_until_us=START_US + DAY)
    rig.set_factor(upload_percent=200, from_us=0, until_us=START_US + DAY)

    def notice() -> None:
        nonlocal rig
        if running:
            rig.service.tick()
        else:
            rig = again(rig)
        rig.service.tick()

    def ends(wall: int) -> bool:
        assert abs(rig.service.date_us() - wall) < SECOND
        over = isinstance(rig.service.authenticate(key), int)
        now, factors = rig.service.now_us(), rig.state.factors
        assert (factors.applied(1, b"", now).upload_percent == 100) == over
        assert not over or rig.service.authenticate(key) == refusals.KEY_EXPIRED
        return over

    assert not ends(START_US)
    time.wall += wrong_us
    notice()
    assert ends(time.wall) == (wrong_us > DAY)
    time.wall -= wrong_us
    time.advance(60 * SECOND)
    notice()
    assert not ends(time.wall)
    time.advance(DAY)
    notice()
    assert ends(time.wall)
    assert replayed(rig.log.frames()).digest() == rig.state.digest()
