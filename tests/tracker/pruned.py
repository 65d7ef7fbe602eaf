"""Prunes a log in a test: at once, in the test's own process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from tests.support import keys_of
from tracker.store.book_files import BookError
from tracker.upkeep import pruning, retention
from tracker.upkeep.retention import Pruner

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventlog import EventLog
    from tracker.service.service import Service
    from tracker.store.address_keys import Keyring


class InlinePruner(Pruner):
    """A pruner that starts no other process."""

    async def _make(self, seq: int) -> pruning.Made:
        keys = keys_of(self.secrets)
        try:
            made = await trio.to_thread.run_sync(pruning.make, self.log.path, seq, keys)
        except BookError as error:  # as the process says it
            raise retention.PruningError(str(error)) from None
        await trio.to_thread.run_sync(pruning.adopt, self.log.path, made)
        return made


async def prune(
    service: Service,
    log: EventLog,
    keep_bytes: int = 0,
    keys: Keyring | None = None,
    after_each: Callable[[], None] = lambda: None,
) -> pruning.Made | None:
    """Removes everything beyond `keep_bytes`; returns the last removal.

    `keys` None: those in the log's own folder. `after_each`: is called after each removal, because
    the next one may remove its event.
    """
    await log.wait_durable(log.next_seq - 1)
    secrets = log.path / "secrets" if keys is None else keys.secrets
    pruner, last = InlinePruner(service, log, 36_500, keep_bytes, secrets), None
    while made := await pruner.look():
        last = made
        after_each()
        if made.segments < retention.MOST_AT_ONCE:
            break  # else the event of the removal would be the next one to go, without end
    return last
