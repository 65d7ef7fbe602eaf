"""A page of a list: items after a cursor, gathered without stalling the loop, and the cursor of the next page."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, TypeVar

import trio

from api.replies import encode, json_text
from api.streams import in_batches

if TYPE_CHECKING:
    from collections.abc import Callable

    from api.replies import Response
    from api.streams import Items

Item = TypeVar("Item")


async def gather(
    found: Items[Item], limit: int, wanted: Callable[[Item], bool]
) -> tuple[list[Item], bool]:
    """The first `limit` of the `wanted` items, and whether there is another one."""
    taken: list[Item] = []
    async with aclosing(in_batches(found)) as batches:
        async for batch in batches:
            for item in filter(wanted, batch):
                if len(taken) == limit:
                    return taken, True
                taken.append(item)
            await trio.lowlevel.checkpoint()
    return taken, False


def page(name: str, items: list[object], following: object) -> Response:
    """`{name: items, "next": …}`: what `after` has to be for the next page, null on the last one."""
    return json_text(encode({name: items, "next": following}))
