"""Reads and writes the opening balance of a log whose oldest events were removed: the state at its
first event, without addresses.

It is a file beside the segments and no event, because replay needs it before the first event. The
event that confirms it, `log_pruned`, comes later in the log (docs/adr/0010). The format is that
of a snapshot, and its peers are hidden ones (`domain.hidden_peers`). But it is no cache: the events
that it stands for are gone, so one that was made by earlier rules is read as well (`image.newest`).
"""

from __future__ import annotations

import sys
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple

from eventlog import (
    HISTORY_BEGIN,
    LogCorruptError,
    LogFormatError,
    LogPrunedError,
    Reader,
    base_seq_of,
    first_seq,
    kept_path,
    make_folder,
    new_opening_path,
    open_header,
    opening_path,
    read_file,
    read_identity,
    sealed_history,
    segments_of,
)
from tracker.domain.events.admin import LogPruned
from tracker.domain.events.errors import CodecError
from tracker.domain.state import State
from tracker.store import format_border, frames, snapshot_file

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from eventlog import Frame
    from tracker.store.address_keys import Keyring
    from tracker.store.snapshot_file import Snapshot

OR_REMOVE = (
    "restore the file from a backup, or remove it: the tracker does without, but its events cannot "
    "be read then"
)


NOT_VOUCHED_FOR = "no event of the log vouches for this opening balance"
OTHERS_KEPT = "these are not the kept events that the log vouches for"


class Beginning(NamedTuple):
    """What a log begins with."""

    state: State
    opening: str  # SHA-256 of the opening balance; "" = the log is complete
    history: bytes  # history digest before the first event


def begin(log: Path, seq: int, keys: Keyring | None) -> Beginning:
    """Reads what a log begins with before its first event, `seq`.

    Raises `LogCorruptError`, `LogFormatError`, `LogPrunedError`.
    """
    if not seq:
        check_whole(log)
        return Beginning(State(), "", HISTORY_BEGIN)
    path = opening_path(log, seq)
    found, digest = _opening(log, seq, keys)
    try:
        return Beginning(found.state(), digest, found.history)
    except snapshot_file.SnapshotError as error:
        raise LogCorruptError(path, 0, str(error)) from None


def history(log: Path, keys: Keyring | None) -> bytes:
    """Reads the history digest before the first event of a log.

    Raises the errors of `begin`.
    """
    seq = first_seq(log)
    return _opening(log, seq, keys)[0].history if seq else HISTORY_BEGIN


def _opening(log: Path, seq: int, keys: Keyring | None) -> tuple[Snapshot, str]:
    """Reads the opening balance, and checks all but the state in it. Returns also its SHA-256."""
    path = opening_path(log, seq)
    try:
        digest = sha256(read_file(path)).hexdigest()
        format_border.check_opening(log, path, digest, keys)
        found = snapshot_file.read(path, read_identity(log), keys, purpose=snapshot_file.OPENING)
        follows = open_header(segments_of(log)[0])
    except FileNotFoundError:
        if first_seq(log) != seq:
            raise LogPrunedError(log) from None
        raise LogCorruptError(path, 0, "the opening balance is missing") from None
    except snapshot_file.OtherSnapshotError as error:
        what = f"{error}: use the version that wrote it, or a later one. Nothing was changed"
        raise LogFormatError(path, what) from None
    except snapshot_file.SnapshotError as error:
        raise LogCorruptError(path, 0, str(error)) from None
    if (follows.base_seq, follows.previous) == (seq, found.position.chain):
        return found, digest
    if first_seq(log) != seq:
        raise LogPrunedError(log)
    raise LogCorruptError(path, 0, "the first segment does not continue what this balance is of")


def check_whole(log: Path) -> None:
    """Checks that a log without an opening begins with event 0.

    Raises `LogCorruptError`, `LogPrunedError`.
    """
    for path in segments_of(log)[:1]:
        base = base_seq_of(path)
        if base and first_seq(log):
            raise LogPrunedError(log)
        if base:
            missing = f"events 0 to {base - 1} are missing before this file"
            what = f"{missing}, and so is an opening balance in their place"
            raise LogCorruptError(path, 0, what)


def write(log: Path, state: State, keys: Keyring, told: bytes) -> tuple[str, str]:
    """Writes the opening of a log that is to begin with event `state.seq`, without any address.

    `told`: the history digest before that event. Returns the name and the SHA-256 of the file. The
    file does not count before it gets its final name, which only the process that holds the log may
    give it: see `pruning.adopt`. Raises `OSError`, and `LogCorruptError` where no segment begins
    with that event.
    """
    base = state.seq
    first = next((each for each in segments_of(log) if base_seq_of(each) == base), None)
    if first is None:
        raise LogCorruptError(log / "seg", 0, f"no segment begins with event {base}")
    path = new_opening_path(log, base)
    make_folder(path.parent)
    chain = open_header(first).previous
    position = snapshot_file.Position(read_identity(log), base, base, chain)
    snapshot_file.write(path, position, state, keys, purpose=snapshot_file.OPENING, history=told)
    return path.name, sha256(read_file(path)).hexdigest()


def digest_of(log: Path, seq: int) -> str:
    """The SHA-256 of the opening; "" = there is none, or it was removed since."""
    path = opening_path(log, seq)
    return sha256(read_file(path)).hexdigest() if seq and path.exists() else ""


def check(log: Path, seq: int, digest: str, state: State) -> None:
    """Checks after a replay that an event confirms the opening with this SHA-256, which the
    replay began with.

    Raises `LogCorruptError`.
    """
    if digest and not any(
        (seq, digest) == (each.first_seq, each.opening) for each in state.tally.pruned
    ):
        raise LogCorruptError(opening_path(log, seq), 0, NOT_VOUCHED_FOR)


def check_files(log: Path, state: State, keys: Keyring) -> Mapping[str, str]:
    """Checks at a start that the opening and the kept files are those that the log vouches for, and
    the history digest that it names. Returns the SHA-256 of the kept files by name, as the log
    says.

    Also where a snapshot does without the opening. A missing kept file passes, because only readers
    need it.

    Raises `LogCorruptError`, `LogFormatError`, `OSError`.
    """
    begin = first_seq(log)
    if not begin:
        return {}
    check(log, begin, digest_of(log, begin), state)
    at = next(each.seq for each in state.tally.pruned if each.first_seq == begin)
    said = _said(begin, next(Reader(log, at, to_end=True, keys=keys).frames()))
    if said:
        _check_history(log, *said)
    kept = format_border.kept_of(log, said[0], said[1].kept, keys) if said else {}
    for path in (kept_path(log, name) for name in kept):
        if path.exists() and sha256(read_file(path)).hexdigest() != kept[path.name]:
            raise LogCorruptError(path, 0, OTHERS_KEPT, OR_REMOVE)
    return kept


def _check_history(log: Path, seq: int, event: LogPruned) -> None:
    """Compares the history digest that the event names with the seal of that segment, if it is
    there still. Raises `LogCorruptError`, and what reading the seal raises."""
    found = event.history_seq is not None and sealed_history(log, event.history_seq)
    if found and found != event.history:
        what = f"event {seq} says that the history digest before event {event.history_seq} is {event.history}, and by the seal it is {found}"
        raise LogCorruptError(log / "seal", 0, what)


def compare_kept(log: Path, begin: int, there: Mapping[str, str], keys: Keyring) -> None:
    """Compares the files of kept frames, given as their SHA-256 by name, with what the log says,
    without its state.

    Raises `LogCorruptError`, and what reading the log raises.
    """
    seq, event = _looked_for(log, begin, keys)
    said = format_border.kept_of(log, seq, event.kept, keys)
    if said != there:
        wrong = min(name for name in {**there, **said} if there.get(name) != said.get(name))
        raise LogCorruptError(kept_path(log, wrong), 0, OTHERS_KEPT, OR_REMOVE)


def compare(log: Path, begin: int, digest: str) -> None:
    """Compares the opening balance, given as its SHA-256, with what the log says, for a reader
    without the key of its MAC.

    Raises `LogCorruptError`, and what reading the log raises.
    """
    if begin and _looked_for(log, begin, None)[1].opening != digest:
        raise LogCorruptError(opening_path(log, begin), 0, NOT_VOUCHED_FOR)


def _looked_for(log: Path, begin: int, keys: Keyring | None) -> tuple[int, LogPruned]:
    """Looks for the event by which the log begins with event `begin`, from the end of the log,
    where it mostly is. Returns it with its number."""
    end = sys.maxsize
    for path in reversed(segments_of(log)):
        for frame in Reader(log, base_seq_of(path), to_end=True, keys=keys, decrypt=False).frames():
            if said := _said(begin, frame):
                return said
            if frame.header.next_seq >= end:
                break  # what follows was read before
        end = base_seq_of(path)
    if first_seq(log) != begin:
        raise LogPrunedError(log)
    raise LogCorruptError(opening_path(log, begin), 0, NOT_VOUCHED_FOR)


def _said(begin: int, frame: Frame) -> tuple[int, LogPruned] | None:
    """Returns the event by which the log begins with event `begin`, if a frame has it, and its
    number."""
    with suppress(CodecError):  # whoever applies or shows such an event tells of it
        for seq, record in frames.admin(frame):
            event = record.event()
            if isinstance(event, LogPruned) and event.first_seq == begin:
                return seq, event
    return None
