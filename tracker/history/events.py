"""Reads events for the API: `ports.Events` over the files, beside the writer and never beyond the
durable end.

Worker threads do the work in short steps (`event_scan.py`). When a page ends in the middle of a
walk over the log, the walk is kept for a while, so that the next page goes on with it.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import trio
from attrs import evolve, frozen

from eventlog import LogPrunedError, first_seq
from tracker import ports
from tracker.domain.events import codec
from tracker.history.event_scan import Filter, Scan
from tracker.store.address_keys import Keyring

if TYPE_CHECKING:
    from array import array
    from collections.abc import AsyncGenerator, Iterator
    from pathlib import Path

    from tracker.store.readable_log import ReadableLog

READ_SECONDS = 1.0
"""Seconds of work for one page; the rest is left to the next page."""
PAGE_SECONDS = 3.0
"""Longest wait for a page, because a request is given up after five seconds."""
FOLLOW_EVENTS = 200
"""Most events that a follower gets at once."""
POLL_SECONDS = 0.1
"""Seconds between two looks for new events."""
MAX_PARKED = 8
PARKED_SECONDS = 30.0
"""Seconds that a walk waits for its next page."""


@frozen
class _Parked:
    """A walk over the log that waits for its next page."""

    scan: Scan
    until: float  # trio's clock


_Place = tuple[ports.LogPart, ports.EventFilter]
"""The arguments of the page that goes on with a parked walk."""


class LogEvents:
    """`ports.Events` over a log."""

    event_types = codec.EVENT_TYPES

    def __init__(
        self,
        log: ReadableLog,
        account_of: array[int],
        stopping: trio.Event,
        secrets_path: Path | None = None,
    ) -> None:
        """`account_of` has the accounts by `key_ref` and grows with the state.

        `stopping` ends followers.

        The keys to addresses are in `secrets_path`; None leaves addresses out.
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
        await self._log.wait_readable_briefly(self.end - 1)
        scan = self._parked_at(part, wanted) or self._scan(part, wanted)
        worked, ends = 0.0, trio.current_time() + PAGE_SECONDS
        with self._overtaken():
            late = False
            while not (late or scan.over or len(scan.found) >= limit):
                worked += await trio.to_thread.run_sync(scan.step, limit, limiter=self._threads)
                await trio.lowlevel.checkpoint()
                # A page must get beyond its first event, because no cursor stands before event 0.
                late = (worked >= READ_SECONDS and scan.seq > part.first) or (
                    trio.current_time() >= ends and scan.seq > 0
                )
        if scan.over:
            end = min(self.end, scan.seq) if scan.at_end else self.end
            return ports.EventPage(scan.take(), None, end)
        found = scan.take()
        self._park(evolve(part, first=scan.seq), wanted, scan)
        return ports.EventPage(found, scan.seq, self.end)

    def _parked_at(self, part: ports.LogPart, wanted: ports.EventFilter) -> Scan | None:
        one = self._parked.pop((part, wanted), None)
        fresh = one is not None and trio.current_time() < one.until and not one.scan.stale()
        return one.scan if one is not None and fresh else None

    def _park(self, part: ports.LogPart, wanted: ports.EventFilter, scan: Scan) -> None:
        """Keeps a walk, so that the next page does not repeat the way to its first event."""
        now = trio.current_time()
        parked = {place: one for place, one in self._parked.items() if now < one.until}
        parked[part, wanted] = _Parked(scan, now + PARKED_SECONDS)
        self._parked = dict(list(parked.items())[-MAX_PARKED:])

    @contextmanager
    def _overtaken(self) -> Iterator[None]:
        """Raises `ports.PrunedMomentError` where retention removed the events that were to be
        read.
        """
        try:
            yield
        except LogPrunedError:
            raise ports.PrunedMomentError(first_seq(self._folder)) from None

    async def follow(
        self, after: int | None, wanted: ports.EventFilter
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
                try:
                    await trio.to_thread.run_sync(scan.step, FOLLOW_EVENTS, limiter=self._threads)
                except LogPrunedError:
                    begin = await self._begin()
            yield ports.Followed(scan.take(), scan.seq - 1, begin)
            if begin is not None:
                scan = self._scan(ports.LogPart(first=scan.seq), wanted)
            elif scan.over or self.end <= scan.seq:
                with trio.move_on_after(POLL_SECONDS):
                    await self._stopping.wait()

    async def _begin(self) -> int:
        """The first event from which on the log is complete."""
        return await trio.to_thread.run_sync(first_seq, self._folder, limiter=self._threads)

    def _scan(self, part: ports.LogPart, wanted: ports.EventFilter) -> Scan:
        keys = Keyring(self._secrets_path) if self._secrets_path else None
        return Scan(self._folder, part, Filter(wanted, self._account_of), keys)
