"""Lists torrents by when they were seeded, from the newest book."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tracker.ports import ListCursor, SeededPage, SeededTorrent, chosen

if TYPE_CHECKING:
    from tracker.domain.seeded import Known
    from tracker.ports import ListQuery
    from tracker.store.book import Book


class SeededTorrents:
    """What a book says of torrents, without those that were taken off the whitelist. Blocking."""

    def __init__(self, book: Book) -> None:
        rows = book.seeded
        self._begun = book.listed.seeded.begun if book.listed.seeded else -1
        self._upto = book.upto
        self._known = {each: one for each, one in rows.all() if not one.delisted} if rows else {}

    def page(self, query: ListQuery) -> SeededPage:
        now_us = time.time_ns() // 1000

        def get(info_hash: bytes, field: str) -> int | None:
            one = self._known[info_hash]
            value = _VALUES[field](one, now_us) if field in _VALUES else getattr(one, field)
            return value or None

        found = [one for one in chosen(self._known, query, bytes, get) if one is not None]
        following = None
        if len(found) > query.limit:
            found = found[: query.limit]
            following = ListCursor(query.value(found[-1], get), found[-1])
        fields = ("added_us", "first_us", "last_us", "account", "unseeded_us", "waited_us")
        rows = [SeededTorrent(each, *(get(each, field) for field in fields)) for each in found]
        return SeededPage(rows, following, self._begun, self._upto - 1)


def _added_us(one: Known, _now_us: int) -> int:
    return one.said_us or one.listed_us


def _unseeded_us(one: Known, now_us: int) -> int:
    return one.last_us if one.first_us else _added_us(one, now_us)


def _waited_us(one: Known, now_us: int) -> int:
    added_us = _added_us(one, now_us)
    return max(0, (one.first_us or now_us) - added_us) if added_us else 0


_VALUES = {"added_us": _added_us, "unseeded_us": _unseeded_us, "waited_us": _waited_us}
