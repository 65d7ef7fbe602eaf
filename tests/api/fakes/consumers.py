"""Implements `ports.Consumers`."""

from __future__ import annotations

from tests.api.fakes.values import NOW_US
from tracker.ports import Consumer


class FakeConsumers:
    """A webhook, and what was registered."""

    def __init__(self) -> None:
        self.registered: dict[str, int] = {}

    def all(self) -> list[Consumer]:
        found = [Consumer("site", True, 7, 2, None, True)]
        return found + [
            Consumer(name, False, seq, 9 - seq, NOW_US, False)
            for name, seq in self.registered.items()
        ]

    async def register(self, name: str, seq: int) -> Consumer:
        if seq > 9:
            raise ValueError("seq: the newest event is 9")
        self.registered[name] = seq
        return self.all()[-1]

    async def forget(self, name: str) -> bool:
        return self.registered.pop(name, None) is not None
