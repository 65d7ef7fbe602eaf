"""Other tasks get their turn between two batches of datagrams."""

from __future__ import annotations

from itertools import count
from typing import TYPE_CHECKING

import trio
import trio.testing

from tracker.frontends import fairness
from tracker.frontends.fairness import FairShare

if TYPE_CHECKING:
    import pytest

LONG_NS = 4_000_000


async def test_without_other_tasks_the_socket_continues_at_once() -> None:
    """Without other tasks the call is no checkpoint."""
    way = FairShare()
    for _ in range(3):
        with trio.testing.assert_no_checkpoints():
            await way.let_others_run(LONG_NS)


async def test_after_a_short_batch_the_socket_continues_at_once() -> None:
    """After a short batch the call is no checkpoint, although a task is ready."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(trio.lowlevel.checkpoint)
        with trio.testing.assert_no_checkpoints():
            await FairShare().let_others_run(900_000)


async def test_others_have_a_quarter_of_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A task that is always ready makes some steps, and then the socket continues."""
    clock = count(0, 100_000)  # each read advances it by 0.1 ms
    monkeypatch.setattr(fairness, "perf_counter_ns", lambda: next(clock))
    steps = 0

    async def busy() -> None:
        nonlocal steps
        while True:
            await trio.lowlevel.checkpoint()
            steps += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(busy)
        way = FairShare()
        for _ in range(100):
            await way.let_others_run(LONG_NS)
            await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    assert 200 < steps <= 100 * 11
