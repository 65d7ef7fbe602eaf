"""Makes a page of rows of the book.

The rows of an account or torrent have different names, so their order is the same each time.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracker.ports import ListCursor, chosen

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
    begin = query.after.name if query.by_name and query.after is not None else None
    if isinstance(of, bytes):
        return book.of_torrent(of, begin if isinstance(begin, int) else None)
    return book.of_account(of, begin if isinstance(begin, bytes) else None)


def page(
    rows: Iterable[BookRow], of: int | bytes, query: BookQuery
) -> tuple[list[BookRow], ListCursor | None]:
    """Returns the rows of a page, and the cursor of the next one; None = there is none.

    `rows`: those of an account or a torrent, ascending by name.
    """
    by_account = isinstance(of, bytes)

    def name(row: BookRow) -> int | bytes:
        return row.account if by_account else row.info_hash or b""

    wanted = (row for row in rows if _named(row, query))
    found = [row for row in chosen(wanted, query, name) if row is not None]
    if len(found) <= query.limit:
        return found, None
    found = found[: query.limit]
    return found, ListCursor(query.value(found[-1]), name(found[-1]) or None)


def _named(row: BookRow, query: BookQuery) -> bool:
    return query.account in (None, row.account) and query.info_hash in (None, row.info_hash)
