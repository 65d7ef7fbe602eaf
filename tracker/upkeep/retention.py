"""Keeps the log of the running tracker within `keep_days` and `keep_bytes`.

It removes whole segments, the oldest first. A segment stays while a peer in the swarms needs it,
because its last announce holds the peer's address. This module decides which segments are due, and
when. `pruning` removes them safely.
"""

from __future__ import annotations

import json
import logging
from itertools import pairwise
from typing import TYPE_CHECKING

import trio
from attrs import Factory, define, field, frozen

from eventlog import (
    LogError,
    RepeatedWarning,
    base_seq_of,
    first_frame_header,
    first_seq,
    segments_of,
)
from tracker import ports
from tracker.domain.events import DAY_US
from tracker.domain.events.admin import LogPruned
from tracker.domain.swarms import NEVER_US
from tracker.service.durable import append_durably
from tracker.upkeep import pruning
from tracker.upkeep.clock_leaps import ScheduleClock
from tracker.workers import child

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from eventlog import EventLog
    from tracker.service.service import Service

log = logging.getLogger("tracker")

SCHEDULE_SECONDS = 3600.0
"""Seconds between two looks for segments that are due."""
PIECE = 10_000
"""Number of peers looked at between two checkpoints, which takes a few milliseconds."""


class PruningError(Exception):
    """The files that a removal needs first could not be made. Nothing was removed."""


@frozen
class Segment:
    first_seq: int
    first_us: int  # log time of its first frame
    size: int  # bytes


@frozen
class Due:
    """The events below `first_seq` can be removed."""

    first_seq: int
    rule: str  # the setting that demands the larger removal: "keep_days" or "keep_bytes"
    held: bool  # true = more events are due, but peers in the swarms need them


def segments(folder: Path) -> list[Segment]:
    """Lists the segments of a log that hold a frame, in order.

    Raises `LogError`, `OSError`. Blocking.
    """
    found = []
    for path in segments_of(folder):
        first = first_frame_header(path)
        # A segment without a frame is new, or a crash or a failed write left it empty.
        if first is not None:
            found.append(Segment(base_seq_of(path), first.time_us, path.stat().st_size))
    return found


def due(
    logged: Sequence[Segment],
    keep_from_us: int,
    keep_bytes: int,
    needed_seq: int,
    needed_us: int,
) -> Due | None:
    """Decides where a log of these segments should begin; None = nothing is due or held.

    The newest segment always stays. So do the event `needed_seq`, and all events from log time
    `needed_us` on.
    """
    wanted = {"keep_days": 0, "keep_bytes": 0}
    left = sum(each.size for each in logged)
    free = 0
    for at, (before, here) in enumerate(pairwise(logged), 1):
        if here.first_us <= keep_from_us:
            wanted["keep_days"] = at
        if left > keep_bytes:
            wanted["keep_bytes"] = at
        left -= before.size
        if here.first_seq <= needed_seq and here.first_us < needed_us:
            free = at
    rule = max(wanted, key=lambda each: wanted[each])
    at = min(wanted[rule], free)
    held = free < wanted[rule]
    if not logged or (logged[at].first_seq == logged[0].first_seq and not held):
        return None
    return Due(logged[at].first_seq, rule, held)


def days_left(
    free_bytes: int, log_bytes: int, keep_days: int, keep_bytes: int, a_day: float
) -> float:
    """Returns the days until the disk is full at the log's present growth of `a_day` bytes a day.

    Infinity = retention ends the growth before.
    """
    if log_bytes + free_bytes >= min(keep_bytes, keep_days * a_day):
        return float("inf")
    return free_bytes / a_day


def _clock_of(pruner: Pruner) -> ScheduleClock:
    return ScheduleClock(pruner.log.path, pruner.service)


@define
class Pruner:
    """Removes the segments that are due from the log of the live service. A process has one."""

    service: Service
    log: EventLog
    keep_days: int
    keep_bytes: int
    log_bytes: int = 0  # size of the segments at the last look
    clock: ScheduleClock = field(default=Factory(_clock_of, takes_self=True))
    _held: RepeatedWarning = field(
        init=False,
        factory=lambda: RepeatedWarning(log, "The log is as short as it should be again"),
    )

    async def look(self) -> pruning.Made | None:
        """Finishes an earlier removal, then removes the segments that are due; None = none were.

        Raises `PruningError`, `ports.LogUnavailableError`, `LogError`, `OSError`.
        """
        await self.finish()
        found = await self._due()
        if found is None or not found.held:
            self._held.over()
        if found is None:
            return None
        if found.held:
            self._held.warn(
                "The log holds more than event_log.%s says: peers that are in the swarms need it",
                found.rule,
            )
        if found.first_seq == first_seq(self.log.path):
            return None
        made = await self._make(found.first_seq)
        await self._write(made, found.rule)
        await self.finish()
        return made

    def days_left(self, free_bytes: int, a_day: float) -> float:
        """Calls the function of this name for this log."""
        return days_left(free_bytes, self.log_bytes, self.keep_days, self.keep_bytes, a_day)

    async def finish(self) -> None:
        """Removes the files that no longer count."""
        begin = 0
        if pruned := self.service.state.tally.pruned:
            begin = pruned[-1].first_seq
            # A reader that starts at the new beginning must find the event that confirms it.
            await self.log.wait_readable(pruned[-1].seq)
        async with self.log.sealing:
            await trio.to_thread.run_sync(pruning.finish, self.log.path, begin)

    async def _due(self) -> Due | None:
        await self.log.seal_finished()
        logged = await trio.to_thread.run_sync(segments, self.log.path)
        self.log_bytes = sum(each.size for each in logged)
        keep_from_us = await self.clock.now_us() - self.keep_days * DAY_US
        # Mostly nothing is due. Then the search for the events that peers need is not necessary.
        if due(logged, keep_from_us, self.keep_bytes, NEVER_US, NEVER_US) is None:
            return None
        needed_seq, needed_us = await self._needed()
        return due(logged, keep_from_us, self.keep_bytes, needed_seq, needed_us)

    async def _needed(self) -> tuple[int, int]:
        """Returns the event and the log time from which peers in the swarms need the log."""
        swarms = self.service.swarms
        seq, us = self.service.state.seq, NEVER_US
        # A peer that announces meanwhile does no harm, because it then needs later events.
        for first in range(1, swarms.peer_slots, PIECE):
            found = swarms.oldest_needed(first, first + PIECE)
            if found is not None:
                seq, us = min(seq, found[0]), min(us, found[1])
            await trio.lowlevel.checkpoint()
        return seq, us

    async def _make(self, seq: int) -> pruning.Made:
        """Runs `pruning.make` in its own process, so that announces are served meanwhile."""
        command = child.python("tracker.upkeep.pruning", str(self.log.path), str(seq))
        code, output = await child.run(command)
        last = output.decode(errors="replace").strip().splitlines()[-1:]
        try:
            if code:
                raise ValueError
            made = pruning.Made(**json.loads("".join(last)))
        except ValueError:
            raise PruningError(last[0] if last else f"exit code {code}") from None
        await trio.to_thread.run_sync(pruning.adopt, self.log.path, made)
        return made

    async def _write(self, made: pruning.Made, rule: str) -> None:
        """Appends the event that confirms the files that were made."""
        event = LogPruned(made.first_seq, made.opening, made.kept, made.segments, made.bytes)
        await append_durably(self.service, self.log, event, ports.Actor(rule, "", ""))


async def keep_schedule(pruner: Pruner) -> None:
    """Removes the segments that are due, at once and every hour."""
    trouble = RepeatedWarning(log, "The log can be pruned again")
    while True:
        try:
            made = await pruner.look()
        except (PruningError, ports.LogUnavailableError, LogError, OSError) as error:
            why = str(error) or ports.TAKES_NOTHING_IN
            trouble.warn("The log could not be pruned, tried again every hour: %s", why)
        else:
            trouble.over()
            if made is not None:
                log.info(
                    "%d segments of the log (%d bytes) were removed: it begins with event %d",
                    made.segments,
                    made.bytes,
                    made.first_seq,
                )
        await trio.sleep(SCHEDULE_SECONDS)
