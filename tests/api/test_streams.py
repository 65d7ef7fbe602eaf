"""Tests JSON arrays that are made a piece at a time."""

from __future__ import annotations

import json

import trio

from api.streams import BATCH, PIECE, json_array
from tracker.turns import Turns, in_steps

ARRAYS = 8
ITEMS = 3 * BATCH + 7


async def test_arrays_take_turns():
    """The loop gets its turn after every piece, however many arrays are made at once."""
    since = worst = 0
    made, turns = [], Turns(1)

    def items():
        nonlocal since
        for number in range(ITEMS):
            since += 1
            yield number

    async def one() -> None:
        response = await json_array(items(), str)
        made.append(json.loads(await response.get_data(as_text=True)))

    async def others() -> None:
        nonlocal since, worst
        while len(made) < ARRAYS:
            worst, since = max(worst, since), 0
            await trio.lowlevel.checkpoint()

    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(others)
            for _ in range(ARRAYS):
                nursery.start_soon(in_steps, one(), turns)
    assert made == [list(range(ITEMS))] * ARRAYS
    # The order within a turn is random: an array may be last in one and first in the next.
    assert 0 < worst <= 2 * PIECE


async def test_pauses_within_a_batch():
    """None among the items is a pause. An array whose reader waits holds up no other."""
    waiting = await json_array([*range(5 * BATCH)], str)
    body = aiter(waiting.response)
    assert await anext(body)
    short = await json_array([1, None, None, 2], str)
    assert await short.get_data(as_text=True) == "[1,2]"
    await body.aclose()
