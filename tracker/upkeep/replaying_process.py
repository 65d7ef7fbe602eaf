"""Replays a log from its beginning, slowly, and compares it with the state that the tracker has.

    python -m tracker.upkeep.replaying_process LOG SECRETS SECONDS

A start begins at a snapshot, and the follower too, so neither notices where older events no longer
lead to the state that is served. This process begins at the opening balance. Each tick on the way
holds a digest of a slice of the live state. At the newest snapshot, whose state the follower has,
the whole state is compared. The history digest of what format 1 wrote is compared as well.

It rests most of the time, and uses SECONDS at most where the log is long. Every ten minutes it
writes down its place, so that the next process goes on there: trackers that are started again and
again come to the end too. It holds a state in memory while it runs, and the image of one while it
writes. Exit codes are the follower's: 0 the log and the state agree.
"""

from __future__ import annotations

import gc
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import define, field

from eventlog import (
    LogError,
    LogPrunedError,
    LogUnusableError,
    Reader,
    base_seq_of,
    make_folder,
    read_identity,
    segments_of,
)
from tracker.domain import image
from tracker.domain.events.codec import CodecError
from tracker.domain.state import ReplayError
from tracker.store import (
    checked_segments,
    format_border,
    frames,
    opening_balance,
    snapshot_file,
    snapshots,
)
from tracker.store.address_keys import Keyring
from tracker.store.replay import TOO_LITTLE_MEMORY
from tracker.store.snapshot_file import Position, SnapshotError
from tracker.upkeep.follower_process import CANNOT, DISAGREES, LOG_DAMAGED, DisagreementError
from tracker.workers import lifetime

if TYPE_CHECKING:
    from collections.abc import Callable

    from tracker.domain.state import State
    from tracker.store.snapshot_file import Snapshot

_AT_ONCE_SECONDS = 0.05  # of work between two rests
_REST = 19  # times as long as it worked it rests, unless the log is too long for that
PLACE_SECONDS = 600.0
"""Seconds from one place that is written down to the next."""


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


def compare(log: Path, keys: Keyring, pace: Pace, place_seconds: float = PLACE_SECONDS) -> State:
    """Replays a log from its beginning to its newest snapshot, and returns the state there. Goes on
    at the place where an earlier call was ended.

    Raises `DisagreementError` where an event, a tick or the snapshot does not agree with the
    replay, and the errors of `Reader`.
    """
    try:
        state = _compare(log, keys, pace, place_seconds)
    except (LogPrunedError, LogUnusableError):
        raise
    except (DisagreementError, LogError):
        _forget_place(log)  # the next call tells of the whole log again
        raise
    _forget_place(log)
    return state


def _compare(log: Path, keys: Keyring, pace: Pace, place_seconds: float) -> State:
    newest = _newest(log, keys)
    state, reader = _went_on(log, keys, pace) or _begun(log, keys, pace)
    first, due = state.seq, time.monotonic() + place_seconds
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
        if time.monotonic() >= due:
            position = Position(read_identity(log), state.seq, header.base_seq, header.chain)
            _write_place(log, position, state, keys)
            due = time.monotonic() + place_seconds
        pace.rest(state.seq - first, (end or reader.durable_seq) - first)
    if (
        newest is not None
        and end is not None
        and (state.seq != end or image.dump(state, addresses=False).digest() != newest.digest)
    ):
        what = f"replay from event {first} comes to another state before event {end}"
        raise DisagreementError(f"{what} than the tracker has")
    return state


def _begun(log: Path, keys: Keyring, pace: Pace) -> tuple[State, Reader]:
    """Returns the state at the beginning of a log, and a reader of all of it."""
    reader = Reader(log, keys=keys)
    begin = opening_balance.begin(log, reader.first_seq, keys)
    format_border.check_history(log, begin.history, keys, pace.rest)
    return begin.state, reader


def _went_on(log: Path, keys: Keyring, pace: Pace) -> tuple[State, Reader] | None:
    """Returns the state at the place that was written down, and a reader of what follows; None =
    there is no such place in this log.

    What follows gets the share of the day that it has of the log.
    """
    try:
        found = snapshot_file.read(
            log / "snap" / snapshots.PLACE, read_identity(log), keys, purpose=snapshot_file.PLACE
        )
        reader = snapshots.follow(log, found, keys, to_end=False)
        state = found.state()
    except (SnapshotError, LogPrunedError, OSError):
        return None
    checked_segments.check_old(log, state.seq, keys, pace.rest)
    later = sum(path.stat().st_size for path in segments_of(log) if base_seq_of(path) >= state.seq)
    pace.seconds *= later / max(1, sum(path.stat().st_size for path in segments_of(log)))
    return state, reader


def _write_place(log: Path, position: Position, state: State, keys: Keyring) -> None:
    """Writes down a place. Without one the next process begins anew, so an error is not told."""
    folder = log / "snap"
    with suppress(OSError, MemoryError):
        make_folder(folder)
        with snapshots.writing(folder):
            path = folder / snapshots.PLACE
            snapshot_file.write(path, position, state, keys, purpose=snapshot_file.PLACE)


def _forget_place(log: Path) -> None:
    with suppress(OSError):
        (log / "snap" / snapshots.PLACE).unlink(missing_ok=True)


def _newest(log: Path, keys: Keyring) -> Snapshot | None:
    """Returns the newest usable snapshot, without its columns; None = there is none."""
    for path in reversed(snapshots.found(log)):
        try:
            found = snapshots.read(log, path, keys)
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
