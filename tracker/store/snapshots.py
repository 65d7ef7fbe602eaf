"""Keeps the newest snapshots of a log, `<log>/snap/<seq, 20 digits>.snap`, and starts from one of
them. Blocking.

A snapshot that does not fit is passed over. Then an older one serves, or the log from its
beginning; the state that comes of it is the same. One that only a forger can have made ends the
start. One of format 1 has no MAC, so it counts only until the first tagged event, and one that is
of a later state is forged.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

from eventlog import A_FILE, LogCorruptError, Reader, make_folder, read_identity, segments_of
from tracker.store import checked_segments, format_border, opening_balance, snapshot_file
from tracker.store.snapshot_file import ForgedSnapshotError, Position, SnapshotError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tracker.domain.state import State
    from tracker.store.address_keys import Keyring
    from tracker.store.snapshot_file import Snapshot

DELETE = "delete the file: the log holds all that it does"
PLACE = "replay.place"
"""Name of the file beside the snapshots with the place of the daily replay."""
KEPT = 3
"""The newest snapshots, which stay in any case."""
MOST_OLD = 32
"""The most older ones that stay, so that a look at the past replays little."""

_NAME = re.compile(r"([0-9]{20})\.snap")
_TEMPORARY = re.compile(r"([0-9]{20}\.snap|replay\.place)\.[0-9]+\.tmp")


def found(log: Path) -> list[Path]:
    """The snapshot files of a log, oldest first."""
    folder = log / "snap"
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if _NAME.fullmatch(path.name))


def seq_of(path: Path) -> int:
    """The first event that is not in the snapshot, read from the file's name."""
    return int(path.name[:20])


def write(log: Path, state: State, keys: Keyring) -> Path | None:
    """Writes the snapshot of a state whose events are all durable, and keeps it with the newest
    others, `KEPT` in all, with some older ones, and with the one from which the book goes on.

    Others may have higher numbers and be of no use: after an older copy of the log took its place
    they tell of events that are lost.

    Returns None where there is one already, for a state without events, and for a state that ends
    in the middle of a frame. Raises `OSError`, also when another process is writing one or hangs in
    it, and what reading the log does.
    """
    path = log / "snap" / f"{state.seq:020d}.snap"
    if not state.seq:
        return None
    frame = next(Reader(log, state.seq - 1, to_end=True).frames(), None)
    if frame is None or frame.header.next_seq != state.seq:
        return None  # in the middle of a frame, where no reader could go on
    position = Position(read_identity(log), state.seq, frame.header.base_seq, frame.header.chain)
    if path.exists() and (path.is_dir() or _is_of(path, position, keys)):
        return None
    if path.parent.is_file():
        raise OSError(errno.ENOTDIR, f"{A_FILE}: move it away", str(path.parent))
    make_folder(path.parent)
    with writing(path.parent):
        # Without it the book could only go on after a replay of the whole log.
        needed = _newest_before(log, _end_of_book(log))
        snapshot_file.write(path, position, state, keys)
        others = [each for each in found(log) if each.is_file() and each != path]
        for old in _superfluous(log, others):
            if old != needed:
                old.unlink(missing_ok=True)
    return path


def _superfluous(log: Path, others: list[Path]) -> list[Path]:
    """Returns the older snapshots to remove; they may take half as many bytes as the log."""
    old = {seq_of(path): path for path in others[: 1 - KEPT]}
    room = sum(path.stat().st_size for path in segments_of(log)) // 2
    sizes = {seq: path.stat().st_size for seq, path in old.items()}
    end = seq_of(others[1 - KEPT]) if old else 0
    return [old[seq] for seq in thinned(sizes, end, room)]


def thinned(sizes: dict[int, int], end: int, room: int) -> list[int]:
    """Chooses the older snapshots to remove, so that the rest is spread evenly over the log.

    `sizes`: bytes of each, by its first event, ascending. `end`: the first event of the oldest one
    that stays in any case. `room`: bytes that the rest may take.
    """
    seqs, gone = list(sizes), []
    taken = sum(sizes.values())
    while len(seqs) > MOST_OLD or taken > room:
        ends = [0, *seqs, end]
        least = min(range(len(seqs)), key=lambda at: ends[at + 2] - ends[at])
        gone.append(seqs.pop(least))
        taken -= sizes[gone[-1]]
    return gone


def _newest_before(log: Path, seq: int) -> Path | None:
    """Returns the newest snapshot of the events below `seq` or fewer; None = there is none."""
    return next((path for path in reversed(found(log)) if seq_of(path) <= seq), None)


def _end_of_book(log: Path) -> int:
    """Returns how far the book reaches: `book_files`; 0 = there is none."""
    return max(
        (int(path.name[:20]) for path in log.glob("book/" + 20 * "[0-9]" + ".book")), default=0
    )


def _is_of(path: Path, position: Position, keys: Keyring) -> bool:
    """Tells whether a file is a whole snapshot of this place in this log."""
    try:
        return snapshot_file.read(path, position.log_id, keys).position == position
    except (SnapshotError, OSError):
        return False


@contextmanager
def writing(folder: Path, *, wait: bool = False) -> Iterator[None]:
    """Locks the folder against other processes that write, and removes what killed ones left. The
    lock goes with the process.

    `wait`: until they are done, in place of an error. Raises `OSError`.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        _remove_left_over(folder)
        yield
    except BlockingIOError:
        raise OSError(errno.EBUSY, "another process is writing there", str(folder)) from None
    finally:
        os.close(descriptor)


def _remove_left_over(folder: Path) -> None:
    """Removes the unfinished files of processes that were killed while they wrote."""
    for path in folder.iterdir():
        if _TEMPORARY.fullmatch(path.name):
            path.unlink(missing_ok=True)


def start(
    log: Path,
    keys: Keyring | None,
    *,
    to_end: bool = False,
    at_most: int | None = None,
    refused: Callable[[str], None] = lambda _why: None,
    report: Callable[[int, int], None] = lambda *_: None,
) -> tuple[State, Reader]:
    """Reads the newest snapshot that fits, so that a start replays little.

    Returns its state, and a reader of the frames after it. Where no snapshot fits they are the
    state at the log's beginning, and a reader of the whole log. `at_most`: most events that the
    state may have seen. Each file that is passed over is reported to `refused` in a sentence.
    Where the reader comes to events of before format 2, all of those are compared with its first
    event; `report` gets the bytes done and the bytes in all. Raises what reading the log does.
    """
    for path in reversed(found(log)):
        if at_most is not None and seq_of(path) > at_most:
            continue
        try:
            if keys is None:
                raise SnapshotError("there are no secrets to check it with")
            one = read(log, path, keys)
            if one.position.seq != seq_of(path):
                raise SnapshotError(f"is the one before event {one.position.seq}, by its content")
            reader = follow(log, one, keys, to_end=to_end)
            state = one.state()
        except ForgedSnapshotError as error:
            raise LogCorruptError(path, 0, str(error), DELETE) from None
        except (SnapshotError, OSError) as error:
            refused(f"The snapshot {path.name} is not used: {error}")
        else:
            checked_segments.check_old(log, state.seq, keys, report)
            return state, reader
    reader = Reader(log, to_end=to_end, keys=keys)
    begin = opening_balance.begin(log, reader.first_seq, keys)
    if keys is None:
        opening_balance.compare(log, reader.first_seq, begin.opening)
        format_border.check_history(log, begin.history, keys, report)
    checked_segments.check_old(log, reader.first_seq, keys, report)
    return begin.state, reader


def read(log: Path, path: Path, keys: Keyring | None) -> Snapshot:
    """Reads a snapshot of this log, and checks that the tracker wrote it.

    Raises `SnapshotError`, `OSError`, and what reading the log raises.
    """

    def judge(seq: int, digest: str) -> None:
        format_border.check_snapshot(log, path.name, seq, digest, keys)

    return snapshot_file.read(path, read_identity(log), keys, untagged=judge)


def follow(log: Path, one: Snapshot, keys: Keyring | None, *, to_end: bool) -> Reader:
    """A reader that goes on after a snapshot.

    Raises `SnapshotError` where the log does not hold the events that the snapshot was made of.
    """
    position = one.position
    reader = Reader(log, position.seq - 1, to_end=to_end, keys=keys)
    frame = next(reader.frames(), None)
    if frame is None:
        raise SnapshotError("knows of events beyond the durable end of the log")
    header = frame.header
    if (header.base_seq, header.next_seq, header.chain) != (
        position.frame_seq, position.seq, position.chain
    ):  # fmt: skip
        raise SnapshotError("was made of another history than this log's")
    return reader
