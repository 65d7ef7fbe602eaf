"""The page Changes by staff: who changed what, when, from where, and why."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any, Final

from api.console import given, kinds
from api.console.api import ProblemError, target_of
from api.console.asking import newest_before
from api.console.page import Asked, Data, Page, options
from api.console.today import change

if TYPE_CHECKING:
    from api.console.api import Api

_ROWS: Final = 100
_LOOKED_AT: Final = 300
"""Changes among which those of one author are looked for at a time."""
_FILTERS: Final = ("account", "info_hash")


async def load(api: Api, asked: Asked) -> Data:
    """Lists changes, the newest first; with `before` those before an event. `who` is the label of
    an access token.
    """
    count = _LOOKED_AT if asked.get("who") else _ROWS
    wanted = {"type": _types(asked), **asked.given(*_FILTERS)}
    found, _ = await newest_before(api, count, given.whole(asked, "before"), **wanted)
    rows = [_row(event) for event in found]
    who = asked.get("who")
    return {
        "changes": [row for row in rows if not who or row["who"] == who],
        "older": found[-1]["seq"] if len(found) == count else None,
    }


def _types(asked: Asked) -> list[str]:
    types = asked.each("type")
    if not set(types) <= set(kinds.STAFF):
        raise ProblemError(400, "There is no such change", "type: expected a kind of the list")
    return types or [kinds.ANY_OF_STAFF]


def _row(event: dict[str, Any]) -> Data:
    """Makes a row; `where` is the author's address, which tokens of scope full see."""
    by = event.get("by") or {}
    return {**change(event), "where": by.get("address")}


def staff_kinds() -> list[tuple[str, str]]:
    """Returns the kinds of changes with their words, for a form."""
    return [("", "all"), *((name, name.replace("_", " ")) for name in sorted(kinds.STAFF))]


def _command(asked: Asked) -> str:
    words = [f"--type {shlex.quote(name)}" for name in _types(asked)]
    words += options(asked.given(*_FILTERS), {"account": "--account", "info_hash": "--info-hash"})
    before = given.whole(asked, "before")
    words += [f"--to {before - 1}"] if before else []
    return " ".join(["tracker events", *words, f"--last {_ROWS}"])


def _call(asked: Asked) -> str:
    given_ones = asked.given("before", *_FILTERS)
    query = {"type": _types(asked), "last": _ROWS, **given_ones}
    return target_of("GET /api/v2/events", query, {})


CHANGES: Final = Page(
    path="/changes",
    title="Changes by staff",
    template="changes.html",
    load=load,
    tables=("changes",),
    command=_command,
    call=_call,
    menu="Changes",
)
