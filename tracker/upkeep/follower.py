"""Supervises the follower process: starts and restarts it, logs its reports, ends it."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import trio
from attrs import define, field

from eventlog import RepeatedWarning, parse_json
from tracker.upkeep.follower_process import CANNOT, DISAGREES
from tracker.workers.child import Child, python

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from eventlog import Sealed

log = logging.getLogger("tracker")

DELAY_SECONDS = 5.0
"""Seconds between the tracker's start and the follower's, because a start is busy, and mostly has a
recent snapshot.
"""
FIRST_PAUSE_SECONDS, LONGEST_PAUSE_SECONDS = 1.0, 600.0
"""Seconds before a restart; each pause is twice the one before."""
_STEADY_SECONDS = 600.0  # after a longer run the next pause is `FIRST_PAUSE_SECONDS` again
SILENCE_SECONDS = 600.0
"""Seconds without a report after which the follower is ended, because it must hang. It reports
every second, except while it loads or writes a state."""
_LINE_BYTES = 1 << 16  # the most bytes of a report
CROWDED = (
    "Rows of the book that are older than history_days do not show, but could not be removed: %s. Free as much space as the "
    "folder `book` takes; the follower tries it again every day"
)


@define
class FollowerSupervisor:
    """Runs one follower process at a time. `process_id` and `seq` are None while none runs."""

    path: Path
    secrets_path: Path
    options: tuple[str, ...] = ()
    note_sealed: Callable[[Sealed], None] = lambda _: None
    delay: float = DELAY_SECONDS
    first_pause: float = FIRST_PAUSE_SECONDS
    silence: float = SILENCE_SECONDS
    process_id: int | None = None
    seq: int | None = None  # number of events that the follower has applied
    snapshot_seq: int | None = None  # the latest snapshot that the follower wrote
    alarm: str = ""  # the disagreement of log and replay; it stays while the tracker runs
    starts: int = 0
    _last_words: str = field(default="", init=False)
    _ending: RepeatedWarning = field(
        init=False, factory=lambda: RepeatedWarning(log, "The follower goes on")
    )
    _unsealed: RepeatedWarning = field(
        init=False, factory=lambda: RepeatedWarning(log, "Finished segments are sealed again")
    )
    _unwritten: RepeatedWarning = field(
        init=False, factory=lambda: RepeatedWarning(log, "Snapshots are written again")
    )

    _unbooked: RepeatedWarning = field(
        init=False, factory=lambda: RepeatedWarning(log, "The book is written again")
    )
    _unindexed: RepeatedWarning = field(
        init=False, factory=lambda: RepeatedWarning(log, "The index of stays is written again")
    )
    _unlisted: RepeatedWarning = field(
        init=False, factory=lambda: RepeatedWarning(log, "Cases are written again")
    )
    _crowded: RepeatedWarning = field(
        init=False, factory=lambda: RepeatedWarning(log, "Old rows of the book are removed again")
    )

    def lag(self, durable_seq: int) -> int | None:
        """Returns how many durable events the follower has yet to apply; None = it does not run."""
        return None if self.seq is None else max(0, durable_seq - self.seq)

    async def run(self) -> None:
        """Keeps a follower running until cancelled, or until it raises the alarm.

        After an alarm there is no restart, because the next follower would find the same.
        """
        await trio.sleep(self.delay)
        pause = self.first_pause
        while True:
            began = trio.current_time()
            code = await self._run_once()
            if code == DISAGREES:
                self.alarm = self._last_words or "the follower says that log and replay disagree"
                log.error("THE LOG AND ITS REPLAY DISAGREE: %s", self.alarm)
                log.error("No snapshots are written from here on; keep the log, and report this")
                return
            if trio.current_time() - began > _STEADY_SECONDS:
                pause = self.first_pause
            what = self._last_words or "it said nothing"
            self._ending.warn(
                "The follower ended with code %d (%s); it is started again", code, what
            )
            await trio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE_SECONDS)

    async def _run_once(self) -> int:
        """Runs one process to its end; returns its exit code, 1 if it could not be started."""
        module = "tracker.upkeep.follower_process"
        command = python(module, str(self.path), str(self.secrets_path), *self.options)
        self._last_words = ""
        try:
            child = Child(command)
        except OSError as error:
            self._last_words = str(error)
            return CANNOT
        self.starts += 1
        self.process_id = child.pid
        log.info("Follower started: process %d", child.pid)
        try:
            if await self._listen(child):
                return await child.wait()
            self._last_words = f"it was silent for {self.silence:.0f} s"
            return CANNOT
        except OSError as error:
            self._last_words = str(error)
            return CANNOT
        finally:
            self.seq = self.process_id = None
            with trio.CancelScope(shield=True):
                if not await child.end():
                    log.warning("The follower, process %d, cannot even be killed", child.pid)

    async def _listen(self, child: Child) -> bool:
        """Reads the follower's reports until its output ends; returns False if it hangs."""
        rest = b""
        while True:
            with trio.move_on_after(self.silence) as patience:
                some = await child.receive(_LINE_BYTES)
            if patience.cancelled_caught:
                return False
            if not some:
                return True
            *lines, rest = (rest + some).split(b"\n")
            rest = rest[-_LINE_BYTES:]
            for line in lines:
                self._hear(line)

    def _hear(self, line: bytes) -> None:
        report = _report(line)
        if "seq" in report:
            self.seq = report["seq"]
        elif "snapshot" in report:
            self._ending.over()
            self._unwritten.over()
            self.snapshot_seq = report["snapshot"]
            size = f"{report.get('bytes')} bytes in {report.get('seconds')} s"
            log.info("Snapshot before event %d written: %s", report["snapshot"], size)
        elif "sealed" in report:
            self._unsealed.over()
            self.note_sealed((bytes.fromhex(report["sealed"]), report["after"]))
        elif "unsealed" in report:
            self._unsealed.warn("A finished segment could not be sealed: %s", report["unsealed"])
        elif "booked" in report:
            self._unbooked.over()
        elif "unbooked" in report:
            self._unbooked.warn("The book could not be written: %s", report["unbooked"])
        elif "indexed" in report:
            self._unindexed.over()
        elif "unindexed" in report:
            what = "The index of stays could not be written: %s"
            self._unindexed.warn(what, report["unindexed"])
        elif "listed" in report:
            self._unlisted.over()
        elif "unlisted" in report:
            self._unlisted.warn("Cases could not be written: %s", report["unlisted"])
        elif report.get("crowded") == "":
            self._crowded.over()
        elif "crowded" in report:
            self._crowded.warn(CROWDED, report["crowded"])
        elif "refused" in report:
            log.warning("%s", report["refused"])
        elif "failed" in report:
            self._unwritten.warn("No snapshot was written: %s", report["failed"])
        else:
            self._last_words = report.get("alarm") or report.get("error") or str(report)


def _report(line: bytes) -> dict[str, Any]:
    """Returns a report of the follower; any other line, as the end of a traceback, is an error."""
    with suppress(ValueError):
        found = parse_json(line)
        if isinstance(found, dict):
            return found
    return {"error": line.decode(errors="replace").strip()}
