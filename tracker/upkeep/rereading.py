"""Reads every finished segment again within a day, so that damage is noticed long before somebody
needs the file.

A start and a replay read only what they need. Here each segment is read from the disk and compared
with its seal, one at a time and spread over the day, in a random order: so trackers that are
started again often come to all of them too.
"""

from __future__ import annotations

import logging
import random
from typing import TYPE_CHECKING

import trio
from attrs import define, field

from eventlog import LogError, RepeatedWarning, in_thread, sealed_segments, wrong_by_seal

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger("tracker")

PASS_SECONDS = 86_400.0
"""Seconds in which all finished segments are read once."""
LONGEST_PAUSE_SECONDS = 600.0
"""Seconds between two segments at most, so that a short log is read often."""


@define
class Rereading:
    """One a process. `damaged` has the names of segments that are not as they were sealed."""

    path: Path  # of the log
    pass_seconds: float = PASS_SECONDS
    segments: int = 0  # read since the start
    damaged: set[str] = field(factory=set)
    _trouble: RepeatedWarning = field(
        init=False,
        factory=lambda: RepeatedWarning(log, "Finished segments can be read again"),
    )

    async def run(self) -> None:
        """Reads until cancelled."""
        while True:
            try:
                paths = await in_thread(sealed_segments, self.path)
            except (LogError, OSError) as error:
                self._trouble.warn("Finished segments cannot be listed, tried again: %s", error)
                paths = []
            self.damaged.intersection_update(path.name for path in paths)
            pause = min(LONGEST_PAUSE_SECONDS, self.pass_seconds / max(1, len(paths)))
            random.shuffle(paths)
            await trio.sleep(pause)
            for path in paths:
                await self._read(path)
                await trio.sleep(pause)

    async def _read(self, path: Path) -> None:
        try:
            wrong = await in_thread(wrong_by_seal, path)
        except FileNotFoundError:
            return  # removed meanwhile
        except BlockingIOError as error:  # no thread
            self._trouble.warn("Finished segments cannot be read, tried again: %s", error)
            return
        except OSError as error:
            wrong = f"cannot be read: {error.strerror or error}"
        self._trouble.over()
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
