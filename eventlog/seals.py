"""Seals finished segments: a seal holds the checksum of a segment, so that any change to it shows.

<log>/seal/<base_seq>.<epoch>.json   JSON on one line; unknown fields are ignored

A segment is finished once a newer one exists: nothing writes to it again. Seals come a little
later, so that no commit waits for the hashing. A segment without a seal gets one at the next
occasion. Blocking calls.
"""

from __future__ import annotations

import json
import os
import re
from hashlib import file_digest
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from attrs import asdict, astuple, evolve, fields, frozen

from eventlog import segment, versions
from eventlog.errors import LogCorruptError, LogError, NotAFileError
from eventlog.files import make_folder, open_file, read_file, sync_directory, write_new
from eventlog.first_event import needed_from, segments_of
from eventlog.frame import HEADER_SIZE as LONGEST_FRAME_HEADER
from eventlog.frame import MAGIC, MAX_SECTION, FrameError, crc_start_of, parse_header
from eventlog.nonsense import border, parse_json

if TYPE_CHECKING:
    from collections.abc import Iterable
    from io import BufferedReader
    from pathlib import Path

FOLDER = "seal"
_NAME = re.compile(r"[0-9]{20}\.[0-9]{10}\.json")
NONE = "is not the seal of a segment"
DROP = "if there is nothing else wrong with the segment, remove the seal: it is written again"
WENT_ON = "it is sealed, so the log went on in another segment, and that one is missing"
_LONGEST_FRAME = 2 * MAX_SECTION + LONGEST_FRAME_HEADER + 16


@frozen
class Seal:
    """The content of a seal.

    Times are log times in microseconds of the first and last frame; 0 = no frame.
    """

    sha256: str
    length: int
    first_seq: int
    next_seq: int  # one more than the last event; first_seq = no event
    first_us: int
    last_us: int


_FIELDS = tuple(one.name for one in fields(Seal))


class SealError(ValueError):
    """A file is not a seal."""


def seal_path(path: Path) -> Path:
    """Path of the seal of a segment, whether it exists or not."""
    return path.parent.parent / FOLDER / f"{path.stem}.json"


def read_seal(path: Path) -> Seal:
    """Read a seal. Raises `SealError`, `LogFormatError`, `FileNotFoundError`."""
    try:
        data = read_file(path)
    except NotAFileError as error:
        raise SealError(error.what) from None
    with border(lambda _: SealError(NONE)):
        content: Any = parse_json(data)
        version = content["format"]
        found = Seal(**{name: content[name] for name in _FIELDS})
        numbers = version, *astuple(found)[1:]
        if _line(content) != data or any(type(each) is not int for each in numbers):
            raise ValueError
    versions.check(path, version)
    return found


def pack(seal: Seal) -> bytes:
    return _line({"format": versions.FORMAT, **asdict(seal)})


def _line(content: object) -> bytes:
    return json.dumps(content).encode() + b"\n"


def take(path: Path, following: Path) -> Seal:
    """Compute the seal of a finished segment; `following` is the segment after it.

    Reads the file once, mostly without the interpreter's lock: the next segment's header says how
    many events there are, so the frames need no walk. Raises `LogCorruptError`, `LogFormatError`,
    `OSError`.
    """
    after = segment.open_header(following)
    with open_file(path) as file:
        header = segment.read_header(path, file.read(segment.HEADER_SIZE))
        file.seek(0)
        digest = file_digest(file, "sha256").hexdigest()
        length = file.tell()
        first = segment.first_frame_header(path)
        if after.epoch == header.epoch:
            last_us = _last_time(file, length, crc_start_of(header.log_id))
        else:
            last_us = _time_at(path, file, (after.base_seq, after.previous))
    first_us = first.time_us if first else 0
    return Seal(digest, length, header.base_seq, after.base_seq, first_us, last_us)


def taken_again(path: Path, seal: Seal) -> Seal:
    """Compute length and checksum anew for a segment whose following one is gone. Raises `OSError`,
    `LogFormatError`.
    """
    with open_file(path) as file:
        digest = file_digest(file, "sha256").hexdigest()
        return evolve(seal, sha256=digest, length=file.tell())


def _last_time(file: BufferedReader, length: int, crc_start: int) -> int:
    """Log time of the last frame, searched from the end of the file; 0 = no frame."""
    file.seek(max(segment.HEADER_SIZES[1], length - _LONGEST_FRAME))
    tail = file.read()
    at = tail.rfind(MAGIC)
    while at >= 0:
        try:
            return parse_header(tail[at : at + LONGEST_FRAME_HEADER], crc_start).time_us
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


def write_missing(folder: Path, unwatched: int = 0) -> int:
    """Seal the finished segments that have no seal. Returns how many.

    Only the holder of the log may call this, because it first cuts off what a failed write left.
    `unwatched`: segments up to this epoch were written by earlier runs. Their frames are checked
    first, because a seal says that a segment is as it was written. A damaged segment gets no seal;
    after the others got theirs its `LogError` is raised. Raises what `take` raises.
    """
    written, problem = 0, None
    for path, following in pairwise(segments_of(folder)):
        target = seal_path(path)
        if target.exists():
            continue
        try:
            epoch = segment.epoch_of(path)
            if epoch <= unwatched or segment.end_before(following, epoch):
                cut_left_over(path, check_frames(path, following))
            make_folder(target.parent)
            sync_directory(following.parent)  # a seal says that the next segment is there
            write_new(target, pack(take(path, following)))
        except LogError as error:
            problem = problem or error
        else:
            written += 1
    if problem is not None:
        raise problem
    return written


def lost_its_end(folder: Path) -> bool:
    """Tells whether the newest segment is sealed, so that a newer one is missing. Raises `OSError`.

    A segment is sealed only once the name of the next one is durable.
    """
    return any(os.path.lexists(seal_path(path)) for path in segments_of(folder)[-1:])


def follows_a_sealed_one(path: Path) -> bool:
    """Tells whether the segment before this one is sealed.

    A segment gets its name once its header is durable, and the one before is sealed after that. So
    where this is true, a header that is not whole is damage, and no file whose making was cut off.
    """
    before = [each for each in segment.list_segments(path.parent) if each.name < path.name]
    return any(os.path.lexists(seal_path(each)) for each in before[-1:])


def finished_segments(folder: Path) -> list[Path]:
    """List the finished segments, in log order, those included that only a seal tells of.

    Raises `OSError`.
    """
    begin = needed_from(folder)
    sealed = (folder / "seg" / f"{path.stem}.evl" for path in list_seals(folder))
    there = segments_of(folder)[:-1]
    return sorted({*there, *(path for path in sealed if segment.base_seq_of(path) >= begin)})


def wrong_by_seal(path: Path) -> str:
    """Say what is wrong with a finished segment by its seal, or by its frames where it has none;
    "" = nothing.

    Reads the file from the disk, a sealed one without the interpreter's lock, and leaves none of it
    in memory that others use. Raises `FileNotFoundError` when it was removed, `OSError`.
    """
    folder = path.parent.parent
    try:
        with open_file(path) as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            found = file_digest(file, "sha256").hexdigest()
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        if not os.path.lexists(seal_path(path)):
            following = [each for each in segments_of(folder) if each.name > path.name]
            check_frames(path, following[0])
            return ""
        seal = read_seal(seal_path(path))
    except FileNotFoundError:
        if segment.base_seq_of(path) < needed_from(folder) or path.exists():
            raise
        return "is missing, and the log goes on after it"
    except (SealError, LogError) as error:
        return str(error)
    if found == seal.sha256:
        return ""
    return f"its SHA-256 is {found}, and was {seal.sha256} when it was sealed"


def check_frames(path: Path, following: Path) -> int:
    """Check every frame of a finished segment, up to where `following` continues it.

    Returns that place in bytes. Raises `LogCorruptError`, `LogFormatError`, `OSError`.
    """
    after = segment.open_header(following)
    with open_file(path) as file:
        walk = segment.Walk(path, file)
        for _ in walk.frames(file, (after.base_seq, after.previous)):
            pass
        if walk.end != (after.base_seq, after.previous):
            what = walk.stopped or f"it ends, and {following.name} goes on elsewhere"
            raise LogCorruptError(path, walk.offset, what)
        if walk.header.epoch != after.epoch:
            walk.check_left_over(file)
        elif path.stat().st_size > walk.offset:
            raise LogCorruptError(path, walk.offset, "has bytes after its last frame")
    return walk.offset


def cut_left_over(path: Path, end: int) -> None:
    """Cut a finished segment at the end of its last frame that counts, `end` bytes from its begin.

    Bytes after that came from a write that failed. They are in the page cache, but perhaps not on
    the disk, so a seal over them may not hold after the next boot. Raises `OSError`.
    """
    if path.stat().st_size > end:
        descriptor = os.open(path, os.O_RDWR)
        try:
            os.ftruncate(descriptor, end)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def check_lengths(folder: Path, segments: Iterable[Path]) -> None:
    """Check that every sealed segment exists and has the length in its seal. Reads seals only.

    Raises `LogCorruptError`.
    """
    names = {path.stem: path for path in segments}
    begin = needed_from(folder)
    for sealed in list_seals(folder):
        if segment.base_seq_of(sealed) < begin:
            continue  # its segment is being removed
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
    """List the files of all seals, in log order."""
    inside = folder / FOLDER
    if not inside.is_dir():
        return []
    return sorted(path for path in inside.iterdir() if _NAME.fullmatch(path.name))
