"""Implements `ports.Events`: reads events for the API from the log's files, up to the durable end.

Worker threads do the work in short steps (`event_scan.py`). When a page ends in the middle of a
walk over the log, the walk is kept for a while, so that the next page continues it.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import trio
from attrs import evolve, frozen

from eventlog import LogError, LogPrunedError, first_seq, in_thread
from tracker import ports
from tracker.domain.events import codec
from tracker.history.event_scan import Filter, Scan
from tracker.history.refused_count import RefusedCount
from tracker.store.address_keys import Keyring

if TYPE_CHECKING:
    from array import array
    from collections.abc import AsyncGenerator, Iterator
    from pathlib import Path

    from tracker.store.readable_log import ReadableLog

READ_SECONDS = 1.0
"""Longest work for one page, in seconds. The next page does the rest."""
PAGE_SECONDS = 3.0
"""Longest wait for a page, in seconds, because the API gives up a request after five seconds."""
FOLLOW_EVENTS = 200
"""Largest number of events that a client of the stream gets at once."""
POLL_SECONDS = 0.1
"""Seconds between two looks for new events."""
MAX_PARKED = 8
"""Largest number of walks that wait for their next page."""
PARKED_SECONDS = 30.0
"""Longest time that a walk waits for its next page, in seconds."""


@frozen
class _Parked:
    """A walk over the log that waits for its next page."""

    scan: Scan
    until: float  # trio's clock


_Place = tuple[ports.LogPart, ports.EventFilter]
"""The arguments of the page that continues a parked walk."""


class LogEvents:
    """Implements `ports.Events` with a log."""

    event_types = codec.EVENT_TYPES

    def __init__(
        self,
        log: ReadableLog,
        account_of: array[int],
        stopping: trio.Event,
        secrets_path: Path | None = None,
    ) -> None:
        """`account_of`: the accounts by `key_ref`; it grows with the state.

        `stopping`: ends the streams of `follow`. `secrets_path`: the folder with the keys to
        addresses; None = events have no addresses.
        """
        self._log, self._folder = log, log.path
        self._account_of = account_of
        self._stopping = stopping
        self._secrets_path = secrets_path
        self._threads = trio.CapacityLimiter(2)
        self._parked: dict[_Place, _Parked] = {}

    @property
    def end(self) -> int:
        return self._log.durable_seq

    async def read(
        self, part: ports.LogPart, wanted: ports.EventFilter, limit: int
    ) -> ports.EventPage:
        """See `ports.Events`.

        The page reaches at least as far as the log was durable when the call began.
        """
        scan = self._parked_at(part, wanted) or self._scan(part, wanted)
        end = await self._go_on(scan, part, limit)
        found = scan.take()
        if scan.over:
            return ports.EventPage(found, None, end)
        self._park(evolve(part, first=scan.seq), wanted, scan)
        return ports.EventPage(found, scan.seq, end)

    async def refused(self, part: ports.LogPart, reason: str) -> ports.RefusedPage:
        """See `ports.Events`."""
        keys = Keyring(self._secrets_path) if self._secrets_path else None
        count = RefusedCount(reason)
        scan = Scan(self._folder, part, count, keys)
        end = await self._go_on(scan, part, 1)  # it finds no event
        with self._overtaken():
            while not scan.over and scan.seq < count.whole_to:  # no page ends in what was counted
                await in_thread(scan.step, 1, limiter=self._threads)
        return ports.RefusedPage(count.found, None if scan.over else scan.seq, end)

    async def _go_on(self, scan: Scan, part: ports.LogPart, limit: int) -> int:
        """Works for a page. Returns the number of the event after the last that it could have
        reached."""
        await self._log.wait_readable_briefly(self.end - 1)
        worked, ends = 0.0, trio.current_time() + PAGE_SECONDS
        with self._overtaken():
            late = False
            while not (late or scan.over or len(scan.found) >= limit):
                worked += await in_thread(scan.step, limit, limiter=self._threads)
                await trio.lowlevel.checkpoint()
                # A page must get beyond its first event, because no cursor points before event 0.
                late = (worked >= READ_SECONDS and scan.seq > part.first) or (
                    trio.current_time() >= ends and scan.seq > 0
                )
        return min(self.end, scan.seq) if scan.over and scan.at_end else self.end

    def _parked_at(self, part: ports.LogPart, wanted: ports.EventFilter) -> Scan | None:
        one = self._parked.pop((part, wanted), None)
        fresh = one is not None and trio.current_time() < one.until and not one.scan.stale()
        return one.scan if one is not None and fresh else None

    def _park(self, part: ports.LogPart, wanted: ports.EventFilter, scan: Scan) -> None:
        """Keeps a walk, so that the next page need not search for its first event again."""
        now = trio.current_time()
        parked = {place: one for place, one in self._parked.items() if now < one.until}
        parked[part, wanted] = _Parked(scan, now + PARKED_SECONDS)
        self._parked = dict(list(parked.items())[-MAX_PARKED:])

    @contextmanager
    def _overtaken(self) -> Iterator[None]:
        """Raises `ports.PrunedMomentError` if retention removes the events that the block reads,
        and `ports.UnreadableLogError` if they are not as they were written."""
        try:
            yield
        except LogPrunedError:
            raise ports.PrunedMomentError(first_seq(self._folder)) from None
        except (LogError, codec.CodecError) as error:
            raise ports.UnreadableLogError(str(error)) from None

    async def follow(
        self,
        after: int | None,
        wanted: ports.EventFilter,
        n: int | None = None,  # noqa: ARG002  # events show nothing here
    ) -> AsyncGenerator[ports.Followed, None]:
        part = ports.LogPart(first=self.end if after is None else after + 1)
        begin: int | None = await self._begin()
        if part.first < (begin or 0):
            yield ports.Followed([], part.first - 1, begin)
        scan = self._scan(part, wanted)
        while not self._stopping.is_set():
            begin = None
            if self.end > scan.seq:
                scan.over = False
                with self._overtaken():
                    try:
                        await in_thread(scan.step, FOLLOW_EVENTS, limiter=self._threads)
                    except LogPrunedError:
                        begin = await self._begin()
            yield ports.Followed(scan.take(), scan.seq - 1, begin)
            if begin is not None:
                scan = self._scan(ports.LogPart(first=scan.seq), wanted)
            elif scan.over or self.end <= scan.seq:
                with trio.move_on_after(POLL_SECONDS):
                    await self._stopping.wait()

    async def _begin(self) -> int:
        """Returns the number of the first event that was not removed."""
        return await in_thread(first_seq, self._folder, limiter=self._threads)

    def _scan(self, part: ports.LogPart, wanted: ports.EventFilter) -> Scan:
        keys = Keyring(self._secrets_path) if self._secrets_path else None
        return Scan(self._folder, part, Filter(wanted, self._account_of, keys), keys)
