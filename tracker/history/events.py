"""Reads events for the API: `ports.Events` over the files, beside the writer and never beyond the durable end.

Worker threads do the work in short steps (`event_scan.py`). When a page ends in the middle of a walk over the log, the
walk is kept for a while, so that the next page goes on with it.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import trio
from attrs import evolve, frozen

from eventlog import LogPrunedError, first_seq
from tracker import ports
from tracker.domain import events
from tracker.history.event_scan import Filter, Scan
from tracker.store.address_keys import Keyring

if TYPE_CHECKING:
    from array import array
    from collections.abc import AsyncGenerator, Iterator
    from pathlib import Path

    from tracker.store.readable_log import ReadableLog

READ_SECONDS = 1.0  # of work for one page; what is left is for the next
PAGE_SECONDS = 3.0  # until a page is answered in any case: a request has five
FOLLOW_EVENTS = 200  # handed out at once to who follows
POLL_SECONDS = 0.1
MAX_PARKED = 8
PARKED_SECONDS = 30.0


@frozen
class _Parked:
    """A walk that the next page goes on with."""

    scan: Scan
    until: float  # trio's clock


_Place = tuple[ports.LogPart, ports.EventFilter]
"""What has to be asked for to go on with a walk."""


class LogEvents:
    """`ports.Events` over a log."""

    event_types = events.EVENT_TYPES

    def __init__(
        self,
        log: ReadableLog,
        account_of: array[int],
        stopping: trio.Event,
        secrets_path: Path | None = None,
    ) -> None:
        """`account_of` has the accounts by `key_ref` and grows with the state. `stopping` ends what follows the log.
        The keys to addresses are in `secrets_path`; None leaves addresses out."""
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
        """Durable events of `part`, with all that were durable when it was asked for."""
        await self._log.wait_readable_briefly(self.end - 1)
        scan = self._parked_at(part, wanted) or self._scan(part, wanted)
        worked, ends = 0.0, trio.current_time() + PAGE_SECONDS
        with self._overtaken():
            late = False
            while not (late or scan.over or len(scan.found) >= limit):
                worked += await trio.to_thread.run_sync(scan.step, limit, limiter=self._threads)
                await trio.lowlevel.checkpoint()
                # Before event 0 there is no cursor to stop at.
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
        fresh = one is not None and trio.current_time() < one.until and not one.scan.stale
        return one.scan if one is not None and fresh else None

    def _park(self, part: ports.LogPart, wanted: ports.EventFilter, scan: Scan) -> None:
        """So that a page costs what is read for it, however long the way to its first event was."""
        now = trio.current_time()
        parked = {place: one for place, one in self._parked.items() if now < one.until}
        parked[part, wanted] = _Parked(scan, now + PARKED_SECONDS)
        self._parked = dict(list(parked.items())[-MAX_PARKED:])

    @contextmanager
    def _overtaken(self) -> Iterator[None]:
        """Turns it into `ports.PrunedMomentError` that what was to be read has been removed meanwhile."""
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
        """The first event that is kept with all others after it."""
        return await trio.to_thread.run_sync(first_seq, self._folder, limiter=self._threads)

    def _scan(self, part: ports.LogPart, wanted: ports.EventFilter) -> Scan:
        keys = Keyring(self._secrets_path) if self._secrets_path else None
        return Scan(self._folder, part, Filter(wanted, self._account_of), keys)
