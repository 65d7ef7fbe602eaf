"""Implements `ports.Ledgers`: reads ledgers for the API, in helper processes (`worker.py`).

One process reads the log, the other the book. A process answers one question at a time, and the
others wait for their turn. Questions about the same account or torrent share one walk over the log,
because the process keeps it. If a walk takes too long, the question is refused but the walk
continues. The same question, asked later, finds it done.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, cast

import trio
from attrs import evolve

from tracker.domain.derived import CASES
from tracker.ports import BusyError, TransitionPlace
from tracker.workers.child import python
from tracker.workers.question_pipe import Helper, Question, answered_within, rest_when_idle

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence
    from pathlib import Path

    from tracker.ports import (
        BookPage,
        BookQuery,
        CasesPage,
        CasesQuery,
        CaseTold,
        DerivedPage,
        DerivedPlace,
        DerivedQuery,
        Detector,
        EntriesPage,
        JudgedPage,
        JudgedQuery,
        ListQuery,
        Moment,
        RuleInForce,
        SeededPage,
        SeriesPage,
        SumsPage,
        Transition,
        TransitionsPage,
    )
    from tracker.store.readable_log import ReadableLog
    from tracker.workers.question_pipe import Worker

ANSWER_SECONDS = 60.0
"""Longest wait for an answer, in seconds, with the wait for the questions before it."""
MAX_ASKING = 32
"""Questions that may be open at once; further ones are refused."""
FOLLOWED = 200
"""Largest number of transitions that one who follows them gets at once."""
POLL_SECONDS = 1.0
"""Seconds between two looks for new transitions, because the book is written every ten."""


class LogLedgers:
    """Implements `ports.Ledgers` with a log. `run` must be running."""

    def __init__(
        self,
        log: ReadableLog,
        secrets: Path | None,
        booked: Callable[[], bool] = lambda: True,
        stopping: trio.Event | None = None,
        worker: Worker | None = None,
        cases: bool = True,
    ) -> None:
        """`booked`: tells whether somebody writes the book. Else the log is read in its place.

        `stopping`: ends those who follow transitions; None = nothing does. `worker`: answers in
        place of the helper processes. `cases`: somebody finds cases; else nobody waits for them.
        """
        self._log, self._booked, self._cases = log, booked, cases
        self._stopping = trio.Event() if stopping is None else stopping
        command = python("tracker.ledger.worker", str(log.path), str(secrets or "-"))
        self._helper = Helper(command, worker)
        self._books = Helper(
            command, worker
        )  # apart, because a book is read at once and a log is not

    async def run(self) -> None:
        """Lets the helper processes rest when they have no questions, until cancelled."""
        await rest_when_idle([self._helper, self._books])

    async def entries(
        self,
        account: int,
        info_hash: bytes | None,
        moment: Moment | None,
        after: int,
        limit: int,
    ) -> EntriesPage:
        question = Question("entries", (account, info_hash, moment, after, limit))
        return cast("EntriesPage", await self._ask(question))

    async def account_totals(
        self, account: int, moment: Moment | None, after: bytes | None, limit: int
    ) -> SumsPage:
        question = Question("account_totals", (account, moment, after, limit))
        return cast("SumsPage", await self._ask(question))

    async def torrent_totals(
        self, info_hash: bytes, moment: Moment | None, after: int | None, limit: int
    ) -> SumsPage:
        question = Question("torrent_totals", (info_hash, moment, after, limit))
        return cast("SumsPage", await self._ask(question))

    async def account_rows(self, account: int, moment: Moment | None, query: BookQuery) -> BookPage:
        return await self._rows("account_rows", account, moment, query)

    async def torrent_rows(
        self, info_hash: bytes, moment: Moment | None, query: BookQuery
    ) -> BookPage:
        return await self._rows("torrent_rows", info_hash, moment, query)

    async def _rows(
        self, method: str, of: int | bytes, moment: Moment | None, query: BookQuery
    ) -> BookPage:
        newest = moment is None and self._booked()
        question = Question(method, (of, moment, query, newest))
        helper = self._books if newest else self._helper
        return cast("BookPage", await self._ask(question, helper))

    async def hit_and_run_rules(self) -> Sequence[RuleInForce]:
        found = await self._ask(Question("hit_and_run_rules"), self._books)
        return cast("Sequence[RuleInForce]", found)

    async def judged(self, query: JudgedQuery, moment: Moment | None) -> JudgedPage:
        return cast("JudgedPage", await self._ask(Question("judged", (query, moment)), self._books))

    async def series(self, whose: int | bytes, first: int, last: int, limit: int) -> SeriesPage:
        question = Question("series", (whose, first, last, limit))
        return cast("SeriesPage", await self._ask(question, self._books))

    async def seeded(self, query: ListQuery) -> SeededPage:
        return cast("SeededPage", await self._ask(Question("seeded", (query,)), self._books))

    async def judged_history(self, account: int, info_hash: bytes) -> Sequence[Transition]:
        found = await self._ask(Question("judged_history", (account, info_hash)), self._books)
        return cast("Sequence[Transition]", found)

    async def transitions(self, after: TransitionPlace | None, limit: int) -> TransitionsPage:
        found = await self._ask(Question("transitions", (after, limit)), self._books)
        return cast("TransitionsPage", found)

    async def follow_transitions(
        self, after: TransitionPlace | None
    ) -> AsyncGenerator[TransitionsPage, None]:
        while not self._stopping.is_set():
            page = None
            with suppress(BusyError):  # a later question will do
                page = await self.transitions(after, FOLLOWED)
            if page is not None:
                if page.transitions:
                    last = page.transitions[-1].transition
                    after = TransitionPlace(last.epoch, last.seq, last.n)
                yield page
            if page is None or not page.more:
                with trio.move_on_after(POLL_SECONDS):
                    await self._stopping.wait()

    async def derived(self, after: DerivedPlace, query: DerivedQuery) -> DerivedPage:
        if not self._cases:
            query = evolve(query, types=query.types.difference(CASES))
        found = await self._ask(Question("derived", (after, query)), self._books)
        return cast("DerivedPage", found)

    async def follow_derived(
        self, after: DerivedPlace, query: DerivedQuery
    ) -> AsyncGenerator[DerivedPage, None]:
        while not self._stopping.is_set():
            page = None
            with suppress(BusyError):  # a later question will do
                page = await self.derived(after, query)
            if page is not None:
                after = page.reached
                yield page
            if page is None or not page.more:
                with trio.move_on_after(POLL_SECONDS):
                    await self._stopping.wait()

    async def cases(self, query: CasesQuery) -> CasesPage:
        return cast("CasesPage", await self._ask(Question("cases", (query,)), self._books))

    async def case(self, account: int, detector: str) -> CaseTold | None:
        question = Question("case", (account, detector))
        return cast("CaseTold | None", await self._ask(question, self._books))

    async def detectors(self) -> Sequence[Detector]:
        return cast("Sequence[Detector]", await self._ask(Question("detectors"), self._books))

    async def _ask(self, question: Question, helper: Helper | None = None) -> object:
        """Asks a helper process. Raises `BusyError`, `NoMomentError`, `UnreadableLogError`."""
        helper = helper or self._helper
        await self._log.wait_readable_briefly(self._log.durable_seq - 1)
        if helper.users >= MAX_ASKING:
            raise BusyError("too many ledgers are being computed: ask again in a while")
        text = "the log is still being read for it: ask again in a while"
        with helper.in_use(), answered_within(ANSWER_SECONDS, text):
            return await helper.ask(question)
