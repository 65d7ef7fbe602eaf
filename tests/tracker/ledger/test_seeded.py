"""The list of torrents by when they were seeded is filtered and ordered by what a book says."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, cast

from attrs import define

from tests.support import hash_of
from tracker.domain.seeded import Known
from tracker.ledger.seeded import SeededTorrents
from tracker.ports import ListQuery, SeededTorrent

if TYPE_CHECKING:
    from tracker.store.book import Book

DAY_US = 86_400_000_000
NOW_US = time.time_ns() // 1000
KNOWN = {
    hash_of(1): (5, 0, 9, 0, 7, 0),  # is seeded
    hash_of(2): (5, 3, DAY_US, 2 * DAY_US, 8, 0),  # was, a day after it was added
    hash_of(3): (4, 0, 0, 0, 0, 0),  # never was
    hash_of(4): (0, 0, 9, 10, 9, 0),  # nobody said when it was added
    hash_of(5): (1, 0, 2, 3, 1, 1),  # is not whitelisted any more
}


@define
class Rows:
    """A book in memory."""

    upto: int = 100
    seeded: Any = None
    listed: Any = None
    begun: int = 4

    def all(self) -> Any:
        return ((name, Known(fields)) for name, fields in sorted(KNOWN.items()))


def test_rows() -> None:
    rows = Rows()
    rows.seeded = rows.listed = rows
    torrents = SeededTorrents(cast("Book", rows))

    def names(**asked: Any) -> list[int]:
        page = torrents.page(ListQuery(limit=9, **asked))
        assert (page.since, page.seq, page.following) == (4, 99, None)
        return [one.info_hash[-1] for one in page.rows]

    assert names() == [1, 2, 3, 4]
    assert names(sort="last_us", descending=True, bounds=(("last_us", 0, 2**66),)) == [2, 4]
    assert names(sort="unseeded_us", bounds=(("unseeded_us", 0, 10),)) == [3, 4]
    late = (("waited_us", DAY_US - 3, 2**66),)
    assert names(sort="added_us", bounds=late) == [2, 3]
    page = torrents.page(ListQuery(limit=2))
    assert (page.following and page.following.name) == hash_of(2)
    assert page.rows[1] == SeededTorrent(
        hash_of(2), 3, DAY_US, 2 * DAY_US, 8, 2 * DAY_US, DAY_US - 3
    )
    (never,) = torrents.page(ListQuery(limit=1, equal=(("added_us", 4),))).rows
    assert (never.first_us, never.last_us, never.account) == (None, None, None)
    assert (never.waited_us or 0) >= NOW_US - 4
