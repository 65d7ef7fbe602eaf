"""Reads every finished segment again within a day, so that damage is noticed long before somebody
needs the file.

A start and a replay read only what they need. Here each segment is read from the disk and compared
with its seal, one at a time and spread over the day, the one that was read longest ago first. The
time stamp of its seal says when that was, so that a tracker that is started again and again comes
to all of them too.

New segments, and those that somebody touched, are read at the next look, so that the next start
need not read them (`store/checked_segments.py`).
"""

from __future__ import annotations

import logging
import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

import trio
from attrs import define, field

from eventlog import (
    LogError,
    Pace,
    RepeatedWarning,
    finished_segments,
    in_thread,
    seal_path,
    wrong_by_seal,
)

if TYPE_CHECKING:
    from pathlib import Path

    from eventlog import Macs
    from tracker.store.checked_segments import CheckedSegments

log = logging.getLogger("tracker")

PASS_SECONDS = 86_400.0
"""Seconds in which all finished segments are read once."""
LONGEST_PAUSE_SECONDS = 600.0
"""Seconds between two segments at most, so that a short log is read often."""


@define
class Rereading:
    """One a process. `damaged` has the names of segments that are not as they were sealed."""

    path: Path  # of the log
    macs: Macs | None = None  # checks the MACs of seals
    pass_seconds: float = PASS_SECONDS
    checked: CheckedSegments | None = None  # remembers what was read
    segments: int = 0  # read since the start
    damaged: set[str] = field(factory=set)
    _read_at: dict[Path, float] = field(init=False, factory=dict)  # by this process
    _trouble: RepeatedWarning = field(
        init=False,
        factory=lambda: RepeatedWarning(log, "Finished segments can be read again"),
    )

    async def run(self) -> None:
        """Reads until cancelled."""
        while True:
            pause = await self._look()
            await trio.sleep(pause)

    async def _look(self) -> float:
        """Reads the segment whose turn it is, and a damaged one, because it may be mended.

        Returns the seconds until the next look.
        """
        try:
            read_at, unknown = await in_thread(self._times), await in_thread(self._unknown)
        except (LogError, OSError) as error:
            self._trouble.warn("Finished segments cannot be listed, tried again: %s", error)
            return min(LONGEST_PAUSE_SECONDS, self.pass_seconds)
        self.damaged.intersection_update(path.name for path in read_at)
        pause = min(LONGEST_PAUSE_SECONDS, self.pass_seconds / max(1, len(read_at)))
        oldest_first = sorted(read_at, key=read_at.__getitem__)
        turn = time.time() - (len(read_at) - 0.5) * pause
        going = [path for path in oldest_first[:1] if read_at[path] <= turn]
        going += [path for path in oldest_first if path.name in self.damaged][:1]
        for path in dict.fromkeys([*going, *unknown]):
            await self._read(path)
        if self.checked is not None:
            with suppress(BlockingIOError):  # no thread: the next look has one
                await in_thread(self.checked.save)
        return pause

    def _times(self) -> dict[Path, float]:
        """Says when each finished segment was read, in seconds since 1970; 0 = not known."""
        now, found = time.time(), {}
        for path in finished_segments(self.path):
            at = self._read_at.get(path, 0.0)
            with suppress(OSError):
                at = max(at, seal_path(path).stat().st_mtime)
            found[path] = at if at <= now else 0.0  # the clock was ahead
        self._read_at = {path: at for path, at in self._read_at.items() if path in found}
        return found

    def _unknown(self) -> list[Path]:
        """Lists the sealed segments that a start would read. Damaged ones have another turn."""
        there = self.checked.tagged() if self.checked is not None else []
        return [
            path
            for path in there
            if path.name not in self.damaged and os.path.lexists(seal_path(path))
        ]

    async def _read(self, path: Path) -> None:
        try:
            wrong = await in_thread(
                _wrong, path, self.macs, self.checked, abandon=True
            )  # no stop waits for a slow disk
        except FileNotFoundError:
            return  # removed meanwhile
        except BlockingIOError as error:  # no thread
            self._trouble.warn("Finished segments cannot be read, tried again: %s", error)
            return
        except OSError as error:
            wrong = f"cannot be read: {error.strerror or error}"
        self._trouble.over()
        self._read_at[path] = time.time()
        self.segments += 1
        if not wrong:
            self.damaged.discard(path.name)
        elif path.name not in self.damaged:
            self.damaged.add(path.name)
            log.error(
                "THE LOG IS DAMAGED: %s: %s. Nothing was changed, and the tracker goes on; restore the file from a "
                "backup, and see `tracker verify`",
                path,
                wrong,
            )


def _wrong(path: Path, macs: Macs | None, checked: CheckedSegments | None) -> str:
    """Says what is wrong with a segment. Where nothing is, the time stamp of its seal says from now
    on that it was read."""
    begun = checked.begin(path) if checked is not None else None
    wrong = wrong_by_seal(path, macs, pace=Pace())
    if not wrong:
        with suppress(OSError):  # one without a seal may still lose what a failed write left in it
            os.utime(seal_path(path))
            if checked is not None:
                checked.remember(path, begun)
    return wrong
