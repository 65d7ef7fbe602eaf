"""Bundles the ports through which the API sees the tracker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from tracker.ports import (
        Changes,
        Commands,
        Consumers,
        Events,
        Gauges,
        Ledgers,
        Live,
        Past,
        Reruns,
        Webhooks,
    )


@frozen
class Ports:
    """The reads and writes of one tracker."""

    live: Live
    commands: Commands
    events: Events
    ledgers: Ledgers
    gauges: Gauges
    past: Past
    reruns: Reruns
    webhooks: Webhooks
    changes: Changes
    consumers: Consumers
    announce_urls: tuple[str, ...] = ()
    """URLs of the HTTP trackers' announces, without a key, such as `http://127.0.0.1:7070/announce`."""
