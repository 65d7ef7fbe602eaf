"""Runs blocking work in a thread, and says in words when the system gives none."""

from __future__ import annotations

import errno
import time
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import trio

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from outcome import Outcome

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
    with _said_in_words():
        return await trio.to_thread.run_sync(
            work, *arguments, limiter=limiter, abandon_on_cancel=abandon
        )


@trio.lowlevel.enable_ki_protection
async def to_the_end(work: Callable[..., T], *arguments: object) -> T:
    """Run `work` in a thread as `in_thread` does. Nothing is cancelled before its end.

    For work that comes again and again and may not be abandoned, such as commits: the way there
    and back costs a third of the CPU of `in_thread`.
    """
    token, task = trio.lowlevel.current_trio_token(), trio.lowlevel.current_task()

    def deliver(result: Outcome[T]) -> None:
        with suppress(trio.RunFinishedError):  # an internal error of trio ended the loop
            token.run_sync_soon(trio.lowlevel.reschedule, task, result)

    with _said_in_words():
        trio.lowlevel.start_thread_soon(partial(work, *arguments), deliver)
    result: T = await trio.lowlevel.wait_task_rescheduled(lambda _: trio.lowlevel.Abort.FAILED)
    return result


@contextmanager
def _said_in_words() -> Iterator[None]:
    try:
        yield
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
