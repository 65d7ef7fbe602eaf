"""Removes peers that have not announced for too long, a bounded piece at a time.

A piece takes a few milliseconds of the event loop, however the peers are spread over the buckets
and however large a swarm is. The position of the sweep is part of the state, so that replay takes
the same pieces.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from tracker.domain import packed
from tracker.domain.swarms import ROW_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracker.domain.swarms import Swarms

PIECE = 20_000
"""Largest number of peers and torrents that one piece looks at; a removal counts as several."""
_REMOVAL, _REMEMBERED = 10, 40  # added to the count for a removed peer, and for one with a base
_START = -1  # the place of a directory that the sweep has not begun
_ALL = 2**64 - 1  # the latest time that a row can hold, microseconds


class Sweep:
    """Holds the torrents still to be swept, in order, and the position in the first of them."""

    __slots__ = ("_at", "_family", "_place", "_torrents")

    def __init__(self) -> None:
        self._torrents = array("I")
        self._at = 0
        self._family = 0
        self._place = _START

    @property
    def done(self) -> bool:
        return self._at == len(self._torrents)

    @property
    def left(self) -> int:
        """Number of torrents still to be swept."""
        return len(self._torrents) - self._at

    def add(self, swarms: Swarms, first: int, last: int) -> None:
        """Adds the torrents of buckets first..last-1.

        A torrent's number may go to another torrent before its turn. That torrent is then swept
        early, which does no harm.
        """
        if self.done:
            self._torrents = array("I")
            self._at = 0
        for bucket in range(first, last):
            self._torrents.extend(swarms.torrents_in(bucket))

    def step(
        self,
        swarms: Swarms,
        before_us: int,
        drop_empty: bool,
        remove: Callable[[int, int], None],
        remembers: bool,
    ) -> None:
        """Does one piece: removes peers last seen at or before a time.

        With `drop_empty` it also removes the torrents that are left without peers. `remove` gets
        the torrent and the peer. `remembers`: it takes longer, because peers leave bases.
        """
        gone_us = max(0, min(before_us + 1, _ALL))
        cost = _REMEMBERED if remembers else _REMOVAL
        budget = PIECE
        torrents = self._torrents
        while budget > 0 and self._at != len(torrents):
            torrent = packed.u32(torrents, self._at)
            while budget > 0 and self._family < 3:
                budget = self._walk(swarms, torrent, gone_us, budget, remove, cost)
            if self._family == 3:
                self._family = 0
                self._at += 1
                budget -= 1
                if drop_empty:
                    swarms.drop_if_empty(torrent)

    def _walk(
        self,
        swarms: Swarms,
        torrent: int,
        gone_us: int,
        budget: int,
        remove: Callable[[int, int], None],
        cost: int,
    ) -> int:
        """Sweeps the peers of one torrent in one directory, as far as the budget goes.

        It goes from the end of the run to its start, because a removal fills its gap from the end.
        `gone_us`: peers last seen before it are removed. Returns the rest of the budget.
        """
        # A peer whose address another peer took is in `identities` only.
        directory = swarms.v4
        if self._family:
            directory = swarms.v6 if self._family == 1 else swarms.identities
        row = torrent * directory._words + directory._word
        first, size, _, _ = packed.run(directory._runs, row)
        last = size - 1
        place = last if self._place == _START else min(self._place, last)
        while place >= 0 and budget > 0:
            peer = packed.u32(directory.owners, first + place)
            if packed.seen_us(swarms.rows, peer * 72) < gone_us:  # ROW_SIZE
                remove(torrent, peer)
                first, _, _, _ = packed.run(directory._runs, row)  # a smaller run
                budget -= cost
            place -= 1
            budget -= 1
        if place < 0:
            self._family += 1
            self._place = _START
        else:
            self._place = place
        return budget

    def digest(self) -> str:
        """Returns the position of the sweep as text.

        The state's digest covers the count of torrents left, but not their numbers.
        """
        return repr((len(self._torrents) - self._at, self._family, self._place))


# Fails when the size of a row changes, because the code above has a literal in its place.
if ROW_SIZE != 72:
    raise AssertionError("Sweep spells this number out")
