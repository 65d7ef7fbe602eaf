"""Implements `ports.Past`: reads past moments for the API, in a few helper processes
(`past_worker.py`).

Each helper keeps the state of one moment, so that further questions about that moment cost no
replay. It replays to another moment when no question about the first is open. If a replay takes too
long, the question is refused but the replay continues. The same question, asked later, finds it
done.
"""

from __future__ import annotations

import json
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, TypeVarTuple, cast

import trio
from attrs import define

from tracker.ports import LISTED_AT_ONCE, BusyError, Moment
from tracker.store.stay_files import packed_network
from tracker.workers.child import python
from tracker.workers.question_pipe import Helper, Question, answered_within, rest_when_idle

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,
        AsyncIterator,
        Callable,
        Iterator,
        Mapping,
        Sequence,
    )
    from pathlib import Path

    from tracker.ports import (
        HandedPage,
        HandedQuery,
        Outage,
        OutagesPage,
        ReadModel,
        SeedingRow,
        StaysPage,
        StaysQuery,
    )
    from tracker.store.readable_log import ReadableLog
    from tracker.workers.question_pipe import Worker

HELPERS = 2  # processes
MAX_ASKING = 16
"""Largest number of questions and listings that may be open at once."""
ANSWER_SECONDS = 30.0
"""Longest wait for an answer, or for a free helper, in seconds."""
LISTING_SECONDS = 120.0
"""Longest time that a listing may keep its helper at a moment, in seconds."""

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


def _ignore(_outage: Outage) -> None:
    """Does nothing, where nobody asks for outages."""


@define(eq=False)
class _Helper(Helper):
    moment: Moment | None = None  # the process has the state of this moment

    def ended(self) -> None:
        self.moment = None


class PastReads:
    """Implements `ports.Past` with a log. `run` must be running."""

    def __init__(
        self,
        log: ReadableLog,
        secrets: Path | None,
        *,
        usage_statistics: bool = True,
        helpers: int = HELPERS,
        worker: Worker | None = None,
    ) -> None:
        """`usage_statistics`: as for `LiveReads`. `worker`: answers in place of the helpers."""
        options = json.dumps({"usage_statistics": usage_statistics})
        command = python("tracker.history.past_worker", str(log.path), str(secrets or "-"), options)
        number = helpers if worker is None else 1
        self._helpers = [_Helper(command, worker) for _ in range(number)]
        self._indexes = _Helper(command, worker)  # apart, because it replays nothing
        self._log = log
        self._listings = 0
        self._asking = 0
        self._freed = trio.lowlevel.ParkingLot()

    async def run(self) -> None:
        """Lets helpers that have no questions rest, until cancelled."""
        await rest_when_idle([*self._helpers, self._indexes])

    async def ask(
        self,
        moment: Moment,
        method: Callable[[ReadModel, *Ts], T],
        *arguments: *Ts,
        on_outage: Callable[[Outage], None] = _ignore,
    ) -> T:
        question = Question("one", (moment, method.__name__, arguments))
        with _in_time():
            async with self._helper(moment) as helper:
                answer = cast("T", await helper.ask(question))
                await _find_outage(helper, moment, on_outage)
                return answer

    async def each(
        self,
        moment: Moment,
        method: Callable[[ReadModel, *Ts], Iterator[T | None]],
        *arguments: *Ts,
        on_outage: Callable[[Outage], None] = _ignore,
    ) -> AsyncGenerator[list[T], None]:
        self._listings += 1
        listing = self._listings
        question = Question("first", (listing, moment, method.__name__, arguments))
        ends = trio.current_time() + LISTING_SECONDS
        async with self._helper(moment) as helper:
            while trio.current_time() < ends:
                with _in_time():
                    items = cast("list[T]", await helper.ask(question))
                    if question.method == "first":
                        await _find_outage(helper, moment, on_outage)
                yield items
                if len(items) < LISTED_AT_ONCE:
                    return
                question = Question("more", (listing,))
        raise BusyError("the listing was not taken in time")

    async def explain(self, seq: int) -> Mapping[str, Any]:
        with _in_time():
            async with self._helper(None, seq) as helper:
                question = Question("explain", (seq,), kept=True)
                return cast("Mapping[str, Any]", await helper.ask(question))

    async def handed(self, query: HandedQuery, limit: int) -> HandedPage:
        with _in_time():
            async with self._helper(None, query.part.last) as helper:
                question = Question("handed", (query, limit), kept=True)
                return cast("HandedPage", await helper.ask(question))

    async def outages(
        self, first: Moment | None, last: Moment | None, after: int, limit: int
    ) -> OutagesPage:
        await self._log.wait_readable_briefly(self._log.durable_seq - 1)
        question = Question("outages", (first, last, after, limit))
        return cast("OutagesPage", await self._look_up(question))

    async def swarm(
        self,
        moment: Moment,
        info_hash: bytes,
        after: int,
        limit: int,
        on_outage: Callable[[Outage], None] = _ignore,
    ) -> Mapping[str, Any]:
        question = Question("swarm", (moment, info_hash, after, limit))
        with _in_time():
            async with self._helper(moment) as helper:
                answer = cast("Mapping[str, Any]", await helper.ask(question))
                await _find_outage(helper, moment, on_outage)
                return answer

    async def summary(
        self, moment: Moment | None, on_outage: Callable[[Outage], None] = _ignore
    ) -> Mapping[str, Any]:
        moment = moment or Moment(seq=self._log.durable_seq - 1)
        with _in_time():
            async with self._helper(moment) as helper:
                answer = cast("Mapping[str, Any]", await helper.ask(Question("summary", (moment,))))
                await _find_outage(helper, moment, on_outage)
                return answer

    async def diff(
        self, first: Moment, last: Moment | None, info_hash: bytes | None, after: int, limit: int
    ) -> Mapping[str, Any]:
        moments = first, last or Moment(seq=self._log.durable_seq - 1)
        question = Question("diff", (moments, info_hash, after, limit))
        with _in_time():
            async with self._helper(None, moments[1].seq) as helper:
                return cast("Mapping[str, Any]", await helper.ask(question))

    async def stays(self, query: StaysQuery, limit: int) -> StaysPage:
        if query.network is not None:
            packed_network(query.network)
        found = await self._look_up(Question("stays", (query, limit)))
        if isinstance(found, str):
            raise BusyError(found)
        return cast("StaysPage", found)

    async def seeding(
        self, from_us: int, after: tuple[int, bytes], limit: int
    ) -> Sequence[SeedingRow]:
        with _in_time():
            async with self._helper(None) as helper:
                found = await helper.ask(Question("seeding", (from_us, after, limit)))
        return cast("Sequence[SeedingRow]", found)

    @asynccontextmanager
    async def _helper(
        self, moment: Moment | None, seq: int | None = None
    ) -> AsyncIterator[_Helper]:
        """Gives the block a helper that stays at the moment until the block ends; None = at none.

        `seq`: the event that the block reads, that of the moment if that names one. Raises
        `BusyError`.
        """
        seq = seq if moment is None else moment.seq
        with self._counted():
            if seq is not None:
                await self._log.wait_readable_briefly(seq)
            helper = await self._choose(moment)
            helper.moment = moment
            with helper.in_use():
                yield helper

    async def _look_up(self, question: Question) -> object:
        """Asks the helper that reads indexes, so that no replay is waited for. Raises
        `BusyError`.
        """
        with _in_time(), self._counted(), self._indexes.in_use():
            return await self._indexes.ask(question)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """Counts a question that is open. Raises `BusyError` where there are too many."""
        if self._asking >= MAX_ASKING:
            raise BusyError("too many questions about the past at once")
        self._asking += 1
        try:
            yield
        finally:
            self._asking -= 1
            self._freed.unpark_all()

    async def _choose(self, moment: Moment | None) -> _Helper:
        """Waits for a helper that is at the moment, or may go to it: the one not used for longest
        first.
        """
        with _in_time():
            while True:
                for helper in self._helpers:
                    if helper.moment == moment:
                        return helper
                free = [one for one in self._helpers if not one.users]
                if ready := [one for one in free if not one.owed]:
                    return min(ready, key=lambda one: one.used)
                if free:
                    # They still work on questions whose askers have left.
                    for helper in free:
                        await helper.settle()
                else:
                    await self._freed.park()


async def _find_outage(
    helper: _Helper, moment: Moment, on_outage: Callable[[Outage], None]
) -> None:
    """Calls `on_outage` if the moment lies in a time without events. An event never does."""
    if moment.time_us is None:
        return
    outage = cast("Outage | None", await helper.ask(Question("outage", (moment,))))
    if outage is not None:
        on_outage(outage)


def _in_time() -> AbstractContextManager[None]:
    text = "that moment is still being replayed: ask again in a while"
    return answered_within(ANSWER_SECONDS, text)
