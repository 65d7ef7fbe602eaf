"""Finds the peers of accounts that have several in a torrent, and orders them, so that counting
their common time looks at the latest announces and at no others.

A group has a number, from 1 on. A peer that is in one finds it by its list, without a search. Only
the log times up to which time is counted are part of the state: `Seeding.regroup` makes the rest
for a state that was loaded.
"""

from __future__ import annotations

from array import array

from tracker.domain import packed
from tracker.domain.index import Index
from tracker.domain.peer_lists import PeerLists

_low = 0xFFFFFFFF  # has a type in the .pxd, as in `directory.py`


class Groups:
    """The groups by number. Only applying an event changes them."""

    __slots__ = ("_free", "_index", "_names", "_order", "settled", "sizes")

    def __init__(self) -> None:
        self._index = Index()  # numbers by account and torrent
        self._free = array("I")
        self._names = array("Q", [0])  # by number: see `seeding.share`; 0 = the number is free
        self.sizes = array("I", [0])  # by number: peers of the account in the torrent
        self.settled = array("Q", [0])  # by number: log time up to which their time is counted
        # Three lists by number, of seeders, of partial seeds and of all others. The latest announce
        # is the first.
        self._order = PeerLists()

    def named(self) -> dict[int, int]:
        """Returns the log times by `seeding.share`, as the state has them."""
        return {name: self.settled[number] for number, name in enumerate(self._names) if name}

    def of(self, peer: int) -> int:
        """Returns the group of a peer; 0 = none."""
        return self._order.list_of(peer) // 3

    def find(self, account: int, torrent: int) -> int:
        """Returns the group of an account in a torrent; 0 = there is none."""
        index = self._index
        key = packed.number_hash(index.secret, account << 32 | torrent)
        table = index.tables[key & 255]
        mask = len(table) - 1
        at = (key >> 8) & mask
        entry = packed.u64(table, at)
        while entry:
            number = entry & _low
            if packed.u64(self._names, number) == account << 32 | torrent:
                return number
            at = (at + 1) & mask
            entry = packed.u64(table, at)
        return 0

    def begin(self, account: int, torrent: int, settled_us: int) -> int:
        """Makes a group without peers, and returns its number."""
        if len(self._free):
            number = packed.pop(self._free)
        else:
            number = len(self.sizes)
            packed.add_words(self.sizes, 1, 0)
            packed.add_wide(self._names)
            packed.add_wide(self.settled)
        packed.put_u64(self._names, number, account << 32 | torrent)
        packed.put_u64(self.settled, number, settled_us)
        self._index.add(packed.number_hash(self._index.secret, account << 32 | torrent), number)
        return number

    def latest(self, number: int, partial: bool) -> int:
        """Returns the seeder or the partial seed that announced last; 0 = there is none."""
        return self._order.first(3 * number + partial)

    def add(self, number: int, peer: int, mark: int) -> None:
        """Adds a peer that announced after all others of the group. `mark`: see `Swarms.rows`."""
        packed.put_u32(self.sizes, number, packed.u32(self.sizes, number) + 1)
        self.announced(number, peer, mark)

    def announced(self, number: int, peer: int, mark: int) -> None:
        """Notes that a peer of a group has announced, and has this mark now."""
        which = 0 if mark & 0x10 else 1 if mark & 0x04 else 2  # MARK_SEEDER, `paused`
        if self._order.first(3 * number + which) != peer:
            self._order.remove(peer)
            self._order.move(peer, 3 * number + which)

    def left(self, peer: int) -> None:
        """Takes a peer out of its group."""
        number = self.of(peer)
        if number:
            packed.put_u32(self.sizes, number, packed.u32(self.sizes, number) - 1)
            self._order.remove(peer)

    def end(self, number: int) -> None:
        """Ends a group, with the peer that may be left in it."""
        for which in range(3):
            peer = self._order.first(3 * number + which)
            while peer:
                self._order.remove(peer)
                peer = self._order.first(3 * number + which)
        name = packed.u64(self._names, number)
        self._index.drop(packed.number_hash(self._index.secret, name), number)
        packed.put_u64(self._names, number, 0)
        packed.put_u32(self.sizes, number, 0)
        packed.append(self._free, number)
