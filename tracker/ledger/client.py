"""Implements `ports.Ledgers`: reads ledgers for the API, in a helper process (`worker.py`).

The process answers one question at a time, and the others wait for their turn. Questions about the
same account or torrent share one walk over the log, because the process keeps it. If a walk takes
too long, the question is refused but the walk continues. The same question, asked later, finds it
done.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from tracker.ports import BusyError
from tracker.workers.child import python
from tracker.workers.question_pipe import Helper, Question, answered_within, end_when_idle

if TYPE_CHECKING:
    from pathlib import Path

    from tracker.ports import EntriesPage, Moment, SumsPage
    from tracker.store.readable_log import ReadableLog

ANSWER_SECONDS = 60.0
"""Longest wait for an answer, in seconds, with the wait for the questions before it."""
MAX_ASKING = 32
"""Questions that may be open at once; further ones are refused."""


class LogLedgers:
    """Implements `ports.Ledgers` with a log. `run` must be running."""

    def __init__(self, log: ReadableLog, secrets: Path | None) -> None:
        self._log = log
        self._helper = Helper(python("tracker.ledger.worker", str(log.path), str(secrets or "-")))

    async def run(self) -> None:
        """Ends the helper process when it has no questions, until cancelled."""
        await end_when_idle([self._helper])

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

    async def _ask(self, question: Question) -> object:
        """Asks the helper process. Raises `BusyError`, `NoMomentError`, `UnreadableLogError`."""
        await self._log.wait_readable_briefly(self._log.durable_seq - 1)
        if self._helper.users >= MAX_ASKING:
            raise BusyError("too many ledgers are being computed: ask again in a while")
        text = "the log is still being read for it: ask again in a while"
        with self._helper.in_use(), answered_within(ANSWER_SECONDS, text):
            return await self._helper.ask(question)
