"""The values of ledgers: entries, sums, rows of the book, and pages of all.

Amounts are bytes, times Unix microseconds of log time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from tracker.ports.lists import ListCursor, ListQuery

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracker.ports.book import BookRow
    from tracker.ports.outages import Outage
    from tracker.ports.values import Client


@frozen
class LedgerTotals:
    """The sums of some entries.

    `credited_*` are after factors and corrections, the others as announced.
    """

    uploaded: int
    downloaded: int
    credited_uploaded: int
    credited_downloaded: int
    seeding_us: int
    sessions: int
    snatched: int
    first_us: int | None  # date of the first announce; None = there was none
    last_us: int | None
    partial_us: int = 0  # partial seeding, without moments that are in `seeding_us`


@frozen
class LedgerSums:
    """The number of entries, and their sums."""

    announces: int
    corrections: int
    totals: LedgerTotals


@frozen
class LedgerAnnounce:
    """One announce of the account.

    `base_*` are the totals of the previous announce in its session, None for the first one.
    """

    seq: int
    time_us: int
    info_hash: bytes
    peer_id: bytes  # its first 8 bytes only, where the rest cannot be read
    event: str
    uploaded: int
    downloaded: int
    left: int | None
    base_uploaded: int | None
    base_downloaded: int | None
    delta_uploaded: int
    delta_downloaded: int
    credited_uploaded: int
    credited_downloaded: int
    rule: str
    factors: tuple[int, ...]  # numbers of the factors that `rule` names
    client: Client | None = None  # None = one without a number, or the record is older than these


@frozen
class LedgerCorrection:
    """A correction of the credited totals, in signed bytes."""

    seq: int
    time_us: int
    info_hash: bytes | None  # of the announce that it corrects, directly or through corrections
    credited_uploaded: int
    credited_downloaded: int
    corrects: int  # seq
    reason: str


@frozen
class LedgerMove:
    """Totals that came from another account, or went to it, as signed amounts."""

    seq: int
    time_us: int
    what: str  # of the event: `account_merged` or `account_split`
    account: int  # the other one
    uploaded: int
    downloaded: int
    credited_uploaded: int
    credited_downloaded: int
    seeding_us: int
    partial_us: int
    sessions: int
    snatched: int
    reason: str

    @property
    def info_hash(self) -> None:
        """It belongs to no torrent."""


@frozen
class LedgerOpening:
    """The totals that the account had when the log began: their announces were removed.

    Corrections and moves are not in it: those from before are entries of their own.
    """

    seq: int  # of the first event that the log holds
    time_us: int  # of the last event before it
    totals: LedgerTotals


LedgerEntry = LedgerOpening | LedgerCorrection | LedgerMove | LedgerAnnounce


@frozen
class EntriesPage:
    entries: Sequence[LedgerEntry]  # ascending by `seq`
    following: int | None  # the `after` of the next page; None = there is none
    sums: LedgerSums | None  # of all pages, with the last one only
    outage: Outage | None = None  # around the moment that was asked about


@frozen
class SumsPage:
    """Sums by torrent or by account, ascending.

    Rows are named by info hash or account; None = no torrent, first.
    """

    rows: Sequence[tuple[bytes | int | None, LedgerSums]]
    following: bytes | int | None  # the `after` of the next page; None = there is none
    first_seq: int  # the sums are of the events from this one
    seq: int  # to this one
    outage: Outage | None = None  # around the moment that was asked about


@frozen(kw_only=True)
class BookQuery(ListQuery):
    """Which rows of an account or a torrent are wanted; fields are those of `BookRow`."""

    account: int | None = None  # only the row of this account
    info_hash: bytes | None = None  # only the row of this torrent


@frozen
class BookPage:
    rows: Sequence[BookRow]
    following: ListCursor | None  # the `after` of the next page; None = there is none
    since: int  # the rows of torrents count the events from this one
    seq: int  # up to this one; -1 = none
    outage: Outage | None = None  # around the moment that was asked about
