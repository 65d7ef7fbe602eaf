"""Parses values of paths and queries as strictly as the reference does, with its error texts.

Every function raises `Refusal`, or `NotFound` for a blank value in a path.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from attrs import frozen
from werkzeug.exceptions import NotFound

from api.errors import bad_request, invalid_query, invalid_url

if TYPE_CHECKING:
    from werkzeug.datastructures import MultiDict

U32_MAX: Final = 2**32 - 1
U64_MAX: Final = 2**64 - 1
DEFAULT_LIMIT: Final = 4000  # torrents in a listing without `limit`

_INFO_HASH = re.compile(r"[0-9a-fA-F]{40}")
_KEY = re.compile(r"[0-9A-Za-z]{32}")
_ENOUGH_DIGITS = 21  # one more than any number of 64 bits has
_UNSIGNED = re.compile(r"\+?0*([0-9]+)")


def info_hash(value: str) -> bytes:
    """Reads 40 hexadecimal digits of either case in a path: 20 bytes (contract, section 1.3)."""
    if not value.strip():
        raise NotFound
    return info_hash_in_query(value)


def info_hash_in_query(value: str) -> bytes:
    """Reads 40 hexadecimal digits of either case in a query: 20 bytes (contract, section 1.4).

    In a query an empty value is a wrong value; in a path it is an unknown path.
    """
    if not _INFO_HASH.fullmatch(value):
        raise invalid_url(
            f'invalid infohash param: string "{value}", expected a 40 character long string'
        )
    return bytes.fromhex(value)


def key(value: str) -> str:
    """Checks the form of a tracker key: 32 letters and digits of ASCII."""
    if not _KEY.fullmatch(value):
        raise bad_request(f'Invalid auth key id param "{value}"')
    return value


def seconds(value: str) -> int:
    """Reads a duration in whole seconds, 64 bits unsigned."""
    if not value.strip():
        raise NotFound
    number = unsigned(value)
    if number is None or number > U64_MAX:
        raise invalid_url(f"Cannot parse `{value}` to a `u64`")
    return number


def unsigned(value: str) -> int | None:
    """Reads a plain decimal; None = the text is something else.

    The result is exact up to 64 bits. A longer number gives some number above 64 bits. `int()` does
    not fit, because it accepts `1_000`, ` 7 ` and digits of other scripts, and refuses very long
    numbers.
    """
    match = _UNSIGNED.fullmatch(value)
    return int(match[1][:_ENOUGH_DIGITS]) if match else None


@frozen
class Page:
    offset: int  # torrents to skip
    limit: int


def page(query: MultiDict[str, str]) -> Page:
    return Page(_number(query, "offset", 0), _number(query, "limit", DEFAULT_LIMIT))


def _number(query: MultiDict[str, str], name: str, default: int) -> int:
    """Reads a number of 32 bits. An absent or empty value is `default` (contract, section 1.4)."""
    value = single(query, name)
    if not value:
        return default
    number = unsigned(value)
    if number is None:
        raise invalid_query("invalid digit found in string")
    if number > U32_MAX:
        raise invalid_query("number too large to fit in target type")
    return number


def single(query: MultiDict[str, str], name: str) -> str | None:
    """Returns the value of a parameter that may be given once; None = it is absent."""
    values = query.getlist(name)
    if len(values) > 1:
        raise invalid_query(f"duplicate field `{name}`")
    return values[0] if values else None
