"""Values in the path and query of version 2. Nothing here touches the tracker; every function raises `Problem`."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from api.v2.problems import Problem

if TYPE_CHECKING:
    from werkzeug.datastructures import MultiDict

MAX_LIMIT: Final = 1000
DEFAULT_LIMIT: Final = 100
NUMBER_MAX: Final = 2**32 - 1  # of what the tracker numbers: keys, accounts

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_INFO_HASH = re.compile(r"[0-9a-fA-F]{40}")
_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))",
    re.ASCII,
)


def only(query: MultiDict[str, str], *names: str, repeated: tuple[str, ...] = ()) -> dict[str, str]:
    """The parameters given, each of `names` at most once. A misspelt filter must not be a filter less: 400."""
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
    """How many items a page has, 1 to 1000."""
    if "limit" not in given:
        return DEFAULT_LIMIT
    number = whole("limit", given["limit"], MAX_LIMIT)
    if not number:
        raise Problem(400, f"limit: expected a number from 1 to {MAX_LIMIT}")
    return number


def whole(name: str, value: str, most: int) -> int:
    """A decimal number from 0 to `most`."""
    if re.fullmatch(r"[0-9]{1,20}", value) and int(value) <= most:
        return int(value)
    raise Problem(400, f"{name}: expected a whole number, at most {most}")


def optional_number(given: dict[str, str], name: str) -> int | None:
    """A `key_ref` or account to filter by."""
    return whole(name, given[name], NUMBER_MAX) if name in given else None


def info_hash(value: str, name: str = "info_hash") -> bytes:
    """40 hexadecimal digits of either case -> 20 bytes."""
    if not _INFO_HASH.fullmatch(value):
        raise Problem(400, f"{name}: expected 40 hexadecimal digits")
    return bytes.fromhex(value)


def number(value: str, name: str = "key_ref") -> int:
    """A `key_ref` or an account in the path: what is no number is not there either."""
    if re.fullmatch(r"[0-9]{1,10}", value) and 0 < int(value) <= NUMBER_MAX:
        return int(value)
    raise Problem(404, f"{name}: expected a number")


def moment(text: str) -> int | None:
    """An RFC 3339 time as Unix microseconds; None for anything else, and for times before 1970."""
    match = _TIME.fullmatch(text)
    if not match:
        return None
    year, month, day, hour, minute, second = (int(part) for part in match.group(1, 2, 3, 4, 5, 6))
    micros = int((match[7] or "0").ljust(6, "0")[:6])
    hours, minutes = int(match[9] or 0), int(match[10] or 0)
    if hours > 23 or minutes > 59:
        return None
    offset = timedelta(hours=hours, minutes=minutes)
    try:
        there = datetime(year, month, day, hour, minute, second, micros, UTC)
        since = there - _EPOCH + (offset if match[8] == "-" else -offset)
    except (ValueError, OverflowError):
        return None
    return since // timedelta(microseconds=1) if since >= timedelta() else None


def rfc3339(time_us: int | None) -> str | None:
    """Unix microseconds as `2026-11-21T20:24:00.000000Z`; None stays None."""
    if time_us is None:
        return None
    moment = _EPOCH + timedelta(microseconds=time_us)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}Z".rjust(27, "0")
