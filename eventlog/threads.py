"""Runs blocking work in a thread, and says in words when the system gives none."""

from __future__ import annotations

import errno
import time
from typing import TYPE_CHECKING, TypeVar

import trio

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

_STEP_SECONDS = 0.001
"""Processor time after which work that has a pace makes a pause."""
_PAUSES = 3
"""Length of a pause, in parts of the time worked before it."""
NO_THREAD = "no thread can be started: is there a limit of processes?"


async def in_thread(
    work: Callable[..., T],
    *arguments: object,
    limiter: trio.CapacityLimiter | None = None,
    abandon: bool = False,
) -> T:
    """Run `work` as `trio.to_thread.run_sync` does, and return what it returns.

    `abandon`: a cancelled caller does not wait for its end; for work that only reads.

    Raises what it raises; `OSError` when no thread can be started, because whoever runs work that
    meets the disk is prepared for that.
    """
    try:
        return await trio.to_thread.run_sync(
            work, *arguments, limiter=limiter, abandon_on_cancel=abandon
        )
    except RuntimeError as error:
        if "can't start new thread" not in str(error):
            raise
        raise OSError(errno.EAGAIN, NO_THREAD) from None


class Pace:
    """Keeps work in a thread below a quarter of a processor, because the tracker may have only one,
    and its announces would wait.

    The work calls it between short steps. It ends the work when whoever waits for it is cancelled:
    it raises `trio.Cancelled` then.
    """

    def __init__(self) -> None:
        self._paused: float | None = None  # processor time of the thread at the last pause, seconds

    def __call__(self) -> None:
        now = time.thread_time()
        if self._paused is None:
            self._paused = now
        elif now - self._paused > _STEP_SECONDS:
            trio.from_thread.check_cancelled()
            time.sleep(_PAUSES * (now - self._paused))
            self._paused = time.thread_time()
