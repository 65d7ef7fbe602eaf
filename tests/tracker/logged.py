"""Logs on disk as a tracker writes them, for the commands that read them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio
from attrs import evolve

from eventlog import open_log
from tests.eventlog.logs import running
from tests.support import SECOND, Announce, Rig, endpoint4, endpoint6, hash_of, key_text
from tracker.domain import codec, events
from tracker.domain.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

HASH = hash_of(0xAB)
OTHER = hash_of(0x11)


def write_log(
    folder: Path, script: Callable[[Rig], None], *, segment_bytes: int = 64 << 20
) -> list[str]:
    """Run a script against a tracker over a real log; the state's digest after each of its events.

    Every call of the rig's methods is a commit of its own.
    """
    digests: list[str] = []

    async def main() -> None:
        log = open_log(folder, codec.RECORD_SIZES, segment_bytes=segment_bytes, linger_seconds=0)
        async with running(log):
            script(Rig(log=log))

    trio.run(main)
    return digests


def history(rig: Rig) -> None:
    """A bit of everything: both modes, accounts, whitelist, counters, ticks, an eviction, expiry."""
    service = rig.service
    service.admin(events.TRACKER_STARTED, {"version": "test", "epoch": 1})
    service.change_settings(Settings(max_peer_timeout=60, inactive_peer_cleanup_interval=10))
    service.admin(events.TORRENT_WHITELISTED, {"info_hash": HASH.hex()})
    one = Announce(HASH, endpoint4(1), left=0)
    for number in range(1, 6):
        rig.time.advance(SECOND)
        rig.announce(
            evolve(one, endpoint=endpoint4(number), left=number % 2, uploaded=number),
            evolve(one, endpoint=endpoint6(number), event=events.STARTED),
            Announce(OTHER, endpoint4(9), downloaded=number, left=5),
        )
    service.count(events.UDP4_CONNECTS)
    service.flush_counters()
    rig.announce(evolve(one, event=events.STOPPED))
    rig.time.advance(100 * SECOND)
    service.tick()
    service.admin(events.TORRENT_DELISTED, {"info_hash": HASH.hex()})
    service.change_settings(Settings(private=True))
    first, second = rig.issue(1, owner="anna"), rig.issue(2)
    mine = Announce(HASH, endpoint4(1), key=first)
    for number in range(1, 4):
        rig.time.advance(SECOND)
        rig.announce(
            evolve(mine, uploaded=10 * number, left=100 - number),
            evolve(mine, endpoint=endpoint6(1), uploaded=10 * number, left=100 - number),
            evolve(mine, endpoint=endpoint4(2), key=second, peer_id=b"-TR4000-abcdefghijkl", left=0),
        )
    rig.announce(evolve(mine, key=second))  # from anna's address: hers goes
    rig.time.advance(SECOND)
    rig.revoke(second)
    service.admin(events.TRACKER_STOPPED, {"reason": "signal"})


FIRST_KEY = key_text(1)
