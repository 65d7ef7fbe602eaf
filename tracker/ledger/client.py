"""Reads ledgers for the API: `ports.Ledgers`, answered by a helper process (`worker.py`) and never by the tracker's own.

The process answers one question at a time. A walk that takes too long goes on after the question was refused, and is
done when the question comes again. The process ends when there was no question for some minutes.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

import trio

from tracker.ledger.pages import EntriesAsked, SumsAsked
from tracker.ports import BusyError, Moment
from tracker.workers.question_pipe import Helper

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tracker.store.readable_log import ReadableLog

ANSWER_SECONDS = 60.0
IDLE_SECONDS = 120.0
WALK_SECONDS = 600.0  # after this a walk that nobody waits for any more is given up


class LogLedgers:
    """`ports.Ledgers` over a log. `run` has to be running."""

    def __init__(self, log: ReadableLog, secrets: Path | None) -> None:
        command = [
            sys.executable,
            "-m",
            "tracker.ledger.worker",
            str(log.path),
            str(secrets or "-"),
        ]
        self._log = log
        self._helper = Helper(command)

    async def run(self) -> None:
        """Until cancelled: ends the process when nobody asks it."""
        helper = self._helper
        try:
            while True:
                await trio.sleep(IDLE_SECONDS / 10)
                idle = trio.current_time() - helper.used
                if helper.runs and not helper.users and idle >= IDLE_SECONDS:
                    await helper.look()
                    if not helper.users and (not helper.owed or idle > WALK_SECONDS):
                        await helper.end()
        finally:
            await helper.end()

    async def entries(
        self,
        account: int,
        info_hash: bytes | None,
        moment: Moment | None,
        after: int,
        limit: int,
    ) -> str:
        return await self._ask(EntriesAsked(account, info_hash, moment, after, limit))

    async def account_totals(
        self, account: int, moment: Moment | None, after: bytes | None, limit: int
    ) -> str:
        return await self._ask(SumsAsked(account, moment, after, limit))

    async def torrent_totals(
        self, info_hash: bytes, moment: Moment | None, after: int | None, limit: int
    ) -> str:
        return await self._ask(SumsAsked(info_hash, moment, after, limit))

    async def _ask(self, asked: EntriesAsked | SumsAsked) -> str:
        """Raises `BusyError`, `NoMomentError`, `LogError`."""
        await self._log.wait_readable_briefly(self._log.durable_seq - 1)
        with self._used():
            self._helper.used = trio.current_time()
            try:
                with trio.fail_after(ANSWER_SECONDS):
                    return cast("str", await self._helper.ask(asked))
            except trio.TooSlowError:
                text = "the log is still being read for it: ask again in a while"
                raise BusyError(text) from None

    @contextmanager
    def _used(self) -> Iterator[None]:
        if self._helper.users:
            raise BusyError("a ledger is being computed already: ask again when it is done")
        self._helper.users += 1
        try:
            yield
        finally:
            self._helper.users -= 1
