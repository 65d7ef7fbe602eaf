"""Values in paths and queries, parsed as strictly as the reference does, with its error texts.

Nothing here touches the tracker. Every function raises `Refusal` (or `NotFound` for a blank path value).
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
DEFAULT_LIMIT: Final = 4000

_INFO_HASH = re.compile(r"[0-9a-fA-F]{40}")
_KEY = re.compile(r"[0-9A-Za-z]{32}")
_ENOUGH_DIGITS = 21  # for any number that fits in 64 bits, and one more
_UNSIGNED = re.compile(r"\+?0*([0-9]+)")


def info_hash(value: str) -> bytes:
    """40 hexadecimal characters of either case -> 20 bytes, of a path (contract, section 1.3)."""
    if not value.strip():
        raise NotFound
    return info_hash_in_query(value)


def info_hash_in_query(value: str) -> bytes:
    """The same where there is nothing to be found without one: an empty one is wrong (contract, section 1.4)."""
    if not _INFO_HASH.fullmatch(value):
        raise invalid_url(
            f'invalid infohash param: string "{value}", expected a 40 character long string'
        )
    return bytes.fromhex(value)


def key(value: str) -> str:
    """A well-formed tracker key: 32 alphanumeric characters of ASCII."""
    if not _KEY.fullmatch(value):
        raise bad_request(f'Invalid auth key id param "{value}"')
    return value


def seconds(value: str) -> int:
    """A duration in whole seconds, 64 bits unsigned."""
    if not value.strip():
        raise NotFound
    number = unsigned(value)
    if number is None or number > U64_MAX:
        raise invalid_url(f"Cannot parse `{value}` to a `u64`")
    return number


def unsigned(value: str) -> int | None:
    """A plain decimal, exact up to 64 bits and too large for them beyond; `None` for all else.

    `int()` would take `1_000`, ` 7 ` and other scripts, and refuse very long numbers.
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
    """An absent or empty value is the default (contract, section 1.4)."""
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
    """The value of a parameter that may be given once."""
    values = query.getlist(name)
    if len(values) > 1:
        raise invalid_query(f"duplicate field `{name}`")
    return values[0] if values else None
