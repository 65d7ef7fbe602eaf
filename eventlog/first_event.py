"""Where a log begins: with event 0, or, once its oldest segments were removed, with an opening.

<log>/opening/<seq>.opening   what the events below `seq` came to, in a form that is the caller's business

Removal takes away the oldest segment first, and an opening only after every segment below the next one is gone. So the
log begins with its first segment that is the first of all, or that has an opening; what stands before that is being
removed, or the removal was cut off, and does not count.
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
_NAME = re.compile(r"(\d{20})\.opening")


def opening_path(folder: Path, seq: int) -> Path:
    """Where the opening of a log that begins with `seq` is, or would be."""
    return folder / FOLDER / f"{seq:020d}.opening"


def new_opening_path(folder: Path, seq: int) -> Path:
    """Where this process writes a new opening: it counts once the holder of the log renames it to `opening_path`."""
    return opening_path(folder, seq).with_suffix(f".{os.getpid()}{NEW}")


def list_openings(folder: Path) -> dict[int, Path]:
    """The openings that are there, by the event they come before."""
    inside = folder / FOLDER
    if not inside.is_dir():
        return {}
    found = ((_NAME.fullmatch(path.name), path) for path in sorted(inside.iterdir()))
    return {int(match[1]): path for match, path in found if match}


def segments_of(folder: Path) -> list[Path]:
    """The segments that the log consists of, in order.

    Where nothing says how the first one came to be, all that are there: whoever reads them finds events missing.
    """
    # In this order: an opening is there before anything that it makes superfluous goes.
    every = segment.list_segments(folder / "seg") if (folder / "seg").is_dir() else []
    openings = list_openings(folder)
    for number, path in enumerate(every):
        base = segment.base_seq_of(path)
        if not base or base in openings:
            return every[number:]
    return every


def first_seq(folder: Path) -> int:
    """The number of the first event. 0 also where events are missing before the first segment."""
    paths = segments_of(folder)
    begin = segment.base_seq_of(paths[0]) if paths else 0
    return begin if begin in list_openings(folder) else 0


def needed_from(folder: Path) -> int:
    """The first event that has to be there; where the first segment is missing too."""
    return first_seq(folder) or max(list_openings(folder), default=0)


def segments_before(folder: Path, begin: int) -> list[Path]:
    """Segments that begin before event `begin`, the oldest first; the newest segment always stays."""
    paths = segment.list_segments(folder / "seg")
    return [path for path in paths[:-1] if segment.base_seq_of(path) < begin]
