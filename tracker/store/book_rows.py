"""Lays out the rows of the book as bytes, searches them, and merges them.

    account (big-endian) | 1 | info hash || or zeros for the row "no torrent" (25 bytes: the name)
    signs | client | announces | sessions | snatches | corrections |
    raw up, down | credited up, down | seeding us | partial us | first, last, completed us

Bytes compare as names do, so that a run of rows is sorted and searched as it is. A run of *pairs*
has the same rows by torrent: info hash | account (big-endian), without the rows "no torrent".
docs/log-format.md has the fields.
"""

from __future__ import annotations

from contextlib import suppress
from struct import Struct
from struct import error as StructError  # noqa: N812  # an exception
from typing import TYPE_CHECKING, NamedTuple

from tracker.domain.events.announce import NOT_RECORDED
from tracker.ports import BookRow

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from mmap import mmap

NAME_SIZE = 25
_BODY = Struct("<BHIIII9Q")
ROW_SIZE = NAME_SIZE + _BODY.size  # 116 bytes
PAIR_SIZE = 24
_TORRENT, _NO_TORRENT = b"\1", bytes(21)
_UP, _DOWN = 1, 2  # bits of signs: credited bytes are negative
_SPARSE = 16  # times as many older rows as newer ones: then what lies between is copied
_AT_ONCE = 4096  # older rows
_MOST, _MOST_COUNT = 2**64 - 1, 2**32 - 1


class Row(NamedTuple):
    """What stands behind a row's name; 0 = no date. Credited bytes are signed."""

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


_FIRST, _LAST = Struct(f"<{NAME_SIZE + 67}xQ"), Struct(f"<{NAME_SIZE + 75}xQ")
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
    client, announces, sessions, snatched, corrections, *amounts = row
    up, down = amounts[2:4]
    counts = (min(each, _MOST_COUNT) for each in (announces, sessions, snatched, corrections))
    signs = (_UP if up < 0 else 0) | (_DOWN if down < 0 else 0)
    return named + _BODY.pack(signs, client, *counts, *(min(abs(each), _MOST) for each in amounts))


def pack_words(named: bytes, words: Sequence[int]) -> bytes:
    """Returns the bytes of a row without corrections from the words of `Booking.gains`."""
    up, down, credited_up, credited_down, seeding, partial, sessions, snatched, announces = words[
        :9
    ]
    first_us, last_us, completed_us, client = words[9:]
    if not announces:
        client = NOT_RECORDED
    return named + _BODY.pack(
        0, client, announces, sessions, snatched, 0, up, down, credited_up, credited_down, seeding,
        partial, first_us, last_us, completed_us,
    )  # fmt: skip


def unpack(data: bytes) -> Row:
    signs, *fields = _BODY.unpack_from(data, NAME_SIZE)
    if signs & _UP:
        fields[7] = -fields[7]
    if signs & _DOWN:
        fields[8] = -fields[8]
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
    a, b = _BODY.unpack_from(older, NAME_SIZE), _BODY.unpack_from(newer, NAME_SIZE)
    if not (a[0] or b[0]):
        with suppress(StructError):  # a sum that is too large for its field
            return older[:NAME_SIZE] + _BODY.pack(
                0, b[1] if b[2] else a[1], a[2] + b[2], a[3] + b[3], a[4] + b[4], a[5] + b[5],
                a[6] + b[6], a[7] + b[7], a[8] + b[8], a[9] + b[9], a[10] + b[10], a[11] + b[11],
                min(a[12], b[12]) or a[12] or b[12], max(a[13], b[13]), a[14] or b[14],
            )  # fmt: skip
    return _added(older[:NAME_SIZE], unpack(older), unpack(newer))


def _added(named: bytes, a: Row, b: Row) -> bytes:
    """Does it with signs and limits."""
    summed = Row._make(x + y for x, y in zip(a, b, strict=True))
    whole = summed._replace(
        client=b.client if b.announces else a.client,
        first_us=min(a.first_us, b.first_us) or a.first_us or b.first_us,
        last_us=max(a.last_us, b.last_us),
        completed_us=a.completed_us or b.completed_us,
    )
    return pack(named, whole)


class History:
    """Adds up rows, and takes those that are too old into the rows "no torrent".

    `ended` has those by account.
    """

    def __init__(self, history_us: int, now_us: int) -> None:
        """`history_us`: the longest silence after which a row goes on; 0 = any.

        `now_us`: a date.
        """
        self._history_us, self._now_us = history_us, now_us
        self.ended: dict[int, bytes] = {}

    def added(self, older: bytes, newer: bytes) -> bytes:
        """Returns the sum of two rows of one name, the newer one alone after too long a silence."""
        if self._history_us and older[4]:
            last_us, first_us = _LAST.unpack_from(older)[0], _FIRST.unpack_from(newer)[0]
            if last_us and first_us > last_us + self._history_us:
                self.end(older)
                return newer
        return added(older, newer)

    def is_over(self, row: bytes) -> bool:
        """Tells whether a row was last seen too long ago."""
        last_us = _LAST.unpack_from(row)[0]
        return bool(self._history_us and row[4] and 0 < last_us < self._now_us - self._history_us)

    def end(self, row: bytes) -> None:
        """Takes a row into the row "no torrent" of its account."""
        account = int.from_bytes(row[:4], "big")
        ended = pack(name(account, None), unpack(row)._replace(client=NOT_RECORDED, completed_us=0))
        before = self.ended.get(account)
        self.ended[account] = added(before, ended) if before else ended


def same(older: bytes, newer: bytes) -> bytes:
    """Returns the sum of two pairs, which are the same."""
    del newer
    return older


class Run:
    """A sorted run of rows or pairs in a file that is mapped into memory."""

    __slots__ = ("_begin", "_data", "_name", "_size", "count")

    def __init__(self, data: mmap | bytes, begin: int, count: int, size: int) -> None:
        """`begin`: offset in the file. `size`: of a row or a pair."""
        self._data, self._begin, self._size = data, begin, size
        self._name = min(size, NAME_SIZE)
        self.count = count

    def at(self, number: int) -> bytes:
        start = self._begin + number * self._size
        return self._data[start : start + self._size]

    def name(self, number: int) -> bytes:
        start = self._begin + number * self._size
        return self._data[start : start + self._name]

    def pieces(self, first: int, end: int) -> Iterator[bytes]:
        """Yields the bytes of some rows, a megabyte at a time."""
        stop = self._begin + end * self._size
        for start in range(self._begin + first * self._size, stop, 1 << 20):
            yield self._data[start : min(stop, start + (1 << 20))]

    def named(self, first: int, end: int) -> dict[bytes, bytes]:
        """Returns some rows by their names."""
        begin, size = self._begin, self._size
        whole = Struct(f"{size}s").iter_unpack(
            self._data[begin + first * size : begin + end * size]
        )
        rows = [row for (row,) in whole]
        return dict(zip([row[: self._name] for row in rows], rows, strict=True))

    def find(self, sought: bytes, low: int = 0) -> int:
        """Returns the first row, from `low` on, whose name is not before `sought`.

        It looks near `low` first, because a merge goes on from there.
        """
        step, high = 1, low
        while high < self.count and self.name(high) < sought:
            low = high + 1
            high += step
            step *= 2
        high = min(high, self.count)
        while low < high:
            middle = (low + high) // 2
            if self.name(middle) < sought:
                low = middle + 1
            else:
                high = middle
        return low

    def beginning_with(self, low: bytes, prefix: bytes) -> Iterator[bytes]:
        """Yields rows with this prefix, from the name `low` on."""
        number = self.find(low)
        while number < self.count and (row := self.at(number)).startswith(prefix):
            yield row
            number += 1


def merged(older: Run, newer: Run, add: Callable[[bytes, bytes], bytes]) -> Iterator[bytes]:
    """Yields the bytes of two runs as one. `add` makes one of two of the same name."""
    return (_sparse if newer.count * _SPARSE < older.count else _dense)(older, newer, add)


def _sparse(older: Run, newer: Run, add: Callable[[bytes, bytes], bytes]) -> Iterator[bytes]:
    """Copies what lies between the newer rows as it is, so that a small run costs little."""
    at = 0
    for number in range(newer.count):
        row = newer.at(number)
        named = newer.name(number)
        stop = older.find(named, at)
        yield from older.pieces(at, stop)
        at = stop
        if at < older.count and older.name(at) == named:
            row = add(older.at(at), row)
            at += 1
        yield row
    yield from older.pieces(at, older.count)


def _dense(older: Run, newer: Run, add: Callable[[bytes, bytes], bytes]) -> Iterator[bytes]:
    """Takes some thousand older rows at a time, and the newer ones among them."""
    at = 0
    for first in range(0, older.count, _AT_ONCE):
        end = min(first + _AT_ONCE, older.count)
        stop = newer.find(older.name(end), at) if end < older.count else newer.count
        rows = older.named(first, end)
        for named, row in newer.named(at, stop).items():
            before = rows.get(named)
            rows[named] = row if before is None else add(before, row)
        at = stop
        yield b"".join(sorted(rows.values()))
    yield from newer.pieces(at, newer.count)
