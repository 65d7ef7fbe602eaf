"""Binds the part of a log that has no tags: the first event of format 2, `format_begun`, names the
history digest of everything before it, and the SHA-256 of the files beside it.

Nobody can change that event without the secrets, so nobody can change what it names unnoticed.
Without it old segments, an old opening balance and old snapshots could be exchanged, because format
1 has checksums and no tags. Blocking.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING

from eventlog import (
    FORMAT,
    LogCorruptError,
    Reader,
    base_seq_of,
    first_frame_header,
    first_seq,
    history_at,
    kept_digests,
    open_header,
    opening_path,
    read_file,
    segments_of,
)
from tracker.domain.events.admin import FormatBegun
from tracker.store import frames
from tracker.store.snapshot_file import NO_MAC, ForgedSnapshotError, SnapshotError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from tracker.store.address_keys import Keyring


def is_due(log: Path, next_seq: int) -> bool:
    """Says whether a log that ends before event `next_seq` has no event of format 2 yet."""
    later = (base_seq_of(path) for path in segments_of(log) if open_header(path).format > 1)
    return next(later, next_seq) >= next_seq


def made(
    log: Path,
    next_seq: int,
    begin: bytes,
    snapshots: list[Path],
    report: Callable[[int, int], None],
) -> FormatBegun:
    """Makes the first event of format 2 for a log that ends before event `next_seq`.

    `begin`: the history digest before the first event of the log. Reads the whole log; `report`
    gets the bytes done and the bytes in all. Raises `LogError`, `OSError`.
    """
    first = first_seq(log)
    history, _ = history_at(log, next_seq, begin, report)
    opening = sha256(read_file(opening_path(log, first))).hexdigest() if first else ""
    named = {path.name: sha256(read_file(path)).hexdigest() for path in snapshots if path.is_file()}
    return FormatBegun(FORMAT, history.hex(), opening, kept_digests(log, first), named)


def event(log: Path, keys: Keyring | None) -> tuple[int, FormatBegun] | None:
    """Reads the first event of format 2, and its number; None = there is none, or its segment was
    removed.

    Raises the errors of `Reader`, `CodecError`.
    """
    before = 0
    for path in segments_of(log):
        found = open_header(path).format
        if found > 1 and (before == 1 or not base_seq_of(path)):
            return _first_event(log, base_seq_of(path), keys)
        before = found
    return None


def _first_event(log: Path, seq: int, keys: Keyring | None) -> tuple[int, FormatBegun] | None:
    frame = next(Reader(log, seq, to_end=True, keys=keys).frames(), None)
    for _, record in frames.admin(frame) if frame and frame.header.base_seq == seq else ():
        found = record.event()
        return (seq, found) if isinstance(found, FormatBegun) else None
    return None


def check_history(
    log: Path,
    begin: bytes,
    keys: Keyring | None,
    report: Callable[[int, int], None] = lambda *_: None,
) -> None:
    """Compares what was written before format 2 with its first event. Reads all of that; `report`
    gets the bytes done and the bytes in all.

    `begin`: the history digest before the first event of the log. Raises `LogCorruptError`, and
    what reading the log raises.
    """
    if (first := event(log, keys)) is None:
        return
    seq, begun = first
    found, _ = history_at(log, seq, begin, report)
    if found.hex() != begun.history:
        what = f"event {seq} says that the history digest before it is {begun.history}, and it is {found.hex()}"
        raise LogCorruptError(segments_of(log)[0], 0, what)


def kept_of(
    log: Path, seq: int, said: Mapping[str, str], keys: Keyring | None
) -> Mapping[str, str]:
    """Returns the SHA-256 of the kept files by name, which `said` of event `seq` gives; if that
    event has no tag, the first event of format 2 gives them.

    Raises what reading the log raises.
    """
    found = event(log, keys)
    return found[1].kept if found is not None and seq < found[0] else said


def check_opening(log: Path, path: Path, digest: str, keys: Keyring | None) -> None:
    """Checks an opening balance of format 1, which has no MAC, given as its SHA-256.

    Raises `LogCorruptError` where the first event of format 2 does not name it.
    """
    if not _without_mac(path):
        return
    begun = event(log, keys)
    tagged = any(open_header(each).format > 1 for each in segments_of(log)[:1])
    if tagged or (begun is not None and begun[1].opening != digest):
        what = "the first event of format 2 does not vouch for this opening balance"
        raise LogCorruptError(path, 0, what)


def check_snapshot(log: Path, name: str, seq: int, digest: str, keys: Keyring | None) -> None:
    """Checks a snapshot of format 1, which has no MAC: the state before event `seq`, in a file with
    this name and this SHA-256.

    Once the log has tags its first tagged event must name the file. Raises `SnapshotError` where it
    does not, because the version before may have left another one; `ForgedSnapshotError` where the
    snapshot has events with tags, because no version writes that without a MAC; and what reading
    the log raises.
    """
    if (tagged_from := _tagged_from(log)) is None:
        return
    if seq > tagged_from:
        raise ForgedSnapshotError(f"{NO_MAC}, and all snapshots after event {tagged_from} have one")
    begun = event(log, keys)
    if begun is None or begun[1].snapshots.get(name) != digest:
        raise SnapshotError(f"{NO_MAC}, and the first event of format 2 does not name it")


def _tagged_from(log: Path) -> int | None:
    """Returns the first event of format 2 that the log has; None = it has none."""
    tagged = [path for path in segments_of(log) if open_header(path).format > 1]
    begun = any((found := first_frame_header(path)) and found.records for path in tagged)
    return base_seq_of(tagged[0]) if begun else None


def _without_mac(path: Path) -> bool:
    if not path.is_file():
        return False  # whoever reads it says what it is
    with path.open("rb") as file:
        return file.read(10)[8:] == b"\1\0"
