"""Log time against wall clocks that jump and drift."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.support import SECOND, START_US, HandTime, Rig, steady

HOUR = 3600 * SECOND


def test_it_begins_at_the_wall_clock() -> None:
    """The clock of an empty log begins at the wall clock."""
    assert HandTime().log_clock(0).now_us() == START_US


def test_it_begins_after_the_end_of_the_log_when_that_is_later() -> None:
    """A wall clock behind the log's last event does not take time back; it runs on from there."""
    time = HandTime()
    clock = time.log_clock(START_US + HOUR)
    assert clock.now_us() == START_US + HOUR + 1
    time.advance(SECOND)
    assert clock.now_us() == START_US + HOUR + 1 + SECOND


def test_the_earlier_clock() -> None:
    """`earlier_us` is the earlier of log time and wall clock."""
    time = HandTime()
    clock = time.log_clock()
    time.wall -= HOUR
    assert clock.earlier_us() == START_US - HOUR
    time.wall += 5 * HOUR
    assert clock.earlier_us() == START_US
    clock.adjust()
    assert clock.earlier_us() == START_US + 4 * HOUR


def test_a_wall_clock_set_back_a_little_is_followed_slowly() -> None:
    """Log time ahead of the wall clock runs slower, by 500 millionths, at each tick."""
    time = HandTime()
    clock = time.log_clock()
    time.wall -= 9 * SECOND
    time.advance(10 * SECOND)
    before = clock.now_us()
    assert before == START_US + 10 * SECOND
    assert clock.adjust() == 0
    assert clock.now_us() == before  # it stands still rather than go back
    time.advance(10 * SECOND)
    assert clock.now_us() == START_US + 20 * SECOND - 5_000


def test_a_wall_clock_set_back_is_not_followed() -> None:
    """Log time more than ten seconds ahead goes on at its own pace, so that no gap changes."""
    time = HandTime()
    clock = time.log_clock()
    time.wall -= HOUR
    time.advance(10 * SECOND)
    assert clock.adjust() == 0
    assert clock.now_us() == START_US + 10 * SECOND
    time.advance(10 * SECOND)
    assert clock.now_us() == START_US + 20 * SECOND


def test_small_differences_are_slewed() -> None:
    """Up to ten seconds ahead is caught up with slowly, and not overshot."""
    time = HandTime()
    clock = time.log_clock()
    time.wall += 6_000
    for expected in (5_000, 6_000, 6_000):
        time.advance(10 * SECOND)
        assert clock.adjust() == 0
        assert clock.now_us() - (time.monotonic - HandTime().monotonic) - START_US == expected


def test_a_wall_clock_far_ahead_is_followed_at_once() -> None:
    """Log time more than ten seconds behind steps forward, and `adjust` returns the step."""
    time = HandTime()
    clock = time.log_clock()
    time.wall += 10 * SECOND
    assert clock.adjust() == 0
    time.wall += 1
    assert clock.adjust() == 10 * SECOND + 1
    assert clock.now_us() == time.wall
    assert clock.adjust() == 0


def test_a_step_is_an_event() -> None:
    """The log has a step of the clock before the next tick."""
    rig = Rig()
    rig.time.wall += HOUR
    rig.service.tick()
    stepped, tick = rig.events()
    assert (stepped["type"], stepped["forward_us"], tick["type"]) == ("clock_stepped", HOUR, "tick")
    assert stepped["time"] == tick["time"] == "2027-01-15T09:00:00.000000Z"


moves = st.lists(
    st.tuples(st.integers(0, 60 * SECOND), st.integers(-HOUR, HOUR), st.booleans()), max_size=30
)


@steady
@given(moves=moves, last=st.integers(0, 2 * START_US))
def test_it_never_goes_back(moves: list[tuple[int, int, bool]], last: int) -> None:
    """Log time never goes back, whatever the wall clock does and however often `adjust` runs."""
    time = HandTime()
    clock = time.log_clock(last)
    before = clock.now_us()
    assert before == max(last + 1, START_US)
    for passed, jump, adjusted in moves:
        time.advance(passed)
        time.wall += jump
        if adjusted:
            clock.adjust()
        now = clock.now_us()
        assert now >= before
        before = now
