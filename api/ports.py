"""The ports of the tracker that the API is served from, in one bundle."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from tracker.ports import Commands, Gauges, History, Journal, Past


@frozen
class Ports:
    """Reads and writes of one tracker. An absent port takes its endpoints away, an absent past `at=`."""

    history: History
    commands: Commands
    journal: Journal | None = None
    gauges: Gauges | None = None
    past: Past | None = None
