"""Gives the time to the schedules that destroy data, and subtracts leaps of the clock.

So a clock that is set far ahead does not make all data old at once.

There are two rules. Both read the log, so that they hold after a restart:

1. The time is the earlier of log time and the wall clock, because log time stays ahead if the wall
   clock was ahead once.
2. A leap is more than a day between the first frames of two segments in a row. While a tracker
   runs, these are an hour apart. So the tracker was off, or the clock was wrong or is wrong now.
   For a day after the leap, the time is given without the leap: data that looks expired only
   because of the leap is kept one more day.

A wrong clock that is corrected within a day has destroyed nothing. After an outage of weeks
all data expires one day late.
"""

from __future__ import annotations

import logging
from itertools import pairwise
from typing import TYPE_CHECKING

from attrs import define, field

from eventlog import RepeatedWarning, first_frame_header, in_thread, open_header, segments_of
from tracker.domain.events import DAY_US

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tracker.service.service import Service

log = logging.getLogger("tracker")

LEAP_US = DAY_US
"""A leap is more than this between the starts of two segments in a row, in microseconds."""
WAIT_US = DAY_US
"""Microseconds for which the time is given without a leap."""


def segment_starts(folder: Path) -> list[int]:
    """Returns the date of the start of each segment, in microseconds.

    Omits segments without a frame. Raises `LogError`, `OSError`. Blocking.
    """
    found = []
    for path in segments_of(folder):
        try:
            start_us = segment_start(path)
        except FileNotFoundError:
            continue  # removed meanwhile
        if start_us is not None:
            found.append(start_us)
    return found


def segment_start(path: Path) -> int | None:
    """Returns the date of a segment's first frame, in microseconds; None = it has no frame.

    It is not later than the wall clock that made the segment, because format 1 has no leads. Raises
    `LogError`, `OSError`. Blocking.
    """
    first = first_frame_header(path)
    return None if first is None else min(first.date_us, open_header(path).created_ns // 1000)


def leap_at(starts_us: Sequence[int], now_us: int) -> int:
    """Returns the longest leap of the last day in microseconds; 0 = none, or the clock was set
    back.
    """
    return max(
        (
            after - before
            for before, after in pairwise([*starts_us, now_us])
            if after - before > LEAP_US and after <= now_us < after + WAIT_US
        ),
        default=0,
    )


@define
class ScheduleClock:
    """The clock of the schedules. A process has one.

    `leap_us` is the leap that the latest call of `now_us` found.
    """

    folder: Path
    service: Service
    leap_us: int = 0
    _leap: RepeatedWarning = field(
        init=False, factory=lambda: RepeatedWarning(log, "What is old is removed by schedule again")
    )

    async def now_us(self) -> int:
        """Returns the time from which a schedule may count back. Raises `LogError`, `OSError`."""
        starts = await in_thread(segment_starts, self.folder)
        now = self.service.earlier_us()
        self.leap_us = leap_at(starts, now)
        if self.leap_us:
            self._leap.warn(
                "The clock went ahead by %d hours within the last day: the tracker was off, or the clock is wrong. "
                "What is old by that alone is not removed or shredded before it is a day past; "
                "`tracker shred` does not wait",
                self.leap_us // 3_600_000_000,
            )
        else:
            self._leap.over()
        return now - self.leap_us
