"""Packed rows of the book are those of plain Python, and joined runs are plain sums."""

from __future__ import annotations

import random
from bisect import bisect_left
from collections import Counter
from functools import reduce
from typing import TYPE_CHECKING

import pytest

from tests.support import hash_of
from tracker.domain import packed
from tracker.domain.booking import NOTHING_BEFORE, Booking
from tracker.domain.daily import Daily
from tracker.domain.events import DAY_US
from tracker.domain.state import State
from tracker.store import book_packing, book_rows, daily_rows
from tracker.store.book_bytes import DAY_SIZE, PAIR_SIZE, ROW_SIZE
from tracker.store.book_rows import EMPTY, History, Row, Run, merged

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST, MOST_COUNT = 2**64 - 1, 2**32 - 1


def noted(dice: random.Random) -> Booking:
    """Returns what some accounts did in some torrents."""
    booking, state = Booking(), State()
    accounts, swarms = state.accounts, state.swarms
    for time_us in range(1, 300):
        booking.day, booking.cut = time_us, time_us // 2
        account = dice.choice([1, 2, 256, 70_000])
        booking.begin(accounts, account, swarms, 0)
        for column in (accounts.uploaded, accounts.downloaded, accounts.seeding_us):
            column[account] += dice.randrange(2**40)
        accounts.sessions[account] += dice.randrange(2)
        accounts.snatched[account] += dice.randrange(2)
        info_hash = hash_of(dice.randrange(40))
        if dice.random() < 0.2:
            booking.left(accounts, account, info_hash, time_us, 1, time_us, swarms, 0)
        else:
            client = dice.randrange(9)
            booking.announced(accounts, account, info_hash, 1, time_us, client, swarms, 0)
    return booking


def test_rows_are_laid_out() -> None:
    booking = noted(random.Random(1))
    before = booking.rows[:]
    expected, pairs = [], []
    for account, info_hash, words in booking.gains():
        name = book_rows.name(account, info_hash)
        expected.append(book_rows.pack(name, book_rows.of_words(words)))
        pairs.append(book_rows.pair(info_hash, account))
    assert booking.ended
    rows, paired = book_packing.laid_out(booking)
    assert book_packing.in_order(rows) == b"".join(sorted(expected))
    assert paired == b"".join(sorted(pairs))
    assert booking.rows == before, "they may have to be written again"


def runs(dice: random.Random) -> list[dict[bytes, bytes]]:
    """Returns rows by name: some with signs, limits, no announce, and silences that end them."""
    found = []
    for size in (9000, 5000, 300, 1):
        names = {
            book_rows.name(dice.randrange(300), dice.choice([None, hash_of(dice.randrange(50))]))
            for _ in range(size)
        }
        found.append({name: book_rows.pack(name, _row(dice, name)) for name in sorted(names)})
    return found


def _row(dice: random.Random, name: bytes) -> Row:
    if not name[4]:
        return EMPTY._replace(credited_uploaded=-5, corrections=1)
    counts = [dice.choice([0, 1, 7, MOST_COUNT]) for _ in range(4)]
    amounts = [dice.choice([0, 1, 2**40, MOST]) for _ in range(6)]
    if dice.random() < 0.8:
        counts, amounts = [min(each, 7) for each in counts], [each % MOST for each in amounts]
    first, last = dice.choice([0, 1, DAY_US]), dice.choice([0, DAY_US, 9 * DAY_US])
    days = dice.choice([0, 0, 3, NOTHING_BEFORE]), dice.choice([2, 3, 4])
    return Row._make(
        (dice.randrange(9), *counts, *amounts, first, last, dice.choice([0, 5]), *days)
    )


def plain(older: bytes, newer: bytes, history: History) -> bytes:
    """Adds two rows by the slow rule alone."""
    a, b = book_rows.unpack(older), book_rows.unpack(newer)
    if a.day < b.cut:
        history.end(older)
        return book_rows.pack(newer[:25], b._replace(cut=NOTHING_BEFORE))
    return book_rows._added(older[:25], a, b)


@pytest.mark.parametrize("at_once", [4096, 7])
def test_runs_are_summed(at_once: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(book_rows, "_AT_ONCE", at_once)
    each, history, other = runs(random.Random(3)), History(0), History(0)
    expected = [
        reduce(
            lambda a, b: plain(a, b, other),
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


def test_days_are_summed() -> None:
    """Amounts are added up, with signs and limits; of the counts of peers the largest stays."""
    dice = random.Random(5)

    def days() -> dict[bytes, bytes]:
        found = {}
        for _ in range(300):
            day = dice.randrange(9)
            name = dice.choice(
                [
                    packed.account_day(dice.randrange(30), day),
                    packed.torrent_day(1, hash_of(dice.randrange(20)), day),
                ]
            )
            sums = [dice.choice([0, 1, 2**40, MOST]) for _ in range(5)] + [dice.randrange(9)]
            if dice.random() < 0.2:
                sums[2:4] = -sums[2], -7
            found[name] = daily_rows._pack(name, sums, [dice.randrange(9) for _ in range(2)])
        return dict(sorted(found.items()))

    each = [days() for _ in range(3)]
    plain = daily_rows.Days()
    expected = [
        reduce(plain.added, [rows[name] for rows in each if name in rows])
        for name in sorted(set().union(*each))
    ]
    made = merged([_run(rows.values(), DAY_SIZE) for rows in each], daily_rows.Days())
    assert b"".join(made) == b"".join(expected)


def test_what_is_over_does_not_depend_on_the_merges() -> None:
    """Days go on from part to part, so whichever parts are merged first, the same rows end."""
    dice, name = random.Random(7), book_rows.name(1, hash_of(1))
    for _ in range(300):
        day, rows = 5, []
        for _ in range(dice.randrange(2, 7)):
            day += dice.choice([0, 1, 9])
            row = EMPTY._replace(announces=1, uploaded=1 + dice.randrange(9), first_us=1)
            rows.append(
                book_rows.pack(
                    name, row._replace(cut=max(0, day - 8), day=day + dice.choice([0, 0, 99]))
                )
            )
        results = set()
        for _ in range(8):
            history, left = History(0), list(rows)
            while len(left) > 1:
                at = dice.randrange(len(left) - 1)
                left[at : at + 2] = [history.added(*left[at : at + 2])]
            row = book_rows.unpack(left[0])._replace(cut=0)
            results.add((row, *sorted(history.ended.items())))
        assert len(results) == 1


def test_a_name_is_found_where_bisect_finds_it() -> None:
    dice = random.Random(4)
    names = sorted({dice.randbytes(2) for _ in range(60)})
    run = Run(b"head" + b"".join(each + b"xyz" for each in names), 4, len(names), 5, 2)
    for low in (0, 7, len(names)):
        for sought in (*names, *(dice.randbytes(length) for length in range(5) for _ in range(9))):
            assert run.find(sought, low) == bisect_left(names, sought, low)


def test_a_day_s_rows_are_those_of_their_names() -> None:
    """Also where torrents take over the numbers of others, and days begin and end."""
    dice, daily = random.Random(5), Daily()
    expected: Counter[bytes] = Counter()
    for _ in range(2_000):
        if dice.random() < 0.005:
            daily.clear()
            expected.clear()
        if dice.random() < 0.01:
            daily.date(dice.randrange(3) * DAY_US)
        account, info_hash = dice.randrange(1, 9), hash_of(dice.randrange(9))
        whose = packed.account_day(account, daily.day), daily.account(account)
        where = daily.torrent(info_hash, dice.randrange(3), 1, 1)
        for name, at in (whose, (packed.torrent_day(1, info_hash, daily.day), where)):
            daily.gain(at, 1, 0, 0, 0, 0, 0)
            expected[name] += 1
    assert {name: daily.rows[at] for name, at in daily.numbers.items()} == expected
