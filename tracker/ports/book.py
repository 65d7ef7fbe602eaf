"""The rows of the book: what each account did in each torrent, summed over the whole history of the
log, also over announces that were removed since.

The follower writes the book beside the log, and readers open it there with `tracker.store.book.
open_newest(log, keys)`, which returns None where there is none (docs/adr/0026). A book that
was opened covers the events below `upto`, and never changes; a newer one is another book. So it
lags behind the log by what came since, mostly some seconds to a minute.

What a row counts
- It counts what the projector counted for this account and torrent at the announces and removals
  below `upto`. Time for which a peer is listed is counted when the peer announces next or goes, so
  the time since its last announce is not in the row yet. `upto` is always the first event of a
  frame, and mostly that of a snapshot too, because the follower writes both at once. So a reader
  that wants the exact present goes on from a snapshot's state, as at an opening.
- All corrections are in the row "no torrent" of their account, whatever they correct, and so is
  what was removed from the log before there was a book. Its credited amounts may be negative.
- At each `upto` the sums over all rows of an account, "no torrent" included, are the account's
  totals in the state there, without the time that is still open (`Accounts.totals`): raw and
  credited bytes, seeding, partial seeding, sessions, snatches.
- With `[policy] history_days` a row that gained nothing for so many days is gone, and its amounts
  are in the row "no torrent" (docs/log-format.md has the rule).

Public modes have no accounts, so they have no rows.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Iterator


@frozen
class BookRow:
    """What an account did in a torrent. Amounts are bytes, lengths of time microseconds.

    Dates are Unix microseconds: log time less the lead that was in force then. The row "no torrent"
    has the first and last date of what was removed before there was a book.
    """

    account: int
    info_hash: bytes | None  # None = the row "no torrent"
    uploaded: int  # raw, as announced
    downloaded: int
    credited_uploaded: int  # after factors and corrections; signed in the row "no torrent"
    credited_downloaded: int
    seeding_us: int
    partial_us: int  # partial seeding, without moments that are in `seeding_us`
    first_us: int | None  # date of the first announce; None = there was none
    last_us: int | None  # date of the last announce
    completed_us: int | None  # date of the first completed download; None = there was none
    snatched: int  # completed downloads
    sessions: int
    announces: int  # in the row "no torrent": those of rows that ended
    corrections: int  # only in the row "no torrent": those since `BookRead.since`
    # The number of the client of the last announce. None = one without a number, or the record is
    # older than these.
    client: int | None


class BookRead(Protocol):
    """A book that was opened. Calls block, and read little: two look-ups for each file of the book.

    Raises `LogError`, `OSError`.
    """

    @property
    def upto(self) -> int:
        """Every event with a lower number is counted, and no other."""
        ...

    @property
    def since(self) -> int:
        """The first event that is counted by torrent; what was before, is in rows "no torrent"."""
        ...

    def of_account(self, account: int, after: bytes | None = None) -> Iterator[BookRow]:
        """The rows of an account: first "no torrent", where it has one, then by info hash,
        ascending.

        `after`: only rows of larger info hashes, so never "no torrent".
        """
        ...

    def of_torrent(self, info_hash: bytes, after: int | None = None) -> Iterator[BookRow]:
        """The rows of a torrent by account, ascending. `after`: only larger accounts."""
        ...

    def row(self, account: int, info_hash: bytes | None) -> BookRow | None:
        """One row; None = there is none."""
        ...
