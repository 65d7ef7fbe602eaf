"""Adds up what each account and each torrent gained day by day, for the daily series.

`Booking` enters every gain here too. A day is a date of an event (`dates`), as a number of days
since 1970.
"""

from __future__ import annotations

from array import array

from tracker.domain import packed
from tracker.domain.events import DAY_US

WORDS = 8
"""Words of 64 bits of a row: raw and credited bytes up and down, microseconds of seeding, completed
downloads, and the largest numbers of seeders and of leechers (of an account 0)."""
_EMPTY = bytes(8 * WORDS)
_day_us, _words = DAY_US, WORDS  # have types in the .pxd


class Daily:
    """Rows by account and day, and by torrent and day.

    `numbers` has the first word of a row by its name (`packed.account_day`, `packed.torrent_day`).
    `corrections` has the signed bytes up and down that corrections added, by name. `day`: of the
    present event.

    `_accounts` has for each account the number of its row of the day and 1, and `_torrents` for
    each torrent an info hash and the same, 24 bytes: most announces find their rows there, because
    a look into a large dict costs several times as much.
    """

    __slots__ = ("_accounts", "_torrents", "corrections", "day", "numbers", "rows")

    def __init__(self) -> None:
        self.day = 0
        self.clear()

    def clear(self) -> None:
        """Forgets all rows, because they were written."""
        self.numbers: dict[bytes, int] = {}
        self.rows = array("Q")
        self.corrections: dict[bytes, tuple[int, int]] = {}
        self._accounts, self._torrents = array("I"), bytearray()

    def __len__(self) -> int:
        return len(self.numbers) + len(self.corrections)

    def date(self, date_us: int) -> None:
        """Sets the day. `date_us`: of the present event."""
        day = date_us // _day_us
        if day != self.day:
            self.day = day
            self._accounts, self._torrents = array("I"), bytearray()

    def account(self, account: int) -> int:
        """Returns the first word of an account's row of the day."""
        places = self._accounts
        if account >= len(places):
            places.frombytes(bytes(4 * account + 4))
        number = packed.u32(places, account)
        if not number:
            number = self._row(packed.account_day(account, self.day)) // _words + 1
            packed.put_u32(places, account, number)
        return (number - 1) * _words

    def torrent(self, info_hash: bytes, torrent: int, seeders: int, leechers: int) -> int:
        """Returns the first word of a torrent's row of the day, after a look at its counts.

        `torrent`: its number in the swarms, which another one may have had; 0 = none.
        """
        places, place = self._torrents, torrent * 24
        if place >= len(places):
            places.extend(bytes(place + 24))
        number = packed.word(places, place + 20)
        if not number or not packed.has_endpoint(places, info_hash, place, 20):
            number = self._row(packed.torrent_day(1, info_hash, self.day)) // _words + 1
            packed.put_endpoint(places, info_hash, place, 20)
            packed.put_word(places, place + 20, number)
        at = (number - 1) * _words
        if seeders > packed.u64(self.rows, at + 6):
            packed.put_u64(self.rows, at + 6, seeders)
        if leechers > packed.u64(self.rows, at + 7):
            packed.put_u64(self.rows, at + 7, leechers)
        return at

    def _row(self, name: bytes) -> int:
        found = self.numbers.get(name)
        if found is not None:
            return found
        at = len(self.rows)
        self.rows.frombytes(_EMPTY)
        self.numbers[name] = at
        return at

    def gain(
        self,
        at: int,
        uploaded: int,
        downloaded: int,
        credited_up: int,
        credited_down: int,
        seeding_us: int,
        completed: int,
    ) -> None:
        """Adds amounts to a row."""
        packed.plus(self.rows, at, uploaded)
        packed.plus(self.rows, at + 1, downloaded)
        packed.plus(self.rows, at + 2, credited_up)
        packed.plus(self.rows, at + 3, credited_down)
        packed.plus(self.rows, at + 4, seeding_us)
        packed.plus(self.rows, at + 5, completed)

    def correct(self, account: int, uploaded: int, downloaded: int) -> None:
        """Adds a correction to an account's row of the day."""
        name = packed.account_day(account, self.day)
        up, down = self.corrections.get(name, (0, 0))
        self.corrections[name] = up + uploaded, down + downloaded
