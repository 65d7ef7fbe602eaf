"""The tracker's side of the follower process (`follower.py`): start it, start it again, tell what it says, end it."""

from __future__ import annotations

import json
import logging
import sys
from typing import TYPE_CHECKING

import trio
from attrs import define, field

from eventlog import RepeatedWarning
from tracker.upkeep.follower_process import CANNOT, DISAGREES
from tracker.workers.child import Child

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger("tracker")

DELAY_SECONDS = 5.0
"""A start has enough to do, and what it began with is a snapshot as a rule."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 600.0
_STEADY_SECONDS = 600.0  # a run as long as this was a good one
SILENCE_SECONDS = 600.0
"""It tells every second how far it is, but while it loads or writes a state: then it hangs, or was stopped."""
_LINE_BYTES = 1 << 16


@define
class Following:
    """`process_id` and `seq` (how far it is) are None while none runs; `alarm` is what it found wrong, for good."""

    path: Path
    secrets_path: Path
    options: tuple[str, ...] = ()
    delay: float = DELAY_SECONDS
    first_pause: float = FIRST_PAUSE_SECONDS
    silence: float = SILENCE_SECONDS
    process_id: int | None = None
    seq: int | None = None
    snapshot_seq: int | None = None  # the latest that it wrote
    alarm: str = ""
    starts: int = 0
    _said: str = field(default="", init=False)
    _ending: RepeatedWarning = field(
        init=False, factory=lambda: RepeatedWarning(log, "The follower goes on")
    )
    _unwritten: RepeatedWarning = field(
        init=False, factory=lambda: RepeatedWarning(log, "Snapshots are written again")
    )

    def lag(self, durable_seq: int) -> int | None:
        """Durable events that it has not applied yet; None while none runs."""
        return None if self.seq is None else max(0, durable_seq - self.seq)

    async def run(self) -> None:
        """Until cancelled, or until it raises the alarm: another start would come to the same."""
        await trio.sleep(self.delay)
        pause = self.first_pause
        while True:
            began = trio.current_time()
            code = await self._run_once()
            if code == DISAGREES:
                self.alarm = self._said or "the follower says that log and replay disagree"
                log.error("THE LOG AND ITS REPLAY DISAGREE: %s", self.alarm)
                log.error("No snapshots are written from here on; keep the log, and report this")
                return
            if trio.current_time() - began > _STEADY_SECONDS:
                pause = self.first_pause
            what = self._said or "it said nothing"
            self._ending.warn(
                "The follower ended with code %d (%s); it is started again", code, what
            )
            await trio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _run_once(self) -> int:
        """One process, from start to end; returns its exit code, 1 if it could not be started."""
        command = [
            sys.executable,
            "-m",
            "tracker.upkeep.follower_process",
            str(self.path),
            str(self.secrets_path),
        ]
        self._said = ""
        try:
            child = Child([*command, *self.options])
        except OSError as error:
            self._said = str(error)
            return CANNOT
        self.starts += 1
        self.process_id = child.pid
        log.info("Follower started: process %d", child.pid)
        try:
            if await self._listen(child):
                return await child.wait()
            self._said = f"it was silent for {self.silence:.0f} s"
            return CANNOT
        finally:
            self.seq = self.process_id = None
            with trio.CancelScope(shield=True):
                if not await child.end():
                    log.warning("The follower, process %d, cannot even be killed", child.pid)

    async def _listen(self, child: Child) -> bool:
        """Until its output ends; false: it hangs."""
        rest = b""
        while True:
            with trio.move_on_after(self.silence) as patience:
                some = await child.output.receive_some(_LINE_BYTES)
            if patience.cancelled_caught:
                return False
            if not some:
                return True
            *lines, rest = (rest + some).split(b"\n")
            rest = rest[-_LINE_BYTES:]
            for line in lines:
                self._hear(line)

    def _hear(self, line: bytes) -> None:
        try:
            said = json.loads(line)
        except ValueError:
            said = {"error": line.decode(errors="replace").strip()}  # the end of a traceback
        if "seq" in said:
            self.seq = said["seq"]
        elif "snapshot" in said:
            self._ending.over()
            self._unwritten.over()
            self.snapshot_seq = said["snapshot"]
            size = f"{said['bytes']} bytes in {said['seconds']} s"
            log.info("Snapshot before event %d written: %s", said["snapshot"], size)
        elif "refused" in said:
            log.warning("%s", said["refused"])
        elif "failed" in said:
            self._unwritten.warn("No snapshot was written: %s", said["failed"])
        else:
            self._said = said.get("alarm") or said.get("error") or str(said)
