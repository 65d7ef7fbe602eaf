"""Shows addresses of peers to who has the right to them and says why, and pseudonyms to others.

Each such look is an event, which is durable before the addresses are given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from attrs import evolve, frozen
from quart import g, request

from api.caller import actor
from api.endpoint import REASON
from api.v2.problems import Problem, commanded

if TYPE_CHECKING:
    from collections.abc import Container

    from tracker.ports import Commands

WHY: Final = evolve(
    REASON, description="why addresses are wanted, which is recorded; without it pseudonyms come"
)
MOST_ASKED: Final = 500
"""Most characters of path and query in an event."""
NEVER_CACHED: Final = "no-store"
_HIDDEN: Final = ("address", "network", "sealed")
"""Members with an address, or with a part of one. `sealed`: of events that are not known."""


def wanted() -> bool:
    """Tells whether the sender of the current request may see addresses, and says why."""
    return bool(g.addresses and actor().reason)


def demand() -> None:
    """Raises `Problem` unless addresses are `wanted`: a search for one tells who has it."""
    if not g.addresses:
        raise Problem(403, "this access token has no right to addresses")
    if not wanted():
        raise Problem(400, "X-Reason: missing; say why the address is looked for")


@frozen
class Looks:
    commands: Commands

    async def opened(self, found: Any) -> bool:
        """Tells whether the sender of the current request may see the addresses in JSON values, and
        writes the event of it.
        """
        if not wanted():
            return False
        if count := counted(found):
            await self.note(count)
        return True

    async def shown(self, found: Any) -> Any:
        """Returns JSON values as the sender of the current request may see them."""
        return found if await self.opened(found) else hidden(found, right=g.addresses)

    async def note(
        self, count: int | None, sought: Container[str] = (), pseudonym: str | None = None
    ) -> None:
        """Writes the event of a look.

        `count`: addresses; None = not known before. `pseudonym` stands in the event in place of the
        parameters `sought`, because an address in it would stay for ever.
        """
        g.cached = NEVER_CACHED
        query = [
            (name, (pseudonym or "-") if name in sought else text)
            for name, text in request.args.items(multi=True)
            if name != "token"
        ]
        asked = request.path + (f"?{urlencode(query)}" if query else "")
        with commanded():
            await self.commands.see_addresses(asked[:MOST_ASKED], count, actor())


def hidden(value: Any, *, right: bool) -> Any:
    """Returns JSON values with null in place of each address. Pseudonyms stay.

    `right`: the sender has the right, and so sees addresses of administrators (`by`).
    """
    if isinstance(value, list):
        return [hidden(each, right=right) for each in value]
    if not isinstance(value, dict):
        return value
    found = dict(value)
    for name, each in value.items():
        if name in _HIDDEN:
            found[name] = None
        elif isinstance(each, (dict, list)) and not (name == "by" and right):
            found[name] = hidden(each, right=right)
    return found


def counted(value: Any) -> int:
    """Counts the addresses in JSON values, without those of administrators (`by`)."""
    if isinstance(value, list):
        return sum(map(counted, value))
    if not isinstance(value, dict):
        return 0
    return sum(
        (each is not None and each != "") if name in _HIDDEN else counted(each)
        for name, each in value.items()
        if name != "by"
    )
