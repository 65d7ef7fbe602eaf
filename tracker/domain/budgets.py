"""Counts what accounts used of their daily limits: the torrents that they started.

A torrent is started by a new peer with something left, unless the account announced it with
something left on that day. A day is one of dates (`tracker.domain.dates`), and begins with the
first tick in it, so that replay agrees with the live tracker.
"""

from __future__ import annotations

from array import array
from hashlib import blake2b

from tracker.domain import packed
from tracker.domain.events import DAY_US
from tracker.domain.index import Index

NO_DAY = -1
_NAME_SIZE = 24  # bytes: an info hash, and the account in 32 bits
_low = 0xFFFFFFFF  # has a type in the .pxd, as in `index.py`


class Budgets:
    """The counts of a day. Only applying events changes them.

    They are empty where no account has such a limit.
    """

    __slots__ = ("_index", "day", "started", "torrents")

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """Forgets everything, as where nobody has a limit."""
        self.day = NO_DAY  # since 1970-01-01
        self._begin()

    def _begin(self) -> None:
        self.started = array("I")  # by account
        # What accounts announced with something left: info hash and account of each.
        self.torrents = bytearray()
        self._index = Index()  # the numbers of these, from 1 on

    def turn(self, date_us: int) -> None:
        """Begins a new day if this date is in another one."""
        day = date_us // DAY_US
        if day != self.day:
            self.day = day
            self._begin()

    def used(self, account: int) -> int:
        """Returns how many torrents an account started."""
        return packed.u32(self.started, account) if account < len(self.started) else 0

    def knows(self, account: int, info_hash: bytes) -> bool:
        """Tells whether an account announced a torrent with something left.

        Compiled code gives the info hash as a pointer.
        """
        index = self._index
        key = packed.hashed(index.secret, info_hash, 20, account)
        table = index.tables[key & 255]
        mask = len(table) - 1
        at = (key >> 8) & mask
        entry = packed.u64(table, at)
        while entry:
            if entry >> 32 == key:
                name = ((entry & _low) - 1) * 24  # _NAME_SIZE
                if packed.word(self.torrents, name + 20) == account and packed.has_endpoint(
                    self.torrents, info_hash, name, 20
                ):
                    return True
            at = (at + 1) & mask
            entry = packed.u64(table, at)
        return False

    def note(self, account: int, info_hash: bytes, new: bool) -> None:
        """Notes an announce with something left. `new`: its peer was not in the swarm."""
        if not self.knows(account, info_hash):
            self._add(account, info_hash, new)

    def _add(self, account: int, info_hash: bytes, new: bool) -> None:
        at = len(self.torrents)
        packed.add_bytes(self.torrents, 24)
        packed.put_endpoint(self.torrents, info_hash, at, 20)
        packed.put_word(self.torrents, at + 20, account)
        key = packed.hashed(self._index.secret, info_hash, 20, account)
        self._index.add(key, at // 24 + 1)
        if new:
            missing = account + 1 - len(self.started)
            if missing > 0:
                packed.add_words(self.started, missing, 0)
            packed.put_u32(self.started, account, packed.u32(self.started, account) + 1)

    def digest(self) -> bytes:
        hasher = blake2b(b"%d|" % self.day, digest_size=16)
        hasher.update(self.started.tobytes() + b"|")
        hasher.update(self.torrents)
        return hasher.digest()

    def list_torrents(self) -> None:
        """Makes the index after the names were loaded. Raises `ValueError` for part of a name."""
        if len(self.torrents) % _NAME_SIZE:
            raise ValueError("a torrent of an account is not whole")
        self._index = Index()
        secret = self._index.secret
        for at in range(0, len(self.torrents), _NAME_SIZE):
            info_hash = bytes(self.torrents[at : at + 20])
            account = packed.word(self.torrents, at + 20)
            self._index.add(packed.hashed(secret, info_hash, 20, account), at // _NAME_SIZE + 1)


# Fails when one of these constants changes, because the code above has literals in their place.
if _NAME_SIZE != 24:
    raise AssertionError("Budgets spells this number out")
