"""Estimates when the log's disk is full, and warns in the text log days before."""

from __future__ import annotations

import logging
from math import isfinite
from typing import TYPE_CHECKING, Protocol

import trio
from attrs import define, field

from eventlog import RepeatedWarning

if TYPE_CHECKING:
    from eventlog import LogStatistics
    from tracker.metrics.loop_watch import Watch
    from tracker.upkeep.retention import Pruner

log = logging.getLogger("tracker")

WARN_DAYS = 10.0
"""Days until the disk is full at which a warning is logged, once a day."""
LAST_DAYS = 1.0
"""Days until the disk is full at which it is logged once more."""
LEAST_SECONDS = 3600.0
"""Seconds of measured growth before a warning, because a start alone says nothing about a day."""
LOOK_SECONDS = 60.0
"""Seconds between two looks, as often as the growth is measured."""
_GIB = 1 << 30


class Log(Protocol):
    def statistics(self) -> LogStatistics: ...


def _warning() -> RepeatedWarning:
    return RepeatedWarning(log, "The log's disk is not about to be full any more")


@define
class DiskDays:
    """The days that are left, by the free space and the growth of the log in the last day."""

    log: Log
    watch: Watch
    pruner: Pruner | None
    _warned: RepeatedWarning = field(init=False, factory=_warning)
    _last: bool = field(init=False, default=False)  # that of the last day was logged

    def left(self) -> float | None:
        """Returns the days; None = the growth is not known yet, or ends before the disk is full."""
        free, a_day = self.log.statistics().disk_free_bytes, self.watch.bytes_a_day
        if a_day is None:
            return None
        days = self.pruner.days_left(free, a_day) if self.pruner else free / a_day
        return days if isfinite(days) else None

    async def run(self) -> None:
        """Looks now and then, until cancelled."""
        while True:
            await trio.sleep(LOOK_SECONDS)
            self.look()

    def look(self) -> None:
        """Warns if few days are left. The end of that is twice as far away, so that it does not
        warn too often.
        """
        if self.watch.measured_seconds < LEAST_SECONDS:
            return
        days = self.left()
        if days is None or days >= 2 * WARN_DAYS:
            self._warned.over()
            self._last = False
        elif days < WARN_DAYS:
            if days < LAST_DAYS and not self._last:
                self._warned, self._last = _warning(), True
            self._warned.warn(
                "The log's disk is full in about %.1f days: %.1f GiB are free, and the log grows by %.2f GiB a day. "
                "Then announces are refused: give it space, or keep less (keep_days, keep_bytes)",
                days,
                self.log.statistics().disk_free_bytes / _GIB,
                (self.watch.bytes_a_day or 0) / _GIB,
            )
