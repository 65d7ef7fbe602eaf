"""Peers by the number of their last announce, for replay.

A record names the event before it of the same peer (`prev_seq`). So replay need not look for the peer as the live tracker
did, by info hash and endpoint in five places of memory: it goes from the number to the peer, and can have the rows of a whole
frame fetched before they are needed. A ring of the latest numbers, without promise: a peer that it gives is good if it is there and
its row says that number, and one that it does not give is looked for. That a record's endpoint is that peer's is left to
`tracker verify`, which looks for every peer.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from tracker.domain import packed

if TYPE_CHECKING:
    from tracker.domain.swarms import Swarms

_PLACES = 2
"""For each peer, at least: of peers that come by chance seven in eight are still known then, and more where there are more places."""


class Recent:
    """Knows nobody until `start`. No part of the state."""

    __slots__ = ("_mask", "_ring")

    def __init__(self) -> None:
        self._ring = array("I", [0])
        self._mask = 0

    def start(self, swarms: Swarms) -> None:
        """Note everybody, with places for as many again."""
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
        """Before the announces of a frame, whose plain section that is."""
        if self._mask:
            if len(self._ring) < _PLACES * swarms.peer_slots:
                self.start(swarms)
            packed.fetch_ahead(plain, self._ring, swarms.rows, swarms.tables.peers)

    def peer(self, seq: int) -> int:
        """Whose last announce that event may be; 0 = not known here."""
        return packed.u32(self._ring, seq & self._mask)

    def note(self, seq: int, peer: int) -> None:
        """Event `seq` is this peer's last announce; 0 = it has left."""
        if self._mask:
            packed.put_u32(self._ring, seq & self._mask, peer)
