"""Finds peers by the number of their last announce, so that replay is fast.

A record names the previous event of the same peer (`prev_seq`). The live tracker finds the peer by
info hash and endpoint, in five places of memory. Replay goes from the number to the peer, and can
fetch the rows of a whole frame before it needs them.

The ring holds the latest numbers and promises nothing. A peer that it gives is the right one if it
is present and its row has that number; replay looks for any other. Only `tracker verify`, which
looks for every peer, checks that the endpoint of a record is that peer's.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from tracker.domain import packed

if TYPE_CHECKING:
    from tracker.domain.swarms import Swarms

_PLACES = 2
"""Places for each peer, at least: with random arrivals about seven peers in eight are still found.
"""


class Recent:
    """The ring. It knows nobody until `start`, and is no part of the state."""

    __slots__ = ("_mask", "_ring")

    def __init__(self) -> None:
        self._ring = array("I", [0])
        self._mask = 0

    def start(self, swarms: Swarms) -> None:
        """Enters every peer, with room for as many again."""
        places = 8
        while places < 2 * _PLACES * swarms.peer_slots:
            places *= 2
        self._ring = array("I", bytes(4 * places))
        self._mask = places - 1
        for peer in range(1, swarms.peer_slots):
            _, last_seq = packed.standing(swarms.rows, peer * 72)  # ROW_SIZE
            packed.put_u32(self._ring, last_seq & self._mask, peer)

    def stop(self) -> None:
        self._ring = array("I", [0])
        self._mask = 0

    def prepare(self, swarms: Swarms, plain: bytes) -> None:
        """Gets ready for the announces of a frame. `plain`: its plain section."""
        if self._mask:
            if len(self._ring) < _PLACES * swarms.peer_slots:
                self.start(swarms)
            packed.fetch_ahead(plain, self._ring, swarms.rows, swarms.tables.peers)

    def peer(self, seq: int) -> int:
        """The peer whose last announce this event may be; 0 = the ring does not know."""
        return packed.u32(self._ring, seq & self._mask)

    def note(self, seq: int, peer: int) -> None:
        """Enters event `seq` as the last announce of `peer`; 0 = the peer left."""
        if self._mask:
            packed.put_u32(self._ring, seq & self._mask, peer)
