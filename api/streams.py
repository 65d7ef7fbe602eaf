"""Sends JSON of any length without stalling the loop.

A short array is one body with a length. A long array is sent in chunks. Either is made in pieces,
and announces are served between two of them (`tracker.turns.in_steps`). If a client leaves or stops
reading, its stream ends.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing
from typing import TYPE_CHECKING, Final, TypeVar

import trio

from api.replies import encode, json_text, opened
from tracker.ports import LISTED_AT_ONCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from api.replies import Response

Item = TypeVar("Item")
Made = TypeVar("Made")

BATCH: Final = LISTED_AT_ONCE
"""Items of a chunk, which make 20 KB of body."""
PIECE: Final = 10
"""Items that are found, shaped or encoded in one step. That takes up to a quarter of a millisecond,
for events with their twenty members.
"""

Items = Iterable[Item | None] | AsyncGenerator[list[Item], None]
"""Live items one by one, where None is a place to pause; or items of the past, in lists."""


async def json_object(body: Mapping[str, object]) -> Response:
    """Responds with an object. Its lists may be long."""
    members = []
    for name, value in body.items():
        text = encode(value) if not isinstance(value, list) else await _array(value)
        members.append(f"{encode(name)}:{text}")
    return json_text("{" + ",".join(members) + "}")


async def _array(items: list[object]) -> str:
    return "[" + ",".join(await shaped(items, encode)) + "]"


async def json_array(
    items: Items[Item], shape: Callable[[Item], str], head: str = "[", tail: str = "]"
) -> Response:
    """Responds with an array of `items`. `shape` makes the JSON text of an item.

    `head` and `tail` may wrap the array in an object.
    """
    batches = in_batches(items)
    first = await anext(batches)
    if len(first) < BATCH:
        await batches.aclose()
        return json_text(head + ",".join(await shaped(first, shape)) + tail)
    return json_text(_chunks(first, batches, shape, opened(head), tail))


async def shaped(items: Sequence[Item], shape: Callable[[Item], Made]) -> list[Made]:
    """Returns what `shape` makes of each item, `PIECE` of them in a step."""
    made: list[Made] = []
    for begin in range(0, len(items), PIECE):
        if begin:
            await trio.lowlevel.checkpoint()
        made += map(shape, items[begin : begin + PIECE])
    return made


async def in_batches(items: Items[Item]) -> AsyncGenerator[list[Item], None]:
    """Yields lists of `BATCH` items, and a last one with fewer."""
    if isinstance(items, AsyncGenerator):
        async with aclosing(items):
            async for some in items:
                yield some
        return
    iterator = iter(items)
    while True:
        batch = await _batch(iterator)
        yield batch
        if len(batch) < BATCH:
            return


async def _chunks(
    batch: list[Item],
    rest: AsyncGenerator[list[Item], None],
    shape: Callable[[Item], str],
    head: str,
    tail: str,
) -> AsyncIterator[bytes]:
    separator = head
    async with aclosing(rest):
        while batch:
            yield (separator + ",".join(await shaped(batch, shape))).encode()
            separator, batch = ",", await anext(rest, [])
    yield tail.encode()


async def _batch(items: Iterator[Item | None]) -> list[Item]:
    taken: list[Item] = []
    for item in items:
        if item is not None:
            taken.append(item)
            if len(taken) == BATCH:
                break
        if item is None or not len(taken) % PIECE:
            await trio.lowlevel.checkpoint()
    return taken
