"""Implements `ports.Reruns`: decides parts of the log again for the API, in a helper process
(`rerun_worker.py`).

It works on one part at a time. The process ends when nobody waits for its answer any more, because
a part costs more than a start.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import trio

from tracker.ports import BusyError, InvalidPartError, Moment
from tracker.workers.child import python
from tracker.workers.question_pipe import Helper, Question, answered_within, rest_when_idle

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from tracker.store.readable_log import ReadableLog

ANSWER_SECONDS = 60.0
"""Longest wait for an answer, in seconds, with the wait for the parts before it."""
MAX_ASKING = 8
"""Parts that may be asked for at once; further ones are refused."""


class LogReruns:
    """Implements `ports.Reruns` with a log. `run` must be running."""

    def __init__(self, log: ReadableLog, secrets: Path) -> None:
        self._log = log
        self._helper = Helper(python("tracker.history.rerun_worker", str(log.path), str(secrets)))
        self._turn = trio.Lock()

    async def run(self) -> None:
        """Lets the process rest when it has no questions, until cancelled."""
        await rest_when_idle([self._helper])

    async def check(
        self, first: Moment | None, last: Moment | None, *, trace: bool
    ) -> Mapping[str, Any]:
        return await self._ask(Question("check", (first, last, trace)))

    async def what_if(
        self, first: Moment | None, last: Moment | None, settings: Sequence[str]
    ) -> Mapping[str, Any]:
        return await self._ask(Question("what_if", (first, last, tuple(settings))))

    async def _ask(self, question: Question) -> Mapping[str, Any]:
        """Raises `InvalidPartError`, `BusyError`, `NoMomentError`, `UnreadableLogError`."""
        await self._log.wait_readable_briefly(self._log.durable_seq - 1)
        if self._helper.users >= MAX_ASKING:
            raise BusyError("too many parts of the log are being decided again: ask in a while")
        text = "the part was not decided again in time: ask for a smaller one, or in a while"
        with self._helper.in_use(), answered_within(ANSWER_SECONDS, text):
            async with self._turn:
                try:
                    found = await self._helper.ask(question)
                finally:
                    if self._helper.owed:  # nobody waits for it: its asker left, or waited too long
                        await self._helper.end()
        if isinstance(found, str):
            raise InvalidPartError(found)
        return cast("Mapping[str, Any]", found)
