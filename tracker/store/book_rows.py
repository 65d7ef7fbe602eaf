"""Lays out the rows of the book as bytes, searches them, and merges them.

    account (big-endian) | 1 | info hash || or zeros for the row "no torrent" (25 bytes: the name)
    signs | client | announces | sessions | snatches | corrections | raw up, down |
    credited up, down | seeding us | partial us | first, last, completed us | cut | day

Bytes compare as names do, so that a run of rows is sorted and searched as it is. A run of *pairs*
has the same rows by torrent: info hash | account (big-endian), without the rows "no torrent".
docs/log-format.md has the fields.

`[policy] history_days` ends rows, and the result must not depend on when files are written and
merged. So `day` is the day of `BookDays` on which a row gained something last, and `cut` the one
that was in force when it began to: what older parts have of it counts only if it is of that day or
a later one.
"""

from __future__ import annotations

from functools import reduce
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from tracker.domain.booking import NOTHING_BEFORE
from tracker.domain.events.announce import NOT_RECORDED
from tracker.ports import BookRow
from tracker.store import book_bytes, book_packing
from tracker.store.book_bytes import BODY, NAME_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from mmap import mmap

_TORRENT, _NO_TORRENT = b"\1", bytes(21)
_SIGNED = (7, 8, 5, 6, 9, 10, 2, 3)
"""Places in `Row` of the numbers that may be negative, by the bits of signs: bytes credited and
raw, microseconds, sessions and snatches.
"""
_AT_ONCE = 4096  # rows of a run
_MOST, _MOST_COUNT = 2**64 - 1, 2**32 - 1


class Row(NamedTuple):
    """What stands behind a row's name; 0 = no date.

    What corrections took away, and what moved to other accounts, is negative. The rows "no torrent"
    have 0 as `cut` and `day`.
    """

    client: int
    announces: int
    sessions: int
    snatched: int
    corrections: int
    uploaded: int
    downloaded: int
    credited_uploaded: int
    credited_downloaded: int
    seeding_us: int
    partial_us: int
    first_us: int
    last_us: int
    completed_us: int
    cut: int = 0
    day: int = 0


_CUT, _DAY = Struct(f"<{NAME_SIZE + 91}xI"), Struct(f"<{NAME_SIZE + 95}xI")
_COUNTS_ALONE = NOTHING_BEFORE.to_bytes(4, "little")
EMPTY = Row(NOT_RECORDED, *[0] * 13)


def name(account: int, info_hash: bytes | None) -> bytes:
    """Returns the name of a row; None = "no torrent"."""
    owner = account.to_bytes(4, "big")
    return owner + _NO_TORRENT if info_hash is None else owner + _TORRENT + info_hash


def first_name(account: int, after: bytes | None) -> bytes:
    """Returns what no name of an account's row comes before; `after`: beyond this info hash."""
    return name(account, after) + (b"\0" if after is not None else b"")


def pair(info_hash: bytes, account: int) -> bytes:
    return info_hash + account.to_bytes(4, "big")


def pack(named: bytes, row: Row) -> bytes:
    """Returns the bytes of a row. Amounts stop at the largest number of their field."""
    client, *counts, cut, day = (*row[:1], *map(abs, row[1:]))
    signs = sum(1 << bit for bit, place in enumerate(_SIGNED) if row[place] < 0)
    few = (min(each, _MOST_COUNT) for each in counts[:4])
    limited = (min(each, _MOST) for each in counts[4:])
    return named + BODY.pack(signs, client, *few, *limited, cut, day)


def of_words(words: Sequence[int]) -> Row:
    """Returns a row without corrections from the words of `Booking.gains`."""
    client = words[12] if words[8] else NOT_RECORDED
    return Row(client, words[8], words[6], words[7], 0, *words[:6], *words[9:12], *words[13:15])


def unpack(data: bytes) -> Row:
    signs, *fields = BODY.unpack_from(data, NAME_SIZE)
    for bit, place in enumerate(_SIGNED):
        if signs >> bit & 1:
            fields[place] = -fields[place]
    return Row(*fields)


def shown(data: bytes) -> BookRow:
    """Returns a row as the readers see it."""
    row = unpack(data)
    return BookRow(
        int.from_bytes(data[:4], "big"), data[5:25] if data[4] else None, row.uploaded, row.downloaded,
        row.credited_uploaded, row.credited_downloaded, row.seeding_us, row.partial_us, row.first_us or None,
        row.last_us or None, row.completed_us or None, row.snatched, row.sessions, row.announces, row.corrections,
        None if row.client in (0, NOT_RECORDED) else row.client,
    )  # fmt: skip


def added(older: bytes, newer: bytes) -> bytes:
    """Returns the sum of two rows of one name."""
    to = bytearray(older)
    if book_bytes.add(to, 0, newer, 0):
        return bytes(to)
    return _added(older[:NAME_SIZE], unpack(older), unpack(newer))


def _added(named: bytes, a: Row, b: Row) -> bytes:
    """Does it with signs and limits."""
    summed = Row._make(x + y for x, y in zip(a, b, strict=True))
    whole = summed._replace(
        client=b.client if b.announces else a.client,
        first_us=a.first_us or b.first_us,
        last_us=b.last_us if b.announces and named[4] else a.last_us or b.last_us,
        completed_us=a.completed_us or b.completed_us,
        cut=a.cut,
        day=b.day,
    )
    return pack(named, whole)


class History:
    """Adds up rows, and takes those that are over into the rows "no torrent".

    `ended` has those by account.
    """

    def __init__(self, cut: int) -> None:
        """`cut`: rows of earlier days are over."""
        self._cut = cut
        self.ended: dict[int, bytes] = {}

    def added(self, older: bytes, newer: bytes) -> bytes:
        """Returns the sum of two rows of one name, or the newer one where the older one is over."""
        if _DAY.unpack_from(older)[0] < _CUT.unpack_from(newer)[0]:
            self.end(older)
            return newer[: _CUT.size - 4] + _COUNTS_ALONE + newer[_CUT.size :]
        return added(older, newer)

    def is_over(self, row: bytes) -> bool:
        """Tells whether a row was last seen too long ago."""
        return row[4] > 0 and _DAY.unpack_from(row)[0] < self._cut

    def end(self, row: bytes) -> None:
        """Takes a row into the row "no torrent" of its account, without its dates, because rows end
        in no order.
        """
        account = int.from_bytes(row[:4], "big")
        ended = pack(name(account, None), Row(NOT_RECORDED, *unpack(row)[1:11], 0, 0, 0))
        before = self.ended.get(account)
        self.ended[account] = added(before, ended) if before else ended


class Run:
    """A sorted run of rows or pairs in a file that is mapped into memory."""

    __slots__ = ("_begin", "_data", "_name", "count", "size")

    def __init__(
        self, data: mmap | bytes, begin: int, count: int, size: int, named: int = NAME_SIZE
    ) -> None:
        """`begin`: offset in the file. `size`: of a row or a pair; `named`: of its name."""
        self._data, self._begin, self.size = data, begin, size
        self._name = min(size, named)
        self.count = count

    def at(self, number: int) -> bytes:
        start = self._begin + number * self.size
        return self._data[start : start + self.size]

    def name(self, number: int) -> bytes:
        start = self._begin + number * self.size
        return self._data[start : start + self._name]

    def piece(self, first: int, end: int) -> bytes:
        """Returns the bytes of some rows."""
        return self._data[self._begin + first * self.size : self._begin + end * self.size]

    def find(self, sought: bytes, low: int = 0) -> int:
        """Returns the first row, from `low` on, whose name is not before `sought`."""
        return book_packing.find(
            self._data, self._begin, self.count, self.size, self._name, sought, low
        )

    def holding(self, sought: bytes, offset: int, low: int) -> Iterator[bytes]:
        """Yields rows, from number `low` on, that have some bytes at an offset. The run is searched
        as a whole, because few rows have them.
        """
        end = self._begin + self.count * self.size
        at = self._data.find(sought, self._begin + low * self.size + offset, end)
        while at >= 0:
            number, rest = divmod(at - offset - self._begin, self.size)
            if not rest:
                yield self.at(number)
            at = self._data.find(sought, at + 1, end)

    def beginning_with(self, low: bytes, prefix: bytes) -> Iterator[bytes]:
        """Yields rows with this prefix, from the name `low` on."""
        number = self.find(low)
        while number < self.count and (row := self.at(number)).startswith(prefix):
            yield row
            number += 1


def merged(runs: Sequence[Run], history: History) -> Iterator[bytes]:
    """Yields the bytes of runs, the oldest first, as one run."""
    at = [0] * len(runs)
    while True:
        nexts = [
            run.name(begin + _AT_ONCE)
            for run, begin in zip(runs, at, strict=True)
            if begin + _AT_ONCE < run.count
        ]
        stop = min(nexts, default=None)  # so there are at most `_AT_ONCE` rows of each before it
        ends = [
            run.count if stop is None else run.find(stop, begin)
            for run, begin in zip(runs, at, strict=True)
        ]
        pieces = [
            piece
            for run, begin, end in zip(runs, at, ends, strict=True)
            if (piece := run.piece(begin, end))
        ]
        if pieces:
            size = runs[0].size
            yield reduce(
                lambda older, newer: book_packing.joined(older, newer, size, history), pieces
            )
        if stop is None:
            return
        at = ends
