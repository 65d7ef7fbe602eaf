"""Counts announces while a ledger reads the log, by the settings and factors at their time.

It counts as the state does, but it knows the peers by the numbers of their announces, and it need
not know when a peer was swept, because a peer counts only for as long as it is listed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from attrs import define, field

from tracker.domain import events
from tracker.domain.accounts import MOST, Accounts
from tracker.domain.dates import Dates
from tracker.domain.events import codec
from tracker.domain.events.admin import (
    AccountMerged,
    AccountSplit,
    AddressesLost,
    ClockStepped,
    KeyRevoked,
    KeyRotated,
    KeysMoved,
    OwnerKeysRevoked,
    TorrentBlacklisted,
    TorrentDelisted,
    TrackerStarted,
    TrackerStopped,
)
from tracker.domain.events.records import (
    RECORDS,
    AnnounceRefused,
    Counted,
    Evicted,
    RefusalsCounted,
    Tick,
)
from tracker.domain.events.registry import AccountingEvent, ClockEvent
from tracker.domain.factors import EVEN, Applied, Factors, better, from_words, worse
from tracker.domain.freeleech import Freeleech
from tracker.domain.listing import NEVER, Listing
from tracker.domain.seeding import share
from tracker.domain.settings import Settings
from tracker.domain.swarms import MARK_COMPLETED, MARK_SEEDER, MARK_SNATCHED, Peer
from tracker.store.frames import newest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from eventlog import Frame
    from tracker.domain.events.registry import AdminEvent
    from tracker.domain.state import State

ONLY_TIME = frozenset({Counted.kind, RefusalsCounted.kind, AnnounceRefused.kind})
"""Kinds whose events change nothing here but log time."""
_AWAKE = KeyRevoked | OwnerKeysRevoked | TorrentBlacklisted | TorrentDelisted | KeysMoved
"""Events after which an outage cannot have begun before them: see `Listing.out`."""
_TIME = 8  # bytes at the beginning of each record
_SHOWN_MARK = 0x7F  # without the bit of `swarms.MARK_SHARED`, which only the state needs


@define
class Stay:
    """An announce that a later one may continue: what counts of its peer since then."""

    account: int
    info_hash: bytes
    peer_id: bytes
    key_ref: int
    mark: int
    uploaded: int
    downloaded: int
    seen_us: int
    seq: int
    terms: Applied = EVEN


@define
class _Group:
    """The listed peers that an account has in a torrent, by the numbers of their announces."""

    settled_us: int  # their time is counted up to here
    stays: dict[int, Stay] = field(factory=dict)


class CountedAnnounce(NamedTuple):
    """How an announce was counted."""

    before: Stay | None
    goes_on: bool  # from `before`, in the same session
    then: Applied  # the factors at the beginning of the gap
    now: Applied
    applied: Applied
    clipped: int  # bytes of upload that do not count
    freed: int  # bytes of download that a freeleech token freed
    token: int  # its number; 0 = none
    stay: Stay


Gain = tuple[int, bytes, int, int]
"""Account, torrent, microseconds of seeding and of partial seeding."""


class AccountingRules:
    """The part of the state that accounting needs. The same events change it (`events.target`).

    `gains`: what was counted outside of announces; whoever reads it empties it.
    """

    __slots__ = (
        "_groups",
        "_latest",
        "accounts",
        "dates",
        "factors",
        "freeleech",
        "gains",
        "listing",
        "settings",
        "time_us",
    )

    def __init__(self) -> None:
        self.settings = Settings()
        self.dates = Dates()
        self.factors = Factors(self.dates)
        self.freeleech = Freeleech()
        self.accounts = Accounts(self.factors)
        self.listing = Listing()
        self.time_us = 0  # log time of the last event
        self.gains: list[Gain] = []
        self._latest: dict[int, Stay] = {}  # announces that a later one may continue, by seq
        self._groups: dict[tuple[int, bytes], _Group] = {}  # by account and torrent

    def go_on(self, state: State, accounts: Accounts, of: Callable[[int, bytes], bool]) -> None:
        """Begins with a state, because the events before it were removed.

        `accounts`: those of the state, or empty ones. `of` tells by account and torrent which peers
        are needed.
        """
        self.settings, self.dates, self.factors = state.settings, state.dates, state.factors
        self.freeleech, self.accounts = state.freeleech, accounts
        self.listing, self.time_us = state.listing, state.time_us
        swarms, settled = state.swarms, state.seeding.settled
        for number in range(1, swarms.peer_slots):
            if swarms.identified(number):
                row, account = swarms.peer(number), swarms.account_of(number)
                info_hash = bytes(swarms.hashes[row.torrent * 20 : row.torrent * 20 + 20])
                if of(account, info_hash):
                    settled_us = settled.get(share(account, row.torrent), row.seen_us)
                    self._enter(
                        _stay(account, info_hash, row, state.accounts.terms_of(number)), settled_us
                    )
        for number in state.bases.numbers():
            base = state.bases.base(number)
            if of(base.account, base.info_hash):
                self._latest[base.seq] = Stay(
                    base.account, base.info_hash, base.peer_id, base.key_ref, base.mark,
                    base.uploaded, base.downloaded, base.seen_us, base.seq, from_words(base[8:11]),
                )  # fmt: skip

    def _enter(self, stay: Stay, settled_us: int) -> None:
        self._latest[stay.seq] = stay
        if stay.seq >= self.listing.since_seq:
            key = stay.account, stay.info_hash
            self._groups.setdefault(key, _Group(settled_us)).stays[stay.seq] = stay

    def change_settings(
        self,
        settings: Settings,
        seq: int,
        by: Mapping[str, str] | None = None,  # noqa: ARG002  # the protocol's names
        file: Settings | None = None,  # noqa: ARG002
    ) -> None:
        if settings.private != self.settings.private:
            self._close(lambda _: True)
        self.settings = settings
        timeout_us = settings.max_peer_timeout * 1_000_000
        self.listing.obey(settings.accounting, timeout_us, seq, self.time_us)

    def apply(self, event: AdminEvent, seq: int, time_us: int) -> None:
        """Applies the event if it changes how announces count. Raises the errors of its `apply`."""
        self.time_us = time_us
        listing = self.listing
        if isinstance(event, AccountingEvent):
            event.apply(self, seq, time_us)
            return
        if isinstance(event, ClockEvent):
            self.dates.note(time_us, event.wall_us)
        if listing.since_seq == NEVER:
            return
        if isinstance(event, _AWAKE):
            listing.awake_us = time_us
        if isinstance(event, TrackerStarted):
            listing.out(listing.ticked_us, time_us)
        elif isinstance(event, TrackerStopped):
            listing.ticked(time_us)
        elif isinstance(event, ClockStepped):
            listing.out(time_us - event.forward_us, time_us)
        elif isinstance(event, KeyRotated):
            for stay in self._latest.values():
                if stay.key_ref == event.old_key_ref:
                    stay.key_ref = event.key_ref
        elif isinstance(event, KeyRevoked):
            key_ref = event.key_ref
            self._close(lambda stay: stay.key_ref == key_ref)
        elif isinstance(event, OwnerKeysRevoked):
            key_refs = set(event.key_refs)
            self._close(lambda stay: stay.key_ref in key_refs)
        elif isinstance(event, TorrentBlacklisted) or (
            isinstance(event, TorrentDelisted) and self.settings.listed
        ):
            info_hash = event.info_hash
            self._close(lambda stay: stay.info_hash == info_hash)
        elif isinstance(event, AddressesLost):
            self._close(lambda _: True)
        elif isinstance(event, KeysMoved):
            self._move(event)

    def _move(self, event: KeysMoved) -> None:
        """Has peers of an account count for another one from now on."""
        keys = event.key_refs if isinstance(event, AccountSplit) else None
        dropped: tuple[int, ...] = ()
        if isinstance(event, AccountMerged):
            dropped = event.dropped
            self.freeleech.hand_over(event.account, event.to, self.time_us)
        self._close(lambda stay: stay.seq in dropped)
        moved = [
            stay
            for stay in self._latest.values()
            if stay.account == event.account and (keys is None or stay.key_ref in keys)
        ]
        for info_hash in {stay.info_hash for stay in moved}:
            self._settled(event.account, info_hash)
            self._settled(event.to, info_hash)
        for stay in moved:
            group = self._groups.get((stay.account, stay.info_hash))
            stay.account = event.to
            if group is not None and group.stays.pop(stay.seq, None) is not None:
                key = stay.account, stay.info_hash
                theirs = self._groups.setdefault(key, _Group(self.time_us))
                theirs.stays[stay.seq] = stay

    def adopt(self, other: AccountingRules, account: int) -> None:
        """Takes over what other rules have of an account, because its keys move to this ledger's.
        Nobody may use the others any more.
        """
        # Those that went there earlier are out of date here.
        self._latest = {n: stay for n, stay in self._latest.items() if stay.account != account}
        self._groups = {key: one for key, one in self._groups.items() if key[0] != account}
        self._latest |= {n: stay for n, stay in other._latest.items() if stay.account == account}
        self._groups |= {key: one for key, one in other._groups.items() if key[0] == account}
        self.freeleech.adopt(other.freeleech, account)

    def note(self, frame: Frame) -> None:
        """Applies a frame whose events are no admin events, except for announces: `record`."""
        kind = frame.header.kind
        frame = newest(frame)
        if kind == Tick.kind:
            for tick in Tick.unpack(frame.plain):
                tick.pass_time(self)
                self.listing.ticked(tick.time_us)
        elif kind == Evicted.kind and self.listing.since_seq != NEVER:
            for one in codec.decode_records(kind, frame.plain):
                self.time_us = one.time_us
                self._evicted(one)  # type: ignore[arg-type]  # of this kind
        size = codec.PLAIN.size if kind == events.ANNOUNCE else RECORDS[kind].layout.size
        last = len(frame.plain) - size
        time_us = int.from_bytes(frame.plain[last : last + _TIME], "little")
        if kind in (events.ANNOUNCE, Evicted.kind):
            self.announced(time_us)
        self.time_us = time_us

    def announced(self, time_us: int) -> None:
        """Has log time go on to an announce, whoever made it."""
        self.time_us = self.listing.awake_us = time_us

    def _evicted(self, record: Evicted) -> None:
        stay = self._latest.get(record.last_seq)
        if stay is not None and (group := self._settled(stay.account, stay.info_hash)):
            group.stays.pop(stay.seq, None)

    def _close(self, which: Callable[[Stay], bool]) -> None:
        """Lets peers leave, without a base."""
        for stay in [stay for stay in self._latest.values() if which(stay)]:
            if group := self._settled(stay.account, stay.info_hash):
                group.stays.pop(stay.seq, None)
            del self._latest[stay.seq]

    def _settled(self, account: int, info_hash: bytes) -> _Group | None:
        """Counts the time of a group up to now, outside of an announce."""
        group = self._groups.get((account, info_hash))
        if group is not None:
            gain = self._settle(account, group, self.time_us)
            if any(gain):
                self.gains.append((account, info_hash, *gain))
        return group

    def _settle(self, account: int, group: _Group, time_us: int) -> tuple[int, int]:
        group.settled_us, seeding_us, partial_us = self._gained(group, time_us)
        self.accounts.listed(account, MARK_SEEDER, 0, seeding_us)
        self.accounts.listed(account, events.PAUSED, 0, partial_us)
        for seq in [
            one.seq for one in group.stays.values() if self.listing.until(one.seen_us) <= time_us
        ]:
            del group.stays[seq]
        return seeding_us, partial_us

    def _gained(self, group: _Group, time_us: int) -> tuple[int, int, int]:
        seeders, partial = [0], [0]
        for stay in group.stays.values():
            if stay.mark & MARK_SEEDER:
                seeders.append(stay.seen_us)
            elif stay.mark & events.PAUSED:
                partial.append(stay.seen_us)
        return self.listing.gained(group.settled_us, max(seeders), max(partial), time_us)

    def open(self) -> Iterable[Gain]:
        """Yields the time for which peers are listed so far, and that is not counted yet."""
        for (account, info_hash), group in self._groups.items():
            _, seeding_us, partial_us = self._gained(group, self.time_us)
            if seeding_us or partial_us:
                yield account, info_hash, seeding_us, partial_us

    def record(self, account: int, seq: int, row: codec.Plain, peer_id: bytes) -> CountedAnnounce:
        """Adds an announce to the totals. `row`: its plain record."""
        time_us, info_hash, _, uploaded, downloaded, left, key_ref, prev_seq, *_, what, rule, _ = (
            row
        )
        event, since_seq, key = what & 0x0F, self.listing.since_seq, (account, info_hash)
        self.time_us = time_us
        group = self._groups.get(key)
        if group is not None:
            self._settle(account, group, time_us)
            group.stays.pop(prev_seq, None)
            if not group.stays:
                del self._groups[key]
        before = self._latest.pop(prev_seq, None)
        goes_on = before is not None and rule != events.RULE_RESTARTED
        mark, up, down, seen_us = (
            (before.mark, before.uploaded, before.downloaded, before.seen_us)
            if before
            else (0, 0, 0, 0)
        )
        then = before.terms if before else EVEN
        now = self.factors.applied(account, info_hash, time_us)
        applied, clipped, freed, token = now, 0, 0, None
        if seq < since_seq or (before is not None and before.seq < since_seq):
            then = now
            done = self.accounts.announced(
                account, goes_on, mark, up, down, seen_us, time_us, info_hash, uploaded, downloaded, left, event,
                self.settings.max_peer_timeout * 1_000_000,
            )  # fmt: skip
        else:
            most_up = MOST
            if rule == events.RULE_RESUMED:
                rate = self.settings.policy.resumed_rate
                most_up = rate * (time_us - seen_us) // 1_000_000 if rate else MOST
                clipped = max(0, uploaded - up - most_up)
            applied = (worse if rule == events.RULE_RESUMED else better)(then, now)
            if before is not None and goes_on:
                token = self.freeleech.of(account, info_hash)
                freed = self.freeleech.free(
                    account, info_hash, seen_us, time_us, max(0, downloaded - down), left,
                    rule == events.RULE_RESUMED, applied.download_percent > 0,
                )  # fmt: skip
            done = self.accounts.counted(
                account, goes_on, mark, up, down, time_us, uploaded, downloaded, left, event,
                min(most_up, MOST), *applied[:2], freed,
            )  # fmt: skip
        mark = _mark(mark if goes_on else 0, left, event, done)
        stay = Stay(
            account, info_hash, peer_id, key_ref, mark, uploaded, downloaded, time_us, seq, now
        )
        if event != events.STOPPED:
            self._enter(stay, time_us)
        number = token.number if token is not None and freed else 0
        return CountedAnnounce(before, goes_on, then, now, applied, clipped, freed, number, stay)


def _stay(account: int, info_hash: bytes, row: Peer, terms: Applied) -> Stay:
    return Stay(
        account, info_hash, row.peer_id, row.key_ref, row.mark & _SHOWN_MARK, row.uploaded,
        row.downloaded, row.seen_us, row.last_seq, terms,
    )  # fmt: skip


def _mark(before: int, left: int, event: int, done: bool) -> int:
    """Returns the mark of the peer's row after an announce, as `Swarms` keeps it."""
    kept = before & (MARK_COMPLETED | MARK_SNATCHED)
    seeder = MARK_SEEDER if left == 0 else 0
    completed = MARK_COMPLETED if event == events.COMPLETED else 0
    return kept | seeder | completed | (MARK_SNATCHED if done else 0) | event
