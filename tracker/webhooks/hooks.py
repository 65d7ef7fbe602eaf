"""Implements `ports.Webhooks`: builds the deliveries of the configuration, and runs them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from eventlog import read_identity
from tracker.webhooks.delivery import Delivery
from tracker.webhooks.place import load
from tracker.webhooks.posting import Receiver

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from tracker.config import Webhook
    from tracker.ports import Events, WebhookState


class Hooks:
    """The webhooks of the configuration. `run` must be running."""

    def __init__(self, configured: Sequence[Webhook], events: Events, log: Path) -> None:
        """`log`: the folder of the log.

        Raises `OSError` where a place, or a file with certificate authorities, cannot be read.
        """
        self._deliveries = {
            hook.name: Delivery(
                hook=hook,
                to=Receiver.of(hook.url, hook.ca_path),
                events=events,
                place=load(log, hook.name, read_identity(log).hex(), events.end),
            )
            for hook in configured
        }

    async def run(self) -> None:
        """Delivers, until it is cancelled or the tracker stops."""
        async with trio.open_nursery() as nursery:
            for name, delivery in self._deliveries.items():
                nursery.start_soon(delivery.run, name=f"webhook {name}")

    def all(self) -> Sequence[WebhookState]:
        return [delivery.state() for delivery in self._deliveries.values()]

    def replay(self, name: str, first: int) -> None:
        self._deliveries[name].replay(first)

    def retry(self, name: str) -> int:
        return self._deliveries[name].retry()
