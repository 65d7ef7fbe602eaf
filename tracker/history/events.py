"""Implements `ports.Events`: reads events for the API from the log's files, up to the durable end.

A helper process walks over the log for a page (`events_worker.py`). When a page ends in the middle
of a walk, the walk is kept for a while, so that the next page continues it. Streams, and counts of
refusals, are walks in worker threads, in short steps (`event_scan.py`).
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager, suppress
from itertools import count
from typing import TYPE_CHECKING, Any, cast

import trio
from attrs import define, evolve, field, frozen

from eventlog import LogError, LogPrunedError, first_seq, in_thread
from tracker import ports
from tracker.domain.events import codec
from tracker.history.event_scan import Filter, Scan, Walked
from tracker.history.refused_count import RefusedCount
from tracker.store.address_keys import Keyring
from tracker.workers.child import python
from tracker.workers.question_pipe import Helper, Question, rest_when_idle

if TYPE_CHECKING:
    from array import array
    from collections.abc import AsyncGenerator, Collection, Iterator, Mapping
    from pathlib import Path

    from tracker.history.kind_count import KindsCounted
    from tracker.history.last_events import LastWalked
    from tracker.store.readable_log import ReadableLog
    from tracker.workers.question_pipe import Worker

READ_SECONDS = 1.0
"""Longest work for one page, in seconds. The next page does the rest."""
PAGE_SECONDS = 3.0
"""Longest wait for a page, in seconds, because the API gives up a request after five seconds."""
ASKED_AT_ONCE = 50
"""Largest number of events in an answer of the helper process, because it takes the loop a fifth of
a millisecond to take them in.
"""
FOLLOW_EVENTS = 200
"""Largest number of events that a client of the stream gets at once."""
POLL_SECONDS = 0.1
"""Seconds between two looks for new events."""
RATES_AT_ONCE = 100
"""Largest number of rates to ask the helper process for at once: about 20 milliseconds of work."""
MAX_PARKED = 8
"""Largest number of walks that wait for their next page."""
PARKED_SECONDS = 30.0
"""Longest time that a walk waits for its next page, in seconds."""


@define
class _Walk:
    """A walk over the log in the helper process. `part`: what is left of it."""

    number: int
    part: ports.LogPart
    wanted: ports.EventFilter
    found: list[dict[str, Any]] = field(factory=list)
    over: bool = False
    at_end: bool = False  # as `Scan` has both

    @property
    def seq(self) -> int:
        """The next event to look at."""
        return self.part.first


@frozen
class _Parked:
    """A walk that waits for its next page."""

    walk: _Walk
    until: float  # trio's clock


_Place = tuple[ports.LogPart, ports.EventFilter]
"""The arguments of the page that continues a parked walk."""


class LogEvents:
    """Implements `ports.Events` with a log. `run` must be running where pages are read."""

    def __init__(
        self,
        log: ReadableLog,
        account_of: array[int],
        stopping: trio.Event,
        secrets_path: Path | None = None,
        worker: Worker | None = None,
    ) -> None:
        """`account_of`: the accounts by `key_ref`; it grows with the state.

        `stopping`: ends the streams of `follow`. `secrets_path`: the folder with the keys to
        addresses; None = events have no addresses. `worker`: answers in place of the process.
        """
        command = python("tracker.history.events_worker", str(log.path), str(secrets_path or "-"))
        self._helper = Helper(command, worker)
        names = *codec.EVENT_TYPES, *codec.GROUPS
        self.event_types = {name: codec.types_of([name]) for name in names}
        self._numbers = count()
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
        walk = self._parked_at(part, wanted)
        if walk is None:
            walk = _Walk(next(self._numbers), part, wanted)
        end = await self._go_on(walk, part, limit)
        found, walk.found = walk.found, []
        if walk.over:
            return ports.EventPage(found, None, end)
        self._park(walk)
        return ports.EventPage(found, walk.seq, end)

    async def read_last(
        self, part: ports.LogPart, wanted: ports.EventFilter, limit: int
    ) -> ports.EventPage:
        """See `ports.Events`."""
        end = reach = self.end
        await self._log.wait_readable_briefly(end - 1)
        last = end - 1 if part.last is None else min(part.last, end - 1)
        if last < part.first:
            return ports.EventPage([], None, end)
        number, refs = next(self._numbers), self._refs(wanted.account)
        part, upto = evolve(part, last=last), last + 1
        found: list[dict[str, Any]] = []
        worked, ends = 0.0, trio.current_time() + PAGE_SECONDS
        while True:
            rest = limit - len(found)
            question = Question("last", (number, part, wanted, refs, rest, ASKED_AT_ONCE))
            with self._helper.in_use():
                some = cast("LastWalked", await self._helper.ask(question))
            await trio.lowlevel.checkpoint()
            found += some.events
            worked += some.seconds
            if upto == end:
                reach = min(reach, some.end)
            part = evolve(part, last=some.seq - 1)
            late = worked >= READ_SECONDS or trio.current_time() >= ends
            # A page gets somewhere, because else the next one would be the same.
            if some.over or (late and some.seq < upto):
                previous = some.seq if some.more else None
                return ports.EventPage(found[::-1], None, reach, previous)

    async def count(self, part: ports.LogPart, step_us: int | None) -> ports.CountPage:
        """See `ports.Events`."""
        await self._log.wait_readable_briefly(self.end - 1)
        number, seq = next(self._numbers), part.first
        found: dict[int, Counter[str]] = {}
        worked, ends = 0.0, trio.current_time() + PAGE_SECONDS
        while True:
            question = Question("count", (number, part, seq, step_us or 0))
            with self._helper.in_use():
                some = cast("KindsCounted", await self._helper.ask(question))
            await trio.lowlevel.checkpoint()
            for piece, counts in some.counts.items():
                found.setdefault(piece, Counter()).update(counts)
            seq = some.seq
            worked += some.seconds
            late = worked >= READ_SECONDS or trio.current_time() >= ends
            if some.over or (late and seq > part.first):
                end = min(self.end, seq) if some.over and some.at_end else self.end
                return ports.CountPage(found, None if some.over else seq, end)

    async def run(self) -> None:
        """Lets the helper process rest when it has no questions, until cancelled."""
        await rest_when_idle([self._helper])

    async def _go_on(self, walk: _Walk, part: ports.LogPart, limit: int) -> int:
        """Works for a page. Returns the number of the event after the last that it could have
        reached."""
        await self._log.wait_readable_briefly(self.end - 1)
        worked, ends, late = 0.0, trio.current_time() + PAGE_SECONDS, False
        while not (late or walk.over or len(walk.found) >= limit):
            worked += await self._step(walk, min(ASKED_AT_ONCE, limit - len(walk.found)))
            late = self._late(worked, ends, walk, part)
        return min(self.end, walk.seq) if walk.over and walk.at_end else self.end

    async def _step(self, walk: _Walk, limit: int) -> float:
        """Goes on for a moment. Returns the seconds worked. Raises `BusyError`,
        `ports.PrunedMomentError` and `ports.UnreadableLogError`.
        """
        refs = self._refs(walk.wanted.account)
        question = Question("walk", (walk.number, walk.part, walk.wanted, refs, limit))
        with self._helper.in_use():
            some = cast("Walked", await self._helper.ask(question))
        await trio.lowlevel.checkpoint()
        walk.found += some.events
        walk.part = evolve(walk.part, first=some.seq)
        walk.over, walk.at_end = some.over, some.at_end
        return some.seconds

    def _refs(self, account: int | None) -> frozenset[int]:
        """Returns the `key_ref` of each key of an account."""
        found, key_ref = set[int](), 0
        with suppress(ValueError):  # there is no further one
            while account:
                key_ref = self._account_of.index(account, key_ref + 1)
                found.add(key_ref)
        return frozenset(found)

    async def rates(self, seqs: Collection[int]) -> Mapping[int, tuple[int, int]]:
        """See `ports.Events`."""
        await self._log.wait_readable_briefly(max(seqs, default=0))
        found: dict[int, tuple[int, int]] = {}
        rest, ends = sorted(seqs), trio.current_time() + PAGE_SECONDS
        while rest and trio.current_time() < ends:
            some, rest = rest[:RATES_AT_ONCE], rest[RATES_AT_ONCE:]
            with self._helper.in_use():
                answer = await self._helper.ask(Question("rates", (some,)))
            found |= cast("dict[int, tuple[int, int]]", answer)
        return found

    async def refused(self, part: ports.LogPart, reason: str) -> ports.RefusedPage:
        """See `ports.Events`."""
        keys = Keyring(self._secrets_path) if self._secrets_path else None
        counts = RefusedCount(reason)
        scan = Scan(self._folder, part, counts, keys)
        await self._log.wait_readable_briefly(self.end - 1)
        worked, ends, late = 0.0, trio.current_time() + PAGE_SECONDS, False
        with self._overtaken():
            # No page ends in what was counted.
            while not scan.over and (not late or scan.seq < counts.whole_to):
                worked += await in_thread(scan.step, 1, limiter=self._threads)
                await trio.lowlevel.checkpoint()
                late = self._late(worked, ends, scan, part)
        end = min(self.end, scan.seq) if scan.over and scan.at_end else self.end
        return ports.RefusedPage(counts.found, None if scan.over else scan.seq, end)

    def _late(self, worked: float, ends: float, walk: _Walk | Scan, part: ports.LogPart) -> bool:
        """Tells whether a page's time is over. A page must get beyond its first event, because no
        cursor points before event 0.
        """
        if worked >= READ_SECONDS and walk.seq > part.first:
            return True
        return trio.current_time() >= ends and walk.seq > 0

    def _parked_at(self, part: ports.LogPart, wanted: ports.EventFilter) -> _Walk | None:
        one = self._parked.pop((part, wanted), None)
        fresh = one is not None and trio.current_time() < one.until
        return one.walk if one is not None and fresh else None

    def _park(self, walk: _Walk) -> None:
        """Keeps a walk, so that the next page need not search for its first event again."""
        now = trio.current_time()
        parked = {place: one for place, one in self._parked.items() if now < one.until}
        parked[walk.part, walk.wanted] = _Parked(walk, now + PARKED_SECONDS)
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
