"""Looking for peers that have not announced for too long, a bounded piece at a time.

A piece is what one tick may cost the loop: a few milliseconds, however the peers are spread over the buckets and however
large a swarm is. Where the sweep stands is part of the state, so that replay takes the same pieces.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from tracker.domain.swarms import ROW_SIZE, SEEN, SEEN_AT

if TYPE_CHECKING:
    from tracker.domain.directory import Directory
    from tracker.domain.swarms import Swarms

PIECE = 20_000
"""Peers and torrents looked at in one piece; taking one out counts for ten."""
_REMOVAL = 10
_START = -1


class Sweep:
    """Torrents still to be looked at, in order, and how far the first of them is done."""

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
        """Torrents still to be looked at."""
        return len(self._torrents) - self._at

    def add(self, swarms: Swarms, first: int, last: int) -> None:
        """Note the torrents of buckets first..last-1. A number that goes to another torrent meanwhile does no harm."""
        if self.done:
            self._torrents = array("I")
            self._at = 0
        for bucket in range(first, last):
            self._torrents.extend(swarms.buckets[bucket].values())

    def step(self, swarms: Swarms, before_us: int, drop_empty: bool) -> None:
        """One piece: remove peers last seen at or before a time, and with `drop_empty` torrents left empty."""
        budget = PIECE
        while budget > 0 and not self.done:
            torrent = self._torrents[self._at]
            # A peer whose address another took is in the last one only.
            families = swarms.v4, swarms.v6, swarms.identities
            while budget > 0 and self._family < len(families):
                budget = self._walk(swarms, families[self._family], torrent, before_us, budget)
            if self._family == len(families):
                self._family = 0
                self._at += 1
                budget -= 1
                if drop_empty:
                    swarms.drop_if_empty(torrent)

    def _walk(
        self, swarms: Swarms, directory: Directory, torrent: int, before_us: int, budget: int
    ) -> int:
        """From the end of a run to its start: what a removal moves into the gap has been looked at."""
        last = directory.run(torrent)[1] - 1
        place = last if self._place == _START else min(self._place, last)
        while place >= 0 and budget > 0:
            peer = directory.owners[directory.run(torrent)[0] + place]
            if SEEN.unpack_from(swarms.rows, peer * ROW_SIZE + SEEN_AT)[0] <= before_us:
                swarms.remove(torrent, peer)
                budget -= _REMOVAL
            place -= 1
            budget -= 1
        if place < 0:
            self._family += 1
            self._place = _START
        else:
            self._place = place
        return budget

    def digest(self) -> str:
        """Where the sweep stands; numbers of torrents are no part of the state, but how many are left is."""
        return repr((len(self._torrents) - self._at, self._family, self._place))
