"""JSON arrays of any length, without stalling the loop.

A short array is one body with a length; a long one is sent in chunks, with a checkpoint before each,
so that announces are served in between. A client that leaves or stops reading ends the stream.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final

import trio

from api.replies import json_text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from api.replies import Response

# About half a millisecond of encoding, and 60 KB of body.
BATCH: Final = 400


def json_array(items: Iterable[str], head: str = "[", tail: str = "]") -> Response:
    """`items` are JSON texts; `head` and `tail` may wrap the array in an object."""
    iterator = iter(items)
    first = list(islice(iterator, BATCH))
    if len(first) < BATCH:
        return json_text(head + ",".join(first) + tail)
    return json_text(_chunks(first, iterator, head, tail))


async def _chunks(
    batch: list[str], rest: Iterator[str], head: str, tail: str
) -> AsyncIterator[bytes]:
    separator = head
    while batch:
        yield (separator + ",".join(batch)).encode()
        await trio.lowlevel.checkpoint()
        separator, batch = ",", list(islice(rest, BATCH))
    yield tail.encode()
