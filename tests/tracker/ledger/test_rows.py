"""Pages of the book: each row that is wanted comes once, in order, whatever the order is."""

from __future__ import annotations

import random
from operator import attrgetter
from typing import TYPE_CHECKING

import pytest
from attrs import evolve, fields

from tests.support import hash_of
from tracker.ledger import rows
from tracker.ports import BookQuery, BookRow, ListCursor

if TYPE_CHECKING:
    from collections.abc import Iterator

FIELDS = [each.name for each in fields(BookRow) if each.name not in ("account", "info_hash")]


class Rows:
    """A book in memory."""

    upto = 1000

    def __init__(self) -> None:
        rng = random.Random(3)
        self.read = 0  # rows that were taken from it
        self.rows = [
            BookRow(account, info_hash, *(rng.choice([0, 1, 5, 9]) for _ in FIELDS[:6]),
                    rng.choice([None, 3]), rng.choice([None, 3]), rng.choice([None, 3]), *[1] * 4, None)
            for account in range(1, 8)
            for info_hash in [None, *sorted(hash_of(number) for number in range(9))]
        ]  # fmt: skip

    def of_account(self, account: int, after: bytes | None = None) -> Iterator[BookRow]:
        for row in self.rows:
            if row.account == account and (after is None or (row.info_hash or b"") > after):
                self.read += 1
                yield row

    def of_torrent(self, info_hash: bytes, after: int | None = None) -> Iterator[BookRow]:
        for row in self.rows:
            if row.info_hash == info_hash and row.account > (after or 0):
                self.read += 1
                yield row

    def row(self, account: int, info_hash: bytes | None) -> BookRow | None:
        found = (one for one in self.rows if (one.account, one.info_hash) == (account, info_hash))
        return next(found, None)


def listed(book: Rows, of: int | bytes, query: BookQuery) -> list[BookRow]:
    """Returns the rows of all pages."""
    found = []
    while True:
        some, following = rows.page(rows.stored(book, of, query), of, query)
        assert len(some) <= query.limit
        found += some
        if following is None:
            return found
        assert len(some) == query.limit
        query = evolve(query, after=following)


@pytest.mark.parametrize("sort", ["", *FIELDS])
@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("of", [3, hash_of(4)])
def test_pages(sort: str, of: int | bytes, descending: bool) -> None:
    """All pages together are the rows in order; those with the same value are ordered by name."""
    book = Rows()
    name = attrgetter("account" if isinstance(of, bytes) else "info_hash")
    mine = [row for row in book.rows if of in (row.account, row.info_hash)]
    mine.sort(key=lambda row: (getattr(row, sort or "announces") or 0, name(row) or b""))
    if descending:
        mine.reverse()
    for limit in (1, 2, 3, 100):
        query = BookQuery(sort=sort, descending=descending, limit=limit)
        assert listed(book, of, query) == mine


def test_filters() -> None:
    """Each bound counts, and rows without the value are out. One row is looked up by its name."""
    book = Rows()
    bounds = (("uploaded", 1, 9), ("uploaded", 0, 5), ("first_us", 0, 100))
    wanted = [
        row for row in book.rows if row.account == 3 and row.uploaded in (1, 5) and row.first_us
    ]
    assert wanted
    assert listed(book, 3, BookQuery(bounds=bounds, limit=1)) == wanted
    one = book.row(3, hash_of(4))
    book.read = 0
    for of, query in (
        (3, BookQuery(info_hash=hash_of(4), limit=1)),
        (hash_of(4), BookQuery(account=3, limit=1)),
    ):
        assert listed(book, of, query) == [one]
        assert listed(book, of, evolve(query, bounds=(("uploaded", 10, 99),))) == []
    assert listed(book, 3, BookQuery(info_hash=hash_of(99), limit=1)) == []
    assert book.read == 0


def test_a_page_by_name_reads_no_other_rows() -> None:
    """A page in the order of names begins at its first row, so it takes as long as any other."""
    book = Rows()
    for of, name in ((3, book.rows[35].info_hash), (hash_of(4), 5)):
        book.read = 0
        query = BookQuery(after=ListCursor(0, name), limit=1)
        assert rows.page(rows.stored(book, of, query), of, query)[0]
        assert book.read == 2
