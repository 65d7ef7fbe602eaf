"""Makes the ledger of an account: every announce behind its totals, and the origin of each byte of
credit.

A ledger reads the log, and compares each announce with the announce that it continues. An entry has
the amounts that it added to the raw and to the credited totals, and the rule and factors that gave
these amounts. A correction is an entry too. The entries sum exactly to the totals that the state
keeps for the account, because the same code adds them up.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from itertools import chain
from struct import Struct
from typing import TYPE_CHECKING

from attrs import define

from tracker.domain import events
from tracker.domain.accounts import NOTHING, Totals
from tracker.domain.clients import Clients
from tracker.domain.events import codec
from tracker.domain.events.admin import CreditCorrected, KeyIssued
from tracker.domain.events.records import ClientNamed, Tick
from tracker.domain.swarms import MARK_COMPLETED, MARK_EVENT, MARK_SEEDER, MARK_SNATCHED, Peer
from tracker.ledger.rules import AccountingRules
from tracker.ports import (
    Client,
    LedgerAnnounce,
    LedgerCorrection,
    LedgerOpening,
    LedgerSums,
    LedgerTotals,
)
from tracker.store.frames import admin, current, newest, readable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from eventlog import Frame
    from tracker.domain.dates import Dates
    from tracker.domain.state import State

_KEY_REF = Struct("<60xI16x")  # of a record of `codec.PLAIN`

DUPLICATE_US = 30_000_000
"""Microseconds within which an announce that repeats the previous one is a duplicate. The client
announced from another of its addresses, or tried again.
"""


_Entry = LedgerAnnounce | LedgerCorrection


@define
class Sums:
    """Sums up the entries of a torrent, or of the account. The times in its totals are dates."""

    announces: int = 0
    corrections: int = 0
    totals: Totals = NOTHING

    def open(self, balance: Totals) -> None:
        """Adds the totals of an opening. Corrections may have been added before."""
        *mine, _, _ = self.totals
        summed = [each + more for each, more in zip(mine, balance[:-2], strict=True)]
        self.totals = Totals._make([*summed, *balance[-2:]])

    def add(self, one: _Entry, then: Totals, now: Totals) -> None:
        """Adds an entry that took the account's totals from `then` to `now`."""
        announced = isinstance(one, LedgerAnnounce)
        self.announces += announced
        self.corrections += not announced
        *mine, first_us, last_us = self.totals
        summed = [
            each + after - before
            for each, before, after in zip(mine, then[:-2], now[:-2], strict=True)
        ]
        self.totals = Totals._make(
            [
                *summed,
                first_us or (one.time_us if announced else 0),
                one.time_us if announced else last_us,
            ]
        )

    def value(self) -> LedgerSums:
        return LedgerSums(self.announces, self.corrections, _shown(self.totals))


def dated(totals: Totals, dates: Dates) -> Totals:
    """Returns the totals with dates in the place of log times; 0 = never, as before."""
    first_us, last_us = (each and dates.of(each) for each in totals[-2:])
    return totals._replace(first_us=first_us, last_us=last_us)


def _shown(totals: Totals) -> LedgerTotals:
    return LedgerTotals(*totals[:-2], totals.first_us or None, totals.last_us or None)


def find_account(who: str, frames: Iterable[Frame]) -> int | None:
    """Finds the account of an owner, or else of a key's number. None = neither exists."""
    of_number = None
    for frame in frames:
        for _, record in admin(frame):
            event = record.event()
            if isinstance(event, KeyIssued):
                if event.owner == who:
                    return event.account
                if str(event.key_ref) == who:
                    of_number = event.account
    return of_number


class Ledger:
    """Yields the entries of one account. It needs all frames of the log, from the first on.

    If the log's oldest events were removed, call `opening` first, with the frames that were kept.

    Afterwards `torrents` has the sums by torrent, with None for entries without a torrent, and
    `account` has the sums of all entries.
    """

    def __init__(
        self,
        account: int,
        info_hash: bytes | None = None,
        decrypt: Callable[[Frame], Frame] | None = None,
    ) -> None:
        """`info_hash`: yield only the entries of this torrent.

        `decrypt`: decrypts the protected section of a frame. Give it if the frames are encrypted.
        """
        self._decrypt = decrypt or (lambda frame: frame)
        self._account = account
        self._info_hash = info_hash
        self._keys: set[int] = set()
        self._rules = AccountingRules()
        self._latest: dict[int, Peer] = {}  # announces that a later one may continue, by seq
        self._torrent_of = _Torrents()
        self._clients = Clients()
        self.torrents: dict[bytes | None, Sums] = {}
        self.account = Sums()

    def opening(
        self, kept: Iterable[Frame], state: State
    ) -> Iterator[LedgerOpening | LedgerCorrection]:
        """Yields the entries of the removed events: the corrections, and the opening balance.

        `state`: the state before the first event that was not removed.
        """
        for frame in kept:
            for entry in self._kept_corrections(frame):
                amounts = {"credited_uploaded": entry.credited_uploaded}
                amounts["credited_downloaded"] = entry.credited_downloaded
                self._sum(entry, NOTHING, NOTHING._replace(**amounts))
                if self._info_hash is None:
                    yield entry
        self._begin(state)
        corrected = self.account.totals
        totals = dated(self._totals(), state.dates)
        balance = totals._replace(
            credited_uploaded=totals.credited_uploaded - corrected.credited_uploaded,
            credited_downloaded=totals.credited_downloaded - corrected.credited_downloaded,
        )
        for sums in (self.torrents.setdefault(None, Sums()), self.account):
            sums.open(balance)
        if self._info_hash is None:
            yield LedgerOpening(state.seq, state.dates.of(state.time_us), _shown(balance))

    def of_torrent(self, info_hash: bytes) -> Sums:
        return self.torrents.get(info_hash) or Sums()

    def _kept_corrections(self, frame: Frame) -> Iterator[LedgerCorrection]:
        for seq, record in admin(frame):
            event = record.event()
            if isinstance(event, CreditCorrected) and event.account == self._account:
                yield _corrected(seq, record.time_us - frame.header.lead_us, event, None)

    def _begin(self, state: State) -> None:
        """Takes from the state: keys, rules, and announces that a later one may continue."""
        access, peer = state.access, state.swarms.peer
        self._keys = {ref for ref, owner in enumerate(access.account_of) if owner == self._account}
        self._rules.go_on(state, state.accounts)
        self._clients = state.clients
        theirs = [peer(one) for ref in self._keys for one in state.swarms.of_key.peers(ref)]
        self._latest = {one.last_seq: one for one in theirs}

    def entries(self, frames: Iterable[Frame]) -> Iterator[_Entry]:
        for frame in frames:
            found: Iterable[_Entry] = ()
            if not readable(frame):
                continue
            if frame.header.kind == events.ADMIN:
                found = self._corrections(frame)
            elif frame.header.kind == events.ANNOUNCE and self._keys:
                found = self._announces(frame)
            elif frame.header.kind == Tick.kind:
                self._rules.pass_time(frame)
            elif frame.header.kind == ClientNamed.kind:
                for one in ClientNamed.unpack(newest(frame).plain):
                    self._clients.add(one.prefix, one.agent)
            for entry in found:
                if self._info_hash in (None, entry.info_hash):
                    yield entry

    def _corrections(self, frame: Frame) -> Iterator[LedgerCorrection]:
        """Applies an admin frame to the rules; corrections of the account are entries."""
        for seq, record in admin(frame):
            event = record.event()
            self._rules.apply(event, seq, record.time_us)
            if isinstance(event, KeyIssued):
                if event.account == self._account:
                    self._keys.add(event.key_ref)
            elif isinstance(event, CreditCorrected) and event.account == self._account:
                yield self._correction(seq, record.time_us, event)

    def _correction(self, seq: int, time_us: int, event: CreditCorrected) -> LedgerCorrection:
        then = self._totals()
        event.correct(self._rules.accounts, seq)
        date_us = self._rules.dates.of(time_us)
        entry = _corrected(seq, date_us, event, self._torrent_of.find(event.corrects))
        self._add(entry, then)
        return entry

    def _announces(self, frame: Frame) -> Iterator[LedgerAnnounce]:
        older = not current(frame)
        if older:
            frame = newest(self._decrypt(frame))
        # This check alone skips most frames.
        refs = list(chain.from_iterable(_KEY_REF.iter_unpack(frame.plain)))
        if self._keys.isdisjoint(refs):
            return
        protected = frame.protected if older else self._decrypt(frame).protected
        for number, key_ref in enumerate(refs):
            if key_ref in self._keys:
                row = codec.PLAIN.unpack_from(frame.plain, number * codec.PLAIN.size)
                tail = (
                    codec.PROTECTED.unpack_from(protected, number * codec.PROTECTED.size)[1]
                    if protected
                    else b""
                )
                yield self._entry(frame.header.base_seq + number, row, tail)

    def _entry(
        self,
        seq: int,
        row: codec.Plain,
        id_tail: bytes,
    ) -> LedgerAnnounce:
        (
            time_us, info_hash, id_head, uploaded, downloaded, left, _, prev_seq, *_, what, rule,
            client,
        ) = row  # fmt: skip
        event = what & 0x0F
        then = self._totals()
        before = self._latest.pop(prev_seq, None)
        done = self._rules.record(
            self._account, before, time_us, info_hash, uploaded, downloaded, left, event, rule,
        )  # fmt: skip
        base = before if rule == events.RULE_CONTINUED else None  # a new session has a new base
        peer = Peer(
            id_head + id_tail, mark_of(base, left, event, done), 0, 0, uploaded, downloaded, left,
            time_us, seq,
        )  # fmt: skip
        if event != events.STOPPED:
            self._latest[seq] = peer
        words, factors = self._rule(base, peer, info_hash, rule)
        now = self._totals()
        entry = LedgerAnnounce(
            seq,
            self._rules.dates.of(time_us),
            info_hash,
            peer.peer_id,
            events.EVENT_NAMES[event],
            uploaded,
            downloaded,
            None if left == events.LEFT_UNKNOWN else left,
            base.uploaded if base else None,
            base.downloaded if base else None,
            now.uploaded - then.uploaded,
            now.downloaded - then.downloaded,
            now.credited_uploaded - then.credited_uploaded,
            now.credited_downloaded - then.credited_downloaded,
            words,
            factors,
            self._client(client),
        )
        self._add(entry, then)
        return entry

    def _client(self, number: int) -> Client | None:
        if not 0 < number <= len(self._clients.pairs):
            return None
        prefix, agent = self._clients.shown(number)
        return Client(number, prefix or None, agent or None)

    def _rule(
        self, base: Peer | None, peer: Peer, info_hash: bytes, rule: int
    ) -> tuple[str, tuple[int, ...]]:
        """Returns the rule of an announce in words, and the numbers of the factors that apply."""
        if base is None:
            return events.RULE_NAMES.get(rule, str(rule)), ()
        same = (
            (peer.uploaded, peer.downloaded, peer.mark & MARK_EVENT)
            == (base.uploaded, base.downloaded, base.mark & MARK_EVENT)
        )  # fmt: skip
        if same and peer.seen_us - base.seen_us < DUPLICATE_US:
            return f"same as {base.last_seq}", ()
        applied = self._rules.factors.applied(self._account, info_hash, peer.seen_us)
        words = [events.RULE_NAMES.get(rule, str(rule))]
        if applied.upload_factor:
            words.append(f"upload {applied.upload_percent}% by factor {applied.upload_factor}")
        if applied.download_factor:
            words.append(
                f"download {applied.download_percent}% by factor {applied.download_factor}"
            )
        factors = {applied.upload_factor, applied.download_factor} - {0}
        return ", ".join(words), tuple(sorted(factors))

    def _totals(self) -> Totals:
        return self._rules.accounts.totals(self._account)

    def _add(self, entry: _Entry, then: Totals) -> None:
        self._sum(entry, then, self._totals())

    def _sum(self, entry: _Entry, then: Totals, now: Totals) -> None:
        self._torrent_of.note(entry.seq, entry.info_hash)
        self.torrents.setdefault(entry.info_hash, Sums()).add(entry, then, now)
        self.account.add(entry, then, now)


def _corrected(
    seq: int, date_us: int, event: CreditCorrected, info_hash: bytes | None
) -> LedgerCorrection:
    reason = (event.by or {}).get("reason", "")
    return LedgerCorrection(
        seq, date_us, info_hash, event.uploaded, event.downloaded, event.corrects, reason
    )


def mark_of(base: Peer | None, left: int, event: int, done: bool) -> int:
    """Returns the mark of the peer's row after an announce, as `Swarms` keeps it."""
    kept = base.mark & (MARK_COMPLETED | MARK_SNATCHED) if base else 0
    seeder = MARK_SEEDER if left == 0 else 0
    completed = MARK_COMPLETED if event == events.COMPLETED else 0
    return kept | seeder | completed | (MARK_SNATCHED if done else 0) | event


class _Torrents:
    """Remembers the torrent of each entry, because a correction may correct any of them.

    It takes 12 bytes for each entry.
    """

    def __init__(self) -> None:
        self._seqs = array("Q")  # ascending
        self._torrents = array("I")
        self._hashes: list[bytes | None] = []
        self._numbers: dict[bytes | None, int] = {}

    def note(self, seq: int, info_hash: bytes | None) -> None:
        number = self._numbers.setdefault(info_hash, len(self._hashes))
        if number == len(self._hashes):
            self._hashes.append(info_hash)
        self._seqs.append(seq)
        self._torrents.append(number)

    def find(self, seq: int) -> bytes | None:
        at = bisect_left(self._seqs, seq)
        if at == len(self._seqs) or self._seqs[at] != seq:
            return None
        return self._hashes[self._torrents[at]]
