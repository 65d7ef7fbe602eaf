"""Lists peers by an owner: the peers of a key, so that a revocation looks at no others, or those of
an account.

The lists are linked. The links are columns by peer, as long as the highest peer on a list needs.
"""

from __future__ import annotations

from array import array

from tracker.domain import packed

KEY, BEFORE, AFTER = range(3)  # words of a peer's links: the list, and its neighbours there


class PeerLists:
    """A list for each owner, by the owner's number; 0 is no owner. A peer is on one list at most.

    The newest peer of a list is its first.
    """

    __slots__ = ("_first", "_links")

    def __init__(self) -> None:
        self._first = array("I", [0])  # by owner
        self._links = array("I", [0, 0, 0])

    def first(self, owner: int) -> int:
        """Returns the newest peer of an owner; 0 = none."""
        return packed.u32(self._first, owner) if owner < len(self._first) else 0

    def after(self, peer: int) -> int:
        """Returns the next older peer of the same owner; 0 = none."""
        return packed.u32(self._links, peer * 3 + 2)  # AFTER

    def peers(self, owner: int) -> list[int]:
        """Returns the peers of an owner, the newest first."""
        found = []
        peer = self.first(owner)
        while peer:
            found.append(peer)
            peer = self.after(peer)
        return found

    def list_of(self, peer: int) -> int:
        """Returns the owner of a peer; 0 = none."""
        return packed.u32(self._links, peer * 3) if peer * 3 < len(self._links) else 0

    def move(self, peer: int, owner: int) -> None:
        """Puts a peer on the list of an owner, off the list that it was on."""
        if self.list_of(peer) == owner:
            return
        self.remove(peer)
        missing = peer * 3 + 3 - len(self._links)
        if missing > 0:
            packed.add_words(self._links, missing, 0)
        missing = owner + 1 - len(self._first)
        if missing > 0:
            packed.add_words(self._first, missing, 0)
        links = self._links
        following = packed.u32(self._first, owner)
        packed.put_u32(self._first, owner, peer)
        packed.put_u32(links, peer * 3 + 2, following)
        packed.put_u32(links, peer * 3 + 1, 0)
        packed.put_u32(links, following * 3 + 1, peer)
        packed.put_u32(links, peer * 3, owner)

    def remove(self, peer: int) -> None:
        """Takes a peer off its list."""
        owner = self.list_of(peer)
        if not owner:
            return
        links = self._links
        before, after = packed.u32(links, peer * 3 + 1), packed.u32(links, peer * 3 + 2)
        if before:
            packed.put_u32(links, before * 3 + 2, after)
        else:
            packed.put_u32(self._first, owner, after)
        packed.put_u32(links, after * 3 + 1, before)
        packed.put_u32(links, peer * 3, 0)

    # Columns, as in `Directory`.

    def columns(self, peers: int) -> list[array[int]]:
        """Copies KEY, BEFORE and AFTER of that many peers."""
        links = self._links + array("I", bytes(12 * max(0, peers - len(self._links) // 3)))
        return [links[word::3] for word in (KEY, BEFORE, AFTER)]

    def set_columns(self, columns: list[array[int]], peers: int) -> None:
        """Undoes `columns`. Raises `ValueError` unless each peer has a value in each of them."""
        if any(len(column) != peers for column in columns):
            raise ValueError("a column of another length")
        if any(column.tobytes() != bytes(4 * peers) for column in columns):
            self._links = array("I", bytes(12 * peers))
            for word, column in enumerate(columns):
                self._links[word::3] = column


# Fails when one of these constants changes, because the code above has literals in their place.
if (KEY, BEFORE, AFTER) != (0, 1, 2):
    raise AssertionError("PeerLists spells these numbers out")
