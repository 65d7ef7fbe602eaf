"""Times in RFC 3339, as Unix microseconds."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:[Zz]|([+-])(\d\d):(\d\d))",
    re.ASCII,
)

_LOST_PLUS = re.compile(r"(?<=\d) (\d\d:\d\d)$")


def parse(text: str) -> int | None:
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


def parse_in_query(text: str) -> int | None:
    """The same out of a query, where the `+` of an offset that nobody encoded has become a space."""
    return parse(_LOST_PLUS.sub(r"+\1", text))


def rfc3339(time_us: int | None) -> str | None:
    """Unix microseconds as `2026-11-21T20:24:00.000000Z`; None stays None."""
    if time_us is None:
        return None
    moment = _EPOCH + timedelta(microseconds=time_us)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond:06d}Z".rjust(27, "0")
