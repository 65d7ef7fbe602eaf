"""Decides by the site's own rules which announces are refused, and which get no peers.

`Policy` holds the `[policy]` settings. With its defaults every announce passes. `Rules` holds the
same settings in a form for quick decisions, for all protocols and modes. `Rules` never refuses
`stopped`, so that a client can leave a swarm; only the rate limit of a sender can.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from attrs import field, fields, frozen

from tracker.domain import events, refusals

if TYPE_CHECKING:
    from tracker.domain.swarms import Swarms

# Kinds of setting; the configuration has a reader for each (`tracker/config/schema.py`).
Limit = Annotated[int, "limit"]
"""The largest number of something; 0 = no limit."""
Jitter = Annotated[int, "jitter"]
"""Seconds, 0 to 86,400."""
Minutes = Annotated[int, "minutes"]
"""Minutes, 1 to 525,600."""
RememberDays = Annotated[int, "remember_days"]
"""Days, 0 to 366."""
HistoryDays = Annotated[int, "history_days"]
"""Days, 0 to 36,500; 0 = for ever."""
Rate = Annotated[int, "rate"]
"""Bytes a second; 0 = no limit."""
Clients = Annotated[tuple[str, ...], "clients"]
"""First characters of peer ids, such as "-qB"."""
Ports = Annotated[tuple[str, ...], "ports"]
"""Ports and ranges of them, "25" or "6881-6889"."""


@frozen
class Policy:
    """The keys of `[policy]` that decide about announces. They are logged with the settings.

    With the defaults the tracker behaves like the reference.
    """

    interval_jitter: Jitter = 0  # the most seconds that are added to `interval`
    enforce_interval_min: bool = False
    peers_per_account: Limit = 0  # on one torrent
    clients_allowed: Clients = ()  # () = all
    clients_denied: Clients = ()
    refused_ports: Ports = ()
    requests_per_minute: Limit = 0  # of one account or, without a valid key, one address
    max_torrents: Limit = 0
    max_peers: Limit = 0
    max_peers_per_torrent: Limit = 0
    retry_in_minutes: Minutes = 30
    ip_parameter: Literal["ignored", "local", "always"] = "ignored"
    partial_seeds: bool = False  # scrapes give `downloaders` (BEP 21)
    external_ip_in_replies: bool = False  # BEP 24
    # For accounting rules 2 and the book. They are not in the repr, because digests of older logs
    # have it.
    remember_days: RememberDays = field(default=7, repr=False)  # how long a base stays
    bases_per_account: Limit = field(default=2000, repr=False)
    resumed_rate: Rate = field(default=104_857_600, repr=False)  # of upload in a resumed gap
    history_days: HistoryDays = field(default=0, repr=False)  # how long the book keeps a row

    def added(self) -> tuple[int, ...]:
        """Returns the settings that are not in the repr, () if all have their defaults."""
        found = self.remember_days, self.bases_per_account, self.resumed_rate
        default = Policy()
        if self.history_days:
            return (*found, self.history_days)
        return () if found == (
            default.remember_days, default.bases_per_account, default.resumed_rate
        ) else found  # fmt: skip

    @classmethod
    def from_data(cls, data: dict[str, Any]) -> Policy:
        """Reads the policy in an event, without the keys that this version does not know."""
        known = {field.name for field in fields(cls)}
        values: dict[str, Any] = {
            name: tuple(value) if isinstance(value, list) else value
            for name, value in data.items()
            if name in known
        }
        return cls(**values)


class Rules:
    """Decides by a policy. If `active` is false, the rules affect no announce."""

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
        """Returns the refusal of an announce, 0 = none.

        Args:
            torrent: 0 = new.
            peer: 0 = new.
            port: 2 bytes, big-endian.
            account: the account of the key in private modes, else 0.
            evicted: the peer that would have to leave for this one, 0 = none.
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

    def counts(self, swarms: Swarms, torrent: int, info_hash: bytes) -> bool:
        """Tells whether a torrent's `completed` is counted, and so remembered for ever.

        The first one of a torrent is not where the counts of `max_torrents` torrents without peers
        are remembered. So who invents torrents and completes them cannot fill the memory.
        """
        return (
            not self._max_torrents
            or len(swarms.retired) < self._max_torrents
            or swarms.completed[torrent] > 0
            or info_hash in swarms.retired
        )

    def _full(self, swarms: Swarms, torrent: int) -> int:
        """Returns the refusal if there is no room for one more peer, else 0."""
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
        # A client that restarts under another peer_id takes the place of its former peer.
        own = len(swarms.of_account(torrent, account)) - (swarms.account_of(evicted) == account)
        return own >= self._peers_per_account

    def early(self, swarms: Swarms, peer: int, endpoint: bytes, event: int, now_us: int) -> bool:
        """Tells whether a peer announces sooner than allowed, so that its reply lists no peers.

        Only a peer that announces from its single address can be early, because in private modes a
        peer announces from each of its addresses in turn.
        """
        if not (self._early_us and peer) or event not in (events.NONE, events.PAUSED):
            return False
        if swarms.seen_us(peer) + self._early_us <= now_us:
            return False
        own, other = (swarms.v4, swarms.v6) if len(endpoint) == 6 else (swarms.v6, swarms.v4)
        return peer not in other and own.endpoint(peer) == endpoint


def _table(ports: tuple[str, ...]) -> bytes:
    """Returns 65,536 bytes with 1 for each refused port, or b"" for none."""
    table = bytearray(65536 if ports else 0)
    for text in ports:
        first, _, last = text.partition("-")
        low, high = int(first), int(last or first)
        table[low : high + 1] = b"\1" * (high + 1 - low)
    return bytes(table)
