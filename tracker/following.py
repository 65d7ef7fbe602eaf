"""The tracker's side of the follower process (`follower.py`): start it, start it again, tell what it says, end it."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from typing import TYPE_CHECKING

import trio
from attrs import define, field

from tracker.follower import DISAGREES

if TYPE_CHECKING:
    from pathlib import Path

log = logging.getLogger("tracker")

DELAY_SECONDS = 5.0
"""A start has enough to do, and what it began with is a snapshot as a rule."""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 600.0
_STEADY_SECONDS = 600.0  # a run as long as this was a good one
_END_SECONDS = 5.0
_LINE_BYTES = 1 << 16


@define
class Following:
    """`process_id` and `seq` (how far it is) are None while none runs; `alarm` is what it found wrong, for good."""

    path: Path
    secrets_path: Path
    options: tuple[str, ...] = ()
    delay: float = DELAY_SECONDS
    first_pause: float = FIRST_PAUSE_SECONDS
    process_id: int | None = None
    seq: int | None = None
    snapshot_seq: int | None = None  # the latest that it wrote
    alarm: str = ""
    starts: int = 0
    _said: str = field(default="", init=False)

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
            log.warning("The follower ended with code %d (%s); again in %.0f s", code, what, pause)
            await trio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _run_once(self) -> int:
        """One process, from start to end; returns its exit code, 1 if it could not be started."""
        command = [sys.executable, "-m", "tracker.follower", str(self.path), str(self.secrets_path)]
        self._said = ""
        try:
            process = await trio.lowlevel.open_process(
                [*command, *self.options],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a terminal's signals are for the tracker
            )
        except OSError as error:
            self._said = str(error)
            return 1
        self.starts += 1
        self.process_id = process.pid
        log.info("Follower started: process %d", process.pid)
        try:
            await self._listen(process)
            return await process.wait()
        finally:
            self.seq = self.process_id = None
            with trio.CancelScope(shield=True):
                await _end(process)

    async def _listen(self, process: trio.Process) -> None:
        assert process.stdout is not None  # noqa: S101  # for the type checker: it was asked for
        rest = b""
        async for some in process.stdout:
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
            self.snapshot_seq = said["snapshot"]
            size = f"{said['bytes']} bytes in {said['seconds']} s"
            log.info("Snapshot before event %d written: %s", said["snapshot"], size)
        elif "refused" in said:
            log.warning("%s", said["refused"])
        elif "failed" in said:
            log.warning("No snapshot was written: %s", said["failed"])
        else:
            self._said = said.get("alarm") or said.get("error") or str(said)


async def _end(process: trio.Process) -> None:
    """Its input ends, so it does; if it does not, it is killed."""
    if process.stdin is not None:
        await process.stdin.aclose()
    with trio.move_on_after(_END_SECONDS):
        await process.wait()
    if process.returncode is None:
        process.kill()
        await process.wait()
    if process.stdout is not None:
        await process.stdout.aclose()
