"""The health check learns from the log what no socket shows."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import trio

from tracker.process import web

if TYPE_CHECKING:
    from collections.abc import Callable


class HungLog:
    """A log whose disk does not answer."""

    next_seq = 5
    full = ""

    def trouble(self) -> str:
        return self.full

    async def wait_durable(self, seq: int) -> None:
        assert seq == self.next_seq - 1
        await trio.sleep_forever()


class QuickLog(HungLog):
    """A log whose disk answers at once."""

    async def wait_durable(self, seq: int) -> None:
        assert seq == self.next_seq - 1


class FullLog(HungLog):
    full = "its disk is nearly full"


@pytest.mark.usefixtures("autojump_clock")
@pytest.mark.parametrize(
    ("log", "durability", "words"),
    [
        (QuickLog, "strict", ""),
        (HungLog, "strict", "the event log's disk does not answer"),
        (HungLog, "group", ""),  # replies do not wait for the disk
        (
            FullLog,
            "group",
            "refused: the event log takes nothing in, because its disk is nearly full",
        ),
    ],
)
async def test_trouble(log: Callable[[], Any], durability: str, words: str) -> None:
    """Announces that are refused, or wait for a disk that hangs, are reported."""
    config = SimpleNamespace(event_log=SimpleNamespace(durability=durability))
    runtime: Any = SimpleNamespace(event_log=log(), config=config)
    found = await web._trouble(runtime, "udp")
    assert words in found
    assert bool(found) == bool(words)


@pytest.mark.parametrize("trouble", ["", "No space left on device"])
async def test_changes_are_not_acknowledged(trouble: str) -> None:
    """The API's check tells that the note cannot be written."""
    runtime: Any = SimpleNamespace(noted=SimpleNamespace(trouble=trouble))
    assert bool(await web._trouble(runtime, "api")) == bool(trouble)
