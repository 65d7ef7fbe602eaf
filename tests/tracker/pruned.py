"""Prunes a log in a test: at once, in the test's own process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from tracker.upkeep import pruning
from tracker.upkeep.retention import Pruner

if TYPE_CHECKING:
    from eventlog import EventLog
    from tracker.service.service import Service


class InlinePruner(Pruner):
    """A pruner that starts no other process."""

    async def _make(self, seq: int) -> pruning.Made:
        made = await trio.to_thread.run_sync(pruning.make, self.log.path, seq)
        await trio.to_thread.run_sync(pruning.adopt, self.log.path, made)
        return made


async def prune(service: Service, log: EventLog, keep_bytes: int = 0) -> pruning.Made | None:
    """Removes everything that no peer needs, or everything beyond `keep_bytes`."""
    await log.wait_durable(log.next_seq - 1)
    return await InlinePruner(service, log, 36_500, keep_bytes).look()
