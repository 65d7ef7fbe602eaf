"""The site's own rules for announces: who is refused, and who gets no peers. As long as none is set, all may.

A rule is a setting, in force by its event like any other. `Rules` is the same made ready for decisions: pure, over
the swarms as they are. What is said here goes for all protocols and modes; `stopped` is refused by none of
these rules (the rate of an address is asked before them), so that nobody is kept in a swarm against his will.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import fields, frozen

from tracker.domain import events, refusals
from tracker.domain.swarms import ROW_SIZE, SEEN, SEEN_AT

if TYPE_CHECKING:
    from tracker.domain.swarms import Swarms

IP_IGNORED, IP_LOCAL, IP_ALWAYS = "ignored", "local", "always"


@frozen
class Policy:
    """Numbers are limits, 0 = none; the defaults are those of the reference."""

    interval_jitter: int = 0  # seconds, at most so many are added to `interval`
    enforce_interval_min: bool = False
    peers_per_account: int = 0  # of one torrent
    clients_allowed: tuple[str, ...] = ()  # first characters of peer_ids; () = all
    clients_denied: tuple[str, ...] = ()
    refused_ports: tuple[str, ...] = ()  # "25" or "6881-6889"
    requests_per_minute: int = 0  # of one address
    max_torrents: int = 0
    max_peers: int = 0
    max_peers_per_torrent: int = 0
    retry_in_minutes: int = 30
    ip_parameter: str = IP_IGNORED
    partial_seeds: bool = False  # BEP 21: scrapes say `downloaders`
    external_ip_in_replies: bool = False  # BEP 24

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Policy:
        """The policy of an event; keys this version does not know are left aside."""
        known = {field.name for field in fields(cls)}
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in data.items()
            if name in known
        }
        return cls(**values)


class Rules:
    """A policy, ready to decide. `active`: whether any announce could be decided otherwise than without it."""

    __slots__ = (
        "_allowed",
        "_denied",
        "_early_us",
        "_max_peers",
        "_max_peers_per_torrent",
        "_max_torrents",
        "_peers_per_account",
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
        self._peers_per_account = policy.peers_per_account
        self.active = any(
            (
                self._allowed, self._denied, self._ports, self._early_us, self._max_torrents,
                self._max_peers, self._max_peers_per_torrent, self._peers_per_account,
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
        account: int = 0,
        evicted: int = 0,
    ) -> int:
        """Why an announce is refused; 0 = it is not.

        `torrent` and `peer` are 0 when new. `account`: in private modes, whose it is. `evicted`: the peer that would go
        for it, 0 = none.
        """
        if event == events.STOPPED:
            return 0
        if peer_id.startswith(self._denied) or (
            self._allowed and not peer_id.startswith(self._allowed)
        ):
            return refusals.CLIENT_REFUSED
        if self._ports and self._ports[int.from_bytes(port, "big")]:
            return refusals.PORT_REFUSED
        if peer:
            return 0
        if self._account_full(swarms, torrent, account, evicted):
            return refusals.ACCOUNT_FULL
        return 0 if evicted else self._full(swarms, torrent)

    def _full(self, swarms: Swarms, torrent: int) -> int:
        """Whether there is room for one more peer; known ones go on."""
        if not torrent and 0 < self._max_torrents <= swarms.torrents_total:
            return refusals.TORRENTS_FULL
        if torrent and 0 < self._max_peers_per_torrent <= swarms.size(torrent):
            return refusals.SWARM_FULL
        if 0 < self._max_peers <= swarms.seeders_total + swarms.leechers_total:
            return refusals.PEERS_FULL
        return 0

    def _account_full(self, swarms: Swarms, torrent: int, account: int, evicted: int) -> bool:
        if not (self._peers_per_account and torrent and account):
            return False
        # A client that begins again under another peer_id takes the place of what it was.
        own = swarms.peers_of(torrent, account) - (swarms.account_of(evicted) == account)
        return own >= self._peers_per_account

    def early(self, swarms: Swarms, peer: int, endpoint: bytes, event: int, now_us: int) -> bool:
        """Whether a peer asks sooner than it may, and gets no peers.

        In private modes a peer announces from each of its addresses in turn: only one with a single address, and
        from that one, can be early.
        """
        if not (self._early_us and peer) or event not in (events.NONE, events.PAUSED):
            return False
        if SEEN.unpack_from(swarms.rows, peer * ROW_SIZE + SEEN_AT)[0] + self._early_us <= now_us:
            return False
        own, other = (swarms.v4, swarms.v6) if len(endpoint) == 6 else (swarms.v6, swarms.v4)
        return peer not in other and own.endpoint(peer) == endpoint


def _table(ports: tuple[str, ...]) -> bytes:
    """1 for each refused port; b"" without any."""
    table = bytearray(65536 if ports else 0)
    for text in ports:
        first, _, last = text.partition("-")
        low, high = int(first), int(last or first)
        table[low : high + 1] = b"\1" * (high + 1 - low)
    return bytes(table)
