"""Retention: how the running tracker keeps its log within `keep_days` and `keep_bytes`.

Whole segments go, from the oldest on, and only those that no peer in the swarms needs: an announce that says where a peer is
stays. What is removed how, and what is made before, is in `pruning`; here is what has to go, and when.
"""

from __future__ import annotations

import json
import logging
import sys
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import trio
from attrs import Factory, define, field, frozen

from eventlog import (
    LogError,
    LogFailedError,
    RepeatedWarning,
    base_seq_of,
    first_frame_header,
    first_seq,
    segments_of,
)
from tracker import ports
from tracker.domain import events
from tracker.domain.events import DAY_US
from tracker.domain.swarms import NEVER_US
from tracker.upkeep import pruning
from tracker.upkeep.clock_leaps import Ages
from tracker.workers import child

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from eventlog import EventLog
    from tracker.service.service import Service

log = logging.getLogger("tracker")

SCHEDULE_SECONDS = 3600.0
PIECE = 10_000
"""Peers looked at between two checkpoints: a few milliseconds."""


class PruningError(Exception):
    """What has to be there before anything is removed could not be made; nothing was removed."""


@frozen
class Segment:
    first_seq: int
    first_us: int  # log time of its first frame
    size: int  # bytes


@frozen
class Due:
    """What can go: the events below `first_seq`. `held`: more should, and peers in the swarms need it."""

    first_seq: int
    rule: str  # "keep_days" or "keep_bytes"
    held: bool


def segments(folder: Path) -> list[Segment]:
    """Those of the log, in order. Raises `LogError`, `OSError`. Blocking."""
    found = []
    for path in segments_of(folder):
        first = first_frame_header(path)
        # Without one: just begun, or left by a crash or a failed write before it held anything.
        if first is not None:
            found.append(Segment(base_seq_of(path), first.time_us, path.stat().st_size))
    return found


def due(
    there: Sequence[Segment],
    keep_from_us: int,
    keep_bytes: int,
    needed_seq: int,
    needed_us: int,
) -> Due | None:
    """Where a log of these segments should begin; None = where it does, and nothing is held. The newest always stays.

    `needed_seq`, `needed_us`: that event, and all from that log time on, have to stay.
    """
    wanted = {"keep_days": 0, "keep_bytes": 0}
    left = sum(each.size for each in there)
    free = 0
    for at, (before, here) in enumerate(pairwise(there), 1):
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
    if not there or (there[at].first_seq == there[0].first_seq and not held):
        return None
    return Due(there[at].first_seq, rule, held)


def days_left(
    free_bytes: int, log_bytes: int, keep_days: int, keep_bytes: int, a_day: float
) -> float:
    """Days until the disk is full, as the log grows now; infinity where retention ends that growth before."""
    if log_bytes + free_bytes >= min(keep_bytes, keep_days * a_day):
        return float("inf")
    return free_bytes / a_day


def _ages_of(pruner: Pruner) -> Ages:
    return Ages(pruner.log.path, pruner.service)


@define
class Pruner:
    """One a process, over the live service."""

    service: Service
    log: EventLog
    keep_days: int
    keep_bytes: int
    log_bytes: int = 0  # of the segments, when it was last looked
    ages: Ages = field(default=Factory(_ages_of, takes_self=True))
    _held: RepeatedWarning = field(
        init=False,
        factory=lambda: RepeatedWarning(log, "The log is as short as it should be again"),
    )

    async def look(self) -> pruning.Made | None:
        """Remove what is due, and first what an earlier removal left; None = nothing is due.

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
        """As the function of this name says it of this log."""
        return days_left(free_bytes, self.log_bytes, self.keep_days, self.keep_bytes, a_day)

    async def finish(self) -> None:
        """Remove what does not count any more."""
        begin = 0
        if pruned := self.service.state.pruned:
            begin = pruned[-1].first_seq
            # Whoever reads the log from its new beginning on finds the event that vouches for it.
            await self.log.wait_readable(pruned[-1].seq)
        async with self.log.sealing:
            await trio.to_thread.run_sync(pruning.finish, self.log.path, begin)

    async def _due(self) -> Due | None:
        await self.log.seal_finished()
        there = await trio.to_thread.run_sync(segments, self.log.path)
        self.log_bytes = sum(each.size for each in there)
        keep_from_us = await self.ages.now_us() - self.keep_days * DAY_US
        # Most of the time nothing is due whoever is there.
        if due(there, keep_from_us, self.keep_bytes, NEVER_US, NEVER_US) is None:
            return None
        needed_seq, needed_us = await self._needed()
        return due(there, keep_from_us, self.keep_bytes, needed_seq, needed_us)

    async def _needed(self) -> tuple[int, int]:
        """From which event and log time on the log is needed for those who are in the swarms."""
        swarms = self.service.swarms
        seq, us = self.service.state.seq, NEVER_US
        # A peer that comes or announces meanwhile needs later events than those looked at.
        for first in range(1, swarms.peer_slots, PIECE):
            found = swarms.oldest_needed(first, first + PIECE)
            if found is not None:
                seq, us = min(seq, found[0]), min(us, found[1])
            await trio.lowlevel.checkpoint()
        return seq, us

    async def _make(self, seq: int) -> pruning.Made:
        """In a process of its own, so that announces go on being served."""
        command = [sys.executable, "-m", "tracker.upkeep.pruning", str(self.log.path), str(seq)]
        code, said = await child.run(command)
        last = said.decode(errors="replace").strip().splitlines()[-1:]
        try:
            if code:
                raise ValueError
            made = pruning.Made(**json.loads("".join(last)))
        except ValueError:
            raise PruningError(last[0] if last else f"exit code {code}") from None
        await trio.to_thread.run_sync(pruning.adopt, self.log.path, made)
        return made

    async def _write(self, made: pruning.Made, rule: str) -> None:
        """The event that vouches for what was made."""
        if not self.log.has_room(reserved=True):
            raise ports.LogUnavailableError
        data: dict[str, Any] = {
            "first_seq": made.first_seq,
            "opening": made.opening,
            "kept": made.kept,
            "segments": made.segments,
            "bytes": made.bytes,
            "by": ports.Actor(rule, "", "").as_data(),
        }
        seq = self.service.admin(events.LOG_PRUNED, data)
        try:
            await self.log.wait_durable(seq)
        except LogFailedError:
            raise ports.LogUnavailableError from None


async def keep_schedule(pruner: Pruner) -> None:
    """At once and every hour: remove what is due."""
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
