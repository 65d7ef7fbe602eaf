"""Holds the whitelist's info hashes: compiled code looks one up where a request has it."""

from __future__ import annotations

from array import array

from tracker.domain import packed
from tracker.domain.index import Index


class Names:
    """A set of info hashes of 20 bytes. Each has a number, from 1 on, as torrents do."""

    __slots__ = ("_free", "_hashes", "_index", "_size")

    def __init__(self) -> None:
        self._index = Index()
        self._hashes = bytearray(20)  # by number
        self._free = array("I")
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def __contains__(self, info_hash: bytes) -> bool:
        return len(info_hash) == 20 and self.number(info_hash) > 0

    def number(self, info_hash: bytes) -> int:
        """Returns the number of an info hash, which compiled code gives as a pointer; 0 = none."""
        return self._index.named(self._hashes, info_hash)

    def add(self, info_hash: bytes) -> None:
        """Adds an info hash that is not there. Raises `ValueError` for another length."""
        if len(info_hash) != 20:
            raise ValueError("an info hash of another length")
        if len(self._free):
            number = packed.pop(self._free)
        else:
            number = len(self._hashes) // 20
            packed.add_bytes(self._hashes, 20)
        packed.put_endpoint(self._hashes, info_hash, number * 20, 20)
        self._index.add(packed.hashed(self._index.secret, info_hash, 20, 0), number)
        self._size += 1

    def remove(self, info_hash: bytes) -> None:
        """Removes an info hash that is there. Raises `KeyError` for others."""
        if info_hash not in self:
            raise KeyError(info_hash)
        number = self.number(info_hash)
        self._index.drop(packed.hashed(self._index.secret, info_hash, 20, 0), number)
        packed.append(self._free, number)
        self._size -= 1
