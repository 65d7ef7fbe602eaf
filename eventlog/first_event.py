"""Finds where a log begins: with event 0 or, once its oldest segments were removed, with an
opening.

<log>/opening/<seq>.opening   the state after the events below `seq`, in the caller's own form

Removal takes the oldest segment first, and an opening only after every segment below the next
opening is gone. So the log begins with its first segment whose first event is 0 or has an opening.
Segments before that do not count, because they are being removed, or their removal was cut off.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from eventlog import segment

if TYPE_CHECKING:
    from pathlib import Path

FOLDER = "opening"
NEW = ".made"
"""Suffix of an opening that does not count yet."""
_NAME = re.compile(r"([0-9]{20})\.opening")


def opening_path(folder: Path, seq: int) -> Path:
    """Path of the opening of a log that begins with event `seq`, whether the file exists or not."""
    return folder / FOLDER / f"{seq:020d}.opening"


def new_opening_path(folder: Path, seq: int) -> Path:
    """Path where this process writes a new opening.

    It counts once the holder of the log renames it to `opening_path`.
    """
    return opening_path(folder, seq).with_suffix(f".{os.getpid()}{NEW}")


def list_openings(folder: Path) -> dict[int, Path]:
    """Openings in the folder, by the event they come before."""
    inside = folder / FOLDER
    if not inside.is_dir():
        return {}
    found = ((_NAME.fullmatch(path.name), path) for path in sorted(inside.iterdir()))
    return {int(match[1]): path for match, path in found if match}


def segments_of(folder: Path) -> list[Path]:
    """Segments of the log in order, without those that no longer count.

    Returns all segments where none is a beginning: readers then find that events are missing.
    """
    # Segments are listed before openings, because an opening appears before any segment it replaces
    # goes.
    every = segment.list_segments(folder / "seg") if (folder / "seg").is_dir() else []
    openings = list_openings(folder)
    for number, path in enumerate(every):
        base = segment.base_seq_of(path)
        if not base or base in openings:
            return every[number:]
    return every


def first_seq(folder: Path) -> int:
    """Number of the first event; 0 also where events are missing before the first segment."""
    paths = segments_of(folder)
    begin = segment.base_seq_of(paths[0]) if paths else 0
    return begin if begin in list_openings(folder) else 0


def needed_from(folder: Path) -> int:
    """Number of the first event that must exist, even where the first segment is missing."""
    return first_seq(folder) or max(list_openings(folder), default=0)


def segments_before(folder: Path, begin: int) -> list[Path]:
    """Segments that begin before event `begin`, oldest first. The newest segment stays."""
    paths = segment.list_segments(folder / "seg")
    return [path for path in paths[:-1] if segment.base_seq_of(path) < begin]
