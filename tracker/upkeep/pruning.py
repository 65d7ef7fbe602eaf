"""Removes the oldest segments of a log safely. Blocking; it needs no running service.

1. `make` writes the opening balance, copies what administrators did, which is kept for ever, and
   finds the book that has what accounts did in the events to be removed. `adopt` gives balance and
   book their names. The balance has no addresses, so `make` also makes sure that a later snapshot
   has those of the peers in the swarms, because their announces may be removed.
2. The caller appends `log_pruned`, which confirms both, and waits until the event is durable.
3. `finish` removes the segments, the oldest first, and then the files that only they needed.

A crash before 2 leaves files that do not count. A crash after 2 leaves a removal to finish, and the
next `Pruner.look` calls `finish`.

`python -m tracker.upkeep.pruning LOG SEQ SECRETS` runs `make` in its own process, so that the
tracker serves meanwhile.
"""

from __future__ import annotations

import json
import sys
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import asdict, frozen

from eventlog import (
    LogCorruptError,
    LogError,
    Reader,
    base_seq_of,
    first_seq,
    history_at,
    keep_frames,
    open_header,
    opening_path,
    remove_before,
    segments_of,
    sync_directory,
    write_missing,
)
from tracker.domain.events.codec import CodecError
from tracker.domain.state import ReplayError
from tracker.store import checked_segments, frames, opening_balance, snapshots
from tracker.store.address_keys import Keyring
from tracker.store.book_files import BookError
from tracker.store.replay import TOO_LITTLE_MEMORY, apply_all
from tracker.upkeep import bookkeeping
from tracker.workers import lifetime

if TYPE_CHECKING:
    from tracker.domain.state import State
    from tracker.upkeep.bookkeeping import Bookkeeper


@frozen
class Made:
    """The files that take the place of the events before `first_seq`."""

    first_seq: int
    file: str  # name of the opening balance until `adopt`
    opening: str  # SHA-256 of the opening balance
    kept: dict[str, str]  # SHA-256 of each file of kept frames, by name
    segments: int  # to remove
    bytes: int  # of these segments
    history: str  # history digest before `first_seq`
    no_snapshot: str = ""  # why no later snapshot has the addresses; "" = one has
    book: str = ""  # SHA-256 of the book; "" = there is none
    book_file: str = ""  # its name until `adopt`


def make(folder: Path, seq: int, keys: Keyring) -> Made:
    """Writes the opening balance of a log that begins with `seq`; copies what administrators did.

    `seq` is the first event of a segment. Raises `LogError`, `ReplayError`, `CodecError`,
    `OSError`.
    """
    begin = first_seq(folder)
    told_before = opening_balance.history(folder, keys)
    write_missing(folder, keys.tags, lambda: told_before, cutting=False)
    going = [path for path in segments_of(folder) if base_seq_of(path) < seq]
    no_snapshot = keep_addresses(folder, seq, keys)
    told, _ = history_at(folder, seq, told_before)
    with bookkeeping.naming(folder, keys) as keeper:
        state = state_before(folder, seq, keys, keeper)
        name, digest = opening_balance.write(folder, state, keys, told)
        first = next(path for path in segments_of(folder) if base_seq_of(path) == seq)
        book_file, book = keeper.name(state, open_header(first).previous)
    files = keep_frames(folder, begin, seq, frames.stays, keys)
    size = sum(path.stat().st_size for path in going)
    return Made(
        seq, name, digest, files, len(going), size, told.hex(), no_snapshot, book, book_file
    )


def keep_addresses(folder: Path, seq: int, keys: Keyring) -> str:
    """Writes a snapshot of a state after event `seq`, unless there is one; returns why it could
    not.

    Raises what reading the log raises.
    """
    state, reader = snapshots.start(folder, keys)
    if state.seq > seq:
        return ""
    apply_all(state, takewhile(lambda frame: frame.header.base_seq <= seq, reader.frames()))
    try:
        snapshots.write(folder, state, keys)
    except (OSError, MemoryError) as error:
        return str(error) or TOO_LITTLE_MEMORY
    return ""


def adopt(folder: Path, made: Made) -> None:
    """Gives the opening balance and the book their names.

    The tracker does this, because the process that wrote the file may outlive its tracker. It must
    not replace a file that an event of the next tracker confirms.
    """
    target = opening_path(folder, made.first_seq)
    (target.parent / made.file).rename(target)
    sync_directory(target.parent)
    if made.book:
        bookkeeping.adopt(folder, made.first_seq, made.book_file)


def state_before(folder: Path, seq: int, keys: Keyring, keeper: Bookkeeper | None = None) -> State:
    """Replays the events below `seq`, without addresses. `keeper`: notes what they add to the book.

    Raises `LogCorruptError` if the log does not hold all of these events.
    """
    reader = Reader(folder, keys=keys)
    state = opening_balance.begin(folder, reader.first_seq, keys).state
    before = takewhile(lambda frame: frame.header.base_seq < seq, reader.frames())
    bare = (frame._replace(protected=memoryview(b"")) for frame in before)
    if keeper is None:
        apply_all(state, bare)
    else:
        keeper.apply_all(state, bare)
    # The opening will vouch for what was read, and format 1 has no tags.
    checked_segments.check_old(folder, reader.first_seq, keys)
    if state.seq != seq:
        raise LogCorruptError(folder / "seg", 0, f"the log does not hold the events to {seq - 1}")
    return state


def finish(folder: Path, begin: int) -> int:
    """Removes the files that a log no longer needs.

    `begin`: the first event of the log by its latest `log_pruned`. Returns the number of segments
    removed. Raises the errors of `remove_before`.
    """
    removed = remove_before(folder, begin)
    bookkeeping.remove_before(folder, begin)
    old = [path for path in snapshots.found(folder) if snapshots.seq_of(path) <= begin]
    for path in filter(Path.is_file, old):
        path.unlink(missing_ok=True)
        sync_directory(path.parent)
    return removed


def main(arguments: list[str]) -> int:
    """Prints the `Made` as JSON; returns 1, with the reason on standard error, on failure."""
    lifetime.end_with_parent()
    lifetime.end_with_input()
    # It has the tracker's priority, because announces are refused while the log is at its bound.
    lifetime.step_back(nice=0)
    try:
        log, seq, secrets = arguments
        made = make(Path(log), int(seq), Keyring(Path(secrets)))
    except (LogError, ReplayError, CodecError, BookError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(json.dumps(asdict(made)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
