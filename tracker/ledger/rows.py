"""Makes a page of rows of the book: filters them, sorts them, and begins where a cursor points.

The memory that it takes depends on the length of the page, not on the number of rows. The rows of
an account or torrent have different names, so their order is the same each time.
"""

from __future__ import annotations

from heapq import nlargest, nsmallest
from itertools import islice
from typing import TYPE_CHECKING

from tracker.ports import BookCursor

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracker.ports import BookQuery, BookRead, BookRow


def stored(book: BookRead, of: int | bytes, query: BookQuery) -> Iterable[BookRow]:
    """Returns the rows of an account or a torrent from which the page is made, by name."""
    if query.account is not None and isinstance(of, bytes):
        return filter(None, [book.row(query.account, of)])
    if query.info_hash is not None and isinstance(of, int):
        return filter(None, [book.row(of, query.info_hash)])
    # In this order the page begins at a name, so the rows before it need not be read.
    begin = None if query.after is None or query.sort or query.descending else query.after.name
    if isinstance(of, bytes):
        return book.of_torrent(of, begin if isinstance(begin, int) else None)
    return book.of_account(of, begin if isinstance(begin, bytes) else None)


def page(
    rows: Iterable[BookRow], of: int | bytes, query: BookQuery
) -> tuple[list[BookRow], BookCursor | None]:
    """Returns the rows of a page, and the cursor of the next one; None = there is none.

    `rows`: those of an account or a torrent, ascending by name.
    """
    by_account, sort, begin = isinstance(of, bytes), query.sort, query.after

    def name(row: BookRow) -> int | bytes | None:
        return row.account if by_account else row.info_hash

    def key(row: BookRow) -> tuple[int, int | bytes]:
        return _value(row, sort), name(row) or b""

    found = (row for row in rows if _wanted(row, query))
    if begin is not None:
        least = begin.value, begin.name or b""
        if query.descending:
            found = (row for row in found if key(row) < least)
        else:
            found = (row for row in found if key(row) > least)
    if query.descending:
        chosen = nlargest(query.limit + 1, found, key)
    elif sort:
        chosen = nsmallest(query.limit + 1, found, key)
    else:
        chosen = list(islice(found, query.limit + 1))
    if len(chosen) <= query.limit:
        return chosen, None
    chosen = chosen[: query.limit]
    return chosen, BookCursor(_value(chosen[-1], sort), name(chosen[-1]))


def _value(row: BookRow, sort: str) -> int:
    """Returns what a row is sorted by; 0 where it has no such value, or is sorted by name."""
    return getattr(row, sort) or 0 if sort else 0


def _wanted(row: BookRow, query: BookQuery) -> bool:
    if query.account not in (None, row.account) or query.info_hash not in (None, row.info_hash):
        return False
    for field, least, most in query.bounds:
        value = getattr(row, field)
        if value is None or not least <= value <= most:
            return False
    return True
