"""Encodes and decodes bencoding in general (BEP 3), for tests and tools.

Replies on the announce path are formatted directly in `http`, so nothing here is tuned for speed.
The decoder is strict: one value has exactly one encoding, so `encode(decode(data)) == data`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MAX_DEPTH: Final = 64  # levels of lists and dictionaries

Encodable: TypeAlias = (
    "int | bytes | str | Sequence[Encodable] | Mapping[bytes, Encodable] | Mapping[str, Encodable]"
)
Decoded: TypeAlias = "int | bytes | list[Decoded] | dict[bytes, Decoded]"


class BencodeError(ValueError):
    """The bytes are not the bencoding of one value, or nest too deeply."""


def encode(value: Encodable) -> bytes:
    """Encodes integers, byte strings, text (as UTF-8), lists and dictionaries (keys sorted).

    Raises `TypeError` for anything else, booleans included: the format has none.
    """
    match value:
        case bool():
            raise TypeError("bencoding has no booleans")
        case int():
            return b"i%de" % value
        case bytes():
            return b"%d:%b" % (len(value), value)
        case str():
            return encode(value.encode())
        case list() | tuple():
            return b"l%be" % b"".join([encode(item) for item in value])
        case dict():
            return b"d%be" % b"".join(_members(value))
        case _:
            raise TypeError(f"bencoding has no {type(value).__name__}")


def _members(members: dict[bytes, Encodable] | dict[str, Encodable]) -> list[bytes]:
    by_bytes = {k.encode() if isinstance(k, str) else k: v for k, v in members.items()}
    return [encode(key) + encode(by_bytes[key]) for key in sorted(by_bytes)]


def decode(data: bytes) -> Decoded:
    """Returns the one value that `data` encodes. Raises `BencodeError`, and nothing else, for any
    bytes.

    Refuses leading zeros, `-0`, unsorted or repeated keys, trailing bytes and more than
    `MAX_DEPTH` levels.
    """
    value, end = _value(data, 0, MAX_DEPTH)
    if end != len(data):
        raise BencodeError(f"trailing bytes at {end}")
    return value


def _value(data: bytes, at: int, depth: int) -> tuple[Decoded, int]:
    match data[at : at + 1]:
        case b"i":
            return _integer(data, at + 1, b"e")
        case b"l" if depth:
            return _list(data, at + 1, depth - 1)
        case b"d" if depth:
            return _dict(data, at + 1, depth - 1)
        case b"l" | b"d":
            raise BencodeError(f"nested too deeply at {at}")
        case _:
            return _string(data, at)


def _integer(data: bytes, at: int, stop: bytes) -> tuple[int, int]:
    end = data.find(stop, at)
    text = data[at:end] if end >= 0 else b""
    try:
        number = int(text)
    except ValueError:  # no number, or more digits than `int` takes
        raise BencodeError(f"bad number at {at}") from None
    if b"%d" % number != text:  # int() lets signs, spaces, underscores and zeros through
        raise BencodeError(f"number at {at} is not in its only form")
    return number, end + 1


def _string(data: bytes, at: int) -> tuple[bytes, int]:
    size, start = _integer(data, at, b":")
    end = start + size
    if size < 0 or end > len(data):
        raise BencodeError(f"string at {at} is cut short")
    return data[start:end], end


def _list(data: bytes, at: int, depth: int) -> tuple[list[Decoded], int]:
    items = []
    while data[at : at + 1] != b"e":
        item, at = _value(data, at, depth)
        items.append(item)
    return items, at + 1


def _dict(data: bytes, at: int, depth: int) -> tuple[dict[bytes, Decoded], int]:
    members: dict[bytes, Decoded] = {}
    last: bytes | None = None
    while data[at : at + 1] != b"e":
        key, after = _string(data, at)
        if last is not None and key <= last:
            raise BencodeError(f"key at {at} is out of order")
        members[key], at = _value(data, after, depth)
        last = key
    return members, at + 1
