"""Writes logs to disk as a tracker does, for tests of their readers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio
from attrs import evolve

from eventlog import Reader, open_log
from tests.eventlog.logs import running
from tests.support import SECOND, Announce, Rig, endpoint4, endpoint6, hash_of, keys_of, own_keys
from tracker.domain import events
from tracker.domain.events import codec
from tracker.domain.events.admin import (
    TorrentDelisted,
    TorrentWhitelisted,
    TrackerStarted,
    TrackerStopped,
)
from tracker.domain.settings import Settings
from tracker.store import high_water_mark
from tracker.store.replay import replay

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

HASH = hash_of(0xAB)
OTHER = hash_of(0x11)
SECOND_PEER = b"-TR4000-abcdefghijkl"


class Recording(Rig):
    """A rig that makes announces one by one and records the state's digest after each."""

    digests: dict[int, str]

    def announce(self, *announces: Announce) -> list[int]:
        returned = []
        for one in announces:
            returned += super().announce(one)
            self.record_digest()
        return returned

    def record_digest(self) -> None:
        self.digests[self.state.seq - 1] = self.state.digest()


def record(script: Callable[[Rig], Iterator[None]] | None = None) -> dict[int, str]:
    """Returns the live state's digest by seq: after each announce, and at each `yield` of the
    script.
    """
    rig = Recording()
    rig.digests = {}
    for _ in (script or history)(rig):
        rig.record_digest()
    return rig.digests


def write_log(
    folder: Path,
    script: Callable[[Rig], Iterator[None]] | None = None,
    *,
    segment_bytes: int = 1500,
    secrets: Path | None = None,
) -> None:
    """Runs a script against a tracker over a real log. Each `yield` waits until its events are
    durable.

    With the folder of a tracker's secrets, that tracker can go on with the log.
    """
    log = open_log(
        folder,
        codec.RECORD_SIZES,
        (keys_of(secrets) if secrets else own_keys(folder)).tags,
        segment_bytes=segment_bytes,
        linger_seconds=0,
    )

    async def main() -> None:
        async with running(log):
            rig = Rig(log=log, state=replay(Reader(folder, to_end=True)))
            for _ in (script or history)(rig):
                await log.wait_durable(log.next_seq - 1)
        if secrets:
            high_water_mark.note(secrets, log, rig.state.time_us)

    trio.run(main)


def history(rig: Rig) -> Iterator[None]:
    """Some of everything: both modes, accounts, whitelist, counters, ticks, expiry, an eviction."""
    service = rig.service
    service.append(TrackerStarted("test", 1))
    service.change_settings(Settings(max_peer_timeout=60, inactive_peer_cleanup_interval=10))
    service.append(TorrentWhitelisted(HASH))
    yield
    one = Announce(HASH, endpoint4(1), left=0)
    for number in range(1, 6):
        rig.time.advance(SECOND)
        rig.announce(
            evolve(one, endpoint=endpoint4(number), left=number % 2, uploaded=number),
            evolve(one, endpoint=endpoint6(number), event=events.STARTED),
            Announce(OTHER, endpoint4(9), downloaded=number, left=5),
        )
        if number % 2:
            yield
    service.count(events.UDP4_CONNECTS)
    service.count(events.REFUSED_REQUESTS, 2)
    service.flush_counters()
    rig.announce(evolve(one, event=events.STOPPED))
    rig.time.advance(100 * SECOND)
    service.tick()
    yield
    service.append(TorrentDelisted(HASH))
    service.change_settings(Settings(private=True))
    anna, other = rig.issue(1, owner="anna"), rig.issue(2)
    mine = Announce(HASH, endpoint4(1), key=anna)
    for number in range(1, 4):
        rig.time.advance(SECOND)
        moved = evolve(mine, uploaded=10 * number, left=100 - number)
        rig.announce(
            moved,
            evolve(moved, endpoint=endpoint6(1)),
            evolve(mine, endpoint=endpoint4(2), key=other, peer_id=SECOND_PEER, left=0),
        )
    yield
    rig.announce(evolve(mine, key=other))  # anna's peer has this address, so it is evicted
    yield
    rig.time.advance(SECOND)
    rig.revoke(other)
    service.append(TrackerStopped("signal"))
    yield
