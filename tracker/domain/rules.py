"""Decides by the site's own rules which announces are refused, and which get no peers.

`Rules` holds the settings of a `Policy` in a form for quick decisions, for all protocols and modes.
It never refuses `stopped`, so that a client can leave a swarm; only the rate limit of a sender can.
In compiled code names are pointers, so that a decision makes no object (docs/adr/0028).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracker.domain import events, packed, refusals
from tracker.domain.directory import NOWHERE

if TYPE_CHECKING:
    from tracker.domain.policy import Policy
    from tracker.domain.swarms import Swarms

_nowhere = NOWHERE  # has a type in the .pxd, as in `directory.py`


class Rules:
    """Decides by a policy. If `active` is false, the rules affect no announce."""

    __slots__ = (
        "_allowed",
        "_denied",
        "_early_us",
        "_max_peers",
        "_max_peers_per_torrent",
        "_max_torrents",
        "_ports",
        "active",
    )

    def __init__(self, policy: Policy, interval_min: int) -> None:
        """`interval_min`: seconds."""
        self._allowed = tuple(text.encode() for text in policy.clients_allowed)
        self._denied = tuple(text.encode() for text in policy.clients_denied)
        self._ports = _table(policy.refused_ports)
        self._early_us = interval_min * 1_000_000 if policy.enforce_interval_min else 0
        self._max_torrents = policy.max_torrents
        self._max_peers = policy.max_peers
        self._max_peers_per_torrent = policy.max_peers_per_torrent
        self.active = any(
            (
                self._allowed, self._denied, self._ports, self._early_us, self._max_torrents,
                self._max_peers, self._max_peers_per_torrent,
            )
        )  # fmt: skip

    def refusal(
        self,
        swarms: Swarms,
        torrent: int,
        peer: int,
        port: bytes,
        peer_id: bytes,
        event: int,
        evicted: int,
    ) -> int:
        """Returns the refusal of an announce, 0 = none.

        Args:
            torrent: 0 = new.
            peer: 0 = new.
            port: 2 bytes, big-endian.
            evicted: the peer that would have to leave for this one, 0 = none.
        """
        if event == 3:  # events.STOPPED
            return 0
        if (self._denied and _begins(peer_id, self._denied)) or (
            self._allowed and not _begins(peer_id, self._allowed)
        ):
            return refusals.CLIENT_REFUSED
        if self._ports and self._ports[packed.port(port)]:
            return refusals.PORT_REFUSED
        if peer:
            return 0
        return 0 if evicted else self._full(swarms, torrent)

    def counts(self, swarms: Swarms, torrent: int, info_hash: bytes) -> bool:
        """Tells whether a torrent's `completed` is counted, and so remembered for ever.

        The first one of a torrent is not where the counts of `max_torrents` torrents without peers
        are remembered. So who invents torrents and completes them cannot fill the memory.
        """
        return (
            not self._max_torrents
            or len(swarms.retired) < self._max_torrents
            or packed.u64(swarms.completed, torrent) > 0
            or info_hash[:20] in swarms.retired
        )

    def _full(self, swarms: Swarms, torrent: int) -> int:
        """Returns the refusal if there is no room for one more peer, else 0."""
        if not torrent and 0 < self._max_torrents <= swarms.torrents_total:
            return refusals.TORRENTS_FULL
        if torrent and self._max_peers_per_torrent:
            seeders, leechers = packed.counts(swarms.tables.torrents, torrent * 32)
            if seeders + leechers >= self._max_peers_per_torrent:
                return refusals.SWARM_FULL
        if 0 < self._max_peers <= swarms.seeders_total + swarms.leechers_total:
            return refusals.PEERS_FULL
        return 0

    def early(
        self, swarms: Swarms, peer: int, endpoint: bytes, v6: bool, event: int, now_us: int
    ) -> bool:
        """Tells whether a peer announces sooner than allowed, so that its reply lists no peers.

        Only a peer that announces from its single address can be early, because in private modes a
        peer announces from each of its addresses in turn.
        """
        if not (self._early_us and peer) or (event != 0 and event != 4):  # events.NONE, PAUSED
            return False
        if packed.seen_us(swarms.rows, peer * 72) + self._early_us <= now_us:
            return False
        if v6:
            own, other = swarms.v6, swarms.v4
        else:
            own, other = swarms.v4, swarms.v6
        return other.position(peer) == _nowhere and own.is_at(peer, endpoint)

    # The same for explanations, of fields that are objects; the announce path does not call them.

    def refuses(
        self,
        swarms: Swarms,
        torrent: int,
        peer: int,
        port: bytes,
        peer_id: bytes,
        event: int,
        evicted: int,
    ) -> int:
        """Does what `refusal` does. Raises `ValueError` for fields of another length."""
        if len(port) != 2 or len(peer_id) != 20:
            raise ValueError("a port of 2 bytes and a peer_id of 20")
        return self.refusal(swarms, torrent, peer, port, peer_id, event, evicted)

    def comes_early(
        self, swarms: Swarms, peer: int, endpoint: bytes, v6: bool, event: int, now_us: int
    ) -> bool:
        """Does what `early` does. Raises `ValueError` for an endpoint of another length."""
        if len(endpoint) != (18 if v6 else 6):
            raise ValueError("an endpoint of 6 or 18 bytes")
        return self.early(swarms, peer, endpoint, v6, event, now_us)


def _begins(peer_id: bytes, names: tuple[bytes, ...]) -> bool:
    for name in names:  # noqa: SIM110  # compiled code cannot have the generator of `any` here
        if packed.begins(peer_id, name):
            return True
    return False


def _table(ports: tuple[str, ...]) -> bytearray:
    """Returns 65,536 bytes with 1 for each refused port, or none for no port."""
    table = bytearray(65536 if ports else 0)
    for text in ports:
        first, _, last = text.partition("-")
        low, high = int(first), int(last or first)
        table[low : high + 1] = b"\1" * (high + 1 - low)
    return table


# Fails when one of these constants changes, because the code above has literals in their place.
if (events.NONE, events.STOPPED, events.PAUSED) != (0, 3, 4):
    raise AssertionError("Rules spells these numbers out")
