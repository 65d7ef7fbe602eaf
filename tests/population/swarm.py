"""Moves the bytes of a swarm, so that what one peer uploads is what another receives."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from attrs import define, field

if TYPE_CHECKING:
    import random

    from tests.population.people import Client

NEVER = 1e18  # seconds
SOURCES = 4  # peers that a leecher asks in a round
LONGEST_ROUND = 300.0  # seconds
STALLED_ROUND = 1200.0  # seconds, while nobody has what the leechers miss


class Window(NamedTuple):
    """What a peer can have received between two announces, for who sees no more than these.

    It is what it truly received, or by how much `left` fell, also when files were only checked.
    With the first announce comes all that the peer has. After the last one, if the peer fell
    silent, it can receive what it said as `left`.
    """

    end: float  # seconds
    begin: float
    received: int
    account: int


@define(eq=False)
class Peer:
    """A torrent in a client. `up` and `down` are the true bytes of its session.

    `place` is where it stands in `Swarm.peers`, -1 = it is not connected. `claim` is what a cheat
    adds to `up`.
    """

    client: Client
    swarm: Swarm
    wanted: int  # bytes of the files that it wants
    have: int = 0
    until: float = NEVER  # when its member removes it
    silent_at: int = -1  # falls silent when it has so many bytes; -1 = does not
    peer_id: bytes = b""
    up: int = 0
    down: int = 0
    claim: int = 0
    claimed_at: float = 0.0
    said: int = 0  # what a cheat said last as uploaded
    place: int = -1
    told: tuple[float, int, int] | None = None  # of its last announce: time, down, left
    token: int = 0  # of the announce that is due; others in the queue are void
    silent: bool = False
    checked: float = -1.0  # when a check of its files began; -1 = they are checked
    check_bytes: int = 0  # that the check finds
    check_rate: float = 1e8  # bytes a second
    completes: bool = False  # it has to report `completed`
    copies: float = NEVER  # sizes that a super-seeder hands out

    @property
    def seeds(self) -> bool:
        return self.have >= self.wanted


@define(eq=False)
class Swarm:
    """A torrent and the peers that are connected to each other.

    `received` counts all true bytes. If somebody claims too much in it, `history` says what was
    received when, and `windows` between which announces; those of silent peers are there always.
    """

    info_hash: bytes
    size: int
    piece: int
    twin: Swarm | None = None
    published: bool = False
    peers: list[Peer] = field(factory=list)
    leechers: dict[Peer, None] = field(factory=dict)
    seeders: int = 0
    moved: float = 0.0  # when bytes were moved last
    due: float = NEVER  # when they are moved next
    received: int = 0
    history: list[tuple[float, int, int]] | None = None  # time, bytes received, account
    windows: list[Window] = field(factory=list)

    def join(self, peer: Peer, now: float) -> None:
        """Connects a peer."""
        if peer.place >= 0:
            return
        peer.place = len(self.peers)
        self.peers.append(peer)
        if not self.leechers:
            self.moved = now
        if peer.seeds:
            self.seeders += 1
        else:
            self.leechers[peer] = None

    def leave(self, peer: Peer) -> None:
        """Disconnects a peer."""
        if peer.place < 0:
            return
        last = self.peers.pop()
        if last is not peer:
            self.peers[peer.place] = last
            last.place = peer.place
        peer.place = -1
        if peer in self.leechers:
            del self.leechers[peer]
        else:
            self.seeders -= 1

    def completed(self, peer: Peer) -> None:
        """Counts a connected leecher as a seeder from now on."""
        if self.leechers.pop(peer, 1) is None:
            self.seeders += 1

    def damaged(self, peer: Peer) -> None:
        """Counts a connected seeder as a leecher from now on."""
        if peer.place >= 0 and peer not in self.leechers:
            self.seeders -= 1
            self.leechers[peer] = None

    def move(self, now: float, dice: random.Random, hash_fail: float) -> list[Peer]:
        """Moves bytes for the time since the last round; returns the leechers that moved some."""
        since, self.moved = self.moved, now
        peers, full, draw = self.peers, self.seeders > 0, dice.random
        moved = []
        for leecher in list(self.leechers):
            client = leecher.client
            begin = max(client.down_free, since)
            need = leecher.wanted - leecher.have
            take = wish = min(need, int((now - begin) * client.down_rate))
            if take <= 0 or leecher.checked >= 0:
                continue
            for _ in range(SOURCES):
                source = peers[int(draw() * len(peers))]
                other = source.client
                if other is client or not source.have or source.checked >= 0:
                    continue
                other_begin = max(other.up_free, since)
                give = min(take, int((now - other_begin) * other.up_rate))
                if not full:
                    give = min(give, source.have - leecher.have)
                if source.copies < 1e9:
                    give = min(give, int(source.copies * self.size) - source.up)
                if give <= 0:
                    continue
                other.up_free = other_begin + give / other.up_rate
                source.up += give
                take -= give
                if take <= 0:
                    break
            got = wish - take
            if got:
                client.down_free = begin + got / client.down_rate
                leecher.down += got
                self.received += got
                kept = got if draw() > hash_fail else max(0, got - self.piece)
                leecher.have += kept
                moved.append(leecher)
                if self.history is not None:
                    self.history.append((now, got, client.member.account))
        return moved

    def next_round(self, now: float, moved: bool) -> float:
        """Returns when bytes are moved next: sooner where a download is about to end."""
        if not self.leechers or len(self.peers) < 2:
            return NEVER
        if not moved:
            return now + STALLED_ROUND
        least = min((peer.wanted - peer.have) / peer.client.down_rate for peer in self.leechers)
        return now + min(max(least / 3, 4.0), LONGEST_ROUND)

    def left(self, peer: Peer, now: float) -> int:
        """Returns what the client of a peer reports as left, in whole pieces."""
        have = peer.have
        if peer.checked >= 0:
            have = min(have, int((now - peer.checked) * peer.check_rate))
        missing = self.size - have
        return min(self.size, -(-missing // self.piece) * self.piece)
