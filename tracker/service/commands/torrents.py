"""Says facts about torrents: label, size, the site's number, uploader, time, tags."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio
from attrs import asdict

from tracker.domain.events.admin import TorrentDescribed
from tracker.service.commands import pending
from tracker.service.commands.writing import Writing

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracker import ports

_BATCH = 100
"""Torrents between two checkpoints; they take a few milliseconds."""


class TorrentCommands(Writing):
    async def describe_torrents(
        self, torrents: Sequence[tuple[bytes, ports.TorrentFacts]], by: ports.Actor
    ) -> int:
        changed = 0
        for number, (info_hash, facts) in enumerate(torrents, 1):
            event = TorrentDescribed(info_hash, **asdict(facts, recurse=False))
            if self._service.state.facts.get(info_hash) != event.text():
                self._need_room()
                self._append(event, by)
                changed += 1
            if number % _BATCH == 0:
                await trio.lowlevel.checkpoint()  # announces go on
        described = (pending.torrent(info_hash) for info_hash, _ in torrents)
        await self._durable(self._pending.latest(described))
        return changed
