"""Sums up entries of a ledger, by account and torrent.

The sums of an account and of a torrent have one home, so that a row of either is the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import define, evolve

from tracker.domain.accounts import NOTHING, Totals
from tracker.ports import (
    BookRow,
    LedgerAnnounce,
    LedgerCorrection,
    LedgerMove,
    LedgerSums,
    LedgerTotals,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracker.domain.dates import Dates
    from tracker.ledger.rules import Gain

Entry = LedgerAnnounce | LedgerCorrection | LedgerMove


@define
class Sums:
    """Sums up the entries of a torrent, or of the account. The times in it are dates."""

    announces: int = 0
    corrections: int = 0
    totals: Totals = NOTHING
    corrected: tuple[int, int] = (0, 0)  # credited bytes, up and down, that corrections added
    completed_us: int = 0  # the first completed download; 0 = there was none
    client: int = 0  # number of the client of the last announce; 0 = it has none

    def open(self, balance: Totals) -> None:
        """Adds the totals of an opening. Corrections may have been added before."""
        self._plus(balance)
        self.totals = self.totals._replace(first_us=balance.first_us, last_us=balance.last_us)

    def add(self, one: Entry, then: Totals, now: Totals) -> None:
        """Adds an entry that took the account's totals from `then` to `now`."""
        self._plus(now, then)
        if isinstance(one, LedgerCorrection):
            self.corrections += 1
            up, down = self.corrected
            self.corrected = up + one.credited_uploaded, down + one.credited_downloaded
            return
        if isinstance(one, LedgerMove):
            return
        self.announces += 1
        self.client = one.client.number if one.client else 0
        if now.snatched > then.snatched:
            self.completed_us = self.completed_us or one.time_us
        first_us = self.totals.first_us or one.time_us
        self.totals = self.totals._replace(first_us=first_us, last_us=one.time_us)

    def add_sums(self, later: Sums) -> None:
        """Adds the sums of later entries."""
        first_us = self.totals.first_us or later.totals.first_us
        last_us = later.totals.last_us or self.totals.last_us
        self._plus(later.totals)
        self.totals = self.totals._replace(first_us=first_us, last_us=last_us)
        self.announces += later.announces
        self.corrections += later.corrections
        self.corrected = (
            self.corrected[0] + later.corrected[0],
            self.corrected[1] + later.corrected[1],
        )
        self.completed_us = self.completed_us or later.completed_us
        if later.announces:
            self.client = later.client

    def _plus(self, more: Totals, less: Totals = NOTHING) -> None:
        """Adds the difference of two totals, except for the two times of announces."""
        first_us, last_us = self.totals.first_us, self.totals.last_us
        summed = (a + b - c for a, b, c in zip(self.totals, more, less, strict=True))
        self.totals = Totals._make(summed)._replace(first_us=first_us, last_us=last_us)

    def less(self, other: Sums) -> None:
        """Takes amounts away."""
        self._plus(NOTHING, other.totals)

    def gain(self, seeding_us: int, partial_us: int) -> None:
        """Adds time for which peers were listed."""
        self._plus(NOTHING._replace(seeding_us=seeding_us, partial_us=partial_us))

    def value(self) -> LedgerSums:
        return LedgerSums(self.announces, self.corrections, shown_totals(self.totals))

    def row(self, account: int, info_hash: bytes | None) -> BookRow:
        """Returns the row of the book for these sums, without their corrections."""
        totals = self.totals
        up, down = self.corrected
        return BookRow(
            account=account,
            info_hash=info_hash,
            uploaded=totals.uploaded,
            downloaded=totals.downloaded,
            credited_uploaded=totals.credited_uploaded - up,
            credited_downloaded=totals.credited_downloaded - down,
            seeding_us=totals.seeding_us,
            partial_us=totals.partial_us,
            first_us=totals.first_us or None,
            last_us=totals.last_us or None,
            completed_us=self.completed_us or None,
            snatched=totals.snatched,
            sessions=totals.sessions,
            announces=self.announces,
            corrections=0,
            client=self.client or None,
        )


def sums_of(row: BookRow) -> Sums:
    """Returns the sums that a row of the book has for a torrent."""
    totals = Totals(
        row.uploaded, row.downloaded, row.credited_uploaded, row.credited_downloaded,
        row.seeding_us, row.sessions, row.snatched, row.first_us or 0, row.last_us or 0,
        row.partial_us,
    )  # fmt: skip
    completed_us, client = row.completed_us or 0, row.client or 0
    return Sums(row.announces, 0, totals, completed_us=completed_us, client=client)


def dated(totals: Totals, dates: Dates) -> Totals:
    """Returns the totals with dates in the place of log times; 0 = never, as before."""
    first_us, last_us = (each and dates.of(each) for each in (totals.first_us, totals.last_us))
    return totals._replace(first_us=first_us, last_us=last_us)


def shown_totals(totals: Totals) -> LedgerTotals:
    times = {"first_us": totals.first_us or None, "last_us": totals.last_us or None}
    return LedgerTotals(**{**totals._asdict(), **times})


def with_open(
    sums: dict[bytes | None, Sums], open_: Iterable[Gain], *, of_all: bool = False
) -> dict[bytes | None, Sums]:
    """Returns copies of the sums by torrent, with the time for which peers are listed so far.

    `of_all`: the sums are of all torrents, under None.
    """
    found = {name: evolve(each) for name, each in sums.items()}
    for _, info_hash, seeding_us, partial_us in open_:
        found.setdefault(None if of_all else info_hash, Sums()).gain(seeding_us, partial_us)
    return found
