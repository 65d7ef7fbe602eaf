"""Rows of the daily series: what an account or a torrent gained on a day.

A part (`book_files`) has them by name: `packed.account_day` or `packed.torrent_day`. The rows of
all parts are added up, as those of the book, and are kept for ever. docs/log-format.md has the
fields.
"""

from __future__ import annotations

import heapq
from functools import reduce
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

from tracker.domain import packed
from tracker.ports import SeriesDay
from tracker.store import book_packing
from tracker.store.book_bytes import DAY_BODY, DAY_SIZE, NAME_SIZE
from tracker.store.book_files import Opened
from tracker.store.book_rows import History

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tracker.domain.daily import Daily
    from tracker.store.book_files import Part

_UP, _DOWN = 1, 2  # bits of signs: credited bytes are negative
_MOST, _MOST_COUNT = 2**64 - 1, 2**32 - 1
_ACCOUNT, _TORRENT = b"\0", b"\1"  # what names begin with
_LAST_DAY = b"\xff" * 4
_name = itemgetter(slice(NAME_SIZE))


class Days(History):
    """Adds up rows of one name; none is ever over."""

    def __init__(self) -> None:
        super().__init__(0)

    def added(self, older: bytes, newer: bytes) -> bytes:
        sums = [a + b for a, b in zip(_numbers(older), _numbers(newer), strict=True)]
        return _pack(older[:NAME_SIZE], sums[:6], _peaks(older, newer))


def _numbers(row: bytes) -> list[int]:
    signs, *numbers = DAY_BODY.unpack_from(row, NAME_SIZE)
    numbers[2] *= -1 if signs & _UP else 1
    numbers[3] *= -1 if signs & _DOWN else 1
    return numbers


def _peaks(*rows: bytes) -> list[int]:
    return [max(each) for each in zip(*(_numbers(row)[6:] for row in rows), strict=True)]


def _pack(name: bytes, sums: list[int], peaks: Iterable[int]) -> bytes:
    signs = (_UP if sums[2] < 0 else 0) | (_DOWN if sums[3] < 0 else 0)
    amounts = (min(abs(each), _MOST) for each in sums[:5])
    return name + DAY_BODY.pack(signs, *amounts, min(sums[5], _MOST_COUNT), *peaks)


def noted(daily: Daily) -> bytes:
    """Returns the rows of what was noted, sorted."""
    rows = book_packing.daily_laid_out(daily)
    corrected = b"".join(
        _pack(name, [0, 0, up, down, 0, 0], (0, 0))
        for name, (up, down) in sorted(daily.corrections.items())
    )
    return book_packing.joined(rows, corrected, DAY_SIZE, Days())


class DailyRows:
    """The rows of parts. Blocking."""

    def __init__(self, log: Path, parts: Iterable[Part], begun: int) -> None:
        """`begun`: the first event that is counted. Raises `BookError`, `OSError`."""
        self._runs = Opened(log, parts).rows
        self.begun = begun

    def of(
        self, whose: int | bytes, first: int = 0, last: int = _MOST_COUNT
    ) -> Iterator[SeriesDay]:
        """Yields the days of an account or a torrent with a change, from `first` to `last`."""
        low, high = (
            packed.account_day(whose, day)
            if isinstance(whose, int)
            else packed.torrent_day(1, whose, day)
            for day in (first, last)
        )
        return (day for _, day in self._from(low, high))

    def accounts(self) -> Iterator[tuple[int, SeriesDay]]:
        """Yields every day of every account."""
        for name, day in self._from(_ACCOUNT, _TORRENT):
            yield int.from_bytes(name[1:5], "big"), day

    def torrents(self) -> Iterator[tuple[bytes, SeriesDay]]:
        """Yields every day of every torrent."""
        for name, day in self._from(_TORRENT, b"\2"):
            yield name[1:21], day

    def _from(self, low: bytes, high: bytes) -> Iterator[tuple[bytes, SeriesDay]]:
        """Yields rows by name, from `low` to `high`."""
        runs = [run.beginning_with(low, low[:1]) for run in self._runs]
        days = Days()
        for name, same in groupby(heapq.merge(*runs, key=_name), key=_name):
            if name > high:
                return
            yield name, _shown(reduce(days.added, same))


def _shown(row: bytes) -> SeriesDay:
    up, down, credited_up, credited_down, seeding_us, completed, *peaks = _numbers(row)
    seeders, leechers = peaks if row[0] else (None, None)
    day = int.from_bytes(row[NAME_SIZE - 4 : NAME_SIZE], "big")
    return SeriesDay(
        day, up, down, credited_up, credited_down, seeding_us, completed, seeders, leechers
    )
