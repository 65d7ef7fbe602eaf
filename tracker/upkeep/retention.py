"""Keeps the log of the running tracker within `keep_days` and `keep_bytes`.

It removes whole segments, the oldest first. It looks every hour for what is too old. It notices a
log that is too large as soon as a segment is finished, because a flood fills a log within minutes.
While removal cannot keep up, the log takes no announces. This module decides which segments are
due, and when. `pruning` removes them safely.
"""

from __future__ import annotations

import json
import logging
import sys
from itertools import pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, Protocol

import trio
from attrs import Factory, define, field, frozen

from eventlog import (
    FRAME_BYTES,
    LogError,
    RepeatedWarning,
    base_seq_of,
    in_thread,
    segments_of,
)
from tracker import ports
from tracker.domain.events import DAY_US
from tracker.domain.events.admin import LogPruned
from tracker.service.durable import append_durably
from tracker.upkeep import pruning
from tracker.upkeep.clock_leaps import ScheduleClock, segment_start
from tracker.workers import child

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from eventlog import EventLog
    from tracker.service.service import Service
    from tracker.store.checked_segments import CheckedSegments

log = logging.getLogger("tracker")

SCHEDULE_SECONDS = 3600.0
"""Longest time between two looks, in seconds."""
RETRY_SECONDS = 60.0
"""Seconds until a removal that failed is tried again."""
SLACK = 3
"""Segments by which the log may exceed `keep_bytes` while the oldest ones are being removed. A
frame, so that the smallest segments can be finished, and events that are never refused come on top:
one segment at most.
"""
MOST_AT_ONCE = 4
"""Segments in one removal, because the log may grow by `SLACK` only until it is done."""
SPARE = 16
"""A log that is too large is shortened by one part in so many more, because each removal writes an
opening balance as large as the state."""


NOBODY = sys.maxsize
"""In the place of an event that somebody needs: nobody needs any."""


class PruningError(Exception):
    """The files that a removal needs first could not be made. Nothing was removed."""


@frozen
class Segment:
    first_seq: int
    first_us: int  # date of its first frame
    size: int  # bytes


@frozen
class Due:
    """The events below `first_seq` can be removed."""

    first_seq: int
    rule: str  # the setting that demands the larger removal: "keep_days" or "keep_bytes"


def segments(folder: Path) -> list[Segment]:
    """Lists the segments of a log that hold a frame, in order.

    Raises `LogError`, `OSError`. Blocking.
    """
    found = []
    for path in segments_of(folder):
        start_us = segment_start(path)
        # A segment without a frame is new, or a crash or a failed write left it empty.
        if start_us is not None:
            found.append(Segment(base_seq_of(path), start_us, path.stat().st_size))
    return found


def due(
    logged: Sequence[Segment],
    keep_from_us: int,
    keep_bytes: int,
    needed: int = NOBODY,
    wait_from_us: int = 0,
) -> Due | None:
    """Decides where a log of these segments should begin; None = as it does.

    The newest segment always stays. `needed`: the first event that somebody has not read yet; what
    is too old, and younger than `wait_from_us`, stays for him.
    """
    wanted = {"keep_days": 0, "keep_bytes": 0}
    left = sum(each.size for each in logged)
    keep = keep_bytes - keep_bytes // SPARE if left > keep_bytes else left
    for at, (before, here) in enumerate(pairwise(logged), 1):
        read = here.first_seq <= needed or here.first_us <= wait_from_us
        if here.first_us <= keep_from_us and read:
            wanted["keep_days"] = at
        if left > keep:
            wanted["keep_bytes"] = at
        left -= before.size
    rule = max(wanted, key=lambda each: wanted[each])
    at = min(wanted[rule], MOST_AT_ONCE)
    if not logged or logged[at].first_seq == logged[0].first_seq:
        return None
    return Due(logged[at].first_seq, rule)


class Consumers(Protocol):
    """Who reads the log, as `tracker.webhooks.consumers` has them."""

    waited_for: str | None

    def slowest(self) -> ports.Consumer | None: ...


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
    secrets: Path  # the folder of the keys
    consumers: Consumers | None = None  # None = nobody reads the log
    wait_days: int = 0  # by which announces may be kept for them beyond `keep_days`
    checked: CheckedSegments | None = None  # remembers the files of kept events
    log_bytes: int = 0  # size of the segments at the last look
    removed_bytes: dict[str, int] = field(factory=lambda: {"keep_days": 0, "keep_bytes": 0})
    clock: ScheduleClock = field(default=Factory(_clock_of, takes_self=True))
    # At the last look: bytes that the log had written since its start, and segments begun.
    _written: int = field(init=False, default=0)
    _begun: int = field(init=False, default=0)
    _bound: int = field(init=False, default=sys.maxsize)  # `keep_bytes`, or what is not removed yet
    _waiting: RepeatedWarning = field(
        init=False,
        factory=lambda: RepeatedWarning(
            log, "Old announces are removed again: all consumers have read them"
        ),
    )
    _no_snapshot: RepeatedWarning = field(
        init=False,
        factory=lambda: RepeatedWarning(log, "A snapshot has the addresses of all peers again"),
    )

    async def look(self) -> pruning.Made | None:
        """Finishes an earlier removal, then removes the segments that are due; None = none were.

        Raises `PruningError`, `ports.LogUnavailableError`, `LogError`, `OSError`.
        """
        await self.finish()
        await self.log.cut_finished()
        logged = await self.measure()
        keep_from_us = await self.clock.now_us() - self.keep_days * DAY_US
        found = self._due(logged, keep_from_us)
        if found is None:
            return None
        made = await self._make(found.first_seq)
        if made.no_snapshot:
            self._no_snapshot.warn(
                "No snapshot could be written before old announces were removed (%s): if the tracker starts again before there is one, "
                "all swarms begin empty, and peers come back with their next announce",
                made.no_snapshot,
            )
        else:
            self._no_snapshot.over()
        await self._write(made, found.rule)
        if self.checked is not None:
            self.checked.note_kept(made.first_seq, made.kept)
            await in_thread(self.checked.save)
        await self.finish()
        self.log_bytes -= made.bytes
        self.removed_bytes[found.rule] += made.bytes
        return made

    def _due(self, logged: Sequence[Segment], keep_from_us: int) -> Due | None:
        """Decides as `due` does, waits for consumers, and says so."""
        slowest = self.consumers.slowest() if self.consumers and self.wait_days else None
        if self.consumers is None or slowest is None:
            return due(logged, keep_from_us, self.keep_bytes)
        wait_from_us = keep_from_us - self.wait_days * DAY_US
        found = due(logged, keep_from_us, self.keep_bytes, slowest.seq + 1, wait_from_us)
        if found == due(logged, keep_from_us, self.keep_bytes):
            self.consumers.waited_for = None
            self._waiting.over()
        else:
            self.consumers.waited_for = slowest.name
            self._waiting.warn(
                "Announces older than %d days are kept for %s, which has read up to event %d, for %d more days at most",
                self.keep_days, slowest.name, slowest.seq, self.wait_days,
            )  # fmt: skip
        return found

    async def measure(self) -> list[Segment]:
        """Lists the segments, and notes the size of the log. Raises `LogError`, `OSError`."""
        self._begun = self.log.segments_begun
        self._written = self.log.statistics().written_bytes
        logged = await in_thread(segments, self.log.path)
        self.log_bytes = sum(each.size for each in logged)
        return logged

    def size(self) -> int:
        """Returns the bytes of the log's segments now."""
        return self.log_bytes + self.log.statistics().written_bytes - self._written

    def bound(self) -> None:
        """Lets the log grow to `SLACK` segments and a frame above `keep_bytes`, and no further.

        A log that was larger at the start may grow as much above what is still to be removed.
        """
        self._bound = max(self.keep_bytes, min(self._bound, self.log_bytes))
        more = self._bound + SLACK * self.log.segment_bytes + FRAME_BYTES - self.log_bytes
        self.log.grow_until = self._written + more

    async def wait_until_due(self) -> None:
        """Waits until a segment was finished and the log is too large, at most for
        `SCHEDULE_SECONDS`.
        """
        with trio.move_on_after(SCHEDULE_SECONDS):
            while True:
                await self.log.wait_segment_begun(self._begun)
                if self.size() > self.keep_bytes:
                    return
                self._begun = self.log.segments_begun

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
            await in_thread(pruning.finish, self.log.path, begin)

    async def _make(self, seq: int) -> pruning.Made:
        """Runs `pruning.make` in its own process, so that announces are served meanwhile."""
        arguments = str(self.log.path), str(seq), str(self.secrets)
        command = child.python("tracker.upkeep.pruning", *arguments)
        code, output = await child.run(command)
        last = output.decode(errors="replace").strip().splitlines()[-1:]
        try:
            if code:
                raise ValueError
            made = pruning.Made(**json.loads("".join(last)))
        except (ValueError, TypeError):  # TypeError: JSON of something else
            raise PruningError(last[0] if last else f"exit code {code}") from None
        await in_thread(pruning.adopt, self.log.path, made)
        return made

    async def _write(self, made: pruning.Made, rule: str) -> None:
        """Appends the event that confirms the files that were made."""
        removed = bytes.fromhex(made.history), made.first_seq  # sealed by the process that removes
        history, history_seq = max(self.log.sealed, removed, key=itemgetter(1))
        event = LogPruned(
            made.first_seq, made.opening, made.kept, made.segments, made.bytes, history.hex(),
            history_seq, made.book or None,
        )  # fmt: skip
        await append_durably(self.service, self.log, event, ports.Actor(rule, "", ""))


async def keep_schedule(pruner: Pruner) -> None:
    """Removes what is due: at once, every hour, and whenever the log is too large."""
    trouble = RepeatedWarning(log, "The log can be pruned again")
    while True:
        try:
            await pruner.measure()
            pruner.bound()
            made = await pruner.look()
            pruner.bound()
        except (PruningError, ports.LogUnavailableError, LogError, OSError) as error:
            why = str(error) or ports.TAKES_NOTHING_IN
            trouble.warn("The log could not be pruned, tried again every minute: %s", why)
            await trio.sleep(RETRY_SECONDS)
            continue
        trouble.over()
        if made is None:
            await pruner.wait_until_due()
        else:
            log.info(
                "%d segments of the log (%d bytes) were removed: it begins with event %d",
                made.segments,
                made.bytes,
                made.first_seq,
            )
