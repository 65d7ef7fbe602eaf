"""A page of a list: items after a cursor, gathered without stalling the loop, and the cursor of the next page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeVar

import trio

from api.replies import encode, json_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from api.replies import Response

Item = TypeVar("Item")

BATCH: Final = 500
"""Items looked at between two checkpoints: about a millisecond."""


async def gather(
    found: Iterator[Item], limit: int, wanted: Callable[[Item], bool]
) -> tuple[list[Item], bool]:
    """The first `limit` of the `wanted` items, and whether there is another one."""
    taken: list[Item] = []
    for seen, item in enumerate(found, 1):
        if seen % BATCH == 0:
            await trio.lowlevel.checkpoint()
        if wanted(item):
            if len(taken) == limit:
                return taken, True
            taken.append(item)
    return taken, False


def page(name: str, items: list[object], following: object) -> Response:
    """`{name: items, "next": …}`: what `after` has to be for the next page, null on the last one."""
    return json_text(encode({name: items, "next": following}))
