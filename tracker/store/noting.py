"""Writes the note of an open log (`high_water_mark`) in time: for administrators, and now and then.

A change by an administrator is acknowledged once the note covers it, because the log alone cannot
show that its end was cut off. One note serves all that wait.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import trio
from attrs import Factory, define, evolve, field

from eventlog import LogError, LogFailedError, RepeatedWarning, to_the_end
from tracker.store import high_water_mark

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from eventlog import EventLog, Pool
    from tracker.store.high_water_mark import Mark

log = logging.getLogger("tracker")

NOTE_SECONDS = 10.0
"""Longest time in seconds between two notes, and so the age of what a crash leaves without one."""


class NotVouchedError(LogFailedError):
    """The event is in the log, and the note that would vouch for it cannot be written."""

    def __init__(self, why: str) -> None:
        super().__init__(
            f"what was written is in the log and not yet vouched for, because its note cannot be written: {why}"
        )


@define(eq=False)
class _Note:
    """A note that is to be written, or was."""

    wanted: trio.Event = field(factory=trio.Event)
    done: trio.Event = field(factory=trio.Event)
    error: str = ""


@define(eq=False)
class NotedLog:
    """The side of a log by which administrators' changes are appended and acknowledged.

    It is a `tracker.service.append.Log`. Run `run` beside the log's own.
    """

    log: EventLog
    _secrets: Path
    _accepted: bool = False  # the log is not the one that its note is of
    _now_us: Callable[[], int] = field(init=False, default=lambda: 0)
    pool: Pool = field(init=False, default=Factory(lambda self: self.log.pool, takes_self=True))
    noted_seq: int = field(init=False, default=0)  # the note covers all events below it
    trouble: str = field(init=False, default="")  # why the note cannot be written
    _mark: Mark | None = field(init=False)
    _next: _Note = field(init=False, factory=_Note)
    _again: RepeatedWarning = field(
        init=False,
        factory=lambda: RepeatedWarning(log, "The note of how far the log is durable is written"),
    )

    def __attrs_post_init__(self) -> None:
        """Writes the first note with tags, because the first tagged frame comes after it.

        Raises `LogError`, `OSError`.
        """
        mark = high_water_mark.read(self._secrets, self.log.log_id)
        if mark is not None and self._accepted:
            # The file stays, so that a crash before the event of the start is no silent acceptance.
            mark = evolve(mark, tagged_from=high_water_mark.tagged_since(self.log))
        elif mark is None or mark.tagged_from is None:
            mark = high_water_mark.note(self._secrets, self.log, self.log.recovery.last_time_us)
        self._mark = mark

    # The side for administrators.

    def has_room(self, *, reserved: bool = False) -> bool:
        """Calls the log's."""
        return self.log.has_room(reserved=reserved)

    def appended(self) -> None:
        """Calls the log's."""
        self.log.appended()

    async def wait_durable(self, seq: int) -> None:
        """Returns once the event is on stable storage and the note covers it.

        Raises `LogFailedError`; `NotVouchedError` when only the note is missing.
        """
        await self.log.wait_durable(seq)
        while self.noted_seq <= seq:
            mine = self._next  # it begins after this, so it covers the event
            mine.wanted.set()
            await mine.done.wait()
            if mine.error:
                raise NotVouchedError(mine.error)

    # Writing.

    async def run(
        self,
        now_us: Callable[[], int],
        *,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Writes the note when somebody waits for it, and every `NOTE_SECONDS`, until cancelled.

        `now_us` gives log time.
        """
        self._now_us = now_us
        task_status.started()
        while True:
            with trio.move_on_after(NOTE_SECONDS):
                await self._next.wanted.wait()
            await self._write()

    async def _write(self) -> None:
        now, self._next = self._next, _Note()
        try:
            mark = high_water_mark.next_mark(self._mark, self.log, self._now_us())
            await to_the_end(high_water_mark.write, self._secrets, self.log.log_id, mark)
        except (LogError, OSError) as error:
            now.error = self.trouble = str(error)
            self._again.warn(
                "The note of how far the log is durable cannot be written, trying again: %s. Administrators' changes are in the log, and get "
                "no acknowledgement",
                error,
            )
        else:
            self._mark, self.noted_seq, self.trouble = mark, mark.seq, ""
            self._again.over()
        finally:
            now.done.set()

    def last(self, time_us: int) -> None:
        """Writes the note of a log that was closed. Only warns when it cannot. Blocking."""
        try:
            mark = high_water_mark.next_mark(self._mark, self.log, time_us)
            high_water_mark.write(self._secrets, self.log.log_id, mark)
        except (LogError, OSError) as error:
            log.warning("The note of how far the log is durable was not written: %s", error)
