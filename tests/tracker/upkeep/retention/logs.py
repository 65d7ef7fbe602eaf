"""Opens, fills, prunes and verifies the logs of the retention tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from eventlog import EventLog, LogError, Reader, open_log
from tests.eventlog.logs import running
from tests.support import START_US, HandTime, Rig, hash_of, own_keys
from tests.tracker.logged import history
from tests.tracker.pruned import prune
from tracker.domain.events import codec
from tracker.domain.events.admin import TorrentWhitelisted
from tracker.offline.verify import Verification
from tracker.store.replay import replay

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from eventlog import Finding


def live(folder: Path, do: Callable[[Rig, EventLog], Awaitable[object]]) -> str:
    """Opens a log, runs `do` with a tracker over it, and closes it; returns the digest."""
    log = open_log(
        folder, codec.RECORD_SIZES, own_keys(folder).tags, segment_bytes=400, linger_seconds=0
    )
    try:
        state = replay(Reader(folder, to_end=True))
    except LogError:
        log.release()
        raise
    time = HandTime(wall=max(START_US, state.time_us))
    rig = Rig(log=log, state=state, time=time)  # type: ignore[arg-type]  # a real log

    async def main() -> None:
        async with running(log):
            await do(rig, log)

    trio.run(main)
    return rig.state.digest()


async def script(rig: Rig, log: EventLog) -> None:
    for _ in history(rig):
        await log.wait_durable(log.next_seq - 1)
    for number in range(20):
        rig.service.append(TorrentWhitelisted(hash_of(number)))
        await log.wait_durable(log.next_seq - 1)


async def script_and_prune(rig: Rig, log: EventLog) -> None:
    await script(rig, log)
    assert await prune(rig.service, log, 2000)


def findings(folder: Path) -> tuple[list[Finding], str]:
    verification = Verification(folder, own_keys(folder))
    found = list(verification.findings(lambda _done, _total: None))
    return found, verification.state.digest()


def files(folder: Path) -> set[str]:
    kinds = ("seg", "seal", "kept", "opening", "snap", "quarantine")
    return {str(each.relative_to(folder)) for kind in kinds for each in folder.glob(f"{kind}/*")}


async def nothing(_rig: Rig, log: EventLog) -> None:
    await log.wait_durable(log.next_seq - 1)
