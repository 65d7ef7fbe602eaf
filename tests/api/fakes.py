"""An in-memory tracker behind the two ports of the API, which remembers who asked for what."""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING

import attrs

from tracker.ports import (
    Actor,
    CommandError,
    DuplicateKeyError,
    InvalidDurationError,
    IssuedKey,
    Peer,
    Stats,
    Torrent,
    TorrentSummary,
    UnknownKeyError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

NOW_US = 1_680_006_300_058_085
LONGEST_S = 250_000_000_000
RANDOM_KEY = "2cjvmxYTzG1ESiJBSAn5dxNornXB5CeD"

COUNTERS = Stats(*range(1, 17))


@attrs.define
class FakeHistory:
    """Torrents by info hash; the fake is its own read model."""

    swarms: dict[bytes, Torrent] = attrs.field(factory=dict)

    def at(self, moment: None = None) -> FakeHistory:
        assert moment is None
        return self

    def stats(self) -> Stats:
        return COUNTERS

    def torrents(self, offset: int, limit: int) -> Iterator[TorrentSummary]:
        hashes = islice(sorted(self.swarms), offset, offset + limit)
        return (self.swarms[info_hash].summary for info_hash in hashes)

    def summary(self, info_hash: bytes) -> TorrentSummary | None:
        torrent = self.swarms.get(info_hash)
        return None if torrent is None else torrent.summary

    def torrent(self, info_hash: bytes) -> Torrent | None:
        return self.swarms.get(info_hash)

    def add(self, info_hash: bytes, *peers: Peer, seeders: int = 1, completed: int = 0) -> None:
        summary = TorrentSummary(info_hash, seeders, completed, len(peers))
        self.swarms[info_hash] = Torrent(summary, peers)


@attrs.define
class FakeCommands:
    whitelist: set[bytes] = attrs.field(factory=set)
    keys: set[str] = attrs.field(factory=set)
    actors: list[Actor] = attrs.field(factory=list)
    failure: CommandError | None = None  # raised by every command when set

    def _asked(self, by: Actor) -> None:
        if self.failure is not None:
            raise self.failure
        self.actors.append(by)

    async def whitelist_add(self, info_hash: bytes, by: Actor) -> None:
        self._asked(by)
        self.whitelist.add(info_hash)

    async def whitelist_remove(self, info_hash: bytes, by: Actor) -> None:
        self._asked(by)
        self.whitelist.discard(info_hash)

    async def issue_key(self, seconds_valid: int | None, by: Actor) -> IssuedKey:
        self._asked(by)
        return self._kept(RANDOM_KEY, seconds_valid)

    async def add_key(self, key: str, seconds_valid: int | None, by: Actor) -> IssuedKey:
        self._asked(by)
        if key in self.keys:
            raise DuplicateKeyError
        return self._kept(key, seconds_valid)

    async def revoke_key(self, key: str, by: Actor) -> None:
        self._asked(by)
        if key not in self.keys:
            raise UnknownKeyError
        self.keys.remove(key)

    def _kept(self, key: str, seconds_valid: int | None) -> IssuedKey:
        if seconds_valid is None:
            until_us = None
        elif seconds_valid > LONGEST_S:
            raise InvalidDurationError
        else:
            until_us = NOW_US + seconds_valid * 1_000_000
        self.keys.add(key)
        return IssuedKey(key, until_us)
