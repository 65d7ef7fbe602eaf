"""Removing the oldest segments of a log: what has to be made durable before, and what goes. Blocking; knows no service.

1. `make`: the opening balance, and the admin events that are kept for ever; `adopt`
2. the event `log_pruned` is durable: it vouches for both
3. `finish`: the segments go, the oldest first; then what only they needed

A crash before 2 leaves files that do not count, one after it a removal to be finished: whoever looks next calls `finish`.

`python -m tracker.upkeep.pruning LOG SEQ` is `make` in a process of its own, so that the tracker goes on meanwhile.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import asdict, frozen

from eventlog import (
    LogCorruptError,
    LogError,
    Reader,
    base_seq_of,
    first_seq,
    keep_frames,
    opening_path,
    remove_before,
    segments_of,
    sync_directory,
)
from tracker.domain import events
from tracker.domain.codec import CodecError
from tracker.domain.state import ReplayError
from tracker.store import frames, snapshots
from tracker.store import opening_balance as opening
from tracker.store.replay import collector_off
from tracker.workers import lifetime

if TYPE_CHECKING:
    from tracker.domain.state import State


@frozen
class Made:
    """What stands for the events before `first_seq`; files by name, with their SHA-256."""

    first_seq: int
    file: str  # name of the opening, as yet
    opening: str
    kept: dict[str, str]
    segments: int
    bytes: int


def make(folder: Path, seq: int) -> Made:
    """Make the opening of a log that begins with `seq`, a segment's first event, and keep its older admin events.

    Raises `LogError`, `ReplayError`, `CodecError`, `OSError`.
    """
    begin = first_seq(folder)
    going = [path for path in segments_of(folder) if base_seq_of(path) < seq]
    name, digest = opening.write(folder, state_before(folder, seq))
    files = keep_frames(folder, begin, seq, (events.ADMIN,))
    size = sum(path.stat().st_size for path in going)
    return Made(seq, name, digest, files, len(going), size)


def adopt(folder: Path, made: Made) -> None:
    """Give the opening its name. Not in the process that made it: that may have outlived the tracker that began it,
    and what an event of a later one vouches for must not be replaced."""
    target = opening_path(folder, made.first_seq)
    (target.parent / made.file).rename(target)
    sync_directory(target.parent)


def state_before(folder: Path, seq: int) -> State:
    """The state that the events below `seq` come to, as if no address could be read."""
    reader = Reader(folder)
    state, _ = opening.begin(folder, reader.first_seq)
    with collector_off():
        for frame in reader.frames():
            if frame.header.base_seq >= seq:
                break
            frames.apply(state, frame._replace(protected=memoryview(b"")))
    if state.seq != seq:
        raise LogCorruptError(folder / "seg", 0, f"the log does not hold the events to {seq - 1}")
    return state


def finish(folder: Path, begin: int) -> int:
    """Remove what does not count in a log that begins with `begin` by its latest `log_pruned`; how many segments.

    Raises what `remove_before` does.
    """
    removed = remove_before(folder, begin)
    old = [path for path in snapshots.found(folder) if snapshots.seq_of(path) <= begin]
    for path in filter(Path.is_file, old):
        path.unlink(missing_ok=True)
        sync_directory(path.parent)
    return removed


def main(arguments: list[str]) -> int:
    """Print what was made as a JSON object; 1 = it could not be made, and standard error says why."""
    lifetime.end_with_parent()
    lifetime.end_with_input()
    lifetime.step_back()
    try:
        made = make(Path(arguments[0]), int(arguments[1]))
    except (LogError, ReplayError, CodecError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps(asdict(made)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
