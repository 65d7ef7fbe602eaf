"""JSON arrays of any length, without stalling the loop.

A short array is one body with a length; a long one is sent in chunks, with a checkpoint before each,
so that announces are served in between. A client that leaves or stops reading ends the stream.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import trio

from api.replies import json_text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator

    from api.replies import Response

Item = TypeVar("Item")

# About a millisecond of finding and encoding, and 20 KB of body.
BATCH: Final = 200


def shaped(shape: Callable[[Item], str], items: Iterable[Item | None]) -> Iterator[str | None]:
    """Each item as text; None, the sign for a pause, stays None."""
    return (None if item is None else shape(item) for item in items)


async def json_array(items: Iterable[str | None], head: str = "[", tail: str = "]") -> Response:
    """`items` are JSON texts; at a None there is a pause. `head` and `tail` may wrap the array in an object."""
    iterator = iter(items)
    first = await _batch(iterator)
    if len(first) < BATCH:
        return json_text(head + ",".join(first) + tail)
    return json_text(_chunks(first, iterator, head, tail))


async def _chunks(
    batch: list[str], rest: Iterator[str | None], head: str, tail: str
) -> AsyncIterator[bytes]:
    separator = head
    while batch:
        yield (separator + ",".join(batch)).encode()
        await trio.lowlevel.checkpoint()
        separator, batch = ",", await _batch(rest)
    yield tail.encode()


async def _batch(items: Iterator[str | None]) -> list[str]:
    taken: list[str] = []
    for item in items:
        if item is None:
            await trio.lowlevel.checkpoint()
            continue
        taken.append(item)
        if len(taken) == BATCH:
            break
    return taken
