"""Implements `ports.Changes`."""

from __future__ import annotations

from tests.api.fakes.values import NOW_US
from tracker.ports import Account, ChangesPage, ChangesQuery, TorrentSummary


class FakeChanges:
    """An account and a torrent that changed, and a second page; it keeps what it was asked for."""

    log_id, epoch = "ab" * 16, 3

    def __init__(self) -> None:
        self.asked: list[ChangesQuery] = []

    async def accounts(self, query: ChangesQuery) -> ChangesPage[Account] | None:
        self.asked.append(query)
        if query.since == 1:
            return None
        page = [Account(7, 1, 2, 3, 4, 5_000_000, 6, 7, NOW_US, None)]
        return ChangesPage(page, None if query.after else (90, 7), 90)

    async def torrents(self, query: ChangesQuery) -> ChangesPage[TorrentSummary] | None:
        self.asked.append(query)
        return ChangesPage([TorrentSummary(bytes(20), 1, 2, 3)], None, 90)
