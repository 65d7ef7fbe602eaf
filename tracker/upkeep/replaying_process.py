"""Replays a log from its beginning, slowly, and compares it with the state that the tracker has.

    python -m tracker.upkeep.replaying_process LOG SECRETS SECONDS

A start begins at a snapshot, and the follower too, so neither notices where older events no longer
lead to the state that is served. This process begins at the opening balance. Each tick on the way
holds a digest of a slice of the live state. At the newest snapshot, whose state the follower has,
the whole state is compared. The history digest of what format 1 wrote is compared as well.

It rests most of the time, and uses SECONDS at most where the log is long. It holds a state in
memory while it runs. Exit codes are the follower's: 0 the log and the state agree.
"""

from __future__ import annotations

import gc
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import define, field

from eventlog import LogError, LogPrunedError, LogUnusableError, Reader, read_identity
from tracker.domain import image
from tracker.domain.events.codec import CodecError
from tracker.domain.state import ReplayError
from tracker.store import format_border, frames, opening_balance, snapshot_file, snapshots
from tracker.store.address_keys import Keyring
from tracker.store.replay import TOO_LITTLE_MEMORY
from tracker.store.snapshot_file import SnapshotError
from tracker.upkeep.follower_process import CANNOT, DISAGREES, LOG_DAMAGED, DisagreementError
from tracker.workers import lifetime

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracker.domain.state import State
    from tracker.store.snapshot_file import Snapshot

_AT_ONCE_SECONDS = 0.05  # of work between two rests
_REST = 19  # times as long as it worked it rests, unless the log is too long for that


@define
class Pace:
    """Spreads work over some seconds."""

    seconds: float
    sleep: Callable[[float], None] = time.sleep
    _began: float = field(init=False, factory=time.monotonic)
    _worked_to: float = field(init=False, factory=time.process_time)

    def rest(self, done: int, total: int) -> None:
        """Rests after a piece of work. `done` of `total` units are done."""
        worked = time.process_time() - self._worked_to
        if worked < _AT_ONCE_SECONDS:
            return
        ahead = self.seconds * done / max(1, total) - (time.monotonic() - self._began)
        self.sleep(max(0.0, min(_REST * worked, ahead)))
        self._worked_to = time.process_time()


def compare(log: Path, keys: Keyring, pace: Pace) -> State:
    """Replays a log from its beginning to its newest snapshot, and returns the state there.

    Raises `DisagreementError` where an event, a tick or the snapshot does not agree with the
    replay, and the errors of `Reader`.
    """
    newest = _newest(log, keys)
    reader = Reader(log, keys=keys)
    begin = opening_balance.begin(log, reader.first_seq, keys)
    format_border.check_history(log, begin.history, keys, pace.rest)
    state, first = begin.state, begin.state.seq
    end = newest.position.seq if newest and newest.position.seq > first else None
    for frame in reader.frames():
        if end is not None and state.seq >= end:
            break
        header = frame.header
        try:
            frames.apply(state, frame)
        except (CodecError, ReplayError) as error:
            what = f"replay from event {first} ends at event {header.base_seq} or in its frame"
            raise DisagreementError(f"{what}: {error}") from error
        pace.rest(state.seq - first, (end or reader.durable_seq) - first)
    if (
        newest is not None
        and end is not None
        and (state.seq != end or image.dump(state, addresses=False).digest() != newest.digest)
    ):
        what = f"replay from event {first} comes to another state before event {end}"
        raise DisagreementError(f"{what} than the tracker has")
    return state


def _newest(log: Path, keys: Keyring) -> Snapshot | None:
    """Returns the newest usable snapshot, without its columns; None = there is none."""
    for path in reversed(snapshots.found(log)):
        try:
            if not format_border.vouches_for(log, path, keys):
                continue
            found = snapshot_file.read(path, read_identity(log), keys)
            snapshots.follow(log, found, keys, to_end=False)
        except (SnapshotError, OSError):
            continue  # a start says why
        return found._replace(plain={}, private={})
    return None


def main(arguments: list[str]) -> int:
    for number in (signal.SIGINT, signal.SIGTERM):  # it ends when the tracker does
        signal.signal(number, signal.SIG_IGN)
    lifetime.end_with_parent()
    lifetime.end_with_input()
    lifetime.step_back(nice=19)
    gc.disable()  # replay makes no reference cycles, and the tables are large
    log, secrets, seconds = arguments
    try:
        compare(Path(log), Keyring(Path(secrets)), Pace(float(seconds)))
    except (DisagreementError, LogError, OSError, MemoryError) as error:
        sys.stdout.write(f"{error or TOO_LITTLE_MEMORY}\n")
        if isinstance(error, DisagreementError):
            return DISAGREES
        passing = isinstance(error, (LogPrunedError, LogUnusableError, OSError, MemoryError))
        return CANNOT if passing else LOG_DAMAGED
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
