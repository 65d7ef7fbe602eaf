"""Notes what each account gains in each torrent while a replay applies events, for the book.

It knows no rule. The projector changes the totals of one account at a time, for one torrent, and
the difference is what the row gains. Only a process that writes the book has one; it is no part of
the state.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from tracker.domain import packed
from tracker.domain.daily import Daily
from tracker.domain.moved import Moved

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracker.domain.accounts import Accounts
    from tracker.domain.judging import Judge
    from tracker.domain.milestones import Milestones
    from tracker.domain.seeded import Seeded
    from tracker.domain.swarms import Swarms

WORDS = 15
"""Words of 64 bits of a row: see `Gain`, from `uploaded` on."""
_EMPTY = bytes(8 * WORDS)
NOTHING_BEFORE = 2**32 - 1
"""The `cut` of a row that counts alone, because what was before it is over."""
_nothing_before = NOTHING_BEFORE  # has a type in the .pxd, as `_nowhere`


class Booking:
    """Rows by account and torrent, and what corrections added.

    `numbers` has the row of each account and torrent, by both (`packed.identity`). `corrections`
    has the number and the signed bytes of an account's corrections, `moves` what it got from other
    accounts, less what it lost to them.

    `daily`: the same gains by day, of accounts and of torrents, for their series.

    `judge`: judges downloads by what is noted; `seeded`: remembers who seeds first and last;
    `milestones`: notes that, and what was completed, in the order of the log. None = nobody wants
    that.

    `lead_us`: log time less dates now. `day`: the present day of `BookDays`. A row of a day before
    `cut` is over, and does not go on: what it had goes to `ended`, as account and words.
    """

    __slots__ = (
        "_credited_down",
        "_credited_up",
        "_down",
        "_leechers",
        "_partial_us",
        "_seeders",
        "_seeding_us",
        "_sessions",
        "_snatched",
        "_torrent",
        "_up",
        "corrections",
        "cut",
        "daily",
        "day",
        "ended",
        "judge",
        "lead_us",
        "milestones",
        "moves",
        "numbers",
        "rows",
        "seeded",
    )

    def __init__(
        self,
        judge: Judge | None = None,
        seeded: Seeded | None = None,
        milestones: Milestones | None = None,
    ) -> None:
        self.judge, self.seeded, self.milestones = judge, seeded, milestones
        self.daily = Daily()
        self.day = self.cut = self.lead_us = 0
        self.clear()
        self._up = self._down = self._credited_up = self._credited_down = 0
        self._seeding_us = self._partial_us = self._sessions = self._snatched = 0
        self._seeders = self._leechers = self._torrent = 0

    def clear(self) -> None:
        """Forgets all rows, because they were written."""
        self.daily.clear()
        self.numbers: dict[bytes, int] = {}
        self.rows = array("Q")
        self.corrections: dict[int, tuple[int, int, int]] = {}
        self.ended: list[tuple[int, array[int]]] = []
        self.moves: dict[int, Moved] = {}

    def __len__(self) -> int:
        return len(self.numbers) + len(self.corrections) + len(self.ended) + len(self.moves)

    def begin(self, accounts: Accounts, account: int, swarms: Swarms, torrent: int) -> None:
        """Looks at the totals of an account, and the counts of a torrent, before they change.
        `torrent`: 0 = a new one.
        """
        self._torrent, self._seeders, self._leechers = torrent, 0, 0
        if torrent:
            self._seeders, self._leechers = packed.counts(swarms.tables.torrents, torrent * 32)
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
        self,
        accounts: Accounts,
        account: int,
        info_hash: bytes,
        seq: int,
        time_us: int,
        client: int,
        swarms: Swarms,
        peer: int,
    ) -> None:
        """Enters what an announce changed since `begin`. `peer`: 0 = it is not listed now."""
        at = self._row(account, info_hash)
        rows, date_us = self.rows, max(1, time_us - self.lead_us)
        up = packed.u64(accounts.uploaded, account)
        down = packed.u64(accounts.downloaded, account)
        packed.plus(rows, at, up - self._up)
        packed.plus(rows, at + 1, down - self._down)
        if accounts.credited_uploaded:
            up = packed.u64(accounts.credited_uploaded, account)
            down = packed.u64(accounts.credited_downloaded, account)
        packed.plus(rows, at + 2, up - self._credited_up)
        packed.plus(rows, at + 3, down - self._credited_down)
        self._time(accounts, account, at)
        packed.plus(rows, at + 6, packed.u64(accounts.sessions, account) - self._sessions)
        snatched = packed.u64(accounts.snatched, account) - self._snatched
        if snatched:
            packed.plus(rows, at + 7, snatched)
            if not packed.u64(rows, at + 11):
                packed.put_u64(rows, at + 11, date_us)
            if self.milestones is not None:
                self.milestones.completed(account, info_hash, seq, date_us)
        packed.plus(rows, at + 8, 1)
        if not packed.u64(rows, at + 9):
            packed.put_u64(rows, at + 9, date_us)
        packed.put_u64(rows, at + 10, date_us)
        packed.put_u64(rows, at + 12, client)
        seeders = self._enter_day(accounts, account, info_hash, date_us, swarms, peer)
        if self.seeded is not None:
            if not peer:
                seeders, _, _ = swarms.counts_of(info_hash)
            self._seeders_now(account, info_hash, seq, date_us, seeders)

    def left(
        self,
        accounts: Accounts,
        account: int,
        info_hash: bytes,
        seen_us: int,
        seq: int,
        time_us: int,
        swarms: Swarms,
        peer: int,
    ) -> None:
        """Enters the time that was counted since `begin`, when a peer leaves that is still in its
        swarm. `seen_us`: date of the last announce.
        """
        date_us = max(1, time_us - self.lead_us)
        if self.seeded is not None and swarms.rows[peer * 72 + 20] & 0x10:  # MARK_SEEDER
            self._seeders_now(account, info_hash, seq, date_us, self._seeders - 1)
        self.counted(accounts, account, info_hash, seen_us, time_us, swarms)

    def counted(
        self,
        accounts: Accounts,
        account: int,
        info_hash: bytes,
        seen_us: int,
        time_us: int,
        swarms: Swarms,
    ) -> None:
        """Enters the time that was counted since `begin`, outside of an announce. `seen_us`: date
        of the last announce.
        """
        self._enter_day(accounts, account, info_hash, max(1, time_us - self.lead_us), swarms, 0)
        if packed.u64(accounts.seeding_us, account) != self._seeding_us or (
            accounts.partial_us and packed.u64(accounts.partial_us, account) != self._partial_us
        ):
            at = self._row(account, info_hash)
            self._time(accounts, account, at)
            if not packed.u64(self.rows, at + 8):  # else it has the date of an announce
                packed.put_u64(self.rows, at + 10, seen_us)

    def move(self, account: int, to: int, moved: Moved) -> None:
        """Enters amounts that move from one account to another."""
        for whose, sign in ((account, -1), (to, 1)):
            before = self.moves.get(whose, Moved()).amounts()
            gained = moved.signed(sign).amounts()
            self.moves[whose] = Moved(**{name: before[name] + gained[name] for name in before})

    def _seeders_now(
        self, account: int, info_hash: bytes, seq: int, date_us: int, seeders: int
    ) -> None:
        """Enters the number of seeders after an event, where it came from or to 0."""
        if (self._seeders > 0) == (seeders > 0) or self.seeded is None:
            return
        self.seeded.counted(info_hash, account, date_us, seeders)
        if self.milestones is not None:
            self.milestones.counted(account, info_hash, seq, date_us, seeders)

    def gained(self, accounts: Accounts, account: int) -> tuple[int, int, int, int, int]:
        """Returns what an account gained since `begin`: raw bytes up and down, credited bytes down,
        microseconds of seeding and of partial seeding.
        """
        down = packed.u64(accounts.downloaded, account)
        credited = down
        if accounts.credited_uploaded:
            credited = packed.u64(accounts.credited_downloaded, account)
        return (
            packed.u64(accounts.uploaded, account) - self._up,
            down - self._down,
            credited - self._credited_down,
            packed.u64(accounts.seeding_us, account) - self._seeding_us,
            (packed.u64(accounts.partial_us, account) if accounts.partial_us else 0)
            - self._partial_us,
        )

    def judging(self) -> Judge | None:
        """Returns the judge, if there is a rule to judge by."""
        return self.judge if self.judge is not None and self.judge.on else None

    def _time(self, accounts: Accounts, account: int, at: int) -> None:
        packed.plus(self.rows, at + 4, packed.u64(accounts.seeding_us, account) - self._seeding_us)
        if accounts.partial_us:
            partial_us = packed.u64(accounts.partial_us, account)
            packed.plus(self.rows, at + 5, partial_us - self._partial_us)

    def _enter_day(
        self,
        accounts: Accounts,
        account: int,
        info_hash: bytes,
        date_us: int,
        swarms: Swarms,
        peer: int,
    ) -> int:
        """Enters what was gained since `begin`, and the counts of the swarm before and after, in
        the series. Returns the number of seeders now; without a peer, of those before.
        """
        daily, seeders, leechers = self.daily, self._seeders, self._leechers
        seeders_now, torrent = seeders, self._torrent
        if peer:  # else the swarm has not grown
            torrent, _ = packed.standing(swarms.rows, peer * 72)
            seeders_now, leechers_now = packed.counts(swarms.tables.torrents, torrent * 32)
            seeders, leechers = max(seeders, seeders_now), max(leechers, leechers_now)
        daily.date(date_us)
        whose = daily.account(account)
        where = daily.torrent(info_hash, torrent, seeders, leechers)
        up = packed.u64(accounts.uploaded, account)
        down = packed.u64(accounts.downloaded, account)
        credited_up, credited_down = up, down
        if accounts.credited_uploaded:
            credited_up = packed.u64(accounts.credited_uploaded, account)
            credited_down = packed.u64(accounts.credited_downloaded, account)
        seeding_us = packed.u64(accounts.seeding_us, account) - self._seeding_us
        snatched = packed.u64(accounts.snatched, account) - self._snatched
        up, down = up - self._up, down - self._down
        credited_up, credited_down = (
            credited_up - self._credited_up,
            credited_down - self._credited_down,
        )
        if up or down or seeding_us or snatched or credited_up or credited_down:
            daily.gain(whose, up, down, credited_up, credited_down, seeding_us, snatched)
            daily.gain(where, up, down, credited_up, credited_down, seeding_us, snatched)
        return seeders_now

    def correct(self, account: int, uploaded: int, downloaded: int, time_us: int) -> None:
        """Enters a correction."""
        self.daily.date(max(1, time_us - self.lead_us))
        self.daily.correct(account, uploaded, downloaded)
        number, up, down = self.corrections.get(account, (0, 0, 0))
        self.corrections[account] = number + 1, up + uploaded, down + downloaded

    def _row(self, account: int, info_hash: bytes) -> int:
        """Returns the first word of a row that gains something now. A new one is made."""
        name = packed.identity(account, info_hash)
        found = self.numbers.get(name)
        if found is None:
            at = len(self.rows)
            self.rows.frombytes(_EMPTY)
            self.numbers[name] = at
            packed.put_u64(self.rows, at + 13, self.cut)
        else:
            at = found
            if packed.u64(self.rows, at + 14) < self.cut:
                self.ended.append((account, self.rows[at : at + 15]))  # WORDS
                self.rows[at : at + 15] = array("Q", _EMPTY)
                packed.put_u64(self.rows, at + 13, _nothing_before)
        packed.put_u64(self.rows, at + 14, self.day)
        return at

    def gains(self) -> Iterator[tuple[int, bytes, array[int]]]:
        """Yields account, info hash and words of each row, in no order.

        The words: raw and credited bytes up and down, microseconds of seeding and of partial
        seeding, sessions, snatches, announces, dates of the first and the last announce and of the
        first snatch (0 = none), number of the client of the last announce, the `cut` when the
        row began, and its `day`: see `book_rows`.
        """
        for name, at in self.numbers.items():
            yield int.from_bytes(name[:4], "little"), name[4:], self.rows[at : at + WORDS]
