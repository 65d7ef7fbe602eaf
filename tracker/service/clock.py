"""Gives log time: microseconds since 1970 that never go back, whatever the wall clock does.

Log time starts at the wall clock, or just after the log's last time if that is later, and runs with
the monotonic clock. While it is within ten seconds of the wall clock, it moves towards it by at
most 500 parts per million. When the wall clock is further ahead (after a suspend), log time steps
forward at once; the step is an event, and peers get one more timeout after it. When the wall clock
is further behind, log time goes on at its own pace, and dates follow the wall clock
(`tracker.domain.dates`).
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

SLEW_PPM = 500  # parts per million, the most by which log time runs faster or slower
STEP_US = 10_000_000
"""Microseconds between the clocks from which on log time steps if it is behind, and keeps its lead
if it is ahead: running slower would take weeks for an hour, and change every gap meanwhile."""


class LogClock:
    """The clock of a log; `wall_us` and `monotonic_us` are for tests."""

    __slots__ = ("_adjusted_us", "_last_us", "_monotonic_us", "_offset_us", "_wall_us")

    def __init__(
        self,
        last_us: int,
        wall_us: Callable[[], int] = lambda: time.time_ns() // 1000,
        monotonic_us: Callable[[], int] = lambda: time.monotonic_ns() // 1000,
    ) -> None:
        """`last_us`: microseconds of the last event in the log, 0 for an empty log."""
        self._wall_us = wall_us
        self._monotonic_us = monotonic_us
        self._adjusted_us = monotonic_us()
        # Later than the last event, because that one has the lead of the run before. And a time of
        # 0 means never in totals.
        self._last_us = last_us + 1
        self._offset_us = max(self._last_us, wall_us()) - self._adjusted_us

    def now_us(self) -> int:
        """Returns log time in microseconds, never less than before."""
        now = self._monotonic_us() + self._offset_us
        if now < self._last_us:
            return self._last_us
        self._last_us = now
        return now

    def wall_us(self) -> int:
        """Returns the wall clock in microseconds since 1970; 0 for a clock before that."""
        return max(0, self._wall_us())

    def earlier_us(self) -> int:
        """Returns the earlier of log time and the wall clock: by both, this time is past."""
        return min(self.now_us(), self._wall_us())

    def adjust(self) -> int:
        """Moves log time towards the wall clock. Call it at every tick.

        Returns the microseconds stepped forward, 0 when time was only slewed.
        """
        monotonic = self._monotonic_us()
        behind = self._wall_us() - (monotonic + self._offset_us)
        limit = (monotonic - self._adjusted_us) * SLEW_PPM // 1_000_000
        self._adjusted_us = monotonic
        if behind > STEP_US:
            self._offset_us += behind
            return behind
        if behind >= -STEP_US:
            self._offset_us += max(-limit, min(limit, behind))
        return 0
