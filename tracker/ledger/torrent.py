"""Sums up the amounts that each account moved on one torrent.

A row has exactly the sums of the account's own ledger (`tracker.ledger.account`) for the torrent,
because the same code adds them up. If the log's oldest events were removed, the book has the sums
of these. Without a book the rows cover the other events only, because the opening balance has no
amounts by torrent.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from typing import TYPE_CHECKING

from attrs import evolve

from tracker.domain import events
from tracker.domain.accounts import Accounts
from tracker.domain.events import codec
from tracker.domain.events.admin import AccountSplit, CreditCorrected, KeyIssued, KeysMoved
from tracker.ledger.rules import AccountingRules
from tracker.ledger.sums import Sums, dated, sums_of
from tracker.store.frames import admin, newest, readable

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from eventlog import Frame
    from tracker.domain.state import State
    from tracker.ports import BookRead, BookRow


class Contributions:
    """A `walk.Listener` that yields no entries. `sums` returns the result."""

    keys = None  # it needs all announces

    def __init__(self, info_hash: bytes) -> None:
        self._info_hash = info_hash
        self._account_of: dict[int, int] = {}  # by key_ref
        self._rules = AccountingRules()
        self._gained: set[int] = set()  # accounts that got time outside of announces
        self._seqs = array("Q")  # of this torrent's announces and corrections, ascending
        self._whose = array("I")  # the account of each
        self._announces: dict[int, int] = {}  # by account
        self._last: dict[int, tuple[int, int]] = {}  # first completion, and the last client
        self._corrected: dict[int, tuple[int, int, int]] = {}  # corrections, uploaded, downloaded
        self._opened: dict[int, Sums] = {}  # by account, of events that were removed

    def sums(self) -> dict[int, Sums]:
        """Returns the sums by account, ascending."""
        found: dict[int, Sums] = {}
        open_ = {account: gain for account, _, *gain in self._rules.open()}
        accounts = self._announces.keys() | self._corrected.keys() | self._gained | open_.keys()
        for account in sorted(accounts | self._opened.keys()):
            sums = found[account] = evolve(self._opened.get(account, Sums()))
            totals = dated(self._rules.accounts.totals(account), self._rules.dates)
            times, up, down = self._corrected.get(account, (0, 0, 0))
            corrected = totals._replace(
                credited_uploaded=totals.credited_uploaded + up,
                credited_downloaded=totals.credited_downloaded + down,
            )
            announces, last = self._announces.get(account, 0), self._last.get(account, (0, 0))
            sums.add_sums(Sums(announces, times, corrected, (up, down), *last))
            sums.gain(*open_.get(account, (0, 0)))
        return found

    def rows(self) -> list[BookRow]:
        """Returns the torrent's rows of the book, by account."""
        return [sums.row(account, self._info_hash) for account, sums in self.sums().items()]

    def opening(
        self, kept: Iterable[Frame], state: State, book: BookRead | None = None
    ) -> Iterator[None]:
        """Takes from the state: accounts, rules, and announces that a later one may continue; and
        from the book of the removed events the sums of these.
        """
        del kept  # these corrections correct entries that were removed too
        if book is not None:
            rows = book.of_torrent(self._info_hash)
            self._opened = {row.account: sums_of(row) for row in rows}
        self._account_of = dict(enumerate(state.access.account_of))
        accounts = Accounts(state.factors)
        if state.accounts.credited_uploaded:
            accounts.keep_credit()
        self._rules.go_on(state, accounts, lambda _, info_hash: info_hash == self._info_hash)
        yield from ()

    def passed(self, kind: int, time_us: int) -> None:
        """Is never called, because it needs all frames."""

    def entries(self, frames: Iterable[Frame]) -> Iterator[None]:
        for frame in frames:
            if not readable(frame):
                continue
            if frame.header.kind == events.ADMIN:
                self._admin(frame)
            elif frame.header.kind == events.ANNOUNCE:
                self._announced(frame)
            if frame.header.kind != events.ADMIN:
                self._rules.note(frame)
            self._gained.update(account for account, *_ in self._rules.gains)
            self._rules.gains = []
        yield from ()

    def _admin(self, frame: Frame) -> None:
        for seq, record in admin(frame):
            event = record.event()
            self._rules.apply(event, seq, record.time_us)
            if isinstance(event, KeyIssued):
                self._account_of[event.key_ref] = event.account
            elif isinstance(event, KeysMoved):
                self._move(event)
            elif isinstance(event, CreditCorrected):
                self._correct(seq, event)

    def _move(self, event: KeysMoved) -> None:
        keys = self._account_of
        if isinstance(event, AccountSplit):
            keys |= dict.fromkeys(event.key_refs, event.to)
            return
        for key_ref, account in keys.items():
            if account == event.account:
                keys[key_ref] = event.to

    def _correct(self, seq: int, event: CreditCorrected) -> None:
        """Adds a correction if it corrects an event of this torrent and of the same account."""
        at = bisect_left(self._seqs, event.corrects)
        if (
            at == len(self._seqs)
            or self._seqs[at] != event.corrects
            or self._whose[at] != event.account
        ):
            return
        self._note(seq, event.account)
        times, up, down = self._corrected.get(event.account, (0, 0, 0))
        corrected = times + 1, up + event.uploaded, down + event.downloaded
        self._corrected[event.account] = corrected

    def _note(self, seq: int, account: int) -> None:
        self._seqs.append(seq)
        self._whose.append(account)

    def _announced(self, frame: Frame) -> None:
        frame = newest(frame._replace(protected=memoryview(b"")))  # the sums do not need it
        # This check alone skips most frames.
        if bytes(frame.plain).find(self._info_hash) < 0:
            return
        for seq, row in enumerate(codec.PLAIN.iter_unpack(frame.plain), frame.header.base_seq):
            if row[1] == self._info_hash and row[6]:
                self._record(seq, row)

    def _record(self, seq: int, row: codec.Plain) -> None:
        account = self._account_of[row[6]]
        snatched = self._rules.accounts.totals(account).snatched
        self._rules.record(account, seq, row, row[2])
        completed_us, _ = self._last.get(account, (0, 0))
        if not completed_us and self._rules.accounts.totals(account).snatched > snatched:
            completed_us = self._rules.dates.of(row[0])
        self._last[account] = completed_us, row[-1]
        self._announces[account] = self._announces.get(account, 0) + 1
        self._note(seq, account)
