"""Orders the peers of accounts that have several in a torrent, so that counting their common time
looks at the latest announces and at no others.

A group is named by its account and torrent, see `seeding.share`. Groups are no part of the state:
`Seeding.regroup` makes them for a state that was loaded.
"""

from __future__ import annotations

from array import array

from tracker.domain import packed
from tracker.domain.peer_lists import PeerLists


class Groups:
    """The groups by name. Only applying an event changes them."""

    __slots__ = ("_free", "_numbers", "_order", "_sizes")

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}  # from 1 on, by the group's name
        self._free = array("I")
        self._sizes = array("I", [0])  # by number: peers of the account in the torrent
        # Two lists by number, of seeders and of partial seeds. The latest announce is the first.
        self._order = PeerLists()

    def size(self, name: int) -> int:
        """Returns the number of peers of a group; 0 = there is no such group."""
        number = self._numbers.get(name, 0)
        return packed.u32(self._sizes, number) if number else 0

    def latest(self, name: int) -> tuple[int, int]:
        """Returns the seeder and the partial seed that announced last; 0 = there is none."""
        number = self._numbers[name]
        return self._order.first(2 * number), self._order.first(2 * number + 1)

    def add(self, name: int, peer: int, mark: int) -> None:
        """Adds a peer that announced after all others of the group. `mark`: see `Swarms.rows`."""
        number = self._numbers.get(name, 0)
        if not number:
            if self._free:
                number = self._free.pop()
            else:
                number = len(self._sizes)
                self._sizes.append(0)
            self._numbers[name] = number
        packed.put_u32(self._sizes, number, packed.u32(self._sizes, number) + 1)
        self.announced(name, peer, mark)

    def announced(self, name: int, peer: int, mark: int) -> None:
        """Notes that a peer of a group has announced, and has this mark now."""
        number = self._numbers[name]
        self._order.remove(peer)
        if mark & 0x10:  # MARK_SEEDER
            self._order.move(peer, 2 * number)
        elif mark & 0x04:  # the last event was `paused`
            self._order.move(peer, 2 * number + 1)

    def left(self, name: int, peer: int) -> None:
        """Takes a peer out of its group."""
        number = self._numbers.get(name, 0)
        if number:
            packed.put_u32(self._sizes, number, packed.u32(self._sizes, number) - 1)
            self._order.remove(peer)

    def end(self, name: int) -> None:
        """Ends a group."""
        number = self._numbers.pop(name)
        for owner in (2 * number, 2 * number + 1):
            for peer in self._order.peers(owner):
                self._order.remove(peer)
        packed.put_u32(self._sizes, number, 0)
        self._free.append(number)
