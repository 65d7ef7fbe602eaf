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
from struct import Struct
from typing import TYPE_CHECKING

from attrs import evolve

from tracker.domain import events
from tracker.domain.accounts import NOTHING, Totals
from tracker.domain.clients import Clients
from tracker.domain.events import codec
from tracker.domain.events.admin import AccountSplit, CreditCorrected, KeyIssued, KeysMoved
from tracker.domain.events.records import ClientNamed
from tracker.domain.swarms import MARK_EVENT
from tracker.ledger.rules import AccountingRules
from tracker.ledger.sums import Entry, Sums, dated, shown_totals, sums_of, with_open
from tracker.ports import Client, LedgerAnnounce, LedgerCorrection, LedgerMove, LedgerOpening
from tracker.store.frames import admin, current, newest, readable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from eventlog import Frame
    from tracker.domain.moved import Moved
    from tracker.domain.state import State
    from tracker.ledger.rules import CountedAnnounce, Gain
    from tracker.ports import BookRead, BookRow

_KEY_REF, _KEY_REF_AT = Struct("<I"), 60  # of a record of `codec.PLAIN`

_CREDITED = "credited_uploaded", "credited_downloaded"

DUPLICATE_US = 30_000_000
"""Microseconds within which an announce that repeats the previous one is a duplicate. The client
announced from another of its addresses, or tried again.
"""


def _with_keys(plain: memoryview, keys: Iterable[int]) -> list[int]:
    """Returns which announces of a frame came with one of the keys, ascending.

    It searches the lowest bytes of all keys at once, because a look at each key takes ten times as
    long, and a ledger looks at every announce of the log.
    """
    # A step through bytes takes a third of the time of one through a view.
    size, lowest = codec.PLAIN.size, bytes(plain)[_KEY_REF_AT :: codec.PLAIN.size]
    found = []
    for key_ref in keys:
        number = lowest.find(key_ref & 0xFF)
        while number >= 0:
            if _KEY_REF.unpack_from(plain, number * size + _KEY_REF_AT)[0] == key_ref:
                found.append(number)
            number = lowest.find(key_ref & 0xFF, number + 1)
    return sorted(found)


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
    """Yields the entries of one account. It needs all frames of the log, from the first on, but
    for announces of other keys than `keys` and kinds of `ONLY_TIME`: their time goes to `passed`.

    If the log's oldest events were removed, call `opening` first, with the frames that were kept.

    Afterwards `torrents` has the sums by torrent, with None for entries without a torrent, and
    `account` has the sums of all entries.
    """

    def __init__(
        self,
        account: int,
        info_hash: bytes | None = None,
        decrypt: Callable[[Frame], Frame] | None = None,
        reread: Callable[[Ledger, int], None] | None = None,
    ) -> None:
        """`info_hash`: yield only the entries of this torrent.

        `decrypt`: decrypts the protected section of a frame. Give it if the frames are encrypted.
        `reread`: tells another ledger the log from the beginning up to an event. It is called where
        the account gets keys of another one, to learn what these counted until then.
        """
        self._reread = reread
        self._decrypt = decrypt or (lambda frame: frame)
        self._account = account
        self._info_hash = info_hash
        self.keys: set[int] = set()  # of the account so far, by number
        self._rules = AccountingRules()
        self._torrent_of = _Torrents()
        self._clients = Clients()
        self.torrents: dict[bytes | None, Sums] = {}
        self.account = Sums()

    def sums(self) -> dict[bytes | None, Sums]:
        """Returns the sums by torrent, with the time for which peers are listed so far."""
        return with_open(self.torrents, self._own(self._rules.open()))

    def whole(self) -> Sums:
        """Returns the sums of the account, with the time for which peers are listed so far."""
        return with_open({None: self.account}, self._own(self._rules.open()), of_all=True)[None]

    def _own(self, gains: Iterable[Gain]) -> Iterator[Gain]:
        """Yields what this account gained, and not those that its keys came from or went to."""
        return (gain for gain in gains if gain[0] == self._account)

    def opening(
        self, kept: Iterable[Frame], state: State, book: BookRead | None = None
    ) -> Iterator[LedgerOpening | LedgerCorrection | LedgerMove]:
        """Yields the entries of the removed events: corrections, moves, and the opening balance.

        `state`: the state before the first event that was not removed. `book`: the book of the
        removed events; None = there was none, so all of the balance belongs to no torrent.
        """
        for frame in kept:
            for entry, amounts in self._kept_changes(frame):
                self._sum(entry, NOTHING, NOTHING._replace(**amounts))
                if self._info_hash is None:
                    yield entry
        self._begin(state)
        totals = dated(self._totals(), state.dates)
        summed = (a - b for a, b in zip(totals, self.account.totals, strict=True))
        times = {"first_us": totals.first_us, "last_us": totals.last_us}
        balance = Totals._make(summed)._replace(**times)
        self.account.open(balance)
        shown: Totals | None = balance
        if book is None:
            self.torrents.setdefault(None, Sums()).open(balance)
        else:
            self._open_rows(book, balance)
        if self._info_hash is not None:
            sums = self.torrents.get(self._info_hash)
            shown = sums.totals if sums else None
        if shown is not None:
            yield LedgerOpening(state.seq, state.dates.of(state.time_us), shown_totals(shown))

    def _open_rows(self, book: BookRead, balance: Totals) -> None:
        """Splits the balance by torrent. What belongs to no torrent is the rest of it, so the sums
        stay exact.
        """
        rest = Sums(totals=balance)
        first_us = last_us = 0
        for row in book.of_account(self._account):
            if row.info_hash is None:
                first_us, last_us = row.first_us or 0, row.last_us or 0
                continue
            sums = self.torrents[row.info_hash] = sums_of(row)
            self.account.announces += sums.announces
            rest.less(sums)
        amounts = rest.totals._replace(first_us=first_us, last_us=last_us)
        if any(amounts):
            self.torrents.setdefault(None, Sums()).open(amounts)

    def of_torrent(self, info_hash: bytes) -> Sums:
        return self.sums().get(info_hash) or Sums()

    def rows(self) -> list[BookRow]:
        """Returns the account's rows of the book, by info hash; "no torrent" is the first."""
        sums = self.sums()
        rows = [sums[name].row(self._account, name) for name in sorted(filter(None, sums))]
        corrections = sum(each.corrections for each in sums.values())
        none = sums.get(None, Sums())
        if corrections or any(none.totals):
            up, down = map(sum, zip(*(each.corrected for each in sums.values()), strict=True))
            rest = none.row(self._account, None)
            rest = evolve(
                rest,
                credited_uploaded=rest.credited_uploaded + up,
                credited_downloaded=rest.credited_downloaded + down,
                corrections=corrections,
            )
            rows.insert(0, rest)
        return rows

    def _kept_changes(
        self, frame: Frame
    ) -> Iterator[tuple[LedgerCorrection | LedgerMove, dict[str, int]]]:
        """Yields the corrections and moves of a kept frame, and what each added to the totals."""
        for seq, record in admin(frame):
            event, date_us = record.event(), record.time_us - frame.header.lead_us
            if isinstance(event, CreditCorrected) and event.account == self._account:
                credited = event.uploaded, event.downloaded
                amounts = dict(zip(_CREDITED, credited, strict=True))
                yield _corrected(seq, date_us, event, None), amounts
            elif isinstance(event, KeysMoved) and self._account in (event.account, event.to):
                entry, moved = _moved(seq, date_us, event, self._account)
                yield entry, moved.amounts()

    def _begin(self, state: State) -> None:
        """Takes from the state: keys, rules, and announces that a later one may continue."""
        account_of = state.access.account_of
        self.keys = {ref for ref, owner in enumerate(account_of) if owner == self._account}
        self._rules.go_on(state, state.accounts, lambda account, _: account == self._account)
        self._clients = state.clients

    def entries(self, frames: Iterable[Frame]) -> Iterator[Entry]:
        for frame in frames:
            if not readable(frame):
                continue
            found: Iterable[Entry] = ()
            kind = frame.header.kind
            if kind == events.ADMIN:
                found = self._changes(frame)
            elif kind == events.ANNOUNCE and self.keys:
                found = self._announces(frame)
            elif kind == ClientNamed.kind:
                for one in ClientNamed.unpack(newest(frame).plain):
                    self._clients.add(one.prefix, one.agent)
            for entry in found:
                if self._info_hash in (None, entry.info_hash):
                    yield entry
            if kind != events.ADMIN:
                self._rules.note(frame)
            if self._rules.gains:
                self._take_gains()

    def passed(self, kind: int, time_us: int) -> None:
        """Takes kind and log time of a frame that it can do without, because it is of announces of
        others or changes nothing that counts."""
        if kind == events.ANNOUNCE:
            self._rules.announced(time_us)
        else:
            self._rules.time_us = time_us

    def _take_gains(self) -> None:
        gains, self._rules.gains = self._rules.gains, []
        for _, info_hash, seeding_us, partial_us in self._own(gains):
            for sums in (self.torrents.setdefault(info_hash, Sums()), self.account):
                sums.gain(seeding_us, partial_us)

    def _changes(self, frame: Frame) -> Iterator[LedgerCorrection | LedgerMove]:
        """Applies an admin frame to the rules; corrections and moves of the account are entries."""
        for seq, record in admin(frame):
            if record.type == KeyIssued.number and record.data.get("account") != self._account:
                self._rules.time_us = record.time_us
                continue  # before it is made an event, because a site issues many keys
            event = record.event()
            if isinstance(event, KeysMoved) and event.to == self._account:
                self._adopt(event, seq)
            self._rules.apply(event, seq, record.time_us)
            if isinstance(event, KeyIssued):
                if event.account == self._account:
                    self.keys.add(event.key_ref)
            elif isinstance(event, KeysMoved):
                if self._account in (event.account, event.to):
                    yield self._move(seq, record.time_us, event)
            elif isinstance(event, CreditCorrected) and event.account == self._account:
                yield self._correction(seq, record.time_us, event)

    def _adopt(self, event: KeysMoved, seq: int) -> None:
        """Takes keys that another account has until this event, and what they counted."""
        other = Ledger(event.account, None, self._decrypt, self._reread)
        if self._reread is None:
            raise AssertionError("a ledger with keys of another account has to read the log again")
        self._reread(other, seq)
        self.keys |= other._keys_in(event)
        self._rules.adopt(other._rules, event.account)

    def _keys_in(self, event: KeysMoved) -> set[int]:
        """Returns which keys of the account that loses some an event moves."""
        return set(event.key_refs) if isinstance(event, AccountSplit) else set(self.keys)

    def _move(self, seq: int, time_us: int, event: KeysMoved) -> LedgerMove:
        if event.account == self._account:
            self.keys -= self._keys_in(event)
        if self._rules.gains:
            self._take_gains()
        then = self._totals()
        event.change(self._rules.accounts, self._account)
        entry, _ = _moved(seq, self._rules.dates.of(time_us), event, self._account)
        self._add(entry, then)
        return entry

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
        if not (numbers := _with_keys(frame.plain, self.keys)):  # true of most frames
            return
        protected = frame.protected if older else self._decrypt(frame).protected
        for number in numbers:
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
        time_us, info_hash, id_head, uploaded, downloaded, left, *_, what, rule, client = row
        then = self._totals()
        counted = self._rules.record(self._account, seq, row, id_head + id_tail)
        now = self._totals()
        base = counted.before if counted.goes_on else None  # a new session has a new base
        words, factors = _rule(counted, rule)
        entry = LedgerAnnounce(
            seq,
            self._rules.dates.of(time_us),
            info_hash,
            counted.stay.peer_id,
            events.EVENT_NAMES[what & 0x0F],
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
            self.client(client),
        )
        self._add(entry, then)
        return entry

    def client(self, number: int) -> Client | None:
        """Returns the client that the log so far has under this number; None = there is none."""
        if not 0 < number <= len(self._clients.pairs):
            return None
        prefix, agent = self._clients.shown(number)
        return Client(number, prefix or None, agent or None)

    def _totals(self) -> Totals:
        return self._rules.accounts.totals(self._account)

    def _add(self, entry: Entry, then: Totals) -> None:
        self._sum(entry, then, self._totals())

    def _sum(self, entry: Entry, then: Totals, now: Totals) -> None:
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


def _moved(seq: int, date_us: int, event: KeysMoved, account: int) -> tuple[LedgerMove, Moved]:
    """Returns the entry of a move for one of its accounts, and the signed amounts."""
    gets = account == event.to
    moved = event.moved.signed(1 if gets else -1)
    other = event.account if gets else event.to
    reason = (event.by or {}).get("reason", "")
    return LedgerMove(seq, date_us, event.name, other, **moved.amounts(), reason=reason), moved


def _rule(counted: CountedAnnounce, rule: int) -> tuple[str, tuple[int, ...]]:
    """Returns the rule of an announce in words, and the numbers of the factors that it names."""
    words = [events.RULE_NAMES.get(rule, str(rule))]
    before, after = counted.before, counted.stay
    if before is None or not counted.goes_on:
        return words[0], ()
    same = (
        (after.uploaded, after.downloaded, after.mark & MARK_EVENT)
        == (before.uploaded, before.downloaded, before.mark & MARK_EVENT)
    )  # fmt: skip
    if same and after.seen_us - before.seen_us < DUPLICATE_US:
        return f"same as {before.seq}", ()
    then, now, applied = counted.then, counted.now, counted.applied
    words += _percents(
        "upload",
        applied.upload_percent,
        (then.upload_percent, then.upload_factor),
        (now.upload_percent, now.upload_factor),
    )
    words += _percents(
        "download",
        applied.download_percent,
        (then.download_percent, then.download_factor),
        (now.download_percent, now.download_factor),
    )
    if counted.freed:
        words.append(f"{counted.freed} bytes free by freeleech token {counted.token}")
    if counted.clipped:
        words.append(f"upload clipped by {counted.clipped} bytes")
    return ", ".join(words), tuple(sorted({*then[2:], *now[2:]} - {0}))


def _percents(
    side: str, applied: int, then: tuple[int, int], now: tuple[int, int]
) -> Iterator[str]:
    """Says the percentage of one side. Names both ends of the gap where they differ."""
    if then != now:
        yield f"{side} {applied}% ({_percent(*then)} at its beginning, {_percent(*now)} at its end)"
    elif now[1]:
        yield f"{side} {_percent(*now)}"


def _percent(percent: int, factor: int) -> str:
    return f"{percent}% by factor {factor}" if factor else f"{percent}%"


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
