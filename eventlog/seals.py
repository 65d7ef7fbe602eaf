"""Seals finished segments: a seal holds the checksum of a segment, so that any change to it shows.

<log>/seal/<base_seq>.<epoch>.json   JSON on one line; unknown fields are ignored

A segment is finished once a newer one exists: nothing writes to it again. Seals come a little
later, so that no commit waits for the hashing. A segment without a seal gets one at the next
occasion, the oldest first. A seal of a segment of format 2 also holds the history digest after it
(history.py), its last tag, and a MAC over all that. It is written only after every tag of the
segment was checked, and nothing after a damaged segment is sealed. Blocking calls.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from contextlib import contextmanager
from hashlib import sha256
from hmac import compare_digest
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from attrs import asdict, evolve, fields, frozen

from eventlog import history, segment, versions
from eventlog.errors import NO_KEY, LogCorruptError, LogError, NotAFileError
from eventlog.files import make_folder, open_file, read_file, sync_directory, write_new
from eventlog.first_event import needed_from, segments_of
from eventlog.nonsense import border, parse_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from io import BufferedReader
    from pathlib import Path

    from eventlog.tags import Macs, TagReader, Tags

FOLDER = "seal"
_NAME = re.compile(r"[0-9]{20}\.[0-9]{10}\.json")
NONE = "is not the seal of a segment"
DROP = (
    "restore the seal from a backup. Without one, and with nothing else wrong with the segment, remove it, and let the "
    "next start accept the log without it: it is written again"
)
FORGED = "its MAC does not match: these are not the bytes that the tracker wrote"
WENT_ON = "it is sealed, so the log went on in another segment, and that one is missing"
_PURPOSE = b"seal"
_PIECE = 1 << 18  # bytes that are hashed between two calls of `pace`

Sealed = tuple[bytes, int]
"""The history digest after a sealed segment, and the number of the event after it."""


@frozen
class Seal:
    """The content of a seal.

    Times are log times in microseconds of the first and last frame; 0 = no frame. The texts after
    them are hexadecimal, and empty in the seal of a segment of format 1.
    """

    sha256: str
    length: int
    first_seq: int
    next_seq: int  # one more than the last event; first_seq = no event
    first_us: int
    last_us: int
    history: str = ""  # history digest after the segment
    tag: str = ""  # of its last frame; of the frame before it where it has none
    key: str = ""  # id of the key of the MAC
    mac: str = ""

    @property
    def format(self) -> int:
        return 2 if self.mac else 1


_FIELDS = tuple(one.name for one in fields(Seal))
_NUMBERS = ("length", "first_seq", "next_seq", "first_us", "last_us")
_TEXTS = {"sha256": 32, "history": 32, "tag": 16, "key": 16, "mac": 32}  # bytes


class SealError(ValueError):
    """A file is not a seal."""


class Extent(NamedTuple):
    """How far the bytes of a finished segment count, by a walk over its frames."""

    size: int  # bytes up to where the next segment continues it
    events: int  # bytes up to the end of its last frame with events; 0 = there is none
    last_us: int  # log time of its last frame; 0 = there is none


def seal_path(path: Path) -> Path:
    """Path of the seal of a segment, whether it exists or not."""
    return path.parent.parent / FOLDER / f"{path.stem}.json"


def read_seal(path: Path) -> Seal:
    """Read a seal. Its MAC is not checked. Raises `SealError`, `LogFormatError`,
    `FileNotFoundError`.
    """
    try:
        data = read_file(path)
    except NotAFileError as error:
        raise SealError(error.what) from None
    with border(lambda _: SealError(NONE)):
        content: Any = parse_json(data)
        if type(version := content["format"]) is not int or _line(content) != data:
            raise ValueError
        versions.check(path, version)
        texts = {name: size for name, size in _TEXTS.items() if version != 1 or name == "sha256"}
        found = Seal(**{name: content[name] for name in (*texts, *_NUMBERS)})
        if any(type(getattr(found, name)) is not int for name in _NUMBERS):
            raise ValueError
        if any(len(bytes.fromhex(content[name])) != size for name, size in texts.items()):
            raise ValueError
    return found


def sealed_history(folder: Path, seq: int) -> str:
    """Return the history digest before event `seq` as the seal of the segment before it has it, in
    hexadecimal; "" = there is no such seal. Its MAC is not checked.

    Raises `LogCorruptError`, `LogFormatError`, `OSError`.
    """
    for path, following in pairwise(segments_of(folder)):
        if segment.base_seq_of(following) == seq and os.path.lexists(seal_path(path)):
            return _read(path).history
    return ""


def pack(seal: Seal) -> bytes:
    """Return the content of a seal's file."""
    content = {"format": seal.format, **asdict(seal)}
    return _line({name: each for name, each in content.items() if each != ""})


def _line(content: object) -> bytes:
    return json.dumps(content).encode() + b"\n"


def _signed(path: Path, log_id: bytes, seal: Seal) -> bytes:
    """Return what the MAC of a segment's seal covers: log, segment, and the seal without the
    MAC."""
    content = {"format": 2, **asdict(seal)}
    del content["mac"]
    return sha256(log_id + path.stem.encode() + _line(content)).digest()


def take(
    path: Path, following: Path, extent: Extent, pace: Callable[[], None] = lambda: None
) -> tuple[Seal, bytes]:
    """Compute the seal of a finished segment, without history digest and MAC. Returns it with the
    SHA-256 of the bytes up to `extent.events`.

    `following` is the segment after it, `extent` comes from a walk. `pace` is called after each
    piece that is read. Raises `LogCorruptError`, `LogFormatError`, `OSError`.
    """
    header, after = segment.open_header(path), segment.open_header(following)
    hasher, length, content = sha256(), 0, sha256().digest()
    with open_file(path) as file:
        while piece := file.read(_piece(extent.events - length)):
            hasher.update(piece)
            length += len(piece)
            if length == extent.events:
                content = hasher.digest()
            pace()
    if length < extent.events:
        raise LogCorruptError(path, length, "ends before its last frame does")
    first = segment.first_frame_header(path)
    first_us = first.time_us if first else 0
    tag = after.previous.hex() if header.format > 1 else ""
    digest, last_us = hasher.hexdigest(), extent.last_us
    seal = Seal(digest, length, header.base_seq, after.base_seq, first_us, last_us, tag=tag)
    return seal, content


def _piece(left: int) -> int:
    """Return how many bytes to read, so that a piece ends where `left` more bytes end."""
    return min(_PIECE, left) if left > 0 else _PIECE


def taken_again(path: Path, seal: Seal) -> Seal:
    """Compute length and checksum anew for a segment whose following one is gone. Raises `OSError`,
    `LogFormatError`.
    """
    with open_file(path) as file:
        return evolve(seal, sha256=_hashed(file), length=file.tell())


def _hashed(file: BufferedReader, pace: Callable[[], None] = lambda: None) -> str:
    """Return the SHA-256 of a file, in hexadecimal. `pace` is called after each piece."""
    hasher = sha256()
    while piece := file.read(_PIECE):
        hasher.update(piece)
        pace()
    return hasher.hexdigest()


def wrong_with(path: Path, header: segment.SegmentHeader, seal: Seal, macs: Macs | None) -> str:
    """Say what is wrong with a segment's seal by its format and its MAC; "" = nothing.

    `macs`: None = the MAC is not checked, as without its key.
    """
    if seal.format != header.format:
        return f"is a seal of format {seal.format}, and the segment is of format {header.format}"
    if macs is None or seal.format == 1:
        return ""
    key_id = bytes.fromhex(seal.key)
    expected = macs.mac_of(key_id, _PURPOSE, _signed(path, header.log_id, seal))
    if expected is None:
        return f"its MAC is {NO_KEY}"
    return "" if compare_digest(expected, bytes.fromhex(seal.mac)) else FORGED


def trusted_mac(path: Path, following: Path, macs: Macs) -> str:
    """Return the MAC of a segment's seal, in hexadecimal, once it was found right for log, length
    and end; "" = there is no such seal. The segment's content is not read.

    `following` is the segment after it. Raises `FileNotFoundError` where a segment was removed,
    `OSError`.
    """
    if not os.path.lexists(seal_path(path)):
        return ""
    try:
        seal = _trusted(path, segment.open_header(path), following, _read(path), macs)
    except LogError:
        return ""  # whoever reads all of the segment finds out what is wrong
    return seal.mac if path.stat().st_size == seal.length else ""


def write_missing(
    folder: Path,
    tags: Tags,
    begin: Callable[[], bytes] = lambda: history.BEGIN,
    pace: Callable[[], None] = lambda: None,
    *,
    cutting: bool = True,
) -> Sealed | None:
    """Seal the finished segments that have no seal, the oldest first.

    Every frame and tag of a segment is checked before, because a seal says that the segment is as
    it was written. At the first damaged segment it stops: its `LogError` is raised. `begin` returns
    the history digest before the first event of the log; it is asked where no seal tells it.
    `cutting`: cut off what a failed write left, which only the holder of the log may do; others
    stop there. `pace` is called between short steps; it may wait, or raise to end the work. Returns
    the newest sealed history digest; None = there is none, or another process is sealing. Raises
    what `take` raises.
    """
    make_folder(folder / FOLDER)
    with _alone(folder / FOLDER) as alone:
        newest = _write_missing(folder, tags, begin, pace, cutting=cutting) if alone else None
    if newest is not None:
        # The name of a seal that is there may not be durable: its writer was killed, or failed.
        sync_directory(folder / FOLDER)
    return newest


def _write_missing(
    folder: Path,
    tags: Tags,
    begin: Callable[[], bytes],
    pace: Callable[[], None],
    *,
    cutting: bool,
) -> Sealed | None:
    known: bytes | None = None  # history digest before the segment
    newest: Sealed | None = None
    pairs = list(pairwise(segments_of(folder)))
    missing = (at for at, (path, _) in enumerate(pairs) if not os.path.lexists(seal_path(path)))
    # From the seal before the first missing one on, because a log has many, and the start has
    # checked them.
    for path, following in pairs[max(0, next(missing, len(pairs)) - 1) :]:
        header = segment.open_header(path)
        if os.path.lexists(seal_path(path)):
            seal = _trusted(path, header, following, _read(path), tags)
            known = bytes.fromhex(seal.history) if seal.history else None
        else:
            extent = check_frames(path, following, tags, pace)
            if path.stat().st_size > extent.size:
                if not cutting:
                    return newest  # the holder cuts it soon
                cut_left_over(path, extent.size)
            if header.format > 1 and header.digest_seq == header.base_seq:
                known = header.digest
            if header.format > 1 and known is None:
                known = history.at(folder, header.base_seq, begin())[0]
            known = _seal(path, following, extent, known, tags, pace)
        if known is not None:
            newest = known, segment.base_seq_of(following)
    return newest


def _read(path: Path) -> Seal:
    """Read the seal of a segment. Raises `LogCorruptError`, `LogFormatError`."""
    try:
        return read_seal(seal_path(path))
    except SealError as error:
        raise LogCorruptError(seal_path(path), 0, str(error), DROP) from None


def _trusted(
    path: Path, header: segment.SegmentHeader, following: Path | None, seal: Seal, macs: Macs
) -> Seal:
    """Check the seal of a segment, but not the segment's content. Raises `LogCorruptError`."""
    if what := wrong_with(path, header, seal, macs):
        raise LogCorruptError(seal_path(path), 0, what)
    if following is None:
        return seal
    after = segment.open_header(following)
    if (seal.next_seq, seal.tag or after.previous.hex()) != (after.base_seq, after.previous.hex()):
        what = "is of another end of the segment than the one that the log goes on from"
        raise LogCorruptError(seal_path(path), 0, what)
    return seal


def _seal(
    path: Path,
    following: Path,
    extent: Extent,
    before: bytes | None,
    tags: Tags,
    pace: Callable[[], None],
) -> bytes | None:
    """Write the seal of a segment. Returns the history digest after it; None = unknown."""
    header = segment.open_header(path)
    (seal, content), after = take(path, following, extent, pace), None
    if header.format > 1 and before is not None:
        after = history.extended(before, content) if extent.events else before
        seal = evolve(seal, history=after.hex(), key=tags.key_id.hex())
        mac = tags.mac(_PURPOSE, _signed(path, header.log_id, seal))
        seal = evolve(seal, mac=mac.hex())
    sync_directory(following.parent)  # a seal says that the next segment is there
    write_new(seal_path(path), pack(seal))
    return after


def after_segment(path: Path, extent: Extent, before: bytes) -> bytes:
    """Return the history digest after a segment. Raises `OSError`, `LogCorruptError`."""
    if not extent.events:
        return before
    return history.extended(before, history.part_digest(path, extent.events))


@contextmanager
def _alone(folder: Path) -> Iterator[bool]:
    """Lock the folder of the seals against other processes that seal; gives whether it could. The
    lock goes with the process.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield True
    except BlockingIOError:
        yield False
    finally:
        os.close(descriptor)


def cut_finished(folder: Path) -> None:
    """Cut off what failed writes left in finished segments that have no seal yet.

    Reads a few headers. Only the holder of the log may call it. Raises `LogError`, `OSError`.
    """
    for path, following in pairwise(segments_of(folder)):
        if os.path.lexists(seal_path(path)):
            continue
        end = segment.end_before(following, segment.epoch_of(path))
        if end is not None and (found := segment.place_of(path, end)) is not None:
            cut_left_over(path, found)


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


def wrong_by_seal(
    path: Path,
    macs: Macs | None = None,
    *,
    cached: bool = False,
    pace: Callable[[], None] = lambda: None,
) -> str:
    """Say what is wrong with a finished segment by its seal, or by its frames where it has none;
    "" = nothing. `macs`: check MAC and tags too.

    Reads the file from the disk, and leaves none of it in memory that others use; `cached`: reads
    it as others do. `pace` is called between short steps; it may wait, or raise to end the work.
    Raises `FileNotFoundError` when it was removed, `OSError`.
    """
    folder = path.parent.parent
    try:
        with open_file(path) as file:
            if not cached:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            found = _hashed(file, pace)
            if not cached:
                os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        if not os.path.lexists(seal_path(path)):
            following = [each for each in segments_of(folder) if each.name > path.name]
            check_frames(path, following[0], macs, pace)
            return ""
        seal = read_seal(seal_path(path))
        if what := wrong_with(path, segment.open_header(path), seal, macs):
            return f"its seal {what}"
    except FileNotFoundError:
        if segment.base_seq_of(path) < needed_from(folder) or path.exists():
            raise
        return "is missing, and the log goes on after it"
    except (SealError, LogError) as error:
        return str(error)
    if found == seal.sha256:
        return ""
    return f"its SHA-256 is {found}, and was {seal.sha256} when it was sealed"


def check_frames(
    path: Path,
    following: Path,
    tags: TagReader | None = None,
    pace: Callable[[], None] = lambda: None,
) -> Extent:
    """Check every frame of a finished segment, up to where `following` continues it.

    `tags`: check the tags too. `pace` is called after each frame. Raises `LogCorruptError`,
    `LogFormatError`, `OSError`.
    """
    after = segment.open_header(following)
    events = 0
    with open_file(path) as file:
        walk = segment.Walk(path, file, tags)
        for frame in walk.frames(file, (after.base_seq, after.previous)):
            if frame.header.records:
                events = walk.offset
            pace()
        if walk.end != (after.base_seq, after.previous):
            what = walk.stopped or f"it ends, and {following.name} goes on elsewhere"
            raise LogCorruptError(path, walk.offset, what)
        if walk.header.epoch != after.epoch:
            walk.check_left_over(file)
        elif path.stat().st_size > walk.offset:
            raise LogCorruptError(path, walk.offset, "has bytes after its last frame")
    return Extent(walk.offset, events, walk.last_time_us)


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


def check_all(folder: Path, segments: Iterable[Path], macs: Macs) -> Sealed | None:
    """Check every seal: that its segment exists and has its length, its MAC, and that the log went
    on where it says and names its history digest. Reads seals and headers only.

    Returns the newest sealed history digest; None = there is none. Raises `LogCorruptError`,
    `LogFormatError`, `OSError`.
    """
    counting = list(segments)
    names = {path.stem: number for number, path in enumerate(counting)}
    begin, newest = needed_from(folder), None
    told: dict[int, str] = {}
    for sealed in list_seals(folder):
        if segment.base_seq_of(sealed) < begin:
            continue  # its segment is being removed
        path = folder / "seg" / f"{sealed.stem}.evl"
        seal = _read(path)
        if sealed.stem not in names:
            raise LogCorruptError(path, 0, "the segment is missing, but its seal is there")
        following = counting[names[sealed.stem] + 1 :][:1]
        if (found := path.stat().st_size) != seal.length:
            what = f"the segment has {found} bytes, and had {seal.length} when it was sealed"
            raise LogCorruptError(path, min(found, seal.length), what)
        _trusted(path, segment.open_header(path), next(iter(following), None), seal, macs)
        if seal.history:
            told[seal.next_seq] = seal.history
            newest = bytes.fromhex(seal.history), seal.next_seq
    for path in counting:
        header = segment.open_header(path)
        if (known := told.get(header.digest_seq)) and known != header.digest.hex():
            what = "its header names another history than the seals before it"
            raise LogCorruptError(path, 0, what)
    return newest


def list_seals(folder: Path) -> list[Path]:
    """List the files of all seals, in log order."""
    inside = folder / FOLDER
    if not inside.is_dir():
        return []
    return sorted(path for path in inside.iterdir() if _NAME.fullmatch(path.name))
