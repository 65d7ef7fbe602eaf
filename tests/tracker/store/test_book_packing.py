"""Packed rows of the book are those of plain Python, and joined runs are plain sums."""

from __future__ import annotations

import random
from functools import reduce
from typing import TYPE_CHECKING

import pytest

from tests.support import hash_of
from tracker.domain.booking import Booking
from tracker.domain.dates import Dates
from tracker.domain.events import DAY_US
from tracker.domain.state import State
from tracker.store import book_packing, book_rows
from tracker.store.book_bytes import PAIR_SIZE, ROW_SIZE
from tracker.store.book_rows import EMPTY, History, Row, Run, merged

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST, MOST_COUNT = 2**64 - 1, 2**32 - 1


def noted(dice: random.Random) -> Booking:
    """Returns what some accounts did in some torrents."""
    booking, accounts = Booking(), State().accounts
    for time_us in range(1, 300):
        account = dice.choice([1, 2, 256, 70_000])
        booking.begin(accounts, account)
        for column in (accounts.uploaded, accounts.downloaded, accounts.seeding_us):
            column[account] += dice.randrange(2**40)
        accounts.sessions[account] += dice.randrange(2)
        accounts.snatched[account] += dice.randrange(2)
        info_hash = hash_of(dice.randrange(40))
        if dice.random() < 0.2:
            booking.left(accounts, account, info_hash, time_us)
        else:
            booking.announced(accounts, account, info_hash, time_us, dice.randrange(9))
    return booking


@pytest.mark.parametrize("lead_us", [0, -7_000_000])
def test_rows_are_laid_out(lead_us: int) -> None:
    booking, dates = noted(random.Random(1)), Dates()
    dates.note(100, 100 - lead_us)
    before = booking.rows[:]
    expected, pairs = [], []
    for account, info_hash, words in booking.gains():
        words[9:12] = type(words)("Q", [each and dates.of(each) for each in words[9:12]])
        name = book_rows.name(account, info_hash)
        expected.append(book_rows.pack(name, book_rows.of_words(words)))
        pairs.append(book_rows.pair(info_hash, account))
    rows, paired = book_packing.laid_out(booking, dates)
    assert book_packing.in_order(rows) == b"".join(sorted(expected))
    assert paired == b"".join(sorted(pairs))
    assert booking.rows == before, "they may have to be written again"


def runs(dice: random.Random) -> list[dict[bytes, bytes]]:
    """Returns rows by name: some with signs, limits, no announce, and long silences."""
    found = []
    for size in (9000, 5000, 300, 1):
        names = {
            book_rows.name(dice.randrange(300), dice.choice([None, hash_of(dice.randrange(50))]))
            for _ in range(size)
        }
        found.append({name: book_rows.pack(name, _row(dice)) for name in sorted(names)})
    return found


def _row(dice: random.Random) -> Row:
    if dice.random() < 0.1:
        return EMPTY._replace(credited_uploaded=-5, corrections=1)
    counts = [dice.choice([0, 1, 7, MOST_COUNT]) for _ in range(4)]
    amounts = [dice.choice([0, 1, 2**40, MOST]) for _ in range(6)]
    if dice.random() < 0.8:
        counts, amounts = [min(each, 7) for each in counts], [each % MOST for each in amounts]
    first, last = dice.choice([0, 1, DAY_US]), dice.choice([0, DAY_US, 9 * DAY_US])
    return Row._make((dice.randrange(9), *counts, *amounts, first, last, dice.choice([0, 5])))


def plain(older: bytes, newer: bytes, history_us: int, history: History) -> bytes:
    """Adds two rows by the slow rule alone."""
    a, b = book_rows.unpack(older), book_rows.unpack(newer)
    if history_us and older[4] and a.last_us and b.first_us - a.last_us > history_us:
        history.end(older)
        return newer
    return book_rows._added(older[:25], a, b)


@pytest.mark.parametrize("history_us", [0, 100, DAY_US])
@pytest.mark.parametrize("at_once", [4096, 7])
def test_runs_are_summed(history_us: int, at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book_rows, "_AT_ONCE", at_once)
    each, history, other = runs(random.Random(3)), History(history_us, 0), History(history_us, 0)
    expected = [
        reduce(
            lambda a, b: plain(a, b, history_us, other),
            [rows[name] for rows in each if name in rows],
        )
        for name in sorted(set().union(*each))
    ]
    made = merged([_run(rows.values(), ROW_SIZE) for rows in each], history)
    assert b"".join(made) == b"".join(expected)
    assert history.ended == other.ended
    pairs = [sorted(row[5:25] + row[:4] for row in rows.values() if row[4]) for rows in each]
    together = b"".join(merged([_run(some, PAIR_SIZE) for some in pairs], history))
    assert together == b"".join(sorted(set().union(*pairs)))


def _run(rows: Iterable[bytes], size: int) -> Run:
    data = b"".join(rows)
    return Run(data, 0, len(data) // size, size)
