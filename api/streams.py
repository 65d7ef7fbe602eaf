"""Sends JSON arrays of any length without stalling the loop.

A short array is one body with a length. A long array is sent in chunks, with a checkpoint before
each chunk, so that announces are served in between. However many arrays are being sent, the loop
works on only one of them between two checkpoints. If a client leaves or stops reading, its stream
ends.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import aclosing
from typing import TYPE_CHECKING, Final, TypeVar

import trio

from api.replies import json_text, opened
from tracker.ports import LISTED_AT_ONCE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from api.replies import Response

Item = TypeVar("Item")

# Items of a chunk. They take about a millisecond to find and encode, and make 20 KB of body.
BATCH: Final = LISTED_AT_ONCE

SHAPED: Final = 32
"""Items such as events, which have twenty members each, that take a millisecond to encode."""

_TURN: Final = trio.Lock()
"""Held for about a millisecond of work at a time. Waiting for it lets other tasks run."""

Items = Iterable[Item | None] | AsyncGenerator[list[Item], None]
"""Live items one by one, where None is a place to pause; or items of the past, in lists."""


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
        return json_text(head + ",".join(map(shape, first)) + tail)
    return json_text(_chunks(first, batches, shape, opened(head), tail))


async def shaped(items: Sequence[Item], shape: Callable[[Item], str]) -> list[str]:
    """Returns the JSON texts of items that take long to make, `SHAPED` of them in a turn."""
    texts: list[str] = []
    for begin in range(0, len(items), SHAPED):
        async with _TURN:
            texts += map(shape, items[begin : begin + SHAPED])
    return texts


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
            async with _TURN:
                chunk = (separator + ",".join(map(shape, batch))).encode()
            yield chunk
            separator, batch = ",", await anext(rest, [])
    yield tail.encode()


async def _batch(items: Iterator[Item | None]) -> list[Item]:
    taken: list[Item] = []
    while True:
        async with _TURN:
            for item in items:
                if item is None:
                    break
                taken.append(item)
                if len(taken) == BATCH:
                    return taken
            else:
                return taken
