"""Appends the events that depend on time: ticks, which remove silent peers, and counters."""

from __future__ import annotations

import logging
from contextlib import suppress
from typing import TYPE_CHECKING

import trio

if TYPE_CHECKING:
    from tracker.service.service import Service

log = logging.getLogger("tracker")

SWEEP_PAUSE_SECONDS = 0.02
"""Seconds between two ticks of one sweep for silent peers; announces are served meanwhile."""
COUNTER_SECONDS = 1.0
"""Shortest time, in seconds, between two appends of counters."""
REFUSALS_SECONDS = 60.0
"""Shortest time, in seconds, between two appends of refusals by client."""
HEAR_SECONDS = 1.0
"""Seconds after which the loop hears of a thread's end at the latest."""
LOOK_SECONDS = 1.0
"""Seconds after which a tick hears at the latest that the time between ticks has changed."""
_POLL_SECONDS = 0.1  # between two looks at the counters


async def hear_threads() -> None:
    """Wakes the loop for what threads have reported, in case the system refused their own call."""
    token = trio.lowlevel.current_trio_token()
    while True:
        await trio.sleep(HEAR_SECONDS)
        with suppress(OSError):
            token.run_sync_soon(int)


async def tick(service: Service) -> None:
    """Appends a tick every `tick_ms`, then further ticks until the sweep of that tick is done."""
    while True:
        await _until_due(service)
        stepped = service.tick()
        if stepped:
            log.warning(
                "The clock went forward by %d s at once; nobody expires for one timeout",
                stepped // 10**6,
            )
        while not service.state.sweep.done:
            await trio.sleep(SWEEP_PAUSE_SECONDS)
            service.tick(goes_on=True)


async def _until_due(service: Service) -> None:
    """Waits for the time between two ticks, also where that changes meanwhile."""
    began = trio.current_time()
    while (left := began + service.settings.tick_ms / 1000 - trio.current_time()) > 0:  # noqa: ASYNC110  # time passes, too
        await trio.sleep(min(left, LOOK_SECONDS))


async def log_counters(service: Service) -> None:
    """Appends the counters and refusals that changed.

    The first change after a pause is appended within `_POLL_SECONDS`.
    """
    due = 0.0
    while True:
        await trio.sleep(_POLL_SECONDS)
        if service.refusals and trio.current_time() >= due:
            service.flush_refusals()
            due = trio.current_time() + REFUSALS_SECONDS
        if service.pending:
            service.flush_counters()
            await trio.sleep(COUNTER_SECONDS)
