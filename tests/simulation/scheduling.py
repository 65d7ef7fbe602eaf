"""Makes Trio reproducible: virtual time, an order of tasks from a seed, and no threads."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, Any, TypeVar

import pytest
import trio
from trio.testing import MockClock

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")
LATENCIES = (0.0, 0.0005, 0.01, 0.2)  # seconds before and after the work of a call in a thread


def run(main: Callable[[], Awaitable[T]], chance: random.Random) -> T:
    """Runs `main` to its end without waiting. The same state of `chance` gives the same run.

    A call in a thread runs in place between two pauses, because virtual time would jump ahead while
    a real thread works.
    """

    async def in_place(
        work: Callable[..., T],
        *args: Any,
        limiter: trio.CapacityLimiter | None = None,
        abandon_on_cancel: bool = False,  # noqa: ARG001  # Trio's name
    ) -> T:
        async with limiter or trio.CapacityLimiter(1):
            await trio.sleep(chance.choice(LATENCIES))
            done = work(*args)
            await trio.sleep(chance.choice(LATENCIES))
            return done

    async def to_the_end(work: Callable[..., T], *args: Any) -> T:
        with trio.CancelScope(shield=True):
            return await in_place(work, *args)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trio.to_thread, "run_sync", in_place)
        for user in ("eventlog.log", "tracker.store.noting"):
            patch.setattr(f"{user}.to_the_end", to_the_end)
        # Private, and the only way, because Trio shuffles runnable tasks with its own generator.
        patch.setattr("trio._core._run._ALLOW_DETERMINISTIC_SCHEDULING", True)
        patch.setattr("trio._core._run._r", random.Random(chance.random()))
        return trio.run(main, clock=MockClock(autojump_threshold=0))
