"""Bounds how much tasks do in one pass of the event loop, so that they hold nobody else up.

In one pass trio runs every task that can go on. Thousands of connections can make as many tasks go
on at once, by sending their requests or TLS handshakes together, and everything else waits until
all of them are done. Here some go on in each pass, in the order in which they became ready.
"""

from __future__ import annotations

from collections import OrderedDict
from functools import partial
from types import coroutine
from typing import TYPE_CHECKING, Any, TypeVar, cast

import trio

if TYPE_CHECKING:
    from collections.abc import Coroutine, Generator

T = TypeVar("T")


class Turns:
    """Gives out turns, at most `most` in a pass of the event loop."""

    __slots__ = ("_left", "_most", "_renewer", "_waiting")

    def __init__(self, most: int) -> None:
        self._most = most
        self._left = most
        self._renewer: trio.lowlevel.Task | None = None  # gives out turns again in the next pass
        self._waiting: OrderedDict[trio.lowlevel.Task, None] = OrderedDict()

    async def turn(self) -> None:
        """Waits for a turn. Where there is one it returns at once, and is no checkpoint.

        A task that is cancelled meanwhile goes on without a turn, because all it does is to end.
        The next checkpoint tells it so; here it would lose what it has just waited for.
        """
        if self._left:
            self._left -= 1
            return
        task = trio.lowlevel.current_task()
        if self._renewer is None:
            self._renewer = task
        else:
            try:
                await self._wait(task)
            except trio.Cancelled:
                return
            if self._renewer is not task:
                return
        await trio.lowlevel.cancel_shielded_checkpoint()
        self._renew()

    def _renew(self) -> None:
        """Gives a turn to this task and, in the next pass, to those that have waited longest. The
        one after them renews the turns then, so that nobody overtakes it.
        """
        self._left = self._most - 1
        while self._left and self._waiting:
            self._left -= 1
            self._wake()
        self._renewer = self._wake() if self._waiting else None

    def _wake(self) -> trio.lowlevel.Task:
        task, _ = self._waiting.popitem(last=False)
        trio.lowlevel.reschedule(task)
        return task

    async def _wait(self, task: trio.lowlevel.Task) -> None:
        def abort(_: object) -> trio.lowlevel.Abort:
            del self._waiting[task]
            return trio.lowlevel.Abort.SUCCEEDED

        self._waiting[task] = None
        await trio.lowlevel.wait_task_rescheduled(abort)


async def in_steps(work: Coroutine[Any, Any, T], turns: Turns) -> T:
    """Runs `work`, and waits for a turn before each of its steps, whatever it waited for.

    A step ends where `work` gives the loop to others.
    """
    return await _in_steps(work, turns)


@coroutine
def _in_steps(work: Coroutine[Any, Any, T], turns: Turns) -> Generator[Any, Any, T]:
    resume = partial(work.send, None)
    try:
        while True:
            yield from turns.turn().__await__()
            try:
                waits_for = resume()
            except StopIteration as end:
                return cast("T", end.value)
            resume = partial(work.send, (yield waits_for))
    finally:
        work.close()
