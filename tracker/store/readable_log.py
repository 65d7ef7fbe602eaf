"""The part of `eventlog.EventLog` that readers of a log need while it is being written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from pathlib import Path


class ReadableLog(Protocol):
    """A log that a reader follows to its durable end."""

    @property
    def path(self) -> Path: ...

    @property
    def durable_seq(self) -> int:
        """The number that the event after the last durable one will get."""
        ...

    async def wait_readable_briefly(self, seq: int) -> None: ...
