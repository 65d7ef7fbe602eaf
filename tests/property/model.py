"""The swarms once more, written as plainly as can be: dictionaries, no packing, no reuse of numbers."""

from __future__ import annotations

from attrs import define, field

from tests.support import SECOND, Announce
from tracker.domain import events
from tracker.domain.settings import Settings


@define
class ModelPeer:
    peer_id: bytes
    uploaded: int
    downloaded: int
    seeder: bool
    completed: bool  # said so in this session
    seen_us: int


@define
class Model:
    """What the tracker should know after the same announces, commands and ticks."""

    settings: Settings = field(factory=Settings)
    torrents: dict[bytes, dict[bytes, ModelPeer]] = field(factory=dict)
    completed: dict[bytes, int] = field(factory=dict)
    whitelist: set[bytes] = field(factory=set)
    counters: dict[int, int] = field(factory=dict)
    announces: int = 0
    ticks: int = 0
    resumed_us: int = 0

    def announce(self, one: Announce, now: int) -> bool:
        """Whether it was taken."""
        if self.settings.listed and one.info_hash not in self.whitelist:
            return False
        self.announces += 1
        if one.event == events.STOPPED:
            self.torrents.get(one.info_hash, {}).pop(one.endpoint, None)
            return True
        peers = self.torrents.setdefault(one.info_hash, {})
        before = peers.get(one.endpoint)
        says_completed = one.event == events.COMPLETED
        same_session = before is not None and continues(before, one)
        if says_completed and before is not None and same_session and not before.completed:
            self.completed[one.info_hash] = self.completed.get(one.info_hash, 0) + 1
        said = before is not None and same_session and before.completed
        peers[one.endpoint] = ModelPeer(
            one.peer_id, one.uploaded, one.downloaded, one.left == 0, said or says_completed, now
        )
        return True

    def tick(self, now: int) -> None:
        tick, self.ticks = self.ticks, self.ticks + 1
        cleanup_ms = self.settings.inactive_peer_cleanup_interval * 1000
        before_us = now - self.settings.max_peer_timeout * SECOND
        if not cleanup_ms or before_us < self.resumed_us:
            return
        slices = max(1, cleanup_ms // self.settings.tick_ms)
        first, end = (256 * part // slices for part in (tick % slices, tick % slices + 1))
        for info_hash in [each for each in self.torrents if first <= each[0] < end]:
            peers = self.torrents[info_hash]
            for endpoint in [e for e, peer in peers.items() if peer.seen_us <= before_us]:
                del peers[endpoint]
            self._drop_if_empty(info_hash)

    def _drop_if_empty(self, info_hash: bytes) -> None:
        if self.settings.remove_peerless_torrents and not self.torrents.get(info_hash, True):
            del self.torrents[info_hash]

    def delist(self, info_hash: bytes) -> None:
        if info_hash not in self.whitelist:
            return
        self.whitelist.remove(info_hash)
        if self.settings.listed and info_hash in self.torrents:
            self.torrents[info_hash].clear()
            self._drop_if_empty(info_hash)

    def change_settings(self, settings: Settings) -> None:
        if settings.private != self.settings.private:
            self.torrents.clear()
        self.settings = settings

    def counts(self, info_hash: bytes) -> tuple[int, int, int]:
        """Seeders, completed, leechers."""
        peers = self.torrents.get(info_hash, {}).values()
        seeders = sum(peer.seeder for peer in peers)
        return seeders, self.completed.get(info_hash, 0), len(peers) - seeders


def continues(before: ModelPeer, one: Announce) -> bool:
    """Whether an announce belongs to the session of the one before it."""
    return (
        before.peer_id == one.peer_id
        and before.uploaded <= one.uploaded
        and before.downloaded <= one.downloaded
    )
