"""Tells when the tracker was down, because it does not know who came to a torrent then."""

from __future__ import annotations

LONGEST_PAUSE_US = 600_000_000
"""Longest time between ticks while the tracker runs, in microseconds; it ticks far oftener."""


class Outages:
    """Knows when the last outage ended, from the times of ticks and of starts of the tracker."""

    __slots__ = ("_ended_us", "_ticked_us")

    def __init__(self) -> None:
        self._ticked_us = 0
        self._ended_us = 0  # before the first of these times it was down, too

    def ticked(self, time_us: int) -> None:
        self._ended_us, self._ticked_us = self.last_us(time_us), time_us

    def last_us(self, time_us: int) -> int:
        """Returns when the last outage ended, in log time; `time_us` is now."""
        return time_us if time_us - self._ticked_us > LONGEST_PAUSE_US else self._ended_us
