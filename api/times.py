"""Reads and prints times of requests and responses: RFC 3339 <-> Unix microseconds."""

from __future__ import annotations

import re

from tracker import times

parse = times.parse

_LOST_PLUS = re.compile(r"(?<=\d) (\d\d:\d\d)$")


def parse_in_query(text: str) -> int | None:
    """Parses a time in a query, where an unencoded `+` of an offset has become a space."""
    return parse(_LOST_PLUS.sub(r"+\1", text))


def rfc3339(time_us: int | None) -> str | None:
    """Prints a time; None stays None."""
    return None if time_us is None else times.rfc3339(time_us)
