"""Times of requests and responses in RFC 3339, as Unix microseconds."""

from __future__ import annotations

import re

from tracker import times

parse = times.parse

_LOST_PLUS = re.compile(r"(?<=\d) (\d\d:\d\d)$")


def parse_in_query(text: str) -> int | None:
    """Parses a time of a query, where the `+` of an offset that nobody encoded has become a space."""
    return parse(_LOST_PLUS.sub(r"+\1", text))


def rfc3339(time_us: int | None) -> str | None:
    """Prints a time; None stays None."""
    return None if time_us is None else times.rfc3339(time_us)
