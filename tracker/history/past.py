"""`ports.Past`: reads of past moments, done by a few helper processes (`past_worker.py`), never by the tracker's own.

A helper keeps the state of one moment, so that whatever else is asked of that moment costs no replay. It goes to another
moment when nobody asks about this one, and ends when nobody asked for some minutes. Who asks does not wait
for ever: a replay that takes longer goes on, and is done when the question comes again.
"""

from __future__ import annotations

import json
import sys
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, cast

import trio
from attrs import define

from tracker.history.past_worker import Question
from tracker.ports import LISTED_AT_ONCE, BusyError, Moment
from tracker.workers.question_pipe import Helper

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Mapping
    from pathlib import Path

    from tracker.ports import ReadModel
    from tracker.store.readable_log import ReadableLog

HELPERS = 2
MAX_ASKING = 16  # questions and listings at once
ANSWER_SECONDS = 30.0
REPLAY_SECONDS = 600.0  # after this a replay that nobody waits for any more makes way for another
LISTING_SECONDS = 120.0
IDLE_SECONDS = 120.0

T = TypeVar("T")


class _Call:
    """In the place of a read model: notes which call of it is made."""

    def __init__(self) -> None:
        self.method = ""
        self.arguments: tuple[Any, ...] = ()

    def __getattr__(self, name: str) -> Callable[..., None]:
        def note(*arguments: Any) -> None:
            self.method, self.arguments = name, arguments

        return note


def _asked(
    moment: Moment, question: Callable[[ReadModel], object], listing: int | None = None
) -> Question:
    call = _Call()
    question(cast("ReadModel", call))
    return Question(moment, call.method, call.arguments, listing)


@define(eq=False)
class _Helper(Helper):
    """One that keeps the state of a moment."""

    moment: Moment | None = None

    def ended(self) -> None:
        self.moment = None


class PastReads:
    """`ports.Past` over a log. `run` has to be running."""

    def __init__(
        self,
        log: ReadableLog,
        secrets: Path,
        *,
        usage_statistics: bool = True,
        reasons: Mapping[int, str] | None = None,
        helpers: int = HELPERS,
    ) -> None:
        """`usage_statistics` and `reasons` as of `LiveReads`."""
        options = json.dumps({"usage_statistics": usage_statistics, "reasons": reasons or {}})
        command = [
            sys.executable,
            "-m",
            "tracker.history.past_worker",
            str(log.path),
            str(secrets),
            options,
        ]
        self._helpers = [_Helper(command) for _ in range(helpers)]
        self._log = log
        self._listings = 0
        self._asking = 0
        self._freed = trio.lowlevel.ParkingLot()

    async def run(self) -> None:
        """Until cancelled: ends helpers that nobody asks."""
        try:
            while True:
                await trio.sleep(IDLE_SECONDS / 10)
                for helper in self._helpers:
                    await self._end_if_idle(helper)
        finally:
            for helper in self._helpers:
                await helper.end()

    async def _end_if_idle(self, helper: _Helper) -> None:
        idle = trio.current_time() - helper.used
        if helper.users or not helper.runs or idle < IDLE_SECONDS:
            return
        if helper.owed:
            await helper.look()
        if not helper.users and (not helper.owed or idle > REPLAY_SECONDS):
            helper.users += 1
            try:
                await helper.end()
            finally:
                self._release(helper)

    async def ask(self, moment: Moment, question: Callable[[ReadModel], T]) -> T:
        asked = _asked(moment, question)
        with _answer_in_time():
            async with self._helper(moment) as helper:
                return cast("T", await helper.ask(asked))

    async def each(
        self, moment: Moment, question: Callable[[ReadModel], Iterator[T | None]]
    ) -> AsyncGenerator[list[T], None]:
        self._listings += 1
        listing = self._listings
        ends = trio.current_time() + LISTING_SECONDS
        async with self._helper(moment) as helper:
            asked = _asked(moment, question, listing)
            while trio.current_time() < ends:
                with _answer_in_time():
                    items = cast("list[T]", await helper.ask(asked))
                yield items
                if len(items) < LISTED_AT_ONCE:
                    return
                asked = Question(moment, listing=listing)
        raise BusyError("the listing was not taken in time")

    @asynccontextmanager
    async def _helper(self, moment: Moment) -> AsyncIterator[_Helper]:
        """Holds a helper at the moment. Raises `BusyError`."""
        if self._asking >= MAX_ASKING:
            raise BusyError("too many questions about the past at once")
        self._asking += 1
        try:
            if moment.seq is not None:
                await self._log.wait_readable_briefly(moment.seq)
            helper = await self._choose(moment)
            try:
                yield helper
            finally:
                self._release(helper)
        finally:
            self._asking -= 1

    def _release(self, helper: _Helper) -> None:
        helper.users -= 1
        helper.used = trio.current_time()
        self._freed.unpark_all()

    async def _choose(self, moment: Moment) -> _Helper:
        with _answer_in_time():
            while True:
                helper = next((one for one in self._helpers if one.moment == moment), None)
                helper = helper or await self._free()
                if helper is not None:
                    helper.users += 1
                    helper.moment = moment
                    helper.used = trio.current_time()
                    return helper
                await self._freed.park()

    async def _free(self) -> _Helper | None:
        """One that may go to another moment, the one not used for longest first; None = all are being asked."""
        for helper in self._helpers:
            if helper.owed and not helper.users:
                helper.users += 1  # nobody else may take it meanwhile
                try:
                    await helper.look()
                    if helper.owed and trio.current_time() - helper.used > REPLAY_SECONDS:
                        await helper.end()
                finally:
                    helper.users -= 1
        free = [one for one in self._helpers if not one.users]
        ready = [one for one in free if not one.owed]
        if ready:
            return min(ready, key=lambda one: one.used)
        if free:
            raise BusyError("other moments are being replayed: ask again in a while")
        return None


@contextmanager
def _answer_in_time() -> Iterator[None]:
    """Turns slowness into `BusyError`."""
    try:
        with trio.fail_after(ANSWER_SECONDS):
            yield
    except trio.TooSlowError:
        text = "that moment is still being replayed: ask again in a while"
        raise BusyError(text) from None
