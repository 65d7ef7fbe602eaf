"""A process is killed at each system call that changes a file: while segments begin and get their
seals, while the note is written, and while the server's key changes.

The simulated disk cuts the power there too; here the kernel ends a process that has threads, and
what it wrote stays.
"""

from __future__ import annotations

import os
import shutil
import signal
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

import pytest

from tests.nonsense.whole import findings, no_progress
from tests.simulation.disk import CALLS
from tests.support import hash_of
from tracker import ports
from tracker.config.schema import EventLog as LogConfig
from tracker.domain.events.admin import TorrentWhitelisted
from tracker.offline import key_change
from tracker.service.clock import LogClock
from tracker.service.durable import append_durably
from tracker.service.service import Service
from tracker.store.address_keys import Keyring
from tracker.store.session import open_session

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tracker.domain.names import Names

pytestmark = pytest.mark.faults

SEGMENT_BYTES = 1500  # so that each life begins a segment or two
READS = ("close", "fstatvfs")  # change nothing on the disk
CHANGES = 5  # acknowledged in each of two lives
PARTS = 4  # of the calls, so that several processes share them
BY = ports.Actor("a test", "", "request-1", "")

_context = get_context("forkserver")
_context.set_forkserver_preload(["tests.simulation.test_killed"])


def config_of(folder: Path) -> LogConfig:
    return LogConfig(
        path=str(folder / "log"),
        secrets_path=str(folder / "secrets"),
        segment_bytes=SEGMENT_BYTES,
        linger_ms=0,
    )


def live(folder: Path, first: int, tell: Callable[[int], None]) -> Names:
    """Whitelists torrents from number `first` on, one after the other; tells of each that is
    acknowledged. Returns what is listed then.
    """
    keyring = Keyring(folder / "secrets")
    session = open_session(config_of(folder), keyring, lambda _: None, no_progress)
    clock = LogClock(session.time_us)
    service = Service(session.event_log, session.state, clock, bytes(32))
    session.append_first(service.append)
    if session.key_change is not None:
        service.append(session.key_change)

    async def main() -> None:
        for number in range(first, first + CHANGES):
            event = TorrentWhitelisted(hash_of(number))
            await append_durably(service, session.noted, event, BY)
            tell(number)
        await session.event_log.seal_finished()

    session.run(main)
    return session.state.access.whitelist


def two_lives(folder: Path, at: int) -> None:
    """Lives twice, with a change of the key between; is killed at call number `at`."""
    write, calls = os.write, iter(range(at))
    told = os.open(folder / "told", os.O_WRONLY | os.O_CREAT)

    def over(name: str) -> Callable[..., Any]:
        real = getattr(os, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            reads = name == "open" and not args[1] & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
            if not reads and next(calls, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)
            return real(*args, **kwargs)

        return call

    def tell(number: int) -> None:
        write(told, b"%d\n" % number)

    for name in set(CALLS).difference(READS):
        setattr(os, name, over(name))
    live(folder, 0, tell)
    key_change.change(config_of(folder), BY, no_progress, lambda _: None)
    live(folder, CHANGES, tell)
    os._exit(0)


def killed(folder: Path, at: int) -> bool:
    """Tells whether the process had so many calls."""
    process = _context.Process(target=two_lives, args=(folder, at))
    process.start()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


@pytest.mark.parametrize("part", range(PARTS))
def test_killed_at_each_call(tmp_path: Path, part: int) -> None:
    """The next start goes on, finds no damage, and has everything that was acknowledged."""
    at, goes_on = part, True
    while goes_on:
        folder = tmp_path / f"{at}"
        folder.mkdir()
        goes_on = killed(folder, at)
        check(folder)
        shutil.rmtree(folder)
        at += PARTS
    assert at > 100


def check(folder: Path) -> None:
    if list((folder / "log").rglob("*.evl")):
        assert damage(folder) == []
    acknowledged = {hash_of(int(line)) for line in (folder / "told").read_text().split()}
    whitelist = live(folder, 2 * CHANGES, lambda _: None)
    assert all(each in whitelist for each in acknowledged)
    assert damage(folder) == []


def damage(folder: Path) -> list[str]:
    said = findings(folder)
    assert not isinstance(said, Exception), said
    return [one.what for one in said if one.damage]
