"""Reads values of paths and queries in version 2. Every function raises `Problem`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from attrs import evolve

from api.endpoint import Parameter
from api.openapi import shapes
from api.v2.problems import Problem
from tracker.forwarding import host_address

if TYPE_CHECKING:
    from werkzeug.datastructures import MultiDict

MAX_LIMIT: Final = 1000  # the most items of a page
DEFAULT_LIMIT: Final = 100  # items of a page without `limit`
NUMBER_MAX: Final = 2**32 - 1  # the largest number of a key, account or factor

LIMIT: Final = Parameter(
    name="limit", schema={"type": "integer", "minimum": 1, "maximum": MAX_LIMIT}
)
AFTER: Final = Parameter(
    name="after", schema=shapes.U32, description="the `next` of the page before"
)
AFTER_SEQ: Final = evolve(AFTER, schema=shapes.SEQ)
LAST: Final = evolve(
    LIMIT, name="last", description="only the last ones, at most so many; without `after`, `limit`"
)
BEFORE_SEQ: Final = evolve(
    AFTER_SEQ, name="before", description="with `last`: the `previous` of the page before"
)
AFTER_HASH: Final = Parameter(name="after", schema=shapes.HASH)

_INFO_HASH = re.compile(r"[0-9a-fA-F]{40}")


def only(query: MultiDict[str, str], *names: str, repeated: tuple[str, ...] = ()) -> dict[str, str]:
    """Returns the parameters of the query: those of `names`, each at most once.

    Refuses other names, because a misspelt filter would otherwise not filter.
    """
    found = {}
    for name, values in query.lists():
        if name == "token" or name in repeated:
            continue
        if name not in names:
            known = ", ".join((*names, *repeated)) or "-"
            raise Problem(400, f"{name}: unknown parameter; known here: {known}")
        if len(values) > 1:
            raise Problem(400, f"{name}: given more than once")
        found[name] = values[0]
    return found


def limit(given: dict[str, str]) -> int:
    """Returns how many items a page has, 1 to `MAX_LIMIT`."""
    return _count(given, "limit") if "limit" in given else DEFAULT_LIMIT


def last(given: dict[str, str]) -> int | None:
    """Returns how many of the last items are wanted, 1 to `MAX_LIMIT`; None = those from the first
    on.
    """
    if "last" not in given:
        if "before" in given:
            raise Problem(400, "before: goes with `last` only, as in last=100&before=7")
        return None
    for name in ("after", "limit"):
        if name in given:
            raise Problem(400, f"{name}: does not go with `last`; older ones are `before`")
    return _count(given, "last")


def _count(given: dict[str, str], name: str) -> int:
    number = whole(name, given[name], MAX_LIMIT)
    if not number:
        raise Problem(400, f"{name}: expected a number from 1 to {MAX_LIMIT}")
    return number


def whole(name: str, value: str, most: int) -> int:
    """Reads a decimal number from 0 to `most`."""
    if re.fullmatch(r"[0-9]{1,20}", value) and int(value) <= most:
        return int(value)
    raise Problem(400, f"{name}: expected a whole number, at most {most}")


def optional_number(given: dict[str, str], name: str) -> int | None:
    """Reads a `key_ref` or account to filter by; None if it is absent."""
    return whole(name, given[name], NUMBER_MAX) if name in given else None


def flag(given: dict[str, str], name: str) -> bool:
    """Reads `true` or `false`."""
    if given[name] in ("true", "false"):
        return given[name] == "true"
    raise Problem(400, f"{name}: expected true or false")


def info_hash(value: str, name: str = "info_hash") -> bytes:
    """Reads 40 hexadecimal digits of either case: 20 bytes."""
    if not _INFO_HASH.fullmatch(value):
        raise Problem(400, f"{name}: expected 40 hexadecimal digits")
    return bytes.fromhex(value)


def address(value: str) -> bytes:
    """Reads an IPv4 or IPv6 address without a zone (RFC 4007): 4 or 16 bytes."""
    try:
        return host_address(value).packed
    except ValueError:
        raise Problem(400, "address: expected an IPv4 or IPv6 address") from None


def number(value: str, name: str = "key_ref") -> int:
    """Reads the number of a key, account or factor in the path; 404 = it is no such number."""
    if re.fullmatch(r"[0-9]{1,10}", value) and 0 < int(value) <= NUMBER_MAX:
        return int(value)
    raise Problem(404, f"{name}: expected a number")
