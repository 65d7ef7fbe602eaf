"""Finds peers by the number of their last announce, so that replay is fast.

A record holds the number of the same peer's previous announce (`prev_seq`). The live tracker finds
the peer by info hash and endpoint, in five places of memory. Replay goes from the number to the
peer, and can fetch the rows of a whole frame before it needs them.

The ring holds the latest numbers, and may give a wrong peer. The peer is right if it is present and
its row has that number; else replay finds the peer as the live tracker does. Only `tracker verify`
finds every peer that way, and so checks that the endpoint of a record belongs to the peer.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from tracker.domain import packed

if TYPE_CHECKING:
    from tracker.domain.swarms import Swarms

_PLACES = 2
"""Least number of places in the ring for each peer. With random arrivals the ring then still has
about seven peers in eight.
"""


class Recent:
    """The ring. It is empty until `start`, and is no part of the state."""

    __slots__ = ("_mask", "_ring")

    def __init__(self) -> None:
        self._ring = array("I", [0])
        self._mask = 0

    def start(self, swarms: Swarms) -> None:
        """Enters every peer, and leaves room for as many again."""
        places = 8
        while places < 2 * _PLACES * swarms.peer_slots:
            places *= 2
        self._ring = array("I", bytes(4 * places))
        self._mask = places - 1
        for peer in range(1, swarms.peer_slots):
            _, last_seq = packed.standing(swarms.rows, peer * 72)  # ROW_SIZE
            packed.put_u32(self._ring, last_seq & self._mask, peer)

    @property
    def places(self) -> int:
        """Returns the number of places in the ring."""
        return len(self._ring)

    def stop(self) -> None:
        self._ring = array("I", [0])
        self._mask = 0

    def prepare(self, swarms: Swarms, plain: bytes) -> None:
        """Gets ready for the announces of a frame. `plain`: its plain section."""
        if self._mask:
            if len(self._ring) < _PLACES * swarms.peer_slots:
                self.start(swarms)
            packed.fetch_ahead(plain, self._ring, swarms.rows, swarms.v4.places, swarms.v6.places)

    def peer(self, seq: int) -> int:
        """Returns the peer whose last announce this event may be; 0 = the ring has none."""
        return packed.u32(self._ring, seq & self._mask)

    def note(self, seq: int, peer: int) -> None:
        """Enters event `seq` as the last announce of `peer`; 0 = the peer left."""
        if self._mask:
            packed.put_u32(self._ring, seq & self._mask, peer)
