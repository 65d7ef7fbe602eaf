"""A log with everything that a tracker can write beside it, and what serving and verifying it say.

The files are made once and kept in memory, so that thousands of damaged copies cost little.
"""

from __future__ import annotations

import shutil
from functools import cache, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import trio

from eventlog import LogError, Reader, open_log
from tests.eventlog.logs import running
from tests.support import SECOND, START_US, HandTime, Rig
from tests.tracker.logged import history
from tests.tracker.pruned import prune
from tracker.config.schema import EventLog as LogConfig
from tracker.domain.events import codec
from tracker.domain.events.codec import CodecError
from tracker.domain.events.errors import ReplayError
from tracker.offline.verify import Verification
from tracker.store import high_water_mark, opening_balance, server_secret, snapshots
from tracker.store.address_keys import Keyring
from tracker.store.replay import replay
from tracker.store.server_secret import SecretError
from tracker.store.session import open_session

if TYPE_CHECKING:
    from eventlog import Finding

OURS = (LogError, CodecError, ReplayError, SecretError, OSError)
"""The errors with a sentence, which a command prints."""
SEGMENT_BYTES = 1500


@cache
def whole(*, pruned: bool) -> dict[str, bytes]:
    """Returns the files of a site by their paths below its folder: `log` and `secrets`."""
    with TemporaryDirectory() as folder:
        site = Path(folder)
        server_secret.load_or_create(site / "secrets")
        for number in range(3):
            _live(site, prune_first=pruned and number == 2)
        return {
            str(path.relative_to(site)): path.read_bytes()
            for path in sorted(site.rglob("*"))
            if path.is_file()
        }


def _live(site: Path, *, prune_first: bool) -> None:
    keyring, path = Keyring(site / "secrets"), site / "log"
    log = open_log(
        path,
        codec.RECORD_SIZES,
        keyring.tags,
        segment_bytes=SEGMENT_BYTES,
        linger_seconds=0,
        encryptor=keyring,
        begin=partial(opening_balance.history, path, keyring),
    )
    state = replay(Reader(path, to_end=True, keys=keyring))
    rig = Rig(log=log, time=HandTime(wall=max(START_US, state.time_us + SECOND)), state=state)

    async def main() -> None:
        async with running(log):
            if prune_first:
                for _ in range(4):
                    rig.time.advance(1000 * SECOND)
                    rig.service.tick()
                assert await prune(rig.service, log, 2 * SEGMENT_BYTES, keyring) is not None
            for _ in history(rig):
                await log.wait_durable(log.next_seq - 1)
            await log.seal_finished()

    trio.run(main)
    snapshots.write(path, rig.state, keyring)
    high_water_mark.note(site / "secrets", log, rig.state.time_us)


def put(site: Path, files: dict[str, bytes]) -> None:
    """Makes `site` hold these files and no others."""
    shutil.rmtree(site, ignore_errors=True)
    for name, data in files.items():
        path = site / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def no_progress(_done: int, _total: int) -> None:
    """Drops the progress."""


def refusal(site: Path) -> Exception | None:
    """Starts what a tracker starts with these files and stops; returns why it would refuse."""
    config = LogConfig(path=str(site / "log"), secrets_path=str(site / "secrets"))
    try:
        keyring = Keyring(site / "secrets")
        session = open_session(config, keyring, lambda _: None, no_progress, serving=True)
        try:
            server_secret.load_or_create(site / "secrets")
        finally:
            session.run(trio.lowlevel.checkpoint)
    except OURS as error:
        return error
    return None


def findings(site: Path) -> list[Finding] | Exception:
    """Returns what `tracker verify` says, or why it cannot."""
    try:
        verification = Verification(site / "log", Keyring(site / "secrets"))
        verification.noted_in = site / "secrets"
        return list(verification.findings(no_progress))
    except OURS as error:
        return error
