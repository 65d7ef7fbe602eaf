"""Judges downloads by the rule of hit and run while a replay applies events.

Only a process that keeps the book has a judge, so the tracker's own announces pay nothing. It is no
part of the state: the tracker acts on none of it. `hit_and_run` has the arithmetic,
docs/hit-and-run.md the rule.
"""

from __future__ import annotations

import json
from functools import lru_cache
from heapq import heappop, heappush
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from tracker.domain import packed
from tracker.domain.events.admin import (
    AccountMerged,
    HitAndRunPardoned,
    HitAndRunRuleEnded,
    HitAndRunRuleSet,
    HitAndRunVoided,
    ImmunityChanged,
    KeysMoved,
    SettingsChanged,
    TorrentBlacklisted,
    TorrentDelisted,
    TorrentUnblacklisted,
    TorrentWhitelisted,
)
from tracker.domain.hit_and_run import (
    AT_RISK,
    BEGUN,
    CURED,
    FINAL,
    LIABLE,
    NEVER,
    PARDONED,
    SATISFIED,
    UNSEEDED_US,
    VIOLATED,
    VOID,
    Download,
    Rule,
    due,
    name_of,
)
from tracker.domain.listing import MOST_OUTAGES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from tracker.domain.events.registry import AdminEvent
    from tracker.domain.state import State

Gains = tuple[int, int, int, int, int]
"""What `Booking.gained` returns."""
MOST_STANDS = 256
"""The most past times of one torrent, or of one account, in which the clock stood, the latest ones.
"""
DELISTED, UNSEEDED = 1, 2
_LISTING = TorrentDelisted | TorrentWhitelisted | TorrentBlacklisted | TorrentUnblacklisted
_SOON_US = 86_400_000_000
"""How near a partial seed must be to the end of its duty to be looked at without an announce."""
_QUEUE_US = 10_000_000
"""Microseconds of a list in the queue of downloads that are due, about those between two ticks."""
_never, _soon_us = NEVER, _SOON_US  # have types in the .pxd, as the states


class Transition(NamedTuple):
    """A download came into a state."""

    name: bytes  # of the download
    seq: int  # the event that shows it
    n: int  # from 0 on, of this event
    epoch: int
    state: int
    time_us: int  # log time
    date_us: int


class Stand(NamedTuple):
    """A time in which the clock stood for a torrent."""

    begin_us: int
    end_us: int
    kind: int  # DELISTED, or UNSEEDED: only for members with something left


class Swarm:
    """What is known of a torrent that has a download."""

    __slots__ = ("delisted_us", "dry_us", "end_us", "info_hash", "rows", "stands")

    def __init__(self, info_hash: bytes) -> None:
        self.info_hash = info_hash
        self.rows: dict[int, Download] = {}  # that are in memory, by account
        self.dry_us = 0  # since when no seeder is listed; 0 = there are some
        self.delisted_us = 0  # since when it is delisted; 0 = it is not
        self.end_us = 0  # the latest end of a seeder's stay
        self.stands: list[Stand] = []

    def standing(self) -> Iterator[Stand]:
        """Yields the times in which the clock stood, also those that go on."""
        yield from self.stands
        if self.delisted_us:
            yield Stand(self.delisted_us, NEVER, DELISTED)
        if self.dry_us:
            yield Stand(self.dry_us + UNSEEDED_US, NEVER, UNSEEDED)


def stands_of(
    one: Download,
    swarm: Swarm,
    outages: Iterable[tuple[int, int]],
    immune: Iterable[tuple[int, int]],
) -> list[tuple[int, int]]:
    """Returns the times in which the clock stood for a download, and the one that goes on."""
    own = [stand[:2] for stand in swarm.standing() if one.left or stand.kind != UNSEEDED]
    return [*own, *outages, *immune]


class Shelf(Protocol):
    """What the book has."""

    def one(self, name: bytes) -> Download | None:
        """Returns a download; None = there is none."""

    def all(self) -> Iterator[Download]:
        """Yields every download."""

    def swarms(self) -> Iterator[Swarm]:
        """Yields every torrent."""


class Judge:
    """The downloads that are judged, and what was found since the book was written."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf
        self.rules: list[tuple[Rule, int, int]] = []  # each with its event's number and date
        self.rule = 0  # number of the one in force, from 1 on; 0 = none
        self.swarms: dict[bytes, Swarm] = {}  # of every torrent that ever had a download
        self.outages: list[tuple[int, int]] = []  # begin and end
        # By account: when it was immune, and from which date it will be.
        self.immune: dict[int, list[tuple[int, int]]] = {}
        self.immune_from: dict[int, int] = {}
        self.epoch = self.lead_us = 0  # of the frame that is applied
        # Since the book was written:
        self.touched: list[Download] = []
        self.touched_swarms: set[Swarm] = set()
        self.stood: list[tuple[bytes, Stand]] = []  # with info hashes
        self.made: list[Transition] = []
        self.changed = False  # anything else
        self._outage: object = None  # the last one that was looked at
        # Downloads by `queued_us // _QUEUE_US`, and a heap of these numbers.
        self._queue: dict[int, list[Download]] = {}
        self._queued: list[int] = []
        self._seq, self._n = -1, 0  # of the last transition

    @property
    def on(self) -> bool:
        """Tells whether there ever was a rule, or somebody immune to the first one to come."""
        return len(self.rules) + len(self.immune) + len(self.immune_from) > 0

    # What the projector says.

    def announced(
        self,
        state: State,
        account: int,
        info_hash: bytes,
        seq: int,
        time_us: int,
        left: int,
        was: bool,
        seeded: bool,
        stays: bool,
        gains: Gains,
    ) -> None:
        """Enters an announce after it was applied.

        `was`: the peer was in the swarm before, `seeded`: as a seeder; `stays`: it is there now.
        `gains`: what it added to the account, as `Booking.gained` has it.
        """
        swarm = self.swarms.get(info_hash)
        if swarm is not None:
            self._seeded(state, swarm, time_us, seeded, stays and left == 0)
        up, down, credited_down, seeding_us, partial_us = gains
        one = None if swarm is None else swarm.rows.get(account)
        if one is None:
            if not down and (was or not stays or swarm is None):
                return
            one = None if swarm is None else self.shelf.one(name_of(account, info_hash))
            if one is not None:
                self._take(one)
            elif not down or not self.rules:
                return
            else:
                one = self._begin(state, account, info_hash, time_us)
                was, seeding_us, partial_us = stays, 0, 0
        self._pass_time(one, seq, time_us, self._gained(one, seeding_us, partial_us))
        one.uploaded += up
        one.downloaded += down
        if credited_down:
            one.counted += down
        one.left = left != 0
        one.last_us = time_us
        one.peers += stays - was
        if was and not stays and one.end_us < time_us:
            one.end_us = time_us
        one.absent_us = 0 if one.peers else time_us
        if one.state == AT_RISK:
            self._to(one, LIABLE, time_us, seq)
        self._judge(state, one, seq, time_us)
        self._go_on(one, time_us)

    def left(
        self,
        state: State,
        account: int,
        info_hash: bytes,
        end_us: int,
        seeder: bool,
        gains: Gains,
    ) -> None:
        """Enters that a peer is being removed, while it is still counted in its swarm. `end_us`:
        until when it was listed.
        """
        swarm = self.swarms.get(info_hash)
        if swarm is None:
            return
        seq, time_us = state.seq - 1, state.time_us
        if seeder:
            swarm.end_us = max(swarm.end_us, end_us)
            self.touched_swarms.add(swarm)
            if state.swarms.counts(info_hash)[0] == 1:
                swarm.dry_us = swarm.end_us
        one = swarm.rows.get(account)
        if one is None:
            return
        self._pass_time(one, seq, time_us, self._gained(one, gains[3], gains[4]))
        one.last_us = time_us
        if one.end_us < end_us:
            one.end_us = end_us
        one.peers -= 1
        if not one.peers:
            one.absent_us = one.end_us
        self._go_on(one, time_us)
        self._pass_time(one, seq, time_us, _never)

    def counted(
        self, seq: int, account: int, info_hash: bytes, end_us: int, time_us: int, gains: Gains
    ) -> None:
        """Enters time that was counted because peers are about to move to another account.
        `end_us`: until when one was listed.
        """
        swarm = self.swarms.get(info_hash)
        one = None if swarm is None else swarm.rows.get(account)
        if one is not None:
            self._pass_time(one, seq, time_us, self._gained(one, gains[3], gains[4]))
            one.last_us = time_us
            one.end_us = max(one.end_us, end_us)
            self._go_on(one, time_us)

    def ticked(self, state: State, seq: int, time_us: int) -> None:
        """Finds what time alone has changed."""
        date_us = time_us - self.lead_us
        for account, from_us in list(self.immune_from.items()):
            if from_us <= date_us:
                self._begin_immunity(account, time_us)
        for one in self._due(time_us):
            self._pass_time(one, seq, time_us, self._so_far(state, one, time_us))
            self._go_on(one, time_us)

    def _due(self, time_us: int) -> list[Download]:
        """Takes the downloads that are due out of the queue. By time and name, because their
        transitions are numbered.
        """
        due, later = list[Download](), list[Download]()
        while self._queued and self._queued[0] <= time_us // _QUEUE_US:
            number = heappop(self._queued)
            for one in self._queue.pop(number):
                if one.queued_us // _QUEUE_US == number:  # else it is in an earlier list too
                    one.queued_us = NEVER
                    (due if one.due_us <= time_us else later).append(one)
        for one in later:
            self._enqueue(one)
        return sorted(due, key=_due_and_name)

    @property
    def places(self) -> int:
        """The number of places in the queue; a download that waits has one, seldom two."""
        return sum(map(len, self._queue.values()))

    def _enqueue(self, one: Download) -> None:
        """Sees to it that a download is looked at when it is due.

        Where it is in the queue already, for an earlier time, it stays there: it comes back here
        then. So a download that is due ever later, as with each announce of a partial seed, has one
        place in the queue.
        """
        if one.due_us >= one.queued_us:
            return
        one.queued_us = one.due_us
        number = one.due_us // _QUEUE_US
        if number not in self._queue:
            self._queue[number] = []
            heappush(self._queued, number)
        self._queue[number].append(one)

    def administered(self, state: State, event: AdminEvent, seq: int, time_us: int) -> None:
        """Enters an admin event after it was applied."""
        if not self.on:
            self._outage = state.listing.outages[-1:]
        if isinstance(event, HitAndRunRuleSet):
            self.rules.append((event.rule, seq, time_us - self.lead_us))
            self.rule, self.changed = len(self.rules), True
        elif isinstance(event, ImmunityChanged):
            self._immunity(event, time_us)
        elif not self.on:
            return
        elif isinstance(event, HitAndRunRuleEnded):
            self.rule, self.changed = 0, True
        elif isinstance(event, HitAndRunPardoned):
            self._pardon(event, seq, time_us)
        elif isinstance(event, HitAndRunVoided):
            self._void(event, seq, time_us)
        elif isinstance(event, KeysMoved):
            self._moved(state, event, seq, time_us)
        elif isinstance(event, _LISTING):
            if event.info_hash in self.swarms:
                self._list(state, self.swarms[event.info_hash], time_us)
        elif isinstance(event, SettingsChanged):
            for swarm in self.swarms.values():
                self._list(state, swarm, time_us)
        elif (outage := state.listing.outages[-1:]) != self._outage:
            self._outage, self.changed = outage, True
            self.outages = [*self.outages[1 - MOST_OUTAGES :], (outage[0][0], outage[0][2])]

    # Torrents.

    def _seeded(self, state: State, swarm: Swarm, time_us: int, seeded: bool, seeds: bool) -> None:
        """Notes that a peer that `seeded` announced, and whether it `seeds` now."""
        if seeds and swarm.dry_us:
            self._stood(swarm, swarm.dry_us + UNSEEDED_US, time_us, UNSEEDED)
            swarm.dry_us = 0
            self._again(swarm.rows.values(), time_us)
        elif seeded and not seeds:
            swarm.end_us = time_us
            self.touched_swarms.add(swarm)
            if not state.swarms.counts(swarm.info_hash)[0]:
                swarm.dry_us = time_us

    def _list(self, state: State, swarm: Swarm, time_us: int) -> None:
        """Looks whether a torrent is delisted, or blacklisted, which counts as the same."""
        delisted = swarm.info_hash in state.sanctions.blacklist or (
            state.settings.listed and swarm.info_hash not in state.access.whitelist
        )
        if delisted and not swarm.delisted_us:
            swarm.delisted_us = time_us
            self.touched_swarms.add(swarm)
        elif swarm.delisted_us and not delisted:
            self._stood(swarm, swarm.delisted_us, time_us, DELISTED)
            swarm.delisted_us = 0
            self._again(swarm.rows.values(), time_us)

    def _stood(self, swarm: Swarm, begin_us: int, end_us: int, kind: int) -> None:
        self.touched_swarms.add(swarm)
        if begin_us < end_us:
            stand = Stand(begin_us, end_us, kind)
            swarm.stands = [*swarm.stands[1 - MOST_STANDS :], stand]
            self.stood.append((swarm.info_hash, stand))

    def _again(self, downloads: Iterable[Download], time_us: int) -> None:
        """Looks anew when these change, because a clock that stood runs."""
        for one in downloads:
            self._go_on(one, time_us)

    # Staff.

    def _pardon(self, event: HitAndRunPardoned, seq: int, time_us: int) -> None:
        for one in self._named(event.account, event.info_hash):
            if pardons(event, one):
                self._to(self._take(one), PARDONED, time_us, seq)

    def _void(self, event: HitAndRunVoided, seq: int, time_us: int) -> None:
        for one in self._named(event.account, event.info_hash):
            if one.state not in FINAL:
                self._to(self._take(one), VOID, time_us, seq)

    def _moved(self, state: State, event: KeysMoved, seq: int, time_us: int) -> None:
        """Enters that peers of an account are another one's now. What a merged account loaded is
        not judged any more.
        """
        for one in self._named(event.account, None) + self._named(event.to, None):
            merged = isinstance(event, AccountMerged) and one.account == event.account
            if merged and one.state not in FINAL:
                self._to(self._take(one), VOID, time_us, seq)
            torrent = state.swarms.lookup(one.info_hash)
            peers = len(state.swarms.of_account(torrent, one.account)) if torrent else 0
            if peers == one.peers:
                continue
            self._pass_time(self._take(one), seq, time_us, _never)
            one.peers = peers
            one.last_us = time_us
            one.absent_us = 0 if peers else one.end_us
            if peers and one.state == AT_RISK:
                self._to(one, LIABLE, time_us, seq)
            self._go_on(one, time_us)

    def _named(self, account: int | None, info_hash: bytes | None) -> list[Download]:
        """Returns the downloads of an account and a torrent; None = of all. By name, because their
        transitions are numbered.
        """
        if account is not None and info_hash is not None:
            swarm = self.swarms.get(info_hash)
            one = swarm.rows.get(account) if swarm else None
            one = one or self.shelf.one(name_of(account, info_hash))
            return [one] if one else []
        found = [
            one for one in self.shelf.all() if one.account not in self.swarms[one.info_hash].rows
        ]
        found += self.downloads()
        found.sort(key=attrgetter("name"))
        return [
            one for one in found
            if account in (None, one.account) and info_hash in (None, one.info_hash)
        ]  # fmt: skip

    def _immunity(self, event: ImmunityChanged, time_us: int) -> None:
        account, self.changed = event.account, True
        if not event.immune:
            self.immune_from.pop(account, None)
            if self._is_immune(account):
                begin = self.immune[account].pop()[0]
                self.immune[account].append((begin, time_us))
                of_account = [one for one in self.downloads() if one.account == account]
                self._again(of_account, time_us)
        elif not self._is_immune(account):
            if event.from_us is None or event.from_us <= time_us - self.lead_us:
                self._begin_immunity(account, time_us)
            else:
                self.immune_from[account] = event.from_us

    def _begin_immunity(self, account: int, time_us: int) -> None:
        self.immune_from.pop(account, None)
        before = self.immune.get(account, [])
        self.immune[account] = [*before[1 - MOST_STANDS :], (time_us, NEVER)]
        self.changed = True

    def _is_immune(self, account: int) -> bool:
        return self.immune.get(account, [(0, 0)])[-1][1] == NEVER

    # Downloads.

    def downloads(self) -> list[Download]:
        """Returns those that are in memory: those that wait for something, and others."""
        return [one for swarm in self.swarms.values() for one in swarm.rows.values()]

    def _begin(self, state: State, account: int, info_hash: bytes, time_us: int) -> Download:
        one = Download(account, info_hash)
        if info_hash not in self.swarms:
            swarm = self.swarms[info_hash] = Swarm(info_hash)
            swarm.dry_us = 0 if state.swarms.counts(info_hash)[0] else time_us
            self.touched_swarms.add(swarm)
            self._list(state, swarm, time_us)
        torrent = state.swarms.lookup(info_hash)
        one.peers = len(state.swarms.of_account(torrent, one.account)) if torrent else 0
        one.last_us = time_us
        return self._take(one)

    def _take(self, one: Download) -> Download:
        """Takes a download into memory."""
        swarm = self.swarms[one.info_hash]
        one.info_hash = swarm.info_hash  # else each would hold its own
        swarm.rows[one.account] = one
        return one

    def _rule_of(self, one: Download) -> Rule | None:
        return self.rules[one.rule - 1][0] if one.rule else None

    def _stands(self, one: Download) -> list[tuple[int, int]]:
        swarm, immune = self.swarms[one.info_hash], self.immune.get(one.account, ())
        return stands_of(one, swarm, self.outages, immune)

    def _gained(self, one: Download, seeding_us: int, partial_us: int) -> int:
        """Adds seeding time since `last_us`; returns when that met the duty, else `NEVER`."""
        rule = self._rule_of(one)
        had = 0 if rule is None else one.seeded_us(rule)
        one.seeding_us += seeding_us
        one.partial_us += partial_us
        if rule is None or one.met:
            return _never
        need = rule.need_us(one.size)
        if one.seeded_us(rule) < need:
            return _never
        return one.last_us + (need - had if need > had else 0)

    def _so_far(self, state: State, one: Download, time_us: int) -> int:
        """Returns when time that is not counted yet met the duty, else `NEVER`."""
        rule = self._rule_of(one)
        if rule is None or one.met or not one.peers:
            return NEVER
        torrent = state.swarms.lookup(one.info_hash)
        began_us, seeding_us, partial_us = state.seeding.so_far(one.account, torrent, time_us)
        more = seeding_us + (partial_us if rule.partial_counts else 0)
        rest = rule.need_us(one.size) - one.seeded_us(rule)
        return began_us + max(0, rest) if more >= rest else NEVER

    def _judge(self, state: State, one: Download, seq: int, time_us: int) -> None:
        """Judges a download at an announce."""
        if one.state == BEGUN and self.rule and not self._is_immune(one.account):
            rule = self.rules[self.rule - 1][0]
            size = size_of(state, one.info_hash)
            bytes_ = one.counted if rule.freeleech_exempts else one.downloaded
            if size and packed.reaches(bytes_, 1000, size, rule.buffer_permille):
                one.rule, one.size = self.rule, size
                self._to(one, LIABLE, time_us, seq)
                one.liable_us, one.liable_date = one.since_us, one.since_date
                self._pass_time(one, seq, time_us, self._met_before(one, rule, time_us))
        found = self._rule_of(one)
        if found is None or one.met or not _judged(one.state):
            return
        by_ratio = one.met_by_ratio(found)
        if by_ratio and one.state in (LIABLE, AT_RISK):
            self._to(one, SATISFIED, time_us, seq)
        elif by_ratio and one.state == VIOLATED:
            self._to(one, CURED, time_us, seq)
        elif not by_ratio and one.state == SATISFIED:
            self._to(one, LIABLE, time_us, seq)

    def _met_before(self, one: Download, rule: Rule, time_us: int) -> int:
        return time_us if one.seeded_us(rule) >= rule.need_us(one.size) else NEVER

    def _pass_time(self, one: Download, seq: int, now_us: int, met_us: int) -> None:
        """Makes the transitions up to now, in their order. `met_us`: when time meets the duty."""
        if met_us > now_us and one.due_us > now_us:
            return
        rule = self._rule_of(one)
        if rule is None:
            return
        while _judged(one.state):
            when, to = NEVER, one.state
            if one.state in (LIABLE, AT_RISK):
                when, to = due(one, rule, self._stands(one))
            if min(when, met_us) > now_us:
                return
            if when < met_us:
                self._to(one, to, when, seq)
                continue
            one.met = True
            if one.state != SATISFIED:
                to = CURED if one.state == VIOLATED else SATISFIED
                self._to(one, to, max(met_us, one.since_us), seq)
            met_us = _never

    def _to(self, one: Download, state: int, time_us: int, seq: int) -> None:
        self._n = self._n + 1 if seq == self._seq else 0
        self._seq = seq
        date_us = time_us - self.lead_us
        one.state, one.since_us, one.since_date = state, time_us, date_us
        one.since_seq, one.since_n, one.since_epoch = seq, self._n, self.epoch
        if state == VIOLATED:
            one.violated_date = date_us
        self._touch(one)
        self.made.append(Transition(one.name, seq, self._n, self.epoch, state, time_us, date_us))

    def _touch(self, one: Download) -> None:
        if not one.touched:
            one.touched = True
            self.touched.append(one)

    def _go_on(self, one: Download, now_us: int) -> None:
        """Notes a download, and when to look at it again."""
        self._touch(one)
        rule, when = self._rule_of(one), _never
        if rule is not None and _judged(one.state):
            # Of one who is there only a window can end, so most announces ask for no stands.
            if one.state in (LIABLE, AT_RISK) and (one.absent_us or rule.window is not None):
                when = due(one, rule, self._stands(one))[0]
            if one.peers and not one.met:
                # While it seeds without a gap this is the same after each announce.
                met_us = one.last_us + rule.need_us(one.size) - one.seeded_us(rule)
                if met_us > now_us and (not one.left or met_us - now_us < _soon_us):
                    when = min(when, met_us)
        one.due_us = when
        self._enqueue(one)

    # The book.

    def wrote(self, shelf: Shelf) -> None:
        """Forgets what was written to `shelf`, and downloads that wait for nothing."""
        self.shelf = shelf
        for one in self.touched:
            one.touched = False
            if not one.waits(self._rule_of(one)):
                one.due_us = NEVER
                del self.swarms[one.info_hash].rows[one.account]
        self.touched, self.touched_swarms = [], set()
        self.stood, self.made, self.changed = [], [], False

    @property
    def noted(self) -> bool:
        """Tells whether there is anything to write."""
        return self.changed or len(self.touched) > 0 or len(self.touched_swarms) > 0

    def begin(self, state: State) -> None:
        """Begins with a state, after everything was taken from the book."""
        self._outage = state.listing.outages[-1:]
        for one in self.downloads():
            self._go_on(one, state.time_us)
            one.touched = False
        self.touched = []

    def take(self, one: Download) -> None:
        """Takes a download from the book, if it waits for something."""
        if one.waits(self._rule_of(one)):
            self._take(one)

    def as_data(self) -> dict[str, Any]:
        """Returns what is no row of the book, for JSON."""
        return {
            "rules": [[rule.as_data(), seq, date_us] for rule, seq, date_us in self.rules],
            "rule": self.rule,
            "outages": self.outages,
            "immune": [[account, spans] for account, spans in sorted(self.immune.items())],
            "immune_from": sorted(self.immune_from.items()),
        }

    def set_data(self, data: dict[str, Any]) -> None:
        """Undoes `as_data`. Raises what nonsense raises."""
        self.rules = [(Rule.from_data(rule), seq, date_us) for rule, seq, date_us in data["rules"]]
        self.rule = data["rule"]
        self.outages = [(begin, end) for begin, end in data["outages"]]
        self.immune = {
            account: [(begin, end) for begin, end in spans] for account, spans in data["immune"]
        }
        self.immune_from = dict(data["immune_from"])


def _due_and_name(one: Download) -> tuple[int, bytes]:
    return one.due_us, one.name


def _judged(state: int) -> bool:
    """Tells whether being met, or not, can change this state."""
    return state in (LIABLE, AT_RISK, SATISFIED, VIOLATED)


def pardons(event: HitAndRunPardoned, one: Download) -> bool:
    """Tells whether a pardon is for a download that it may name."""
    from_us = 0 if event.from_us is None else event.from_us
    until_us = NEVER if event.until_us is None else event.until_us
    return one.state == VIOLATED and from_us <= one.violated_date < until_us


def size_of(state: State, info_hash: bytes) -> int:
    """Returns the size of a torrent as it is known now; 0 = it is not."""
    said = state.facts.get(info_hash)
    return (_declared(said) if said else 0) or int(state.swarms.least_size(info_hash))


@lru_cache(maxsize=65_536)
def _declared(said: str) -> int:
    """Returns the size that the site declared, from a torrent's facts; 0 = it did not."""
    return int(json.loads(said).get("size") or 0)
