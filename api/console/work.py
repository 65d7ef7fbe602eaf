"""Does long changes in the background, step by step, while a page shows how far they are.

A work belongs to a session: nobody else sees it, and it ends with the session. It goes on when its
page is closed. A cancel ends it between two steps, so that no step is half known.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any, Final

import trio
from attrs import define, field, frozen

from api.console.api import DownError, ProblemError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

_log = logging.getLogger(__name__)
MOST: Final = 8
"""Works that run at a time, of all sessions together."""
KEPT: Final = 5
"""Works that a session remembers; the oldest that is over is forgotten for a new one."""
NOT_DONE: Final = "not done"
_ENDING: Final = (401, 429, 503)
"""Statuses of the API after which further steps would fail as well."""


@define(eq=False)
class Work:
    """A list of lines, and a function that does some of them.

    `step` gets how many lines were before, and at most `size` lines; it returns in words what was
    done for each. The lines of a step that fails are tried again one by one. A problem stands
    beside its line, and the next line follows. Where the tracker does not answer, or the token is
    not valid any more, the rest is not done.
    """

    title: str
    lines: list[str]
    step: Callable[[int, list[str]], Awaitable[list[str]]]
    size: int = 1
    preview: str = ""  # the change that it looks up the lines for, without making it
    told: list[str] = field(factory=list)  # for each line that was tried
    failed: int = 0  # lines
    ends: str = ""  # why it is over; "" = it runs
    cancelled: bool = False
    _singly: int = 0  # lines before this one are tried one by one

    async def run(self) -> None:
        while not self.ends:
            await self._go_on()

    async def _go_on(self) -> None:
        begin = len(self.told)
        size = 1 if begin < self._singly else self.size
        lines = self.lines[begin : begin + size]
        if self.cancelled or not lines:
            self.ends = "cancelled" if self.cancelled and lines else "done"
            return
        try:
            self.told += await self.step(begin, lines)
        except ProblemError as error:
            said = error.detail or error.title
            if error.status in _ENDING:
                self.ends = said
            elif len(lines) > 1:
                self._singly = begin + len(lines)
            else:
                self.told.append(said)
                self.failed += 1
        except DownError as error:
            self.ends = f"the tracker does not answer: {error}"

    def counts(self) -> dict[str, Any]:
        """Returns how far it is."""
        return {
            "words": self.title,
            "preview": self.preview,
            "all": len(self.lines),
            "tried": len(self.told),
            "failed": self.failed,
            "ends": self.ends,
        }

    def shown(self) -> dict[str, Any]:
        """Returns how far it is, and each line with what was done for it."""
        rest = [NOT_DONE if self.ends else ""] * (len(self.lines) - len(self.told))
        told = zip(self.lines, [*self.told, *rest], strict=True)
        return {
            **self.counts(),
            "lines": [
                {"line": number, "given": line, "state": state}
                for number, (line, state) in enumerate(told, 1)
            ],
        }


class Crew:
    """Runs works until it is cancelled; the process has one."""

    def __init__(self) -> None:
        self._begin, self._begun = trio.open_memory_channel[Work](MOST)
        self._running: set[Work] = set()

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            async for work in self._begun:
                nursery.start_soon(self._run, work)

    async def _run(self, work: Work) -> None:
        try:
            await work.run()
        except Exception as error:  # a defect ends this list, and neither others nor the console
            _log.error("the list %s failed", work.title, exc_info=error)
        finally:
            work.ends = work.ends or "an error in the console; the tracker's text log has it"
            self._running.discard(work)

    def start(self, work: Work) -> None:
        """Raises `ProblemError` where too many run."""
        if len(self._running) >= MOST:
            raise ProblemError(503, "Too much is being done", "Wait until another list is done")
        self._running.add(work)
        self._begin.send_nowait(work)


@frozen
class Works:
    """The works of a session, by the once-number of the form that began each."""

    crew: Crew
    known: dict[str, Work]

    def start(self, key: str, work: Work) -> None:
        """Begins a work, unless its form was sent before. Raises `ProblemError`."""
        if key in self.known:
            return
        if any(not one.ends for one in self.known.values()):
            detail = "Wait until your other list is done, or cancel it"
            raise ProblemError(409, "Another list is being done", detail)
        self.crew.start(work)
        while len(self.known) >= KEPT:
            del self.known[next(iter(self.known))]
        self.known[key] = work

    def find(self, key: str) -> Work:
        """Raises `ProblemError` where the session knows no such work."""
        if key not in self.known:
            detail = "The console forgets a list when you sign out, and when it starts again"
            raise ProblemError(404, "There is no such list", detail)
        return self.known[key]


def cancel(works: Iterable[Work]) -> None:
    """Ends works after the step that each is at."""
    for work in works:
        work.cancelled = True
