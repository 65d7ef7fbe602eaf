"""The opening balance of a log whose oldest events were removed: the state at its first event, without addresses.

A file beside the segments rather than an event among them: replay has to know it before it reads the first event, and
the event that vouches for it, `log_pruned`, comes later in the log (docs/adr/0010). In the format of a snapshot, whose
peers are hidden ones (`domain.hidden`); but no cache: the events it stands for are gone, so one that was made by earlier
rules is read as well (`image.newest`).
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from eventlog import (
    LogCorruptError,
    LogFormatError,
    LogPrunedError,
    base_seq_of,
    first_seq,
    new_opening_path,
    open_header,
    opening_path,
    read_identity,
    segments_of,
)
from tracker.domain.state import State
from tracker.store import snapshot_file

if TYPE_CHECKING:
    from pathlib import Path

SPARE_BYTES = 8 << 20
"""Free space that an opening leaves, for what the log has to write meanwhile. Not more: removal is what makes space."""


def begin(log: Path, seq: int) -> tuple[State, str]:
    """The state at the beginning of a log, which is `seq`, and the SHA-256 of its opening ("" = it needs none).

    Raises `LogCorruptError`, `LogFormatError`, `LogPrunedError`.
    """
    if not seq:
        _whole(log)
        return State(), ""
    path = opening_path(log, seq)
    try:
        found = snapshot_file.read(path, read_identity(log), None, older=True)
        digest = sha256(path.read_bytes()).hexdigest()
        follows = open_header(segments_of(log)[0])
        state = found.state()
    except FileNotFoundError:
        if first_seq(log) != seq:
            raise LogPrunedError(log) from None
        raise LogCorruptError(path, 0, "the opening balance is missing") from None
    except snapshot_file.OtherSnapshotError as error:
        what = f"{error}: use the version that wrote it, or a later one. Nothing was changed"
        raise LogFormatError(path, what) from None
    except snapshot_file.SnapshotError as error:
        raise LogCorruptError(path, 0, str(error)) from None
    if (follows.base_seq, follows.prev_crc) == (seq, found.position.frame_crc):
        return state, digest
    if first_seq(log) != seq:
        raise LogPrunedError(log)
    raise LogCorruptError(path, 0, "the first segment does not continue what this balance is of")


def _whole(log: Path) -> None:
    """Raises `LogCorruptError` where a log that has no opening does not begin with its first event."""
    for path in segments_of(log)[:1]:
        base = base_seq_of(path)
        if base and first_seq(log):
            raise LogPrunedError(log)
        if base:
            what = f"events 0 to {base - 1} are missing before this file, and so is an opening balance in their place"
            raise LogCorruptError(path, 0, what)


def write(log: Path, state: State) -> tuple[str, str]:
    """Write the opening of a log that is to begin where the state is, with a segment; without any address. Returns name and SHA-256 of the file.

    It does not count before it gets its right name: only the process that holds the log may give it, see
    `pruning.adopt`. Raises `LogCorruptError` where no segment begins there, `OSError`.
    """
    base = state.seq
    first = next((each for each in segments_of(log) if base_seq_of(each) == base), None)
    if first is None:
        raise LogCorruptError(log / "seg", 0, f"no segment begins with event {base}")
    path = new_opening_path(log, base)
    path.parent.mkdir(mode=0o750, exist_ok=True)
    chain = open_header(first).prev_crc
    position = snapshot_file.Position(read_identity(log), base, base, chain)
    snapshot_file.write(path, position, state, None, spare=SPARE_BYTES)
    return path.name, sha256(path.read_bytes()).hexdigest()


def digest_of(log: Path, seq: int) -> str:
    """SHA-256 of the opening; "" = there is none. What was read with `begin` counts, if it went meanwhile."""
    path = opening_path(log, seq)
    return sha256(path.read_bytes()).hexdigest() if seq and path.exists() else ""


def check(log: Path, seq: int, digest: str, state: State) -> None:
    """That an event vouches for the opening that a replay began with, once it is at the end.

    Raises `LogCorruptError`.
    """
    if digest and not any((seq, digest) == (each.first_seq, each.opening) for each in state.pruned):
        what = "no event of the log vouches for this opening balance"
        raise LogCorruptError(opening_path(log, seq), 0, what)
