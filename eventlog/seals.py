"""Seals: what a segment is, written down when it is finished, so that any change to it shows.

<log>/seal/<base_seq>.<epoch>.json   one line of JSON, with the `format`; fields that are not known are passed over

A segment is finished once a newer one is there: nothing is written to it again. Hashing it is no business of a
commit, so seals come a little later; a segment without one gets it at the next occasion. Blocking calls.
"""

from __future__ import annotations

import json
import os
import re
from hashlib import file_digest
from itertools import pairwise
from typing import TYPE_CHECKING

from attrs import asdict, astuple, fields, frozen

from eventlog import segment, versions
from eventlog.errors import LogCorruptError, LogError
from eventlog.files import A_FOLDER, open_file, write_new
from eventlog.first_event import needed_from, segments_of
from eventlog.frame import HEADER_SIZE as FRAME_HEADER_SIZE
from eventlog.frame import MAGIC, MAX_SECTION, FrameError, parse_header, seed_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from io import BufferedReader
    from pathlib import Path

FOLDER = "seal"
_NAME = re.compile(r"\d{20}\.\d{10}\.json")
NONE = "is not the seal of a segment"
DROP = "if there is nothing else wrong with the segment, remove the seal: it is written again"
_LONGEST_FRAME = 2 * MAX_SECTION + FRAME_HEADER_SIZE + 16


@frozen
class Seal:
    """Times are log time in microseconds, of the first and the last frame; 0 = there is none."""

    sha256: str
    length: int
    first_seq: int
    next_seq: int  # one more than the last event; first_seq when it holds none
    first_us: int
    last_us: int


_FIELDS = tuple(one.name for one in fields(Seal))


class SealError(ValueError):
    """This is no seal."""


def seal_path(path: Path) -> Path:
    """Where the seal of a segment is."""
    return path.parent.parent / FOLDER / f"{path.stem}.json"


def read_seal(path: Path) -> Seal:
    """The seal in a file. Raises `SealError`, `LogFormatError`, `FileNotFoundError`."""
    try:
        data = path.read_bytes()
    except IsADirectoryError:
        raise SealError(A_FOLDER) from None
    try:
        said = json.loads(data)
        version = said["format"]
        found = Seal(**{name: said[name] for name in _FIELDS})
        numbers = version, *astuple(found)[1:]
        whole = _line(said) == data and all(type(each) is int for each in numbers)
    except (ValueError, TypeError, KeyError):
        whole = False
    if not whole:
        raise SealError(NONE)
    versions.check(path, version)
    return found


def pack(seal: Seal) -> bytes:
    return _line({"format": versions.FORMAT, **asdict(seal)})


def _line(said: object) -> bytes:
    return json.dumps(said).encode() + b"\n"


def take(path: Path, following: Path) -> Seal:
    """Say what a finished segment is; `following` is the next one. Reads the file once, mostly without the
    interpreter's lock: frames are counted by what the next segment begins with, and not walked.

    Raises `LogCorruptError`, `LogFormatError`, `OSError`.
    """
    after = segment.open_header(following)
    with open_file(path) as file:
        header = segment.read_header(path, file.read(segment.HEADER_SIZE))
        file.seek(0)
        digest = file_digest(file, "sha256").hexdigest()
        length = file.tell()
        first = segment.first_frame_header(path)
        if after.epoch == header.epoch:
            last_us = _last_time(file, length, seed_of(header.log_id))
        else:
            last_us = _time_at(path, file, (after.base_seq, after.prev_crc))
    first_us = first.time_us if first else 0
    return Seal(digest, length, header.base_seq, after.base_seq, first_us, last_us)


def _last_time(file: BufferedReader, length: int, seed: int) -> int:
    """Log time of the last frame: no other bytes look like its header."""
    file.seek(max(segment.HEADER_SIZE, length - _LONGEST_FRAME))
    tail = file.read()
    at = tail.rfind(MAGIC)
    while at >= 0:
        try:
            return parse_header(tail[at : at + FRAME_HEADER_SIZE], seed).time_us
        except FrameError:
            at = tail.rfind(MAGIC, 0, at + len(MAGIC) - 1)
    return 0


def _time_at(path: Path, file: BufferedReader, end: segment.End) -> int:
    """Log time of the last frame before the place where the log left this segment."""
    file.seek(0)
    walk = segment.Walk(path, file)
    for _ in walk.frames(file, end):
        pass
    return walk.last_time_us


def write_missing(folder: Path) -> int:
    """Seal the finished segments that have no seal; how many. Only for whoever holds the log for writing: what a failed write
    left is cut off before.

    One that is damaged gets no seal; the others do, then what `take` raises is raised.
    """
    written, problem = 0, None
    for path, following in pairwise(segments_of(folder)):
        target = seal_path(path)
        if target.exists():
            continue
        try:
            cut_left_over(path, following)
            target.parent.mkdir(mode=0o750, exist_ok=True)
            write_new(target, pack(take(path, following)))
        except LogError as error:
            problem = problem or error
        else:
            written += 1
    if problem is not None:
        raise problem
    return written


def cut_left_over(path: Path, following: Path) -> None:
    """End a finished segment where the log leaves it.

    What stands behind that place came from a write that failed. It is in the page cache, and on the disk perhaps not: a
    seal of it may not hold after the next boot. Raises `LogCorruptError`, `LogFormatError`, `OSError`.
    """
    end = segment.end_before(following, segment.epoch_of(path))
    if end is None:
        return
    with open_file(path) as file:
        walk = segment.Walk(path, file)
        for _ in walk.frames(file, end):
            pass
        if walk.end != end:
            what = walk.stopped or f"it ends, and {following.name} goes on elsewhere"
            raise LogCorruptError(path, walk.offset, what)
        walk.check_left_over(file)
    if path.stat().st_size > walk.offset:
        descriptor = os.open(path, os.O_RDWR)
        try:
            os.ftruncate(descriptor, walk.offset)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def check_lengths(folder: Path, segments: Iterable[Path]) -> None:
    """That every segment which has a seal is there, as long as it was. Reads seals only.

    Raises `LogCorruptError`.
    """
    names = {path.stem: path for path in segments}
    begin = needed_from(folder)
    for sealed in list_seals(folder):
        if segment.base_seq_of(sealed) < begin:
            continue  # of a segment that is being removed
        path = names.get(sealed.stem, folder / "seg" / f"{sealed.stem}.evl")
        try:
            length = read_seal(sealed).length
        except SealError as error:
            raise LogCorruptError(sealed, 0, str(error), DROP) from None
        if sealed.stem not in names:
            raise LogCorruptError(path, 0, "the segment is missing, but its seal is there")
        if (found := path.stat().st_size) != length:
            what = f"the segment has {found} bytes, and had {length} when it was sealed"
            raise LogCorruptError(path, min(found, length), what)


def list_seals(folder: Path) -> list[Path]:
    """The files of all seals, in log order."""
    inside = folder / FOLDER
    if not inside.is_dir():
        return []
    return sorted(path for path in inside.iterdir() if _NAME.fullmatch(path.name))
