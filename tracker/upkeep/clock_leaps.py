"""How old things are, for schedules that destroy: a clock that is put far ahead does not make them old at once.

Two rules, both on what the log says, so that no restart forgets them:

1. Age is told by the earlier of log time and the wall clock: log time stays ahead once the clock was.
2. A leap is where that clock went on by more than a day between the first frames of two segments in a row, which
   are an hour apart while a tracker runs: the tracker was off, or the clock was wrong, or is. For a day after it landed, it
   counts as if it had not been: what is old by it alone has to wait that long.

So whoever notices within a day that the clock is wrong, and sets it right, has lost nothing; and after an outage of
weeks, everything is as old as it is one day later.
"""

from __future__ import annotations

import logging
from itertools import pairwise
from typing import TYPE_CHECKING

import trio
from attrs import define, field

from eventlog import RepeatedWarning, first_frame_header, open_header, segments_of
from tracker.domain.events import DAY_US

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tracker.service.service import Service

log = logging.getLogger("tracker")

LEAP_US = DAY_US
WAIT_US = DAY_US


def begun(folder: Path) -> list[int]:
    """When each segment was begun by the earlier of the two clocks, in microseconds; without those that hold no frame.

    Raises `LogError`, `OSError`. Blocking.
    """
    found = []
    for path in segments_of(folder):
        try:
            first, header = first_frame_header(path), open_header(path)
        except FileNotFoundError:
            continue  # removed meanwhile
        if first is not None:
            found.append(min(first.time_us, header.created_ns // 1000))
    return found


def leapt(begun_us: Sequence[int], now_us: int) -> int:
    """By how many microseconds the clock leapt within the last day. One that was taken back since does not count."""
    return max(
        (
            after - before
            for before, after in pairwise([*begun_us, now_us])
            if after - before > LEAP_US and after <= now_us < after + WAIT_US
        ),
        default=0,
    )


@define
class Ages:
    """One a process. `leap_us` is what was found when it was last asked."""

    folder: Path
    service: Service
    leap_us: int = 0
    _leap: RepeatedWarning = field(
        init=False, factory=lambda: RepeatedWarning(log, "What is old is removed by schedule again")
    )

    async def now_us(self) -> int:
        """From when on a schedule that destroys may count back. Raises `LogError`, `OSError`."""
        there = await trio.to_thread.run_sync(begun, self.folder)
        now = self.service.earlier_us()
        self.leap_us = leapt(there, now)
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
