"""Draws the members of a population, their clients and their networks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import define, field

if TYPE_CHECKING:
    import random

    from tests.population.shares import Shares
    from tests.population.swarm import Peer, Swarm

MBIT = 125_000  # bytes a second
PROGRAMS = (
    (b"-qB4650-", b"qBittorrent/4.6.5", 0.45, 0),
    (b"-qB5010-", b"qBittorrent/5.0.1", 0.15, 0),
    (b"-TR4050-", b"Transmission/4.0.5", 0.15, 51413),
    (b"-DE211s-", b"Deluge/2.1.1 libtorrent/2.0.9.0", 0.1, 6881),
    (b"-lt0D80-", b"rtorrent/0.9.8/0.13.8", 0.1, 6890),
    (b"-UT355W-", b"uTorrent/3.5.5", 0.05, 0),
)
"""Beginning of the peer_id, User-Agent, share, and the port that it came with, 0 = a random one."""
STUCK = (b"-XX0100-", b"Stuck/1.0", 0.0, 0)
"""The same of a version that always reports 0 as `downloaded`."""
LINES = ((10, 1, 0.1), (50, 10, 0.3), (100, 20, 0.2), (250, 40, 0.2), (1000, 500, 0.2))
"""Down and up in Mbit/s, and the share of the lines at home."""


@define(eq=False)
class Member:
    """A member, with what is odd about it, as words. `cheat` is None for an honest one."""

    account: int
    cheat: str | None = None
    amount: float = 0.0
    acts: int = 0  # times that it cheated
    traits: set[str] = field(factory=set)
    clients: list[Client] = field(factory=list)


@define(eq=False)
class Client:
    """A program that a member runs on one machine. Its rates are shared by its torrents."""

    member: Member
    kind: str  # always, evening, laptop, seedbox
    program: int  # of PROGRAMS, or more: a version that nobody else has
    prefix: bytes
    agent: bytes
    down_rate: float  # bytes a second
    up_rate: float
    address: bytes
    port: int
    key: int  # the client's `key`, 32 bits
    network: list[bytes]  # addresses from which it announces in turn; one = always that
    v6: bytes | None = None
    daily: bool = False  # has another address each day
    vpn: bool = False
    stuck: bool = False
    clock: float = 1.0  # seconds of the tracker in a second of its timer
    overhead: float = 1.0  # what it counts for a byte that it uploads
    check_rate: float = 1e8  # bytes a second
    hour: float = 0.0  # at which it is switched on
    hours: float = 24.0  # for which it is on
    online: bool = False
    down_free: float = 0.0  # second until which its line is in use
    up_free: float = 0.0
    peers: dict[Swarm, Peer] = field(factory=dict)
    had: set[Swarm] = field(factory=set)


@define
class People:
    """Draws members from the shares of a population."""

    shares: Shares
    dice: random.Random
    size: int
    _free: bytes = b""
    _exits: list[bytes] = field(factory=list)
    _cgnat: list[bytes] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        self._exits = [bytes([185, 9, group, one]) for group in range(8) for one in range(2, 7)]
        shared = max(2, int(self.size * self.shares.cgnat / 24))
        self._cgnat = [bytes([100, 70 + one // 256, one % 256, 9]) for one in range(shared)]

    def member(self, account: int, cheat: str | None, amount: float) -> Member:
        """Returns a member with one client or more."""
        dice, shares = self.dice, self.shares
        member = Member(account, cheat, amount)
        draw, kind = dice.random(), "laptop"
        for name, share in (
            ("always", shares.always_on), ("evening", shares.evening), ("seedbox", shares.seedbox),
        ):  # fmt: skip
            draw -= share
            if draw < 0:
                kind = name
                break
        self._client(member, kind)
        if dice.random() < shares.second_client:
            member.traits.add("several clients")
            self._client(member, dice.choice(("seedbox", "seedbox", "evening")))
        for _ in range(int(amount) - 1 if cheat == "shared" else 0):
            self._client(member, dice.choice(("always", "evening")))
        return member

    def _client(self, member: Member, kind: str) -> None:
        dice, shares, home = self.dice, self.shares, kind != "seedbox"
        number = dice.choices(range(len(PROGRAMS)), [one[2] for one in PROGRAMS])[0]
        stuck = dice.random() < shares.stuck_version
        prefix, agent, _, default = STUCK if stuck else PROGRAMS[number]
        if stuck:
            number = len(PROGRAMS)
        if dice.random() < shares.other_client:
            number = len(PROGRAMS) + member.account  # 0 is no account
            agent += b" (%d)" % member.account
            member.traits.add("a version of its own")
        if home:
            down, up, _ = dice.choices(LINES, [line[2] for line in LINES])[0]
            # A part of the line is left for this.
            part, up_part = dice.uniform(0.05, 1), dice.uniform(0.05, 1)
        else:
            down = up = dice.choice((1000, 1000, 2500, 10_000))
            part = up_part = 1.0
        client = Client(
            member, kind, number, prefix, agent, part * down * MBIT, up_part * up * MBIT, b"",
            dice.randrange(10_000, 65_000), dice.getrandbits(32), [],
            check_rate=dice.choice((2e7, 1e8, 3e8, 1e9)),
            overhead=1 + dice.random() * shares.overhead,
            hour=dice.gauss(18, 3) % 24, hours=max(1.0, dice.gauss(5, 2)),
        )  # fmt: skip
        if default and dice.random() < shares.default_port:
            client.port = default
        if dice.random() < shares.wrong_clock:
            client.clock = dice.uniform(0.8, 1.2)
            member.traits.add("wrong clock")
        if stuck or dice.random() < shares.stuck_alone:
            client.stuck = True
            member.traits.add("downloaded stays 0")
        self._connect(client, home)
        member.traits.add(kind)
        member.clients.append(client)

    def _connect(self, client: Client, home: bool) -> None:
        """Gives a client its addresses."""
        dice, shares, traits = self.dice, self.shares, client.member.traits
        client.address = self._address()
        if not home:
            client.address = bytes([95, 211, dice.randrange(256), dice.randrange(1, 255)])
        elif dice.random() < shares.household:
            # Every other one moves in with the one before.
            if self._free:
                client.address, self._free = self._free, b""
            else:
                self._free = client.address
            traits.add("household")
        elif dice.random() < shares.cgnat:
            client.address = dice.choice(self._cgnat)
            traits.add("CGNAT")
        elif dice.random() < shares.vpn:
            client.vpn, client.network = True, self._exits
            client.address = dice.choice(self._exits)
            traits.add("VPN")
        elif dice.random() < shares.daily_address:
            client.daily = True
            traits.add("daily address")
        if client.kind == "laptop" and not client.vpn:
            # At home, at work, and in places with a network that others use, too.
            client.network = [client.address, self._address(), dice.choice(self._cgnat)]
        if dice.random() < shares.dual_stack and not client.vpn:
            client.v6 = self.v6()
            traits.add("IPv4 and IPv6")

    def _address(self) -> bytes:
        dice = self.dice
        return bytes([80 + dice.randrange(12), *(dice.randrange(1, 255) for _ in range(3))])

    def next_day(self, client: Client) -> None:
        """Gives a client another address of its provider."""
        tail = bytes(self.dice.randrange(1, 255) for _ in range(2))
        client.address = client.address[:2] + tail
        if client.v6:
            client.v6 = self.v6()

    def v6(self) -> bytes:
        """Returns an address in a household's network."""
        dice = self.dice
        return b"\x20\x01\x0d\xb8" + dice.getrandbits(32).to_bytes(4, "big") + dice.randbytes(8)
