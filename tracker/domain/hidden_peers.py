"""Keeps peers whose addresses cannot be read, because the key of their day was shredded or is
missing.

Replay finds such a peer by the number of its last announce, because the plain part of its next
announce holds that number. The peer keeps its place in every directory with a stand-in: an endpoint
with port 0 in a block that is never assigned. So every count is exact, and every swarm keeps its
order. The first announce that can be read gives a peer its own endpoint and peer_id back.
"""

from __future__ import annotations

from tracker.domain import packed
from tracker.domain.peer_by_seq import Recent
from tracker.domain.swarms import ROW_SIZE, Swarms

_V6 = bytes.fromhex("0100000000000000")  # RFC 6666: discard-only
NO_PORT = b"\0\0"  # the end of every stand-in, and of no peer's endpoint
_UNKNOWN = b"\0\0\0\0"  # the first bytes of a made-up tail


def stand_in(seq: int, v6: bool) -> bytes:
    """Makes up an endpoint for the peer of announce `seq`: 18 bytes with `v6`, else 6."""
    if v6:
        return _V6 + seq.to_bytes(8, "big") + NO_PORT
    return (0xF0000000 | seq & 0x0FFFFFFF).to_bytes(4, "big") + NO_PORT


def unknown_tail(seq: int) -> bytes:
    """Makes up the last 12 bytes of the peer_id of announce `seq`. No other peer has them."""
    return _UNKNOWN + seq.to_bytes(8, "big")


def is_unknown_tail(tail: bytes, last_seq: int) -> bool:
    """Tells whether `unknown_tail` made up these 12 bytes of a peer with a stand-in."""
    return tail[:4] == _UNKNOWN and 0 < int.from_bytes(tail[4:], "big") <= last_seq


class Hidden:
    """Finds peers by their last announce.

    The state has one from the first frame that cannot be decrypted until no peer has a stand-in.
    """

    __slots__ = ("_known_to", "_older", "_recent", "_suspects", "_unlooked")

    def __init__(self, swarms: Swarms, *, look: bool = False) -> None:
        """`look`: find the peers that have stand-ins already. Else no peer may have one yet."""
        self._recent = Recent()
        self._recent.start(swarms)
        # Peers by their last announce: all below `_known_to`, and others that the ring had lost.
        self._older: dict[int, int] = {}
        self._known_to = 0
        self._suspects: set[int] = set()  # peers that were given a stand-in
        self._unlooked = 0  # announces since `over` last checked the suspects
        if look:
            self._suspects = set(range(1, swarms.peer_slots))
            self.over(swarms, now=True)

    def prepare(self, swarms: Swarms, plain: bytes) -> None:
        """Gets ready for the announces of a frame. `plain`: its plain section."""
        self._recent.prepare(swarms, plain)

    def find(self, swarms: Swarms, prev_seq: int, seq: int) -> int:
        """Returns the peer whose last announce is `prev_seq`, for its announce `seq`; 0 = none."""
        peer = self._recent.peer(prev_seq)
        _, last_seq = packed.standing(swarms.rows, peer * 72)  # ROW_SIZE
        if last_seq != prev_seq or not peer:
            if prev_seq >= self._known_to and prev_seq not in self._older:
                self._look(swarms, seq)
            peer = self._older.get(prev_seq, 0)
            _, last_seq = packed.standing(swarms.rows, peer * 72)
        return peer if last_seq == prev_seq and swarms.present(peer) else 0

    def _look(self, swarms: Swarms, seq: int) -> None:
        """Looks for all the peers that the ring has lost, or will lose first.

        From then on every peer whose last announce is below `_known_to` is known, whatever the ring
        loses. Looking is rare, because the ring loses later announces only after as many others as
        half of its places, or when it grows.
        """
        self._known_to = max(0, seq - self._recent.places // 2)
        self._older = {}
        for peer in range(1, swarms.peer_slots):
            _, last_seq = packed.standing(swarms.rows, peer * 72)
            if (
                last_seq < self._known_to or self._recent.peer(last_seq) != peer
            ) and swarms.present(peer):
                self._older[last_seq] = peer

    def stands_in(self, swarms: Swarms, peer: int, what: int) -> bool:
        """Tells whether a peer has a stand-in in the family of an announce."""
        directory = swarms.v6 if what & 0x10 else swarms.v4
        return directory.has_port(peer, NO_PORT)

    def peer_id(self, swarms: Swarms, peer: int, seq: int, peer_id: bytes, keyed: bool) -> bytes:
        """Returns the peer_id of a new peer or session of which only the first 8 bytes are known.

        In private modes a peer keeps its peer_id. In public modes a new session may have another.
        """
        if peer and keyed:
            return bytes(swarms.rows[peer * 72 : peer * 72 + 20])
        return peer_id[:8] + unknown_tail(seq)

    def note(self, seq: int, peer: int, fresh: bool) -> None:
        """Enters an announce of `peer` (0 after `stopped`). `fresh`: it got a new stand-in."""
        self._unlooked += 1
        self._recent.note(seq, peer)
        if fresh and peer:
            self._suspects.add(peer)

    def over(self, swarms: Swarms, *, now: bool = False) -> bool:
        """Tells whether no peer has a stand-in.

        Without `now` it checks the peers only now and then, because that takes time. In between it
        returns False.
        """
        if not now and self._unlooked < len(self._suspects):
            return False
        self._unlooked = 0
        families = swarms.v4, swarms.v6
        self._suspects = {
            peer
            for peer in self._suspects
            if any(family.endpoint(peer).endswith(NO_PORT) for family in families)
        }
        return not self._suspects


# Fails when the size of a row changes, because the code above has a literal in its place.
if ROW_SIZE != 72:
    raise AssertionError("Hidden spells this number out")
