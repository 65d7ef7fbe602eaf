"""Replays the whole log beside the tracker once a day, and tells when it does not lead to the state
that is served (`replaying_process.py`)."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import trio
from attrs import define, field

from eventlog import RepeatedWarning
from tracker.upkeep.follower_process import DISAGREES, LOG_DAMAGED
from tracker.workers import child

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger("tracker")

PASS_SECONDS = 86_400.0
"""Seconds from the begin of one replay to that of the next."""
DELAY_SECONDS = 900.0
"""Seconds from the start to the first replay, because there is mostly a new snapshot by then."""
RETRY_SECONDS = 600.0
"""Seconds until a replay that could not be finished is tried again."""


@define
class Replaying:
    """One a process. `alarm` says what the latest replay found; "" = nothing."""

    path: Path  # of the log
    secrets: Path
    pass_seconds: float = PASS_SECONDS
    delay: float = DELAY_SECONDS
    passes: int = 0  # replays that came to their end
    alarm: str = ""
    _trouble: RepeatedWarning = field(
        init=False, factory=lambda: RepeatedWarning(log, "The whole log can be replayed again")
    )

    async def run(self) -> None:
        """Replays until cancelled."""
        await trio.sleep(self.delay)
        while True:
            began = trio.current_time()
            ended = await self._replay()
            pause = began + self.pass_seconds - trio.current_time() if ended else RETRY_SECONDS
            await trio.sleep(max(0.0, pause))

    async def _replay(self) -> bool:
        """Replays once; returns False if that could not be finished."""
        arguments = str(self.path), str(self.secrets), str(self.pass_seconds)
        try:
            code, output = await child.run(
                child.python("tracker.upkeep.replaying_process", *arguments)
            )
            said = output.decode(errors="replace").strip().splitlines()[-1:]
            what = said[0] if said else f"exit code {code}"
        except OSError as error:
            code, what = 1, str(error)
        if code not in (0, LOG_DAMAGED, DISAGREES):
            self._trouble.warn("The whole log could not be replayed, tried again: %s", what)
            return False
        self._trouble.over()
        self.passes += 1
        self.alarm = what if code else ""
        if code:
            log.error(
                "%s: %s. Nothing was changed, and the tracker goes on; keep the log, and see `tracker verify`",
                "THE LOG IS DAMAGED" if code == LOG_DAMAGED else "THE LOG AND THE STATE DISAGREE",
                what,
            )
        return True
