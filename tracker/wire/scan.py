"""Looks at bytes and reads numbers and escapes, for the parsers of HTTP requests and their queries.

Compiled callers use the functions of the same names in scan.pxd, which make no objects.
"""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes
from zlib import crc32 as crc32

TARGET = 0  # printable ASCII without the blank
TOKEN = 1  # RFC 9110, 5.6.2
VALUE = 2  # RFC 9110, 5.5: all but the control characters, with the tab
BLANK = 3  # blank and tab
NAME = 4  # a parameter's name that needs no decoding: all but `=`, `&`, `%` and `?`
FIELD = 5  # a parameter's value: all but `=` and `&`

_MATCH = tuple(
    re.compile(text).match
    for text in (
        rb"[!-~]*+",
        rb"[!#$%&'*+.^_`|~0-9A-Za-z-]*+",
        rb"[\t -~\x80-\xff]*+",
        rb"[\t ]*+",
        rb"[^=&%?]*+",
        rb"[^=&]*+",
    )
)
_BAD_ESCAPE = re.compile(rb"%(?![0-9A-Fa-f]{2})").search


def span(data: bytes | bytearray, start: int, end: int, kind: int) -> int:
    """Returns where, from `start`, the first byte is that is not of this kind; at most `end`."""
    found = _MATCH[kind](data, start, end)
    return found.end() if found else start


def same(data: bytes | bytearray, start: int, end: int, name: bytes) -> bool:
    """Tells whether `data[start:end]` is this name, in any case; `name` is in lower case."""
    return data[start:end].lower() == name


def cut(data: bytes | bytearray, start: int, end: int) -> bytes:
    """Returns `data[start:end]` as bytes."""
    return bytes(data[start:end])


def equal(data: bytes | bytearray, start: int, end: int, name: bytes) -> bool:
    """Tells whether `data[start:end]` is this name."""
    return data[start:end] == name


def number(data: bytes | bytearray, start: int, end: int) -> int:
    """Reads 1 to 18 digits; -1 = it is something else."""
    digits = data[start:end]
    return int(digits) if digits.isdigit() and len(digits) <= 18 else -1


def identifier(data: bytes | bytearray, start: int, end: int) -> bytes:
    """Reads 20 bytes, percent-encoded or not; b"" = it is something else."""
    raw = bytes(data[start:end])
    if len(raw) > 60 or _BAD_ESCAPE(raw):
        return b""
    value = unquote_to_bytes(raw)
    return value if len(value) == 20 else b""


def two(number: int) -> bytes:
    """Returns a number of 16 bits as two bytes, big-endian."""
    return number.to_bytes(2, "big")
