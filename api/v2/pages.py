"""Gathers a page of a list without stalling the loop, and sends it with the next cursor."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, TypeVar

import trio

from api.streams import in_batches, json_object

if TYPE_CHECKING:
    from collections.abc import Callable

    from api.replies import Response
    from api.streams import Items

Item = TypeVar("Item")


async def gather(
    found: Items[Item], limit: int, wanted: Callable[[Item], bool]
) -> tuple[list[Item], bool]:
    """Takes the first `limit` of the `wanted` items. Also returns True if there are more."""
    taken: list[Item] = []
    async with aclosing(in_batches(found)) as batches:
        async for batch in batches:
            for item in filter(wanted, batch):
                if len(taken) == limit:
                    return taken, True
                taken.append(item)
            await trio.lowlevel.checkpoint()
    return taken, False


async def page(name: str, items: list[object], following: object) -> Response:
    """Sends `{name: items, "next": following}`.

    `following` is the `after` of the next page; None = this is the last page.
    """
    return await json_object({name: items, "next": following})
