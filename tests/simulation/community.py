"""A month of a private community: clients as people run them, and a site that changes its rules.

Events are log time, so a month takes seconds. The same seed gives the same month again.
"""

from __future__ import annotations

import random
from heapq import heappop, heappush
from itertools import count
from typing import TYPE_CHECKING

from attrs import define, evolve, field

from tests.support import (
    SECOND,
    SELECTION_KEY,
    Announce,
    HandTime,
    MemoryLog,
    announce,
    endpoint4,
    endpoint6,
    hash_of,
    issue,
    key_hash,
    key_text,
    revoke,
    rotate,
)
from tracker.domain import events, image
from tracker.domain.events.admin import (
    AddressesLost,
    AddressesShredded,
    CreditCorrected,
    CreditFactorEnded,
    CreditFactorSet,
    TorrentDelisted,
    TorrentWhitelisted,
    TrackerStarted,
    TrackerStopped,
)
from tracker.domain.policy import Policy
from tracker.domain.settings import Settings
from tracker.domain.state import State
from tracker.service.service import Service

if TYPE_CHECKING:
    from collections.abc import Callable

MINUTE, HOUR, DAY = 60 * SECOND, 3600 * SECOND, 86_400 * SECOND
MIB = 1 << 20
SLICE = 4 * MINUTE  # clients announce in batches so far apart; a tick is each fifth
TORRENTS = 60
FIRST = Settings(
    private=True,
    max_peer_timeout=10_800,
    inactive_peer_cleanup_interval=1200,
    tick_ms=1_200_000,
    accounting=2,
    policy=Policy(remember_days=7),
)
KINDS = ("desktop",) * 4 + ("laptop",) * 3 + ("proxy",) * 2 + ("seedbox", "twins")


@define
class Member:
    """Holds a key, except for a time after it was revoked."""

    number: int
    account: int
    key: bytes
    clients: list[Client] = field(factory=list)


@define
class Client:
    """A client of a member, on one torrent.

    Kinds: `desktop` is on for some hours a day. `laptop` sleeps for hours or days without a word,
    and its counters go on or begin anew. `proxy` announces from changing addresses, some of which
    others have too; its announces come twice, late, out of order or never. `seedbox` uploads about
    as fast as `resumed_rate` allows, over both families. `twins` are two copies of a client, with
    one key and one peer_id, and counters of their own.
    """

    member: Member
    number: int
    kind: str
    info_hash: bytes
    size: int
    rate: int  # bytes of upload a second
    partial: bool = False  # wants a part only, and says so
    up: int = 0
    down: int = 0
    left: int = 0
    at_us: int = 0  # when it last moved bytes
    says: int = events.STARTED
    twin: tuple[int, int] = (0, 0)  # the counters of the other copy

    def announces(self, chance: random.Random, now: int) -> tuple[list[tuple[int, Announce]], int]:
        """Returns announces, each with its delay, and the time until its next turn."""
        self._move(chance, now)
        said = self.said(chance)
        self.says = events.NONE
        wait = chance.randrange(80, 150) * MINUTE
        found = [(0, said)]
        if said.event == events.STOPPED:
            self._begin_anew()
            wait = chance.randrange(2, 15) * HOUR
        elif self.kind == "laptop" and chance.random() < 0.08:
            # It wakes up and goes on, or was switched off and begins anew.
            wait = chance.choice((3 * HOUR, 9 * HOUR, 30 * HOUR, 4 * DAY, 8 * DAY))
            if chance.random() < 0.3:
                self._begin_anew()
        elif self.kind == "seedbox":
            found.append((SECOND, evolve(said, endpoint=endpoint6(self.number))))
            if chance.random() < 0.01:  # its network is gone for longer than it is listed
                wait = chance.choice((4 * HOUR, 20 * HOUR))
        elif self.kind == "proxy":
            found = self._through_proxy(chance, said)
        elif self.kind == "twins":
            self.twin, (self.up, self.down) = (self.up, self.down), self.twin
        if self.kind == "desktop" and chance.random() < 0.02:
            self.says = events.STOPPED
        return found, wait

    def _move(self, chance: random.Random, now: int) -> None:
        seconds = min(now - self.at_us, DAY) // SECOND if self.at_us else 0
        self.at_us = now
        self.up += int(seconds * self.rate * chance.choice((0.0, 0.5, 1.0, 1.3)))
        got = min(self.left, seconds * 400_000)
        self.down += got
        self.left -= got

    def _begin_anew(self) -> None:
        """Starts with counters of zero, as most clients do for a session."""
        self.up = self.down = 0
        self.says = events.STARTED

    def said(self, chance: random.Random) -> Announce:
        home = endpoint6 if self.kind == "desktop" and chance.random() < 0.2 else endpoint4
        event = events.PAUSED if self.partial and self.says == events.NONE else self.says
        return Announce(
            self.info_hash,
            home(self.number),
            b"-XX0001-%012d" % self.number,
            self.up,
            self.down,
            max(self.left, 7) if self.partial else self.left,
            event,
            key=self.member.key,
        )

    def _through_proxy(self, chance: random.Random, said: Announce) -> list[tuple[int, Announce]]:
        """Returns it from one of a few addresses: never, once or twice, at once or late."""
        shared = [evolve(said, endpoint=endpoint4(chance.randrange(8), 7000)) for _ in range(2)]
        fate = chance.random()
        if fate < 0.15:
            return []
        if fate < 0.3:
            return [(0, shared[0]), (chance.randrange(40) * SECOND, shared[1])]
        if fate < 0.4:  # after the next one, whose counters are higher
            return [(chance.randrange(120, 240) * MINUTE, shared[0])]
        if fate < 0.45:  # a counter of an earlier moment
            return [(0, evolve(shared[0], uploaded=max(0, self.up - 5000)))]
        return [(0, shared[0])]


def some_torrent(chance: random.Random) -> int:
    """Draws a torrent; half of all clients are in a few large swarms."""
    return chance.randrange(chance.choice((6, TORRENTS)))


@define
class Community:
    """So many members, for a month or less. After `live`, `service` and `log` have it."""

    seed: int
    members: int = 200
    days: int = 30
    time: HandTime = field(factory=HandTime)
    log: MemoryLog = field(factory=MemoryLog)
    lost: int = 0  # events that crashes took
    chance: random.Random = field(init=False)
    service: Service = field(init=False)
    _settings: Settings = FIRST
    _all: list[Member] = field(factory=list)
    _due: list[tuple[int, int, Client | Announce]] = field(factory=list)
    _order: count[int] = field(factory=count)
    _keys: count[int] = field(factory=count)

    def __attrs_post_init__(self) -> None:
        self.chance = random.Random(self.seed)

    def live(self) -> None:
        self._start(State())
        for number in range(self.members):
            self._join(number)
        slices = self.days * DAY // SLICE
        plan = self._plan(slices)
        for number in range(slices):
            self.time.advance(SLICE)
            if number % 5 == 0:
                self.service.tick()
            if number % 15 == 0:
                self.log.cut()  # durable: a crash keeps it
            for act in plan.get(number, ()):
                act()
            self._announce()

    # Clients.

    def _join(self, number: int) -> None:
        chance = self.chance
        key = key_text(next(self._keys))
        issue(self.service, key, f"member {number}")
        account = self.service.state.access.account_for(f"member {number}")
        member = Member(number, account, key)
        self._all.append(member)
        kind = chance.choice(KINDS)
        several = 4 if kind == "seedbox" else chance.choice((1, 1, 2, 3))
        one = some_torrent(chance)
        for each in range(several):
            # The clients of a seedbox share a torrent; others have each their own, mostly.
            torrent = one if kind == "seedbox" or chance.random() < 0.2 else some_torrent(chance)
            size = chance.choice((0, 700, 20_000)) * MIB
            rate = 75 * MIB if kind == "seedbox" else chance.choice((0, 20_000, 900_000))
            client = Client(
                member, 10 + 4 * number + each, kind, hash_of(torrent), size, rate,
                partial=chance.random() < 0.1, left=size,
            )  # fmt: skip
            member.clients.append(client)
            self._at(self._now() + chance.randrange(3 * HOUR), client)

    def _now(self) -> int:
        """Returns a clock of the clients, which no step of the tracker's clock moves."""
        return self.time.monotonic

    def _at(self, when: int, what: Client | Announce) -> None:
        heappush(self._due, (when, next(self._order), what))

    def _announce(self) -> None:
        now, batch = self._now(), list[Announce]()
        while self._due and self._due[0][0] <= now:
            _, _, one = heappop(self._due)
            if isinstance(one, Announce):
                batch.append(one)
                continue
            said, wait = one.announces(self.chance, now)
            batch += [each for delay, each in said if not delay]
            for delay, each in said:
                if delay:
                    self._at(now + delay, each)
            self._at(now + wait, one)
        for at in range(0, len(batch), 20):
            announce(self.service, *batch[at : at + 20])
            self.time.advance(SECOND)

    # The site.

    def _plan(self, slices: int) -> dict[int, list[Callable[[], None]]]:
        """Returns what happens in which slice: what comes again and again, and what comes once."""
        plan: dict[int, list[Callable[[], None]]] = {}
        scale = max(1, self.members // 10)
        for times, act in (
            (20, self._set_factor),
            (6, self._end_factor),
            (scale, self._rotate),
            (scale // 2 + 1, self._revoke),
            (scale, self._correct),
            (4, self._crash),
            (3, self._stop),
            (3, self._suspend),
            (3, self._set_clock_back),
            (self.days, self._shred),
        ):
            for _ in range(times):
                plan.setdefault(self.chance.randrange(slices), []).append(act)
        policy = FIRST.policy
        once: list[tuple[float, Callable[[], None]]] = [
            (0.25, lambda: self._change(max_peer_timeout=18_000)),
            (0.35, lambda: self._change(policy=evolve(policy, remember_days=2))),
            (0.45, lambda: self._change(policy=evolve(policy, bases_per_account=1))),
            (0.55, lambda: self._change(max_peer_timeout=7200, policy=policy)),
            (0.60, lambda: self._change(policy=evolve(policy, resumed_rate=MIB))),
            (0.65, lambda: self._change(policy=policy)),
            (0.70, self._list_all),
            (0.72, self._delist),
            (0.78, lambda: self._change(listed=False)),
            (0.82, lambda: self.service.append(AddressesLost()) and None),
            (0.90, lambda: self._change(private=False)),
            (0.901, lambda: self._change(private=True)),
        ]
        for when, act in once:
            plan.setdefault(int(when * slices), []).append(act)
        return plan

    def _start(self, state: State) -> None:
        clock = self.time.log_clock(state.time_us)
        self.service = Service(self.log, state, clock, SELECTION_KEY)
        self.service.append(TrackerStarted("test", 1))
        self.service.change_settings(self._settings)

    def _change(self, **changed: object) -> None:
        self._settings = evolve(self._settings, **changed)  # type: ignore[arg-type]  # by name
        self.service.change_settings(self._settings)

    def _outage(self) -> None:
        """Lets time pass, in which clients announce in vain."""
        self.time.advance(self.chance.choice((MINUTE, 20 * MINUTE, 2 * HOUR, 30 * HOUR)))
        while self._due and self._due[0][0] <= self._now():
            _, _, one = heappop(self._due)
            if isinstance(one, Client):
                self._at(self._now() + self.chance.randrange(HOUR), one)

    def _stop(self) -> None:
        """Stops in order; the next start has a snapshot."""
        self.service.append(TrackerStopped("signal"))
        taken = image.dump(self.service.state)
        self._outage()
        self._start(image.load(taken.plain, taken.private))

    def _crash(self) -> None:
        """Loses what was not durable; the next start replays the log."""
        before = self.service.state.seq
        state = self.log.crash()
        self.lost += before - state.seq
        self._outage()
        self._start(state)
        for member in self._all:
            if not self._has_key(member):
                self._renew(member)

    def _has_key(self, member: Member) -> bool:
        return bytes.fromhex(key_hash(member.key)) in self.service.state.access.keys

    def _renew(self, member: Member) -> None:
        """Gives a member another key; the account stays."""
        member.key = key_text(next(self._keys))
        issue(self.service, member.key, f"member {member.number}")

    def _suspend(self) -> None:
        self.time.wall += self.chance.choice((15 * MINUTE, 3 * HOUR, 26 * HOUR))
        self.service.tick()

    def _set_clock_back(self) -> None:
        self.time.wall -= self.chance.choice((MINUTE, 2 * HOUR))
        self.service.tick()

    def _set_factor(self) -> None:
        chance, service = self.chance, self.service
        begin = service.date_us() + chance.choice((0, 0, HOUR, 20 * HOUR))
        up, down = chance.choice(((None, 0), (200, None), (150, 50), (None, 0), (0, 100)))
        account = chance.choice(self._all).account if chance.random() < 0.3 else None
        info_hash = hash_of(chance.randrange(TORRENTS)) if chance.random() < 0.3 else None
        until = begin + chance.choice((10 * MINUTE, HOUR, 24 * HOUR, 72 * HOUR))
        number = service.state.factors.next_number
        service.append(
            CreditFactorSet(number, "any", begin, until, "", account, info_hash, up, down)
        )

    def _end_factor(self) -> None:
        current = list(self.service.state.factors.current)
        if current:
            self.service.append(CreditFactorEnded(self.chance.choice(current)))

    def _rotate(self) -> None:
        member = self.chance.choice(self._all)
        if self._has_key(member):
            old, member.key = member.key, key_text(next(self._keys))
            rotate(self.service, old, member.key)

    def _revoke(self) -> None:
        """Revokes a key; some days later its owner has another one."""
        member = self.chance.choice(self._all)
        if self._has_key(member):
            revoke(self.service, member.key)
            if self.chance.random() < 0.7:
                self._renew(member)

    def _correct(self) -> None:
        account = self.chance.choice(self._all).account
        amounts = self.chance.randrange(-MIB, 10 * MIB), self.chance.randrange(-MIB, MIB)
        try:
            self.service.state.accounts.corrected(account, *amounts)
        except ValueError:
            return  # it would be less than nothing
        self.service.append(CreditCorrected(account, *amounts, self.service.state.seq - 1))

    def _shred(self) -> None:
        """Shreds the addresses of a day, a week ago mostly."""
        back = self.chance.choice((6, 7, 7, 7, 3))
        day = self.service.now_us() // events.DAY_US - back
        name = events.day_name(day)
        if name not in self.service.state.tally.shredded:
            self.service.append(AddressesShredded((name,)))

    def _list_all(self) -> None:
        for number in range(TORRENTS):
            self.service.append(TorrentWhitelisted(hash_of(number)))
        self._change(listed=True)

    def _delist(self) -> None:
        for number in range(0, TORRENTS, 9):
            self.service.append(TorrentDelisted(hash_of(number)))
