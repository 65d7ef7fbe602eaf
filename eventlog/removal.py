"""Removes the beginning of a log, once an opening and the kept frames stand in for it. Blocking
calls.

The caller makes both durable first (`keep_frames` makes the kept frames), and the caller knows from
which event on the log counts. A removal that a crash cut off is finished by calling `remove_before`
again.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from eventlog import first_event, kept_frames, seals, segment
from eventlog.errors import LogCorruptError
from eventlog.files import sync_directory

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

_TEMPORARY = (".tmp", first_event.NEW)


def remove_before(folder: Path, begin: int) -> int:
    """Remove all files that a log which begins with event `begin` does not need.

    Segments go first, one by one, the oldest one first; then their seals and quarantined bytes, the
    openings and kept frames that no longer count, and temporary files. Each step is durable
    before the next
    one begins. Only the holder of the log may call this, with `EventLog.sealing` held. Returns the
    number of segments removed. Raises `LogCorruptError` when the opening or kept frames are missing
    or the log already begins later, `OSError`.
    """
    opening = first_event.opening_path(folder, begin)
    if begin and not opening.exists():
        raise LogCorruptError(opening, 0, "the opening balance is missing")
    first = first_event.first_seq(folder)
    if first > begin:
        raise LogCorruptError(folder / "seg", 0, f"no event says that it begins with {first}")
    needed = {each.path for each in kept_frames.files_below(folder, begin)}
    going = first_event.segments_before(folder, begin)
    for path in going:
        # Each by itself: where the power goes in the middle of several, an older one may stay when
        # a newer one is gone, and the log would seem to begin with it.
        _remove([path])
    _remove(path for path in seals.list_seals(folder) if segment.base_seq_of(path) < begin)
    _remove(path for path in _files(folder / "quarantine") if _is_before(path, begin))
    _remove(path for seq, path in first_event.list_openings(folder).items() if seq != begin)
    _remove(each.path for each in kept_frames.list_kept(folder) if each.path not in needed)
    inside = (folder / name for name in (first_event.FOLDER, kept_frames.FOLDER, seals.FOLDER))
    _remove(path for path in chain(*map(_files, inside)) if path.suffix in _TEMPORARY)
    return len(going)


def _remove(paths: Iterable[Path]) -> None:
    """Remove files in this order, then make that durable.

    Passes over a folder, because no tracker made it, and removal must not end with it.
    """
    folders = set()
    for path in paths:
        if path.is_dir() and not path.is_symlink():
            continue
        path.unlink(missing_ok=True)
        folders.add(path.parent)
    for each in folders:
        sync_directory(each)


def _files(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _is_before(path: Path, begin: int) -> bool:
    """Tells whether quarantined bytes come from a segment that began before event `begin`."""
    number = path.name[:20]
    return number.isdecimal() and int(number) < begin
