"""Remembers when torrents were added, and when they were seeded first and last, and by whom.

Only a process that keeps the book has it, so the tracker's own announces pay nothing. It is no part
of the state. It knows the torrents of private modes.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Protocol

from tracker.domain.events.admin import TorrentDelisted, TorrentDescribed, TorrentWhitelisted
from tracker.domain.swarms import MARK_SEEDER

if TYPE_CHECKING:
    from tracker.domain.events.registry import AdminEvent
    from tracker.domain.state import State


class Known:
    """What is known of a torrent. Times are dates in microseconds, 0 = none."""

    __slots__ = ("account", "delisted", "first_us", "last_us", "listed_us", "said_us")

    def __init__(self, fields: tuple[int, ...] = (0, 0, 0, 0, 0, 0)) -> None:
        self.listed_us, self.said_us, self.first_us, self.last_us, self.account, self.delisted = (
            fields
        )

    def fields(self) -> tuple[int, ...]:
        """Returns when it was whitelisted or described first; when the site says that it was added;
        when the first seeder came; when the last one went, 0 while there is one; the account of who
        came or went last; and 1 if it was taken off the whitelist.
        """
        return (
            self.listed_us, self.said_us, self.first_us, self.last_us, self.account, self.delisted,
        )  # fmt: skip


class Shelf(Protocol):
    """What the book has."""

    def one(self, info_hash: bytes) -> Known | None:
        """Returns a torrent; None = it is not known."""


class Seeded:
    """The torrents of which something changed since the book was written."""

    __slots__ = ("changed", "shelf")

    def __init__(self) -> None:
        self.shelf: Shelf | None = None
        self.changed: dict[bytes, Known] = {}

    def wrote(self, shelf: Shelf) -> None:
        """Forgets what was written to `shelf`."""
        self.shelf = shelf
        self.changed = {}

    def _torrent(self, info_hash: bytes) -> Known:
        one = self.changed.get(info_hash)
        if one is None:
            found = self.shelf.one(info_hash) if self.shelf is not None else None
            one = self.changed[info_hash] = found or Known()
        return one

    def counted(self, info_hash: bytes, account: int, date_us: int, seeders: int) -> None:
        """Enters that the first seeder of a swarm came, or the last one went (`seeders` 0)."""
        one = self._torrent(info_hash)
        one.account = account
        if seeders:
            one.first_us = one.first_us or date_us
            one.last_us = 0
        else:
            one.last_us = date_us

    def administered(self, event: AdminEvent, date_us: int) -> None:
        """Enters an admin event."""
        if isinstance(event, TorrentDescribed):
            one = self._torrent(event.info_hash)
            one.said_us = max(0, event.added_us or 0)
            one.listed_us = one.listed_us or date_us
        elif isinstance(event, TorrentWhitelisted):
            one = self._torrent(event.info_hash)
            one.listed_us, one.delisted = one.listed_us or date_us, 0
        elif isinstance(event, TorrentDelisted):
            self._torrent(event.info_hash).delisted = 1

    def open(self, state: State) -> None:
        """Enters the torrents of a state with which it begins, as if they had just come."""
        date_us = max(1, state.dates.of(state.time_us))
        for info_hash in (*state.access.listed_after(b""), *state.facts):
            one = self._torrent(info_hash)
            one.listed_us = date_us
        for info_hash, text in state.facts.items():
            self._torrent(info_hash).said_us = max(0, json.loads(text).get("added_us") or 0)
        swarms = state.swarms
        for info_hash in swarms.all_hashes():
            for peer in swarms.identities.members(swarms.lookup(info_hash)):
                if swarms.peer(peer).mark & MARK_SEEDER:
                    self.counted(info_hash, swarms.account_of(peer), date_us, 1)
                    break
