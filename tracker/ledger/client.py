"""Ledgers for the API: asked of a helper process (`ledger_worker.py`), one question at a time, never of the tracker's own.

Who asks does not wait for ever: a walk that takes longer goes on, and is done when the question comes again. The process
ends when nobody asked for some minutes.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, cast

import trio

from tracker.ports import BusyError
from tracker.workers.question_pipe import Helper

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tracker.ledger.pages import EntriesAsked, SumsAsked

ANSWER_SECONDS = 60.0
IDLE_SECONDS = 120.0
WALK_SECONDS = 600.0  # after this a walk that nobody waits for any more is given up


class LedgerReads:
    """`run` has to be running."""

    def __init__(self, log: Path, secrets: Path | None) -> None:
        command = [
            sys.executable,
            "-m",
            "tracker.ledger.worker",
            str(log),
            str(secrets or "-"),
        ]
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

    async def ask(self, asked: EntriesAsked | SumsAsked) -> str:
        """JSON text. Raises `BusyError`, `NoMomentError`, `LogError`."""
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
