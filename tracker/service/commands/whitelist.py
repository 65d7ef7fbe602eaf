"""Adds torrents to the whitelist, and removes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from tracker.domain.events.admin import TorrentDelisted, TorrentWhitelisted
from tracker.service.commands import pending
from tracker.service.commands.writing import Writing

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracker import ports

_BATCH = 100
"""Info hashes between two checkpoints; they take a few milliseconds."""


class WhitelistCommands(Writing):
    async def whitelist_add(self, info_hashes: Iterable[bytes], by: ports.Actor) -> list[bytes]:
        whitelist = self._service.state.access.whitelist
        wanted, added = list(info_hashes), []
        for number, info_hash in enumerate(wanted, 1):
            if info_hash not in whitelist:
                self._need_room()
                self._append(TorrentWhitelisted(info_hash), by)
                added.append(info_hash)
            if number % _BATCH == 0:
                await trio.lowlevel.checkpoint()  # announces go on
        await self._durable(self._pending.latest(map(pending.torrent, wanted)))
        return added

    async def whitelist_remove(self, info_hash: bytes, by: ports.Actor) -> bool:
        listed = info_hash in self._service.state.access.whitelist
        if listed:
            self._need_room()
            self._append(TorrentDelisted(info_hash), by)
        await self._durable(self._pending.latest([pending.torrent(info_hash)]))
        return listed
