"""Asks the API several things at once, so that a page waits for the slowest answer only."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import trio

from api.console.api import ProblemError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Iterable

    from api.console.api import Api
    from api.console.page import Data

_FILTERED: Final = 64
"""Times as many events as are wanted the first look has, where not all of them fit."""
_WIDER: Final = 32
"""Times as many events the next look has."""
_AT_ONCE: Final = 100, 1000
"""Events that one look may find: twice as many as are wanted, within these bounds. A look that
finds too many costs as much as it may find.
"""


async def together(**asked: Awaitable[Any]) -> tuple[Data, dict[str, str]]:
    """Waits for all answers; returns them by name, and why those failed that did.

    A part of a page that fails (an answer takes too long, or there is no book) is None, and the
    rest of the page stands. A token that is not valid any more fails the page.
    """
    found: Data = {}
    troubles: dict[str, str] = {}

    async def wait(name: str, answer: Awaitable[Any]) -> None:
        try:
            found[name] = await answer
        except ProblemError as error:
            if error.status == 401:
                raise
            found[name] = None
            troubles[name] = error.detail or error.title

    await _all(wait(name, answer) for name, answer in asked.items())
    return found, troubles


async def _all(works: Iterable[Awaitable[None]]) -> None:
    """Runs all to their end. The first error ends the others, and is raised alone."""
    errors: list[Exception] = []

    async def run(work: Awaitable[None], scope: trio.CancelScope) -> None:
        try:
            await work
        except Exception as error:  # it is raised below
            errors.append(error)
            scope.cancel()

    async with trio.open_nursery() as nursery:
        for work in works:
            nursery.start_soon(run, work, nursery.cancel_scope)
    if errors:
        raise errors[0]


async def seq_at(api: Api, moment: str) -> int:
    """Returns the number of the first event at a time or after it; of the next one if there is
    none.
    """
    query: dict[str, object] = {"from": moment, "limit": 1}
    while True:
        page = await api.get("/api/v2/events", query)
        if page["events"] or page["next"] is None:
            return int(page["events"][0]["seq"] if page["events"] else page["end"])
        query["after"] = page["next"]  # the page took too long to find it


async def end_of(api: Api) -> int:
    """Returns the number that the next event will get."""
    return int((await api.get("/api/v2/events", {"from": 0, "limit": 1}))["end"])


async def newest(api: Api, count: int, **filters: Any) -> list[dict[str, Any]]:
    """Returns the last `count` events that fit, the newest first."""
    return (await newest_before(api, count, None, **filters))[0]


async def newest_before(
    api: Api, count: int, before: int | None, **filters: Any
) -> tuple[list[dict[str, Any]], int]:
    """Returns the last `count` events that fit, the newest first, and the number of the event after
    those that were looked at. `before`: only events before this one; None = all.

    It looks at more and more of the log's end, because a page of events ascends. A look that finds
    too many does not reach the newest of them: those are behind `floor`, and from then on it looks
    at half of what is left, until it finds some. Then it looks at as many events as should have
    half a page of them.
    """
    end = await end_of(api)
    end = upto = end if before is None else min(end, before)
    found: list[dict[str, Any]] = []
    most = min(max(2 * count, _AT_ONCE[0]), _AT_ONCE[1])
    wide, floor = count * (_FILTERED if any(filters.values()) else 1), 0
    while upto > 0 and len(found) < count:
        begin = max(0, upto - wide)
        part, reached = await _look(api, begin, upto, most, filters)
        if reached == upto or upto - begin == 1:
            found, wide, upto = part + found, _wider(upto - begin, len(part), most), begin
            floor = floor if floor < upto else 0
            if floor and not part:
                wide = max(1, (upto - floor) // 2)
        else:
            floor = reached
            wide = max(1, (upto - floor) // 2)
    return found[-count:][::-1], end


def _wider(wide: int, found: int, most: int) -> int:
    """Returns how many events have half a page of what is looked for, where so many had `found`."""
    return wide * (max(1, min(_WIDER, most // (2 * found))) if found else _WIDER)


async def _look(
    api: Api, begin: int, upto: int, most: int, filters: dict[str, Any]
) -> tuple[list[dict[str, Any]], int]:
    """Returns what fits from event `begin` on, and the number of the event that it did not look at
    any more: `upto`, or less where it found `most`.
    """
    query = {"from": begin, "to": upto - 1, "limit": most, **filters}
    found: list[dict[str, Any]] = []
    after: int | None = None
    while len(found) < most:  # a page is short where it takes long
        page = await api.get("/api/v2/events", {**query, "after": after})
        found, after = found + page["events"], page["next"]
        if after is None or after >= upto - 1:
            return found, upto
    return found, upto if after is None else after + 1
