"""Makes the pages of a ledger and of sums.

Each page continues the walk over the log where the page before it ended. Blocking.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Any

from tracker.ledger.account import Ledger
from tracker.ledger.torrent import Contributions
from tracker.ledger.walk import Walk, rereading
from tracker.ports import EntriesPage, LedgerOpening, PrunedMomentError, SumsPage

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tracker.ledger.sums import Sums
    from tracker.ledger.walk import Decryption
    from tracker.ports import BookRow, LedgerEntry
    from tracker.store.known_frames import Indexes

PAGE_SECONDS = 2.0
"""Longest work on the events after a page's beginning, in seconds. The next page does the rest."""


class EntryPages:
    """Makes a ledger page by page. The latest page stays in memory, because a client may repeat the
    request.
    """

    def __init__(
        self,
        log: Path,
        account: int,
        info_hash: bytes | None,
        end: int | None,
        after: int,
        decrypt: Decryption,
        indexes: Indexes | None = None,
    ) -> None:
        """The ledger covers the events below `end`. The first page begins after event `after`.

        `info_hash`: only the entries of this torrent. Such a ledger has no opening, so it raises
        `PrunedMomentError` if event `after` was removed. `indexes`: as `Walk` has them.
        """
        self._ledger = Ledger(account, info_hash, decrypt, rereading(log, decrypt))
        self._only = info_hash
        self._end = end
        self._walk = Walk(log, decrypt, indexes)
        self._walk.hurried = self._hurried
        self._entries: Iterator[LedgerEntry] | None = None
        self._held: deque[LedgerEntry] = deque()
        self._let_go = -1  # entries up to this seq are not held any more
        self._after = -1
        self._passed = 0.0  # the time when the walk came beyond `_after`
        if info_hash is not None and 0 <= after < self._walk.first_seq:
            raise PrunedMomentError(self._walk.first_seq)

    def fits(self, after: int) -> bool:
        return after >= self._let_go

    def page(self, after: int, limit: int) -> EntriesPage:
        """Returns at most `limit` entries after `after`.

        A page may have one entry more, because an opening and the entry after it have the same seq.
        Raises `PrunedMomentError` if entries after `after` were removed, because the opening then
        sums them up with entries of earlier pages.
        """
        while self._held and self._held[0].seq <= after:
            self._let_go = self._held.popleft().seq
        self._after, self._passed = after, 0.0
        while len(self._held) <= limit:
            entry = self._next()
            if entry is None:
                break
            if entry.seq <= after:
                self._let_go = entry.seq
                continue
            if isinstance(entry, LedgerOpening) and 0 <= after != self._let_go:
                raise PrunedMomentError(entry.seq)
            self._held.append(entry)
        return self._page(limit)

    def _page(self, limit: int) -> EntriesPage:
        entries = list(self._held)[:limit]
        if len(self._held) > limit:
            # No cursor can point between the opening and the next entry, because both have one seq.
            if self._held[limit].seq == entries[-1].seq:
                entries.append(self._held[limit])
            return EntriesPage(entries, entries[-1].seq, None)
        if self._walk.paused:
            return EntriesPage(entries, self._walk.seq - 1, None)
        ledger, only = self._ledger, self._only
        sums = ledger.whole() if only is None else ledger.of_torrent(only)
        return EntriesPage(entries, None, sums.value())

    def _next(self) -> LedgerEntry | None:
        """Returns the next entry; None = the end, or the page's time is over."""
        if self._entries is None:
            self._entries = self._walk.tell(self._ledger, self._end)
        entry = next(self._entries, None)
        if entry is None:
            self._entries = None
        return entry

    def _hurried(self) -> bool:
        if self._walk.seq <= self._after + 1:
            return False
        now = time.perf_counter()
        self._passed = self._passed or now
        return now - self._passed > PAGE_SECONDS


class SumsPages:
    """Makes the sums of an account by torrent, or of a torrent by account, page by page."""

    def __init__(
        self, log: Path, of: int | bytes, decrypt: Decryption, indexes: Indexes | None = None
    ) -> None:
        """`of` is an account or an info hash. `indexes`: as `Walk` has them."""
        self._listener = (
            Contributions(of)
            if isinstance(of, bytes)
            else Ledger(of, reread=rereading(log, decrypt))
        )
        self._walk = Walk(log, decrypt, indexes)

    def fits(self, end: int | None) -> bool:
        return end is None or self._walk.seq <= end

    def page(self, after: int | bytes | None, limit: int, end: int | None) -> SumsPage:
        """Returns at most `limit` rows after the row named `after`, over the events below `end`.

        The row without a name is one more.
        """
        self._read(end)
        rows = [row for row in self._rows() if _beyond(row[0], after)]
        # No cursor can point after the row without a name, so the page has a named row as well.
        limit += bool(rows) and rows[0][0] is None
        page = [(name, sums.value()) for name, sums in rows[:limit]]
        following = page[-1][0] if len(rows) > limit else None
        return SumsPage(page, following, self._walk.first_seq, self._walk.seq - 1)

    def rows(self, end: int | None) -> tuple[list[BookRow], int, int]:
        """Returns the rows of the book over the events below `end`, and the first and the last of
        the events.
        """
        self._read(end)
        return self._listener.rows(), self._walk.since, self._walk.seq - 1

    def _read(self, end: int | None) -> None:
        for _ in self._walk.tell(self._listener, end):
            pass

    def _rows(self) -> list[tuple[int | bytes | None, Sums]]:
        """Returns the rows, ascending; the row without a name is the first."""
        if isinstance(self._listener, Contributions):
            return list(self._listener.sums().items())
        return sorted(self._listener.sums().items(), key=lambda row: row[0] or b"")


def _beyond(name: Any, after: Any) -> bool:
    return after is None or (name is not None and bool(name > after))
