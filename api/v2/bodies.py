"""Reads JSON bodies in version 2, and checks them member by member.

Every function raises `Problem`, which names the member at fault: 415 for another media type, 400
for a body that is no JSON, 422 for JSON of another shape.
"""

from __future__ import annotations

import json
import re
from typing import Any, NoReturn

from quart import request

from api import times
from api.v2.names import numbered
from api.v2.params import NUMBER_MAX
from api.v2.problems import Problem
from tracker.ports import is_line

Members = dict[str, Any]


async def members(*names: str) -> Members:
    """Returns the JSON object of the current request, with members of `names` only.

    It has the numbers of accounts and the info hashes of torrents where the body names them.
    """
    if not request.is_json:
        raise Problem(415, "expected a body of application/json")
    body = await request.get_data(cache=True, as_text=False, parse_form_data=False)
    document = _loads(body)
    await numbered(document)
    return known(document, "", *names)


async def members_or_none(*names: str) -> Members:
    """Returns the same as `members`. A missing body counts as an empty object."""
    if not await request.get_data(cache=True, as_text=False):
        return {}
    return await members(*names)


def known(value: object, place: str, *names: str) -> Members:
    """Checks that `value` is an object with members of `names` only.

    A problem puts `place` before the name of a member.
    """
    if not isinstance(value, dict):
        raise Problem(422, f"{place.rstrip('.') or 'the body'}: expected an object")
    for name in value:
        if name not in names:
            raise Problem(
                422, f"{place}{name}: unknown member; known here: {', '.join(names) or '-'}"
            )
    return value


def _loads(body: bytes) -> object:
    try:
        document: object = json.loads(
            body.decode(), parse_constant=_refuse, object_pairs_hook=_unique
        )
    except (ValueError, RecursionError):  # also: not UTF-8, too many digits
        raise Problem(400, "the body is not JSON") from None
    return document


def _refuse(name: str) -> NoReturn:
    raise ValueError(name)


def _unique(pairs: list[tuple[str, Any]]) -> Members:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise Problem(422, "a member is given more than once")
    return found


# Members. An absent member counts as null, which is None.


def text(given: Members, name: str, most: int, place: str = "") -> str | None:
    """Reads 1 to `most` printable characters."""
    value = given.get(name)
    if value is None:
        return None
    if isinstance(value, str) and 0 < len(value) <= most and is_line(value):
        return value
    raise Problem(422, f"{place}{name}: expected 1 to {most} printable characters")


def whole(given: Members, name: str, most: int, place: str = "") -> int | None:
    """Reads a whole number from 0 to `most`."""
    value = given.get(name)
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= most:
        return value
    raise Problem(422, f"{place}{name}: expected a whole number, at most {most}")


def signed(given: Members, name: str, most: int, place: str = "") -> int | None:
    """Reads a whole number from -`most` to `most`."""
    value = given.get(name)
    if value is None:
        return None
    if isinstance(value, int) and not isinstance(value, bool) and -most <= value <= most:
        return value
    raise Problem(422, f"{place}{name}: expected a whole number from {-most} to {most}")


def flag(given: Members, name: str) -> bool:
    """Reads true or false; an absent member counts as false."""
    value = given.get(name)
    if value is None or isinstance(value, bool):
        return bool(value)
    raise Problem(422, f"{name}: expected true or false")


def time_us(given: Members, name: str, place: str = "") -> int | None:
    """Reads an RFC 3339 time: Unix microseconds."""
    value = given.get(name)
    if value is None:
        return None
    found = times.parse(value) if isinstance(value, str) else None
    if found is None:
        raise Problem(422, f"{place}{name}: expected a time such as 2027-01-31T23:59:59Z")
    return found


def items(given: Members, name: str, most: int) -> list[tuple[str, Any]]:
    """Reads a list of 1 to `most` items. Each comes with its place: `keys[3]`."""
    value = given.get(name)
    if isinstance(value, list) and 0 < len(value) <= most:
        return [(f"{name}[{number}]", item) for number, item in enumerate(value)]
    raise Problem(422, f"{name}: expected a list of 1 to {most} items")


def info_hash(value: object, place: str) -> bytes:
    """Reads 40 hexadecimal digits of either case: 20 bytes."""
    if isinstance(value, str) and re.fullmatch(r"[0-9a-fA-F]{40}", value):
        return bytes.fromhex(value)
    raise Problem(422, f"{place}: expected 40 hexadecimal digits, or `label:` and a label")


def account(given: Members, name: str = "account") -> int | None:
    """Reads the number of an account."""
    if isinstance(given.get(name), str):
        raise Problem(422, f"{name}: expected the number of an account, or `owner:` and an owner")
    return whole(given, name, NUMBER_MAX)
