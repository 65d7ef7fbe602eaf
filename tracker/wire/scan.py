"""Looks at bytes in a buffer, for the parsers of HTTP.

Compiled callers use the functions of the same names in scan.pxd, which make no objects.
"""

from __future__ import annotations

import re

TARGET = 0  # printable ASCII without the blank
TOKEN = 1  # RFC 9110, 5.6.2
VALUE = 2  # RFC 9110, 5.5: all but the control characters, with the tab
BLANK = 3  # blank and tab

_MATCH = tuple(
    re.compile(text).match
    for text in (rb"[!-~]*+", rb"[!#$%&'*+.^_`|~0-9A-Za-z-]*+", rb"[\t -~\x80-\xff]*+", rb"[\t ]*+")
)


def span(data: bytearray, start: int, end: int, kind: int) -> int:
    """Returns where, from `start`, the first byte is that is not of this kind; at most `end`."""
    found = _MATCH[kind](data, start, end)
    return found.end() if found else start


def same(data: bytearray, start: int, end: int, name: bytes) -> bool:
    """Tells whether `data[start:end]` is this name, in any case; `name` is in lower case."""
    return data[start:end].lower() == name


def cut(data: bytearray, start: int, end: int) -> bytes:
    """Returns `data[start:end]` as bytes."""
    return bytes(data[start:end])
