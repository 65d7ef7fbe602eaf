"""Runs blocking work in a thread, and says in words when the system gives none."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, TypeVar

import trio

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

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
