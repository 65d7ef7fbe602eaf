"""Tests that turns are given to all who wait, and that work in steps is the same as without."""

from __future__ import annotations

import pytest
import trio
import trio.testing
from hypothesis import given
from hypothesis import strategies as st

from tracker.turns import Turns, in_steps

LEAVING = st.none() | st.integers(0, 6)
"""In which pass of the loop one that waits is cancelled; None = never."""


@given(most=st.integers(1, 3), leaving=st.lists(LEAVING, min_size=1, max_size=12))
def test_all_who_stay_get_a_turn(most: int, leaving: list[int | None]) -> None:
    taken: list[int] = []

    async def wait(number: int, turns: Turns, scope: trio.CancelScope) -> None:
        with scope:
            await turns.turn()
            await trio.lowlevel.checkpoint_if_cancelled()
            taken.append(number)

    async def main() -> None:
        turns = Turns(most)
        scopes = [trio.CancelScope() for _ in leaving]
        async with trio.open_nursery() as nursery:
            for number, scope in enumerate(scopes):
                nursery.start_soon(wait, number, turns, scope)
            for now in range(8):
                await trio.lowlevel.checkpoint()
                for one, scope in zip(leaving, scopes, strict=True):
                    if one == now:
                        scope.cancel()
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()  # whoever still waits would wait for ever

    trio.run(main)
    assert {number for number, one in enumerate(leaving) if one is None} <= set(taken)
    assert len(taken) == len(set(taken))


@given(most=st.integers(1, 3), tasks=st.integers(1, 9))
def test_a_pass_has_so_many_steps(most: int, tasks: int) -> None:
    """Whatever a task waited for: the next pass, or an event that all wait for."""
    steps = worst = left = 0

    async def work(ready: trio.Event) -> None:
        nonlocal steps
        for wait in (trio.lowlevel.checkpoint, ready.wait, trio.lowlevel.checkpoint):
            await wait()
            steps += 1

    async def one(turns: Turns, ready: trio.Event) -> None:
        nonlocal left
        await in_steps(work(ready), turns)
        left -= 1

    async def main() -> None:
        nonlocal left, steps, worst
        left, turns, ready = tasks, Turns(most), trio.Event()
        async with trio.open_nursery() as nursery:
            for _ in range(tasks):
                nursery.start_soon(one, turns, ready)
            while left:
                steps = 0
                await trio.lowlevel.checkpoint()
                worst = max(worst, steps)
                ready.set()

    trio.run(main)
    # The order within a pass is random: a task may be last in one and first in the next.
    assert 0 < worst <= 2 * most


@given(most=st.integers(1, 3), tasks=st.integers(1, 9))
def test_turns_come_in_the_order_of_asking(most: int, tasks: int) -> None:
    """Tasks with turns in one pass go on in a random order."""
    waiting: list[int] = []
    overtaken = 0

    async def work(number: int, turns: Turns) -> None:
        nonlocal overtaken
        for _ in range(20):
            waiting.append(number)
            await turns.turn()
            overtaken = max(overtaken, waiting.index(number))
            waiting.remove(number)
            await trio.lowlevel.checkpoint()

    async def main() -> None:
        turns = Turns(most)
        async with trio.open_nursery() as nursery:
            for number in range(tasks):
                nursery.start_soon(work, number, turns)

    trio.run(main)
    assert overtaken < most


async def test_work_in_steps_ends_as_without() -> None:
    sent, received = trio.open_memory_channel[int](0)

    async def work() -> int:
        with trio.move_on_after(0):
            await trio.sleep_forever()
        return await received.receive()

    async def failing() -> None:
        await trio.lowlevel.checkpoint()
        raise LookupError

    turns = Turns(1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(sent.send, 7)
        assert await in_steps(work(), turns) == 7
        with pytest.raises(LookupError):
            await in_steps(failing(), turns)


async def test_what_was_received_is_not_lost_to_a_cancellation() -> None:
    """A task that is cancelled between an item and its turn still gets the item."""
    sent, received = trio.open_memory_channel[int](9)
    got: list[int] = []
    turns = Turns(1)

    async def work() -> None:
        got.append(await received.receive())

    async with trio.open_nursery() as nursery:
        for _ in range(9):
            nursery.start_soon(in_steps, work(), turns)
        await trio.testing.wait_all_tasks_blocked()
        for item in range(9):
            sent.send_nowait(item)
        await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    left = received.statistics().current_buffer_used
    assert sorted(got) == list(range(9 - left))
