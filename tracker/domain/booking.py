"""Notes what each account gains in each torrent while a replay applies events, for the book.

It knows no rule. The projector changes the totals of one account at a time, for one torrent, and
the difference is what the row gains. Only a process that writes the book has one; it is no part of
the state.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from tracker.domain import packed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracker.domain.accounts import Accounts

WORDS = 13
"""Words of 64 bits of a row: see `Gain`, from `uploaded` on."""
_EMPTY = bytes(8 * WORDS)
_MOST = 2**64 - 1
_most = _MOST  # has a type in the .pxd, as `_nowhere` in `directory.py`


class Booking:
    """Rows by account and torrent, and what corrections added.

    `numbers` has the row of each account and torrent, by both (`packed.identity`). `corrections`
    has the number and the signed bytes of an account's corrections.

    `history_us`: a row does not go on after a longer silence; 0 = it always does. What it had until
    then goes to `ended`, as account and words.
    """

    __slots__ = (
        "_credited_down",
        "_credited_up",
        "_down",
        "_partial_us",
        "_seeding_us",
        "_sessions",
        "_snatched",
        "_up",
        "corrections",
        "ended",
        "history_us",
        "numbers",
        "rows",
    )

    def __init__(self) -> None:
        self.history_us = 0
        self.clear()
        self._up = self._down = self._credited_up = self._credited_down = 0
        self._seeding_us = self._partial_us = self._sessions = self._snatched = 0

    def clear(self) -> None:
        """Forgets all rows, because they were written."""
        self.numbers: dict[bytes, int] = {}
        self.rows = array("Q")
        self.corrections: dict[int, tuple[int, int, int]] = {}
        self.ended: list[tuple[int, array[int]]] = []

    def __len__(self) -> int:
        return len(self.numbers) + len(self.corrections)

    def begin(self, accounts: Accounts, account: int) -> None:
        """Looks at the totals of an account before they change."""
        if len(accounts.uploaded) <= account:
            accounts.reach(account)
        self._up = packed.u64(accounts.uploaded, account)
        self._down = packed.u64(accounts.downloaded, account)
        if accounts.credited_uploaded:
            self._credited_up = packed.u64(accounts.credited_uploaded, account)
            self._credited_down = packed.u64(accounts.credited_downloaded, account)
        else:
            self._credited_up, self._credited_down = self._up, self._down
        self._seeding_us = packed.u64(accounts.seeding_us, account)
        self._partial_us = (
            packed.u64(accounts.partial_us, account) if accounts.partial_us else 0
        )  # fmt: skip
        self._sessions = packed.u64(accounts.sessions, account)
        self._snatched = packed.u64(accounts.snatched, account)

    def announced(
        self, accounts: Accounts, account: int, info_hash: bytes, time_us: int, client: int
    ) -> None:
        """Enters what an announce changed since `begin`."""
        at = self._row(account, info_hash)
        rows = self.rows
        if self.history_us:
            last_us = packed.u64(rows, at + 10)
            if last_us and time_us - last_us > self.history_us:
                self.ended.append((account, rows[at : at + 13]))  # WORDS
                rows[at : at + 13] = array("Q", _EMPTY)
        up = packed.u64(accounts.uploaded, account)
        down = packed.u64(accounts.downloaded, account)
        _plus(rows, at, up - self._up)
        _plus(rows, at + 1, down - self._down)
        if accounts.credited_uploaded:
            up = packed.u64(accounts.credited_uploaded, account)
            down = packed.u64(accounts.credited_downloaded, account)
        _plus(rows, at + 2, up - self._credited_up)
        _plus(rows, at + 3, down - self._credited_down)
        self._time(accounts, account, at)
        _plus(rows, at + 6, packed.u64(accounts.sessions, account) - self._sessions)
        snatched = packed.u64(accounts.snatched, account) - self._snatched
        if snatched:
            _plus(rows, at + 7, snatched)
            if not packed.u64(rows, at + 11):
                packed.put_u64(rows, at + 11, time_us)
        _plus(rows, at + 8, 1)
        if not packed.u64(rows, at + 9):
            packed.put_u64(rows, at + 9, time_us)
        packed.put_u64(rows, at + 10, time_us)
        packed.put_u64(rows, at + 12, client)

    def left(self, accounts: Accounts, account: int, info_hash: bytes, seen_us: int) -> None:
        """Enters the time that was counted since `begin`, when a peer left. `seen_us`: log time of
        the last announce.
        """
        if packed.u64(accounts.seeding_us, account) != self._seeding_us or (
            accounts.partial_us and packed.u64(accounts.partial_us, account) != self._partial_us
        ):
            at = self._row(account, info_hash)
            self._time(accounts, account, at)
            # So that this time ends together with what was announced then: see `History`.
            if packed.u64(self.rows, at + 10) < seen_us:
                packed.put_u64(self.rows, at + 10, seen_us)

    def _time(self, accounts: Accounts, account: int, at: int) -> None:
        _plus(self.rows, at + 4, packed.u64(accounts.seeding_us, account) - self._seeding_us)
        if accounts.partial_us:
            partial_us = packed.u64(accounts.partial_us, account)
            _plus(self.rows, at + 5, partial_us - self._partial_us)

    def correct(self, account: int, uploaded: int, downloaded: int) -> None:
        """Enters a correction."""
        number, up, down = self.corrections.get(account, (0, 0, 0))
        self.corrections[account] = number + 1, up + uploaded, down + downloaded

    def _row(self, account: int, info_hash: bytes) -> int:
        """Returns the first word of a row, which is made where there is none."""
        name = packed.identity(account, info_hash)
        found = self.numbers.get(name)
        if found is not None:
            return found
        at = len(self.rows)
        self.rows.frombytes(_EMPTY)
        self.numbers[name] = at
        return at

    def gains(self) -> Iterator[tuple[int, bytes, array[int]]]:
        """Yields account, info hash and words of each row, in no order.

        The words: raw and credited bytes up and down, microseconds of seeding and of partial
        seeding, sessions, snatches, announces, log times of the first and the last announce and of
        the first snatch (0 = none), number of the client of the last announce.
        """
        for name, at in self.numbers.items():
            yield int.from_bytes(name[:4], "little"), name[4:], self.rows[at : at + WORDS]


def _plus(rows: array[int], at: int, amount: int) -> None:
    """Adds an amount to a word, up to the largest one."""
    if amount:
        total = packed.u64(rows, at)
        if amount > _most - total:
            amount = _most - total
        packed.put_u64(rows, at, total + amount)
