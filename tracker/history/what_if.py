"""Replays a part of the log by other settings, and counts what would have been different.

Two states go through the part side by side. One follows the records. In the other the code of the
running tracker decides each recorded request anew, by the other settings.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from attrs import define, field

from tracker.config.logged import OF_CORE
from tracker.domain import events, refusals
from tracker.domain.events import codec
from tracker.domain.events.admin import SettingsChanged
from tracker.domain.events.errors import ReplayError
from tracker.domain.events.records import AnnounceRefused, ClientNamed, Counted, Evicted, Tick
from tracker.domain.refusals import name_of
from tracker.history import asked_rules, replies
from tracker.history.deciding import (
    WITHOUT_PEERS,
    Clock,
    agent_of,
    held,
    request,
    serving,
)
from tracker.history.recorded import Recorded, read, singles
from tracker.store import frames
from tracker.wire import http

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventlog import Frame, Pool
    from tracker.config.logged import Changes
    from tracker.domain.policy import Policy
    from tracker.domain.settings import Settings
    from tracker.domain.state import State
    from tracker.history.rerun import Source
    from tracker.service.service import Service

OF_POLICY = (
    "interval_jitter", "enforce_interval_min", "peers_per_account", "leeching_slots", "started_per_day",
    "handed_per_hour", "handed_per_day", "clients_allowed", "clients_denied", "refused_ports", "requests_per_minute", "max_torrents", "max_peers",
    "max_peers_per_torrent", "remember_days", "bases_per_account", "resumed_rate",
)  # fmt: skip
KEYS = (*(f"policy.{name}" for name in OF_POLICY), *OF_CORE)
"""The keys of the configuration that can be set: those that decide about announces."""

_SHOWN_ACCOUNTS = 10  # those with the largest changes
BYTES = ("uploaded", "downloaded", "credited_uploaded", "credited_downloaded")
_HIDDEN = "addresses of listed peers or of announces in this part cannot be read, and the rules need them: choose a part of days that were not shredded, and name the secrets (--secrets)"  # fmt: skip


class CannotDecideError(Exception):
    """The requests of this part cannot be decided by other settings; the text says why."""


@define
class Served:
    """What the replies to announces cost."""

    replies: int = 0  # with peers or without, but no refusals
    peers: int = 0  # in these replies
    body_bytes: int = 0  # of replies, refusals too: a UDP datagram, or the body of a compact reply
    expected: float = 0.0  # announces, if clients had kept to the interval
    expected_bytes: float = 0.0


class Gain(NamedTuple):
    """By how much an account has more by the other settings, in bytes and microseconds."""

    account: int
    uploaded: int
    downloaded: int
    credited_uploaded: int
    credited_downloaded: int
    seeding_us: int


@define
class WhatIf:
    """A replay of the events from `seq` up to `end`, exclusive, by other settings.

    `recorded` is the state by the records, `other` that by the other settings. Both are complete
    when `go` has returned.
    """

    log: Source
    seq: int
    end: int
    changes: Changes
    announces: int = field(init=False, default=0)  # in the log
    then: Served = field(init=False, factory=Served)
    now: Served = field(init=False, factory=Served)
    refused: Counter[str] = field(init=False, factory=Counter)  # now, by reason
    not_recorded: Counter[str] = field(init=False, factory=Counter)  # refused then, by reason
    left_out: list[str] = field(init=False, factory=list)  # admin events that cannot happen now
    recorded: State = field(init=False)
    other: State = field(init=False)
    credited: dict[str, int] = field(init=False, factory=dict)  # in the part, as recorded
    _clock: Clock = field(init=False, factory=Clock)
    _service: Service = field(init=False)
    _pool: Pool = field(init=False)
    _pending: list[Frame] = field(init=False, factory=list)

    def go(self, report: Callable[[int], None]) -> None:
        """Replays the part; tells `report` the events that are done.

        Raises `CannotDecideError`, and what reading and applying raise.
        """
        self.other, _ = self.log.again().follow(self.seq, self.end)
        self._service, self._pool = serving(self.other, self._clock)
        self._clock.time_us = self.other.time_us
        if self.other.settings_seq >= 0:
            self._set(self.other.settings)
        self.recorded, found = self.log.follow(self.seq, self.end)
        before = _sums(self.recorded)
        for frame in found:
            if frame.header.base_seq >= self.end:
                break
            for one in singles(frame):
                self._event(one)
            report(frame.header.next_seq - self.seq)
        for one in self._pending:
            frames.apply(self.recorded, one)
        after = _sums(self.recorded)
        self.credited = {name: after[name] - before[name] for name in after}

    def _set(self, settings: Settings) -> None:
        changed = self.changes.made_in(settings)
        if changed != self.other.settings:
            self._service.append(SettingsChanged(changed))

    def _event(self, one: Frame) -> None:
        header, known = one.header, frames.known(one)
        if known and header.kind in (ClientNamed.kind, Evicted.kind):
            self._pending.append(one)
            return
        if known and header.kind == events.ANNOUNCE:
            self._announce(one)
            return
        frames.apply(self.recorded, one)
        self._clock.time_us = self.recorded.time_us
        if known and header.kind == Tick.kind:
            self._tick(one)
        elif known and header.kind == events.ADMIN:
            self._admin(one)
        elif header.kind != AnnounceRefused.kind:
            self._count(one)
        self._pool.take()

    def _count(self, one: Frame) -> None:
        """Notes refusals of the part, which left no announce."""
        if one.header.kind == Counted.kind:
            (record,) = Counted.unpack(one.plain)
            if record.counter == events.REFUSED_REQUESTS and record.label:
                self.not_recorded[name_of(record.label)] += record.delta

    def _tick(self, one: Frame) -> None:
        (tick,) = Tick.unpack(frames.newest(one).plain)
        if tick.goes_on:  # the sweep of the other state has a length of its own
            return
        self._clock.wall = min(tick.wall_us, tick.time_us)
        self._service.tick()
        while not self.other.sweep.done:
            self._service.tick(goes_on=True)

    def _admin(self, one: Frame) -> None:
        """Applies what an administrator did, under the number that other events name it by."""
        ahead = self.other.seq
        for record in codec.decode_admin(bytes(frames.newest(one).plain)):
            if not record.known:
                continue
            event = record.event()
            self.other.seq = one.header.base_seq
            if isinstance(event, SettingsChanged):
                self._set(event.settings)
            else:
                try:
                    self.other.apply_admin(event, record.time_us)
                except ReplayError as error:
                    self.left_out.append(str(error))
        self._service.forget_keys()
        self.other.seq = max(self.other.seq, ahead, one.header.next_seq)

    def _announce(self, frame: Frame) -> None:
        before, one = read([*self._pending, frame], frame.header.base_seq)
        self._pending.clear()
        if not isinstance(one, Recorded) or one.address is None or self.recorded.hidden_peers():
            raise CannotDecideError(_HIDDEN)
        for each in before:
            frames.apply(self.recorded, each)
        self.announces += 1
        agent, settings = agent_of(self.recorded, one), self.recorded.settings
        none = bool(asked_rules.none(self.recorded, one))
        budget = replies.budget_of(self.recorded, one.key_ref)
        for each in one.frames:
            frames.apply(self.recorded, each)
        torrent = self.recorded.swarms.lookup(one.info_hash)
        peer = self.recorded.swarms.find(torrent, one.address + one.port) if torrent else 0
        size = self._served(self.then, self.recorded, one, torrent, peer, none=none, budget=budget)
        self.then.expected += 1
        self.then.expected_bytes += size
        self.other.seq = max(self.other.seq, one.first_seq)
        self._clock.time_us = one.time_us
        answer = self._decide(one, agent)
        if answer < 0 and answer not in WITHOUT_PEERS:
            self.refused[refusals.NAMES[answer]] += 1
            size = _refusal_bytes(one, answer, self.other.settings.policy)
            self.now.body_bytes += size
        else:
            torrent = self.other.swarms.lookup(one.info_hash)
            size = self._served(
                self.now, self.other, one, torrent, self._service.peer,
                none=answer in WITHOUT_PEERS, budget=self._service.budget,
            )  # fmt: skip
        share = _interval(settings) / _interval(self.other.settings) if _regular(one) else 1.0
        self.now.expected += share
        self.now.expected_bytes += share * size

    def _decide(self, one: Recorded, agent: bytes | None) -> int:
        """Returns what the announce path answers by the other settings, as `request`."""
        service = self._service
        key = held(service, self.other, one)
        if service._rate is not None:
            service.begin()
            if not service._within_rate(one.address or b"", key):
                return refusals.RATE_EXCEEDED
        answer = request(service, self.other, one, key, agent)
        self._pool.take()
        return answer

    def _served(
        self,
        served: Served,
        state: State,
        one: Recorded,
        torrent: int,
        peer: int,
        *,
        none: bool,
        budget: int,
    ) -> int:
        """Counts the reply to an announce that the state has applied; returns its bytes."""
        asked = replies.asked(one)
        want = replies.wanted(state.settings, asked, none=none, budget=budget)
        found = replies.counted(state, asked, torrent, peer, want)
        size = _reply_bytes(state, one, *found)
        served.replies += 1
        served.peers += sum(found)
        served.body_bytes += size
        return size

    def gains(self) -> tuple[Gain, list[Gain]]:
        """Returns by how much all accounts together have more now, and those with the largest
        changes of credit.
        """
        count = max(len(self.recorded.accounts.uploaded), len(self.other.accounts.uploaded))
        changed = [gain for account in range(1, count) if any((gain := self._gain(account))[1:])]
        total = Gain(0, *map(sum, zip(*(each[1:] for each in changed), strict=True))) if changed else Gain(0, 0, 0, 0, 0, 0)  # fmt: skip
        changed.sort(key=lambda gain: (-max(map(abs, gain[3:5])), -max(map(abs, gain[1:])), gain[0]))  # fmt: skip
        return total, changed[:_SHOWN_ACCOUNTS]

    def _gain(self, account: int) -> Gain:
        then, now = (_totals(state, account) for state in (self.recorded, self.other))
        return Gain(account, *(b - a for a, b in zip(then, now, strict=True)))


def _totals(state: State, account: int) -> tuple[int, ...]:
    if account >= len(state.accounts.uploaded):
        return (0,) * 5
    totals = state.accounts.totals(account)
    return (*(getattr(totals, name) for name in BYTES), totals.seeding_us)


def _sums(state: State) -> dict[str, int]:
    """Returns the sums of all accounts: bytes, and microseconds of seeding."""
    rows = (_totals(state, account) for account in range(1, len(state.accounts.uploaded)))
    sums = [sum(column) for column in zip(*rows, strict=True)] or [0] * 5
    return dict(zip((*BYTES, "seeding_us"), sums, strict=True))


def _regular(one: Recorded) -> bool:
    """Tells whether an announce came because the interval was over."""
    return one.event == events.NONE and one.rule != events.RULE_FIRST


def _interval(settings: Settings) -> float:
    """Returns the mean of the intervals in replies, in seconds."""
    return settings.interval + settings.policy.interval_jitter / 2


def _reply_bytes(state: State, one: Recorded, v4: int, v6: int) -> int:
    if one.udp:
        return 20 + 6 * v4 + 18 * v6
    seeders, _, leechers = state.swarms.counts(one.info_hash)
    settings = state.settings
    return len(
        http.announce_reply(settings.interval, settings.interval_min, seeders, leechers, bytes(6 * v4), bytes(18 * v6))
    )  # fmt: skip


def _refusal_bytes(one: Recorded, refusal: int, policy: Policy) -> int:
    text = refusals.text_of(refusal, one.info_hash, policy.contact)
    if one.udp:
        return 8 + len(text.encode())
    return len(http.failure(text, refusals.retry_in(refusal, policy.retry_in_minutes)))
