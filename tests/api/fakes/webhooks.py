"""Implements `ports.Webhooks`."""

from __future__ import annotations

from tests.api.fakes.values import NOW_US
from tracker.ports import DeadLetter, WebhookState


class FakeWebhooks:
    """One webhook with a dead letter; it keeps what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int | None]] = []

    def all(self) -> list[WebhookState]:
        dead = DeadLetter(3, 4, NOW_US, "status 500")
        return [
            WebhookState(
                "site", "https://site.example", ("key_issued",), 7, 2, NOW_US, "status 500",
                (dead,), 1,
            )
        ]  # fmt: skip

    def replay(self, name: str, first: int) -> None:
        self.asked.append((name, first))

    def retry(self, name: str) -> int:
        self.asked.append((name, None))
        return 1
