"""Checks the files beside the segments: seals, kept frames, leftovers of a removal, and quarantined
bytes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from attrs import evolve

from eventlog import files, kept_frames, seals, segment
from eventlog.errors import LogCorruptError, LogError, OtherFormatError
from eventlog.findings import NOTHING, RESTORE, VERSION, Finding
from eventlog.first_event import list_openings, segments_before

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventlog.tags import Macs, TagReader

T = TypeVar("T")

RESTORE_KEPT = (
    "the tracker does without, but these events cannot be read: restore the file from a backup"
)
_LEFT = "the tracker removes it at its next look"


def unreadable(path: Path, found: Iterator[T]) -> Iterator[T | Finding]:
    """Yield what a check yields, and a finding where the system refuses to read: a bad sector, or
    no permission. `path` is named where the system names no file.
    """
    try:
        yield from found
    except FileNotFoundError:
        raise  # the tracker may have removed it meanwhile
    except OSError as error:
        yield cannot_read(path, error)


def cannot_read(path: Path, error: OSError) -> Finding:
    what = f"cannot be read: {error.strerror or error}"
    return Finding(Path(error.filename or path), 0, 0, what, RESTORE)


def in_the_way(folder: Path) -> Iterator[Finding]:
    """Report what stands in the place of the files that a tracker makes at its start."""
    for name in ("LOCK", "reserve"):
        path = folder / name
        if os.path.lexists(path) and not path.is_file():
            yield Finding(path, 0, 0, files.NO_FILE, "no tracker starts with it there: remove it")


def leftovers(folder: Path, begin: int) -> Iterator[Finding]:
    """Report files in the folder that do not count."""
    there = set(segment.list_segments(folder / "seg"))
    for each in sorted((folder / "seg").iterdir()):
        if each not in there:
            what = "this is no segment, by its name: it is never read"
            yield Finding(each, 0, 0, what, NOTHING, damage=False)
    for each in segments_before(folder, begin):
        what = f"the log begins with event {begin}, and this is from before"
        yield Finding(each, 0, segment.base_seq_of(each), what, _LEFT, damage=False)
    for seq, each in list_openings(folder).items():
        if seq != begin:
            what = f"the log begins with event {begin}, and this is for another beginning"
            yield Finding(each, 0, seq, what, _LEFT, damage=False)
    cut = folder / "quarantine"
    for each in sorted(cut.iterdir()) if cut.is_dir() else ():
        what = f"{each.lstat().st_size} bytes that a start cut off a torn end"
        yield Finding(each, 0, 0, what, NOTHING, damage=False)


def check_kept(
    folder: Path, begin: int, log_id: bytes, tags: TagReader | None
) -> Iterator[Finding]:
    """Report damage in the kept frames of the events before the log's beginning."""
    try:
        kept = kept_frames.files_below(folder, begin)
    except LogCorruptError as error:
        yield Finding(error.path, 0, 0, error.what, RESTORE_KEPT)
        return
    for one in kept:
        try:
            for _ in kept_frames.frames_in(one, files.read_file(one.path), log_id, tags):
                pass
        except LogCorruptError as error:
            yield Finding(one.path, error.offset, one.first, error.what, RESTORE_KEPT)
        except LogError as error:
            what = str(error).removeprefix(f"{one.path}: ")
            yield Finding(one.path, 0, one.first, what, RESTORE_KEPT)


def seal_of(
    path: Path,
    following: Path | None,
    seq: int,
    extent: seals.Extent,
    history: bytes | None,
    macs: Macs | None,
) -> Iterator[Finding | None]:
    """Check a segment against its seal. Yields None when they agree, nothing when there is no seal.

    `following` is the segment after it; None = that one is gone, because only a finished segment
    gets a seal. `seq` is the event to name in findings. `extent`: by a walk over the segment.
    `history`: the history digest after it; None = unknown. `macs`: None = the MAC is not checked.
    """
    sealed = seals.seal_path(path)
    try:
        seal = seals.read_seal(sealed)
    except FileNotFoundError:
        return
    except seals.SealError as error:
        yield Finding(sealed, 0, seq, str(error), seals.DROP)
        return
    except OtherFormatError as error:
        yield Finding(sealed, 0, seq, str(error).removeprefix(f"{sealed}: "), VERSION)
        return
    if what := seals.wrong_with(path, segment.open_header(path), seal, macs):
        yield Finding(sealed, 0, seq, what, seals.DROP)
        return
    now = seals.take(path, following, extent)[0] if following else seals.taken_again(path, seal)
    if now.length != seal.length:
        what = f"has {now.length} bytes, and had {seal.length} when it was sealed"
        yield Finding(path, min(now.length, seal.length), seq, what, RESTORE)
    elif now.sha256 != seal.sha256:
        what = f"its SHA-256 is {now.sha256}, and was {seal.sha256} when it was sealed"
        yield Finding(path, 0, seq, what, RESTORE)
    elif following is None:
        yield Finding(path, now.length, seq, seals.WENT_ON, RESTORE)
    elif seal.history and history is not None and seal.history != history.hex():
        what = f"the history digest after it is {history.hex()}, and was {seal.history}"
        yield Finding(path, 0, seq, what, RESTORE)
    elif now != evolve(seal, history="", key="", mac=""):
        what = "the seal gives other events or times than the segment, which is as it was"
        yield Finding(sealed, 0, seq, what, seals.DROP)
    else:
        yield None


def missing(folder: Path, begin: int) -> Iterator[Finding]:
    """Report sealed segments that are missing, and seals of removed segments."""
    there = {path.stem for path in segment.list_segments(folder / "seg")}
    for sealed in seals.list_seals(folder):
        path = folder / "seg" / f"{sealed.stem}.evl"
        if sealed.stem in there:
            continue
        if segment.base_seq_of(path) >= begin:
            what = "the segment is missing, but its seal is there"
            yield Finding(path, 0, segment.base_seq_of(path), what, RESTORE)
        else:
            what = "the seal of a segment that was removed"
            yield Finding(sealed, 0, begin, what, _LEFT, damage=False)
