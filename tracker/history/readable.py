"""Waiting until readers of the log are given what is durable: whoever was just answered looks for it there.

A reader goes as far as a later header vouches for, which is one commit behind what is durable (docs/adr/0001).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import trio

from eventlog import LogFailedError

if TYPE_CHECKING:
    from eventlog import EventLog

MARK_SECONDS = 0.25  # it takes a fifth of that, unless the disk is slow or full

Readable = Callable[[int], Awaitable[None]]
"""Returns once readers are given that event if it is durable, and after a moment in any case."""


def readable_in(log: EventLog) -> Readable:
    async def wait(seq: int) -> None:
        if seq >= log.durable_seq:
            return
        with trio.move_on_after(MARK_SECONDS):
            try:
                await log.wait_readable(seq)
            except LogFailedError:
                return  # what there is can be read

    return wait


async def readable_already(_seq: int) -> None:
    """For a log that nobody writes."""
