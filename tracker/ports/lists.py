"""The values of lists: which rows are wanted, in which order, and from where on.

Every list has one member that names its rows: an account's number, a torrent's info hash.
"""

from __future__ import annotations

from heapq import nlargest, nsmallest
from itertools import chain
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    Get = Callable[[Any, str], Any]

AT_ONCE = 250
"""Rows of which the best ones are chosen at a time."""


@frozen
class ListCursor:
    """The last row of a page."""

    value: int | str  # that the rows are sorted by; 0 = they are sorted by name
    name: bytes | int | None  # its torrent, account or key; None = "no torrent"


@frozen(kw_only=True)
class ListQuery:
    """Which rows are wanted, and in which order. Fields are attributes of the rows."""

    bounds: tuple[tuple[str, int, int], ...] = ()  # field, its least and largest value
    equal: tuple[tuple[str, int | str], ...] = ()  # field, and its value
    search: str = ""  # part of the row's `names`, of any case; "" = all
    sort: str = ""  # a field; "" = by name
    empty: int | str = 0  # what null counts as in this order
    descending: bool = False
    after: ListCursor | None = None  # None = from the first row
    limit: int

    @property
    def by_name(self) -> bool:
        """Tells whether the rows are wanted in the order of their names, from the first one up."""
        return not self.sort and not self.descending

    def wants(self, row: object, get: Get = getattr) -> bool:
        """Tells whether a row meets every filter. One without a value meets no bound."""
        for field, least, most in self.bounds:
            value = get(row, field)
            if value is None or not least <= value <= most:
                return False
        if any(get(row, field) != value for field, value in self.equal):
            return False
        return not self.search or self.search.casefold() in get(row, "names").casefold()

    def value(self, row: object, get: Get = getattr) -> int | str:
        """Returns what a row is sorted by; 0 where it is by name."""
        found: int | str | None = get(row, self.sort) if self.sort else 0
        return self.empty if found is None else found


Row = TypeVar("Row")


def chosen(
    rows: Iterable[Row | None],
    query: ListQuery,
    name: Callable[[Row], Any],
    get: Get = getattr,
) -> Iterator[Row | None]:
    """Yields the rows of a page in their order, and one more where another page follows.

    `rows`: ascending by name where `query.by_name`; None = a place to pause, which is passed on.
    `name`: gives a number or bytes that no other row has. `get`: gives the field of a row. The
    memory that it takes depends on the length of the page, not on the number of rows.
    """

    sort, empty = query.sort, query.empty  # as the one below, because there are many rows
    filtered = bool(query.bounds or query.equal or query.search)

    def key(row: Row) -> tuple[Any, Any]:
        found = get(row, sort) if sort else 0
        return empty if found is None else found, name(row)

    begin: Any = None
    if query.after is not None:
        begin = query.after.value, b"" if query.after.name is None else query.after.name
    pick = nlargest if query.descending else nsmallest
    left, best, some = query.limit + 1, list[Row](), list[Row]()
    for row in rows:
        if row is None:
            yield None
        elif (filtered and not query.wants(row, get)) or (
            begin and not (key(row) < begin if query.descending else key(row) > begin)
        ):
            continue
        elif query.by_name:
            yield row
            left -= 1
            if not left:
                return
        else:
            some.append(row)
            if len(some) == AT_ONCE:
                best, some = pick(left, chain(best, some), key=key), []
    yield from pick(left, chain(best, some), key=key)
