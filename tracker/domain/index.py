"""Finds numbers by keys of 32 bits: open addressing in many small tables.

An entry is the key (high half) and the number (low half); 0 = free. The key's low byte chooses the
table, so that growing a table never takes long. A key is a hash under a secret of the process
(`packed.hashed`), because strangers choose what is looked up. Different names may have one key, so
whoever looks for a name goes through all entries of its key.
"""

from __future__ import annotations

import os
from array import array
from typing import TYPE_CHECKING

from tracker.domain import packed

if TYPE_CHECKING:
    from collections.abc import Iterable

_FACTORS = 9
"""Random numbers of 64 bits in a secret: one to begin with, one for the number beside the name, six
for the words of a name of 24 bytes, and one to mix the sum.
"""
_TABLES = 256
_FIRST_TABLE = 8  # entries of an empty table
_low = 0xFFFFFFFF
"""The number in an entry. It has a type in the .pxd, because a literal this large would be an
object in compiled code.
"""


class Index:
    """The tables, and the secret of their keys. Neither is saved: the order of entries is nobody's
    business.
    """

    __slots__ = ("_used", "secret", "tables")

    def __init__(self) -> None:
        self.secret = array("Q", os.urandom(8 * _FACTORS))
        self.tables = [array("Q", bytes(8 * _FIRST_TABLE)) for _ in range(_TABLES)]
        self._used = array("I", bytes(4 * _TABLES))

    def named(self, names: bytearray, name: bytes) -> int:
        """Returns the number of a name of 20 bytes, which compiled code gives as a pointer; 0 =
        none. `names` has the name of each number at its place.
        """
        key = packed.hashed(self.secret, name, 20, 0)
        table = self.tables[key & 255]
        mask = len(table) - 1
        at = (key >> 8) & mask
        entry = packed.u64(table, at)
        while entry:
            if entry >> 32 == key and packed.has_endpoint(names, name, (entry & _low) * 20, 20):
                return entry & _low
            at = (at + 1) & mask
            entry = packed.u64(table, at)
        return 0

    def add(self, key: int, number: int) -> None:
        """Enters a number, which is not 0."""
        part = key & 255
        table = self.tables[part]
        used = packed.u32(self._used, part) + 1
        if used * 3 > len(table) * 2:
            table = self.tables[part] = _doubled(table)
        _put(table, key << 32 | number)
        packed.put_u32(self._used, part, used)

    def drop(self, key: int, number: int) -> None:
        """Removes an entry and closes the gap, so that no search ends early."""
        table = self.tables[key & 255]
        mask = len(table) - 1
        gap = (key >> 8) & mask
        sought = key << 32 | number
        while packed.u64(table, gap) != sought:
            gap = (gap + 1) & mask
        at = (gap + 1) & mask
        entry = packed.u64(table, at)
        while entry:
            home = (entry >> 40) & mask
            if (at - home) & mask >= (at - gap) & mask:
                packed.put_u64(table, gap, entry)
                gap = at
            at = (at + 1) & mask
            entry = packed.u64(table, at)
        packed.put_u64(table, gap, 0)
        part = key & 255
        packed.put_u32(self._used, part, packed.u32(self._used, part) - 1)

    def fill(self, entries: Iterable[tuple[int, int]]) -> None:
        """Makes the tables anew from keys and numbers."""
        parts: list[list[int]] = [[] for _ in range(_TABLES)]
        for key, number in entries:
            parts[key & 255].append(key << 32 | number)
        self._used = array("I", map(len, parts))
        self.tables = [_table(part) for part in parts]


def _put(table: array[int], entry: int) -> None:
    mask = len(table) - 1
    at = (entry >> 40) & mask
    while packed.u64(table, at):
        at = (at + 1) & mask
    packed.put_u64(table, at, entry)


def _table(entries: list[int]) -> array[int]:
    size = _FIRST_TABLE
    while len(entries) * 3 > size * 2:
        size *= 2
    table = array("Q", bytes(8 * size))
    for entry in entries:
        _put(table, entry)
    return table


def _doubled(table: array[int]) -> array[int]:
    larger = array("Q", bytes(16 * len(table)))
    for at in range(len(table)):
        entry = packed.u64(table, at)
        if entry:
            _put(larger, entry)
    return larger
