"""Lays out announces as bytes, 112 each, by hand, because they are most of the log.

The plain 80 bytes are enough to recompute every count and total:

    time us | info_hash | peer_id[0:8] | uploaded | downloaded | left | key_ref | prev_seq |
    numwant | flags | listener | event (low nibble), protocol and family (high nibble) | rule |
    client

The protected 32 bytes hold the peer's address and the rest of its id:

    address (IPv6 or v4-mapped) | peer_id[8:20] | port (big-endian) | 16-bit hash of the client's
    `key`
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

from tracker.domain.events.errors import CodecError

if TYPE_CHECKING:
    from collections.abc import Iterator

NAME = "announced"
SCHEMA = 2

PLAIN = Struct("<Q20s8sQQQIQHBBBBH")
PROTECTED = Struct("<16s12s2sH")
PROTECTED4 = Struct("<12s4s12s2sH")  # the same, with the address of an IPv4 peer in two parts

V4_MAPPED = bytes(10) + b"\xff\xff"
"""The first 12 bytes of an IPv6 address that stands for an IPv4 address."""

NOT_RECORDED = 0xFFFF
"""The client of an announce of schema 1. 0 = a client without a number, "other"."""

Plain = tuple[int, bytes, bytes, int, int, int, int, int, int, int, int, int, int, int]
"""The fields of `PLAIN`."""
Private = tuple[bytes, bytes, bytes, int]
"""The fields of `PROTECTED`."""


def count_announces(plain: bytes, protected: bytes) -> int:
    """Counts the announces of a frame. Raises `CodecError` if its sections do not agree."""
    number, rest = divmod(len(plain), PLAIN.size)
    if rest or len(protected) != number * PROTECTED.size:
        raise CodecError(
            f"{len(plain)} plain and {len(protected)} protected bytes are no announces"
        )
    return number


def decode_announces(
    plain: bytes | memoryview, protected: bytes | memoryview
) -> Iterator[tuple[Plain, Private | None]]:
    """Reads both parts of each announce.

    If `protected` is empty (no key decrypted it), the second part is None.
    """
    rows = PLAIN.iter_unpack(plain)
    if protected:
        return zip(rows, PROTECTED.iter_unpack(protected), strict=True)
    return ((row, None) for row in rows)
