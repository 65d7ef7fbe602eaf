"""Takes names in place of numbers in paths, queries and bodies: `owner:anna`, `label:Debian 13`."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, Final

from quart import g, request
from werkzeug.datastructures import ImmutableMultiDict

from api.v2.pages import gather
from api.v2.problems import Problem

if TYPE_CHECKING:
    from collections.abc import Iterator

    from api.endpoint import Handler
    from api.replies import Response
    from tracker.ports import Live

OWNER: Final = "owner:"
"""What stands before an owner, so that one whose name is a number is not taken for an account."""
LABEL: Final = "label:"
"""What stands before a label, so that one of 40 digits is not taken for an info hash."""
_MOST_TORRENTS: Final = 100_000  # with labels that are asked for; many may have the same one
_MEANING: Final = {"info_hashes": "info_hash", "into": "account"}
"""Members of bodies that are other words for accounts and torrents."""


Place = tuple[Any, Any, str]
"""A dictionary or list, the key of a value in it, and the member that the value is of."""


def by_name(handler: Handler, live: Live) -> Handler:
    """Has a handler take names in its path and query. For a body `numbered` does that."""

    @wraps(handler)
    async def checked(**in_path: str) -> Response:
        g.live = live
        query = [list(each) for each in request.args.items(multi=True)]
        places: list[Place] = [(in_path, name, name) for name in in_path]
        places += [(pair, 1, pair[0]) for pair in query]
        if await _replaced(places):
            request.args = ImmutableMultiDict((name, str(value)) for name, value in query)
        return await handler(**{name: str(value) for name, value in in_path.items()})

    return checked


async def numbered(document: object) -> None:
    """Puts numbers and info hashes in place of the names in a JSON body, also of those in lists."""
    if isinstance(document, dict):
        await _replaced(list(_places(document)))


def _places(document: dict[str, Any]) -> Iterator[Place]:
    for name, value in document.items():
        yield document, name, _MEANING.get(name, name)
        for at, item in enumerate(value) if isinstance(value, list) else ():
            yield value, at, _MEANING.get(name, "")
            if isinstance(item, dict):
                yield from ((item, each, each) for each in item)


async def _replaced(places: list[Place]) -> bool:
    """Replaces the names at these places; returns whether there were any. Raises `Problem`."""
    owners, labels = (
        [
            (where, at, where[at].removeprefix(prefix))
            for where, at, each in places
            if each in members and isinstance(where[at], str) and where[at].startswith(prefix)
        ]
        for members, prefix in ((("account", "into"), OWNER), (("info_hash",), LABEL))
    )
    for where, at, owner in owners:
        where[at] = g.live.now().account_of(owner)
        if where[at] is None:
            raise Problem(404, f"no account has the owner {owner}")
    torrents = await _labelled({label for _, _, label in labels})
    for where, at, label in labels:
        where[at] = torrents[label]
    return bool(owners or labels)


async def _labelled(labels: set[str]) -> dict[str, str]:
    """Finds the info hashes of labels. Raises `Problem` unless each is that of one torrent."""
    if not labels:
        return {}
    found: dict[str, str] = {}
    torrents, _ = await gather(g.live.now().labelled(labels), _MOST_TORRENTS, lambda _: True)
    for label, info_hash in torrents:
        if label in found:
            raise Problem(409, f"several torrents have the label {label}: give an info hash")
        found[label] = info_hash.hex()
    for label in labels - found.keys():
        raise Problem(404, f"no torrent has the label {label}")
    return found
