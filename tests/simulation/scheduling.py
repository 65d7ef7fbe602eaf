"""Trio made reproducible: virtual time, an order of tasks that follows from a seed, and no threads."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
import trio
from trio.testing import MockClock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")
LATENCIES = (0.0, 0.0005, 0.01, 0.2)  # seconds, of a call in a thread, before and after its work


def run(main: Callable[[], Awaitable[T]], chance: random.Random) -> T:
    """Run to the end; waiting takes no time. The same state of `chance` gives the same run.

    A call in a thread is made in place, between two pauses: time would jump ahead while a real thread works.
    """

    async def in_place(
        work: Callable[..., T], *args: Any, limiter: trio.CapacityLimiter | None = None
    ) -> T:
        async with limiter or trio.CapacityLimiter(1):
            await trio.sleep(chance.choice(LATENCIES))
            done = work(*args)
            await trio.sleep(chance.choice(LATENCIES))
            return done

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trio.to_thread, "run_sync", in_place)
        # Private, and the only way: trio shuffles the tasks that can run with a generator of its own.
        patch.setattr("trio._core._run._ALLOW_DETERMINISTIC_SCHEDULING", True)
        patch.setattr("trio._core._run._r", random.Random(chance.random()))
        return trio.run(main, clock=MockClock(autojump_threshold=0))
