"""Lays out what was noted for the book as rows, and joins sorted runs of rows.

It is compiled, because a large site notes and joins some hundred thousand rows a second.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracker.store import book_bytes

if TYPE_CHECKING:
    from mmap import mmap

    from tracker.domain.booking import Booking
    from tracker.domain.daily import Daily
    from tracker.store.book_rows import History


def laid_out(booking: Booking) -> tuple[bytearray, bytearray]:
    """Returns the rows by account and torrent, in no order, and their pairs, which are sorted."""
    count = len(booking.numbers)
    rows, pairs = bytearray(count * book_bytes.ROW_SIZE), bytearray(count * book_bytes.PAIR_SIZE)
    words = booking.rows
    at = to = 0
    for name, start in booking.numbers.items():
        book_bytes.put_row(rows, at, name, words, start)
        book_bytes.put_pair(pairs, to, name)
        at += book_bytes.ROW_SIZE
        to += book_bytes.PAIR_SIZE
    book_bytes.sort(pairs, book_bytes.PAIR_SIZE)
    return rows, pairs


def daily_laid_out(daily: Daily) -> bytes:
    """Returns the rows of the daily series, sorted, without those that have nothing."""
    size = book_bytes.DAY_SIZE
    rows, words = bytearray(len(daily.numbers) * size), daily.rows
    at = 0
    for name, start in daily.numbers.items():
        if book_bytes.put_day(rows, at, name, words, start):
            at += size
    del rows[at:]
    book_bytes.sort(rows, size)
    return bytes(rows)


def find(
    data: bytes | mmap, begin: int, count: int, size: int, named: int, sought: bytes, low: int
) -> int:
    """Finds a row in a sorted run: see `book_bytes.find`."""
    return book_bytes.find(data, begin, count, size, named, sought, low)


def in_order(rows: bytearray) -> bytes:
    """Returns rows sorted by their names."""
    book_bytes.sort(rows, book_bytes.ROW_SIZE)
    return bytes(rows)


def joined(older: bytes, newer: bytes, size: int, history: History) -> bytes:
    """Returns two sorted runs as one. `size`: of a row or a pair.

    Rows of one name are added up; of two judged ones, and of two of `seeded_rows`, the newer stays,
    and of two pairs, which are the same, one.
    """
    at = to = 0
    end, whole = len(older), len(newer)
    is_rows, is_days = size == book_bytes.ROW_SIZE, size == book_bytes.DAY_SIZE
    is_newest = size in (book_bytes.JUDGED_SIZE, book_bytes.SEEDED_SIZE)
    is_named = is_rows or is_days or is_newest
    named = book_bytes.NAME_SIZE if is_named else size
    made = bytearray(end + whole)
    for start in range(0, whole, size):
        first, order = at, 1
        while at < end:
            order = book_bytes.compare(older, at, newer, start, named)
            if order >= 0:
                break
            at += size
        book_bytes.copy(made, to, older, first, at - first)
        to += at - first
        if order == 0:
            if is_rows or is_days:
                book_bytes.copy(made, to, older, at, size)
                if is_rows:
                    summed = book_bytes.add(made, to, newer, start)
                else:
                    summed = book_bytes.add_day(made, to, newer, start)
                if not summed:
                    row = history.added(older[at : at + size], newer[start : start + size])
                    book_bytes.copy(made, to, row, 0, size)
            else:
                book_bytes.copy(made, to, newer, start, size)
            at += size
        else:
            book_bytes.copy(made, to, newer, start, size)
        to += size
    book_bytes.copy(made, to, older, at, end - at)
    del made[to + end - at :]
    return bytes(made)
