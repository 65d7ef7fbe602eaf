"""Computes digests of slices of the state. Every tick holds one, so that a replay checks itself.

A slice is a run of 4096 numbers. Its digest covers the rows and places of the peers, torrents and
accounts with these numbers, and the bases and terms of accounting rules 2. The digest omits
addresses, so that a replay without their keys can compare it, and so that it reveals nothing about
an address. It depends on the numbers themselves: a new peer or torrent takes the number that was
freed last, or else the next.
"""

from __future__ import annotations

import sys
from hashlib import blake2b
from struct import Struct
from typing import TYPE_CHECKING

from tracker.domain.accounts import Totals
from tracker.domain.directory import COUNT, FIRST, SEEDS
from tracker.domain.factors import WORDS
from tracker.domain.swarms import LEECHERS, PARTIAL, ROW_SIZE, SEEDERS

if TYPE_CHECKING:
    from array import array

    from tracker.domain.accounts import Accounts
    from tracker.domain.bases import Bases
    from tracker.domain.swarms import Swarms

SIZE = 4096
"""Count of numbers in a slice. Its digest takes a third of a millisecond."""

_TOTALS = Struct("<QQQQQQ")
_TAIL_WORDS = (2, 3, 4)  # of a row: bytes 8 to 19, the end of the peer_id
_ZEROS = memoryview(bytes(4 * SIZE)).cast("I")


def count(swarms: Swarms, accounts: Accounts, bases: Bases) -> int:
    """Returns the number of slices now, at least one."""
    longest = max(swarms.peer_slots, len(swarms.completed), len(accounts.uploaded), bases.slots)
    return -(-longest // SIZE)


def digest(
    swarms: Swarms, accounts: Accounts, bases: Bases, seq: int, ticks: int, number: int
) -> int:
    """Hashes a slice, and the totals of the whole state, to 64 bits.

    `seq` and `ticks` are the state's.
    """
    begin, end = number * SIZE, (number + 1) * SIZE
    hasher = blake2b(digest_size=8)
    hasher.update(
        _TOTALS.pack(
            seq, ticks, swarms.torrents_total, swarms.seeders_total,
            swarms.leechers_total, swarms.completed_total,
        )
    )  # fmt: skip
    rows = swarms.rows[begin * ROW_SIZE : end * ROW_SIZE]
    words = memoryview(rows).cast("I")
    for word in _TAIL_WORDS:
        words[word :: ROW_SIZE // 4] = _ZEROS[: len(rows) // ROW_SIZE]
    hasher.update(rows)
    hasher.update(swarms.hashes[begin * 20 : end * 20])
    columns = [swarms.completed[begin:end]]
    columns += [swarms.column(word, begin, end) for word in (SEEDERS, LEECHERS, PARTIAL)]
    for directory in (swarms.v4, swarms.v6, swarms.identities):
        columns.append(directory.positions(begin, end))
        columns += [directory.column(word, begin, end) for word in (FIRST, COUNT, SEEDS)]
    columns += [getattr(accounts, name)[begin:end] for name in Totals._fields]
    for column in columns:
        hasher.update(_little_endian(column))
    if bases.used:
        hasher.update(bases.without_tails(begin, end))
    terms = accounts.terms[begin * WORDS : end * WORDS]
    if terms:
        hasher.update(_little_endian(terms))
    return int.from_bytes(hasher.digest(), "little")


def _little_endian(column: array[int]) -> array[int]:
    if sys.byteorder == "big":
        column.byteswap()
    return column
