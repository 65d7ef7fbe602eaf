"""Keeps peers whose addresses cannot be read, because the key of their day was shredded or is
missing.

Replay finds such a peer by the number of its last announce, because the plain part of its next
announce holds that number. The peer keeps its place in every directory with a stand-in: an endpoint
with port 0 in a block that is never assigned. So every count is exact, and every swarm keeps its
order. The first announce that can be read gives a peer its own endpoint and peer_id back.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracker.domain import events

if TYPE_CHECKING:
    from tracker.domain.swarms import Swarms

_V6 = bytes.fromhex("0100000000000000")  # RFC 6666: discard-only
NO_PORT = b"\0\0"  # the end of every stand-in, and of no peer's endpoint
_UNKNOWN = b"\0\0\0\0"  # the first bytes of a made-up tail
_SPARE = 1000  # entries of `_last`, beyond twice the number of peers, that may wait for `_collect`


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

    __slots__ = ("_last", "_suspects", "_unlooked")

    def __init__(self, swarms: Swarms, *, look: bool = False) -> None:
        """`look`: find the peers that have stand-ins already. Else no peer may have one yet."""
        # Peers by their last announce. Peers that left stay for a while.
        self._last: dict[int, int] = {}
        self._suspects: set[int] = set()  # peers that were given a stand-in
        self._unlooked = 0  # announces since `over` last checked the suspects
        self._collect(swarms)
        if look:
            self._suspects = set(self._last.values())
            self.over(swarms, now=True)

    def find(self, swarms: Swarms, torrent: int, prev_seq: int) -> int:
        """Returns the peer of this torrent whose last announce is `prev_seq`; 0 = none."""
        peer = self._last.pop(prev_seq, 0)
        if not peer or not swarms.present(peer):
            return 0
        row = swarms.peer(peer)
        return peer if (row.last_seq, row.torrent) == (prev_seq, torrent) else 0

    def stand_ins(
        self, swarms: Swarms, peer: int, seq: int, what: int, rule: int, keyed: bool
    ) -> tuple[bytes, bytes]:
        """Makes up endpoint and last 12 bytes of the peer_id of an announce without address."""
        v6 = bool(what & 0x10)
        endpoint = (swarms.v6 if v6 else swarms.v4).endpoint(peer) if peer else b""
        if not endpoint.endswith(NO_PORT):
            endpoint = stand_in(seq, v6)
        # In private modes a peer keeps its peer_id. In public modes a restarted session may have
        # another peer_id.
        if peer and (keyed or rule != events.RULE_RESTARTED):
            return endpoint, swarms.peer(peer).peer_id[8:]
        return endpoint, unknown_tail(seq)

    def note(self, swarms: Swarms, seq: int, peer: int, hidden: bool) -> None:
        """Enters an announce of `peer` (0 after `stopped`). `hidden`: its address is unreadable."""
        self._unlooked += 1
        if not peer:
            return
        self._last[seq] = peer
        if hidden:
            self._suspects.add(peer)
        if len(self._last) > 2 * (swarms.seeders_total + swarms.leechers_total) + _SPARE:
            self._collect(swarms)

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

    def _collect(self, swarms: Swarms) -> None:
        self._last = {
            swarms.peer(peer).last_seq: peer
            for bucket in swarms.buckets
            for torrent in bucket.values()
            for peer in swarms.peers(torrent)
        }
