"""Asks the API several things at once, so that a page waits for the slowest answer only."""

from __future__ import annotations

from collections import Counter
from math import inf
from typing import TYPE_CHECKING, Any, Final, TypeVar

import trio

from api.console.api import ProblemError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from api.console.api import Api
    from api.console.page import Asked, Data

QUICK_SECONDS: Final = 0.3
"""Longest wait of a page for a part that is worked out from the log, in seconds."""


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


T = TypeVar("T")


async def soon(asked: Asked, ask: Callable[[], Awaitable[T]]) -> T | None:
    """Waits a moment for a part of a page that is worked out from the log; None = it comes late,
    and the page shows without it.

    `wait` in the page's URL: 1 = wait until it is there, 0 = leave it out. A look waits.
    """
    seconds = {"": QUICK_SECONDS, "0": 0.0}.get(asked.get("wait"), inf)
    with trio.move_on_after(inf if asked.reason else seconds):
        await trio.lowlevel.checkpoint()  # nothing is asked where nobody waits
        return await ask()
    return None


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


async def counts(api: Api, begin: str, end: str, step: int) -> list[Data]:
    """Returns how many events of each type there were in each piece of time of `step` seconds, as
    the API writes them. `end` is included.
    """
    query: dict[str, object] = {"from": begin, "to": end, "step": step}
    pieces: list[Data] = []
    while True:
        page = await api.get("/api/v2/events/counts", query)
        for known, more in zip(pieces, page["counts"], strict=False):
            known["types"] = dict(Counter(known["types"]) + Counter(more["types"]))
        pieces = pieces or page["counts"]
        query["after"] = page["next"]  # counting took long
        if page["next"] is None:
            return pieces


async def newest(api: Api, count: int, **filters: Any) -> list[dict[str, Any]]:
    """Returns the last `count` events that fit, the newest first."""
    return (await newest_before(api, count, None, **filters))[0]


async def newest_before(
    api: Api, count: int, before: int | None, **filters: Any
) -> tuple[list[dict[str, Any]], int]:
    """Returns the last `count` events that fit, the newest first, and the number of the event after
    those that were looked at. `before`: only events before this one; None = all.
    """
    found, ends = await _last(api, "/api/v2/events", "events", count, before, filters)
    return found, ends[0]["end"]


async def newest_changes(api: Api, count: int, before: int | None) -> list[dict[str, Any]]:
    """Returns the last `count` changes of settings, the newest first, as `newest_before` does."""
    return (await _last(api, "/api/v2/settings/history", "changes", count, before, {}))[0]


async def _last(
    api: Api, path: str, name: str, count: int, before: int | None, filters: dict[str, Any]
) -> tuple[list[dict[str, Any]], list[Data]]:
    """Returns the last things of a list, the newest first, and the pages. One is short where it
    takes long.
    """
    found: list[dict[str, Any]] = []
    pages: list[Data] = []
    while True:
        query = {**filters, "last": count - len(found), "before": before}
        page = await api.get(path, query)
        pages.append(page)
        found += page[name][::-1]
        before = page["previous"]
        if before is None or len(found) >= count:
            return found, pages
