"""Lets a population live: emits what its clients announce, in the order of time."""

from __future__ import annotations

import random
from hashlib import sha1
from heapq import heappop, heappush
from itertools import accumulate
from typing import TYPE_CHECKING, Any, NamedTuple

from attrs import define, field

from tests.population.people import Client, Member, People
from tests.population.shares import HONEST, Cheats, Shares
from tests.population.swarm import NEVER, Peer, Swarm, Window
from tests.support import START_US
from tracker.domain import events

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MINUTE, HOUR, DAY = 60.0, 3600.0, 86_400.0  # seconds
SILENCE = 7 * DAY  # for which what a silent peer lacked may explain what others say
INTERVAL = 30 * MINUTE  # between two announces of a client
SIZES = ((1e3, 1e6, 0.05), (1e6, 1e8, 0.15), (1e8, 4e9, 0.4), (4e9, 3e10, 0.35), (3e10, 1e11, 0.05))
"""Sizes of torrents: from, to, in bytes, and the share between them."""
GHOSTS = ("multiple", "rate", "idle", "beyond")


def log_time(seconds: float) -> int:
    """Returns a second of the population as log time, in microseconds."""
    return START_US + int(seconds * 1e6)


class Announce(NamedTuple):
    """What a client announced, and when it reached the tracker."""

    time_us: int
    account: int
    info_hash: bytes
    peer_id: bytes
    address: bytes  # packed: 4 bytes or 16
    port: int
    client: int  # the number of its program and version
    agent: bytes
    event: int
    uploaded: int
    downloaded: int
    left: int
    key: int  # 32 bits
    numwant: int


class Claim(NamedTuple):
    """What a cheat claimed in one window, beyond its true upload."""

    account: int
    swarm: Swarm
    begin: float  # seconds
    end: float
    uploaded: int  # said, true and false together


@define
class Population:
    """So many members for so many days. The same seed gives the same announces.

    `claims` and the lists of the swarms have the truth for measuring, after `announces` ended.
    """

    members: int
    days: float
    seed: int = 1
    shares: Shares = field(factory=Shares)
    cheats: Cheats = HONEST
    dice: random.Random = field(init=False)
    people: People = field(init=False)
    all: dict[int, Member] = field(factory=dict)
    swarms: list[Swarm] = field(factory=list)
    outages: list[tuple[float, float]] = field(factory=list)
    claims: list[Claim] = field(factory=list)
    now: float = 0.0  # seconds
    _published: list[Swarm] = field(factory=list)  # the newest last
    _popular: list[float] = field(factory=list)
    _said: list[Announce] = field(factory=list)
    _queue: list[tuple[float, int, Callable[[Any, Any], None], Any, Any]] = field(factory=list)
    _count: int = 0

    def __attrs_post_init__(self) -> None:
        self.dice = random.Random(self.seed)
        self.people = People(self.shares, self.dice, self.members)
        for _ in range(self.shares.outages):
            begin = self.dice.uniform(0.1, 0.9) * self.days * DAY
            self.outages.append((begin, begin + self.dice.uniform(2, 6) * HOUR))
        self._make_torrents()
        self._make_members()

    def announces(self) -> Iterator[Announce]:
        """Yields the announces. It can be called once."""
        queue, said, end = self._queue, self._said, self.days * DAY
        while queue and queue[0][0] < end:
            self.now, _, do, one, other = heappop(queue)
            do(one, other)
            if said:
                yield from said
                said.clear()
        for member in self.all.values():
            for client in member.clients:
                for peer in client.peers.values():
                    self._vanished(peer)  # for who sees announces only

    def at(self, when: float, do: Callable[[Any, Any], None], one: Any, other: Any = None) -> None:
        """Plans a call."""
        self._count += 1
        heappush(self._queue, (when, self._count, do, one, other))

    # The site.

    def _make_torrents(self) -> None:
        dice, number = self.dice, max(8, int(self.members * self.shares.torrents))
        for one in range(number):
            least, most, _ = dice.choices(SIZES, [each[2] for each in SIZES])[0]
            size = int(least * (most / least) ** dice.random())
            piece = min(max(1 << 14, 1 << (size // 1000).bit_length()), 1 << 24)
            self.swarms.append(
                Swarm(sha1(b"%d" % one, usedforsecurity=False).digest(), size, piece)
            )
        dice.shuffle(self.swarms)
        for twin, swarm in zip(self.swarms[1::8], self.swarms[::8], strict=False):
            # The same files with another info hash.
            twin.size, twin.piece, swarm.twin = swarm.size, swarm.piece, twin
        power = -self.shares.popularity
        self._popular = list(accumulate((rank + 1) ** power for rank in range(number)))

    def _make_members(self) -> None:
        dice, kinds = self.dice, self.cheats.all()
        cheats = round(self.cheats.share * self.members)
        for account in range(1, self.members + 1):
            cheat, amount = kinds[account % len(kinds)] if account <= cheats else (None, 0.0)
            member = self.people.member(account, cheat, amount)
            self.all[account] = member
            for client in member.clients:
                self._begin(client)
            self.at(self._wait(member), self._download, member)
        for swarm in self.swarms:
            if dice.random() < self.shares.new:
                self.at(dice.uniform(0, self.days * DAY), self._publish, swarm)
            else:
                self._first_seeder(swarm)
        for _ in range(int(self.members * self.shares.downloads * self.shares.seeding_days)):
            # What they have from before.
            client = dice.choice(self.all[dice.randrange(1, self.members + 1)].clients)
            self._add(client, self._some_torrent(), whole=True)

    def _first_seeder(self, swarm: Swarm) -> None:
        dice = self.dice
        while True:
            client = dice.choice(self.all[dice.randrange(1, self.members + 1)].clients)
            if client.kind in ("always", "seedbox") and swarm not in client.peers:
                break
        self._published.append(swarm)
        swarm.published = True
        peer = self._add(client, swarm, whole=True)
        peer.until = NEVER if dice.random() < 0.7 else dice.uniform(1, 40) * DAY
        if dice.random() < self.shares.super_seeding:
            peer.copies = dice.uniform(1.0, 1.3)
            client.member.traits.add("super-seeding")

        if client.online:
            self._open(peer)

    def _publish(self, swarm: Swarm, _: object) -> None:
        """Adds a torrent to the site; the clients of some members take all that is new."""
        self._first_seeder(swarm)
        for _ in range(1 + int(self.members * self.shares.grabbed)):
            client = self.dice.choice(self.all[self.dice.randrange(1, self.members + 1)].clients)
            self.at(self.now + self.dice.uniform(5, 600), self._take, client, swarm)

    def _some_torrent(self) -> Swarm:
        """Draws one of the newest torrents, or one by the power law."""
        dice = self.dice
        if dice.random() > self.shares.fresh:
            swarm = dice.choices(self.swarms, cum_weights=self._popular)[0]
            if swarm.published:
                return swarm
        back = 1 + int(dice.expovariate(1 / 4))
        return self._published[-min(back, len(self._published))]

    def is_freeleech(self, when: float) -> bool:
        """Tells whether downloads are free on this day."""
        return when % (self.shares.freeleech_days * DAY) >= (self.shares.freeleech_days - 1) * DAY

    def is_down(self, when: float) -> bool:
        """Tells whether the tracker is out of reach."""
        return any(begin <= when < end for begin, end in self.outages)

    # Members.

    def _wait(self, member: Member) -> float:
        """Returns when a member wants another torrent."""
        rate = self.shares.downloads / DAY * (len(member.clients) if member.cheat else 1)
        if self.is_freeleech(self.now):
            rate *= 3
        return self.now + min(self.dice.expovariate(rate), 2 * DAY / self.shares.downloads)

    def _download(self, member: Member, _: object) -> None:
        self.at(self._wait(member), self._download, member)
        self._take(self.dice.choice(member.clients), self._some_torrent())

    def _take(self, client: Client, swarm: Swarm) -> None:
        """Adds a torrent to a client that is on, to download it."""
        dice, shares, member = self.dice, self.shares, client.member
        if not client.online or swarm in client.peers:
            return
        if swarm in client.had:
            if dice.random() > shares.again:
                return
            member.traits.add("downloads again")
        peer = self._add(client, swarm)
        if dice.random() < shares.existing:
            member.traits.add("adds existing files")
            peer.have = peer.wanted = swarm.size
            if dice.random() < 0.3:  # some are missing
                peer.have = int(swarm.size * dice.uniform(0.5, 0.99))
            if dice.random() < shares.checks_aloud:
                peer.checked, peer.check_rate = self.now, client.check_rate
            else:
                self.at(self.now + swarm.size / client.check_rate, self._reopen, peer)
                return
        elif dice.random() < shares.partial:
            member.traits.add("deselects files")
            peer.wanted = int(swarm.size * dice.uniform(0.05, 0.9))
        if dice.random() < shares.silent_leecher:
            member.traits.add("falls silent")
            peer.silent_at = int(peer.wanted * dice.random())
        self._open(peer)

    def _add(self, client: Client, swarm: Swarm, *, whole: bool = False) -> Peer:
        """Gives a torrent to a client; it joins the swarm with `_open`."""
        peer = client.peers.get(swarm) or Peer(client, swarm, swarm.size)
        client.peers[swarm] = peer
        client.had.add(swarm)
        if whole:
            peer.have = swarm.size
            peer.until = self._seeds_until()
        return peer

    def _seeds_until(self) -> float:
        return self.now + self.dice.lognormvariate(0, 1) * self.shares.seeding_days * DAY

    # Clients.

    def _begin(self, client: Client) -> None:
        """Plans the days of a client."""
        dice = self.dice
        if client.kind in ("always", "seedbox"):
            self.at(dice.uniform(0, INTERVAL), self._switch_on, client)
        else:
            self.at((client.hour + dice.uniform(-1, 1)) % 24 * HOUR, self._switch_on, client)
        if client.daily:
            self.at(dice.uniform(0, DAY), self._new_address, client)
        if client.vpn:
            self.at(dice.uniform(0, DAY), self._new_exit, client)

    def _new_address(self, client: Client, _: object) -> None:
        self.people.next_day(client)
        self.at(self.now + DAY + self.dice.uniform(0, 60), self._new_address, client)

    def _new_exit(self, client: Client, _: object) -> None:
        client.address = self.dice.choice(client.network)
        client.port = self.dice.randrange(10_000, 65_000)
        if self.dice.random() < 0.3:  # it notices, and announces at once
            self._announce_all(client)
        self.at(self.now + self.dice.uniform(1, 30) * HOUR, self._new_exit, client)

    def _announce_all(self, client: Client) -> None:
        for peer in client.peers.values():
            if peer.place >= 0 and not peer.silent:
                peer.token += 1
                self.at(self.now + self.dice.uniform(0, 5), self._announce, peer, peer.token)

    def _switch_on(self, client: Client, _: object) -> None:
        """Starts a client: each torrent begins a session."""
        dice = self.dice
        client.online = True
        client.key = dice.getrandbits(32)
        for peer in list(client.peers.values()):
            self._open(peer)
        if client.kind == "always" or client.kind == "seedbox":
            self.at(
                self.now + dice.expovariate(1 / (self.shares.restart_days * DAY)),
                self._switch_off, client,
            )  # fmt: skip
        elif client.kind == "evening":
            hours = max(0.5, client.hours + dice.gauss(0, 1))
            self.at(self.now + hours * HOUR, self._switch_off, client)
        else:
            self.at(self.now + dice.uniform(0.5, 4) * HOUR, self._sleep, client)

    def _switch_off(self, client: Client, _: object) -> None:
        """Ends a client, with or without a word."""
        dice = self.dice
        silent = dice.random() < self.shares.silent_end
        if silent:
            client.member.traits.add("ends without stopped")
        client.online = False
        for peer in list(client.peers.values()):
            peer.token += 1
            if peer.place >= 0:
                self._close(peer, silent=silent)
        if client.kind in ("always", "seedbox"):
            self.at(self.now + dice.uniform(20, 600), self._switch_on, client)
            client.member.traits.add("restarts")
        else:
            next_time = (self.now // DAY + 1) * DAY + (client.hour + dice.gauss(0, 1)) * HOUR
            self.at(max(next_time, self.now + HOUR), self._switch_on, client)

    def _sleep(self, client: Client, _: object) -> None:
        """Lets a laptop sleep: its torrents fall silent, and keep their counters."""
        dice = self.dice
        if dice.random() < 0.1:
            self._switch_off(client, None)
            return
        for peer in client.peers.values():
            peer.token += 1
            peer.swarm.leave(peer)
        client.online = False
        self.at(self.now + dice.choice((0.2, 1, 3, 9, 14, 40)) * HOUR, self._wake, client)

    def _wake(self, client: Client, _: object) -> None:
        dice = self.dice
        client.online = True
        if client.network and not client.vpn and dice.random() < self.shares.laptop_moves:
            client.address = dice.choice(client.network)
            client.member.traits.add("moves between networks")
        client.member.traits.add("sleeps")
        for peer in list(client.peers.values()):
            self._connect(peer)
        self._announce_all(client)
        if dice.random() < 0.2:  # the network came back in two steps
            for peer in client.peers.values():
                self.at(self.now + dice.uniform(5, 30), self._announce_once, peer)
        self.at(self.now + dice.uniform(0.5, 4) * HOUR, self._sleep, client)

    # Torrents in a client.

    def _open(self, peer: Peer) -> None:
        """Begins a session of a torrent: another peer_id, counters at 0."""
        client, dice = peer.client, self.dice
        if peer.silent or not client.online:
            return
        peer.peer_id = client.prefix + b"%012d" % dice.randrange(10**12)
        peer.up = peer.down = peer.claim = peer.said = 0
        peer.told = None
        peer.claimed_at = self.now
        peer.token += 1
        if client.member.cheat in GHOSTS and peer.swarm.history is None:
            peer.swarm.history = []
        self.at(self.now + dice.uniform(0, 8), self._start, peer, peer.token)

    def _start(self, peer: Peer, token: int) -> None:
        if token != peer.token or peer.silent:
            return
        if not self._say(peer, events.STARTED):
            self.at(self.now + self.dice.uniform(1, 10) * MINUTE, self._start, peer, token)
            return  # without a list of peers it has nobody to connect to
        self._connect(peer)
        if peer.client.member.cheat == "dark leech" and not peer.seeds:
            peer.silent = True  # until it has everything
            self._vanished(peer)
            return
        self._plan(peer)

    def _connect(self, peer: Peer) -> None:
        """Lets a peer exchange bytes, and plans the next round of its swarm."""
        swarm = peer.swarm
        swarm.join(peer, self.now)
        if swarm.leechers and len(swarm.peers) > 1 and swarm.due > self.now + 30:
            swarm.due = self.now + self.dice.uniform(3, 20)
            self.at(swarm.due, self._move, swarm, swarm.due)

    def _close(self, peer: Peer, *, silent: bool) -> None:
        """Ends a session."""
        peer.token += 1
        peer.swarm.leave(peer)
        if silent or peer.silent:
            self._vanished(peer)
            peer.silent = peer.silent and peer.silent_at >= 0
        else:
            self._say(peer, events.STOPPED)

    def _remove(self, peer: Peer) -> None:
        """Removes a torrent from a client."""
        if peer.place >= 0:
            self._close(peer, silent=False)
        peer.client.peers.pop(peer.swarm, None)

    def _vanished(self, peer: Peer) -> None:
        if peer.told:
            begin, _, left = peer.told
            account = peer.client.member.account
            peer.swarm.windows.append(Window(self.now + SILENCE, begin, left, account))

    def _move(self, swarm: Swarm, due: float) -> None:
        """Moves the bytes of a swarm; those that have all they want say so."""
        if due != swarm.due:
            return
        moved = swarm.move(self.now, self.dice, self.shares.hash_fail)
        for peer in moved:
            if 0 <= peer.silent_at <= peer.have and not peer.silent:
                peer.silent = True
                peer.token += 1
                self._vanished(peer)
                # Its connections live longer than its announces.
                self.at(self.now + self.dice.expovariate(1 / HOUR), self._gone, peer)
            if peer.seeds:
                swarm.completed(peer)
                self._complete(peer)
        swarm.due = swarm.next_round(self.now, bool(moved))
        if swarm.due < NEVER:
            self.at(swarm.due, self._move, swarm, swarm.due)

    def _gone(self, peer: Peer, _: object) -> None:
        peer.swarm.leave(peer)
        peer.client.peers.pop(peer.swarm, None)

    def _complete(self, peer: Peer) -> None:
        dice, member = self.dice, peer.client.member
        peer.until = self._seeds_until()
        if peer.silent and member.cheat == "dark leech" and peer.silent_at < 0:
            peer.silent = False
            member.acts += 1
            self.at(self.now + dice.uniform(1, 60), self._reopen, peer)
            return
        if peer.silent:
            return
        peer.completes = True
        peer.token += 1
        self.at(self.now + dice.uniform(0, 2), self._announce, peer, peer.token)
        twin, whole = peer.swarm.twin, peer.wanted == peer.swarm.size
        crosses = dice.random() < self.shares.cross_seed
        if crosses and whole and twin and twin.published and twin not in peer.client.peers:
            member.traits.add("cross-seeds")
            self._open(self._add(peer.client, twin, whole=True))

    def _reopen(self, peer: Peer, _: object) -> None:
        if peer.client.online and peer.place < 0:
            self._open(peer)

    # Announces.

    def _plan(self, peer: Peer) -> None:
        dice, shares = self.dice, self.shares
        wait = INTERVAL * peer.client.clock + dice.uniform(0, 4)
        draw = dice.random()
        if draw < shares.late:
            wait += dice.uniform(1, 25) * MINUTE
        elif draw < shares.late + shares.early:
            wait = dice.uniform(30, 600)
        peer.token += 1
        self.at(self.now + wait, self._announce, peer, peer.token)

    def _announce_once(self, peer: Peer, _: object) -> None:
        if peer.place >= 0 and not peer.silent:
            self._say(peer, events.NONE)

    def _announce(self, peer: Peer, token: int) -> None:
        """Announces at the client's turn, and plans the next turn."""
        if token != peer.token or peer.place < 0 or peer.silent:
            return
        if self.now > peer.until:
            self._remove(peer)
            return
        if peer.checked >= 0:
            self._check(peer)
        elif self.dice.random() < INTERVAL / DAY / self.shares.recheck_days:
            self._recheck(peer)
            if peer.place < 0:
                return
        event = events.NONE
        if peer.completes:
            event = events.COMPLETED
        elif peer.wanted < peer.swarm.size and peer.seeds:
            event = events.PAUSED
        if self._say(peer, event):
            peer.completes = False
        self._plan(peer)

    def _check(self, peer: Peer) -> None:
        """Ends a check of files when all are read."""
        if (self.now - peer.checked) * peer.check_rate >= peer.swarm.size:
            peer.checked = -1.0
            self._connect(peer)
            if peer.seeds:
                peer.until = self._seeds_until()
                peer.completes = self.dice.random() < 0.3  # some programs say it then

    def _recheck(self, peer: Peer) -> None:
        """Begins to check files; what is damaged will be downloaded anew."""
        peer.client.member.traits.add("rechecks")
        if self.dice.random() < self.shares.corrupt:
            peer.have -= min(peer.have, self.dice.randrange(1, 9) * peer.swarm.piece)
            if not peer.seeds:
                peer.swarm.damaged(peer)
        rate = peer.client.check_rate
        if self.dice.random() < self.shares.checks_aloud:
            peer.checked, peer.check_rate = self.now, rate
            return
        self._close(peer, silent=False)
        self.at(self.now + peer.swarm.size / rate, self._start, peer, peer.token)

    def _say(self, peer: Peer, event: int) -> bool:
        """Emits an announce; tells whether it reached the tracker."""
        if self.is_down(self.now):
            return False
        client, swarm, dice = peer.client, peer.swarm, self.dice
        member, draw = client.member, dice.random()
        uploaded, downloaded = int(peer.up * client.overhead), peer.down
        left = swarm.left(peer, self.now)
        if member.cheat:
            uploaded, downloaded = self._lie(peer, uploaded)
        one = Announce(
            log_time(self.now), member.account, swarm.info_hash, peer.peer_id,
            client.address, client.port, client.program, client.agent, event, uploaded,
            0 if client.stuck else downloaded, left, client.key,
            0 if event == events.STOPPED else 200 if client.program == 0 else 50,
        )  # fmt: skip
        self._said.append(one)
        begin, down, missing = peer.told or (self.now, peer.down, swarm.size)
        peer.told = self.now, peer.down, left
        if swarm.history is not None:
            got = max(peer.down - down, missing - left)
            swarm.windows.append(Window(self.now, begin, got, member.account))
        if client.v6:
            self.at(self.now + dice.uniform(0, 1), self._arrive, one, client.v6)
        if draw < self.shares.repeated:
            self.at(self.now + dice.uniform(1, 60), self._arrive, one, client.address)
        elif draw < self.shares.repeated + self.shares.overtaken and event == events.NONE:
            self._said.pop()
            self.at(self.now + dice.uniform(5, 90) * MINUTE, self._arrive, one, client.address)
        return True

    def _arrive(self, one: Announce, address: bytes) -> None:
        """Emits an announce at another time, or from another address, than it was made."""
        if not self.is_down(self.now):
            self._said.append(one._replace(time_us=log_time(self.now), address=address))

    def _lie(self, peer: Peer, uploaded: int) -> tuple[int, int]:
        """Returns what a cheat says that it uploaded and downloaded."""
        member, swarm, amount = peer.client.member, peer.swarm, peer.client.member.amount
        seconds, before = self.now - peer.claimed_at, peer.claimed_at
        peer.claimed_at = self.now
        others = len(swarm.leechers) - (peer in swarm.leechers)
        claim = peer.claim
        if member.cheat == "multiple":
            peer.claim = int(uploaded * (amount - 1))
        elif (member.cheat == "rate" and others) or (member.cheat == "idle" and not others):
            peer.claim += int(seconds * amount)
        elif member.cheat == "beyond" and peer.seeds and peer.claim < amount * swarm.size:
            peer.claim += int(amount * swarm.size)
        elif member.cheat == "ghost leech":
            member.acts += peer.down > 0
            return uploaded, int(peer.down * amount)
        uploaded += peer.claim
        if peer.claim > claim and peer.told:  # what the first announce says counts for nobody
            moved = uploaded - peer.said
            member.acts += 1
            self.claims.append(Claim(member.account, swarm, before, self.now, moved))
        member.acts += member.cheat == "shared"
        peer.said = uploaded
        return uploaded, peer.down
