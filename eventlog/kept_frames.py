"""Keeps some frames when their segments are removed: whole, as they were written.

<log>/kept/<from>.<to>.evk   frames of the events from <= seq < to; 20 digits each

off size field
  0    8 magic 89 45 56 4B 0D 0A 1A 0A
  8    2 format
 10    2 reserved, zero
 12    4 header length = 64
 16   16 log id
 32    8 from
 40    8 to
 48    8 bytes of all frames
 56    4 reserved, zero
 60    4 CRC-32 of bytes 0..59

Each frame is checked by itself, because between two of them others are missing, so the chain is
broken. Since format 2 the header of a segment stands before the frames that come from it, because
it names the key of their tags; frames of format 1 need none.

The files of a log follow each other from event 0 on. When there are many, the next file takes in
the frames of all. So where several files begin with the same event the longest counts, but never
one that goes beyond the beginning of the log. Blocking calls.
"""

from __future__ import annotations

import re
from hashlib import sha256
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple
from zlib import crc32

from eventlog import segment, versions
from eventlog.errors import LogCorruptError, LogFormatError, LogPrunedError
from eventlog.files import make_folder, open_file, read_file, write_new
from eventlog.first_event import segments_of
from eventlog.folder import read_identity
from eventlog.frame import HEADER_SIZE as LONGEST_FRAME_HEADER
from eventlog.frame import Frame, FrameError, crc_start_of, parse_header, split_payload
from eventlog.tags import NO_TAG_KEY, check_frame

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from eventlog.tags import TagReader

FOLDER = "kept"
MOST_FILES = 16
"""Number of files at which the next one takes in all of them.

The same bytes are copied seldom then, and a reader opens few files.
"""

MAGIC = b"\x89EVK\r\n\x1a\n"
HEADER_SIZE = 64
_HEADER = Struct("<8sHHI16sQQQII")
_NAME = re.compile(r"([0-9]{20})\.([0-9]{20})\.evk")


class Kept(NamedTuple):
    """A file of kept frames: those of the events first <= seq < end."""

    path: Path
    first: int
    end: int


def list_kept(folder: Path) -> list[Kept]:
    """List all files of kept frames, also those that do not count."""
    inside = folder / FOLDER
    if not inside.is_dir():
        return []
    found = ((path, _NAME.fullmatch(path.name)) for path in sorted(inside.iterdir()))
    return [Kept(path, int(match[1]), int(match[2])) for path, match in found if match]


def files_below(folder: Path, end: int) -> list[Kept]:
    """List the files that hold the kept frames of the events below `end`.

    Raises `LogCorruptError` when a file is missing, `LogPrunedError` when the log has been pruned
    since `end` was its first event.
    """
    there = list_kept(folder)
    found: list[Kept] = []
    at = 0
    while at < end:
        here = [each for each in there if each.first == at < each.end <= end]
        if not here:
            if any(each.first == at and each.end > end for each in there):
                raise LogPrunedError(folder)
            missing = kept_path(folder, f"{at:020d}.{end:020d}.evk")
            raise LogCorruptError(missing, 0, f"what was kept of the events from {at} is missing")
        found.append(max(here, key=lambda each: each.end))
        at = found[-1].end
    return found


def kept_path(folder: Path, name: str) -> Path:
    """Path of a file of kept frames, whether it exists or not."""
    return folder / FOLDER / name


def kept_digests(folder: Path, end: int) -> dict[str, str]:
    """SHA-256 by name of the files that hold the kept frames of events below `end`.

    Raises what `files_below` raises, `OSError`.
    """
    return _digests(each.path for each in files_below(folder, end))


def _digests(paths: Iterable[Path]) -> dict[str, str]:
    return {path.name: sha256(read_file(path)).hexdigest() for path in paths}


def read_kept_frames(folder: Path, end: int, tags: TagReader | None = None) -> Iterator[Frame]:
    """Read and check the kept frames of events below `end`, in order. `tags`: check the tags too.

    Raises `LogCorruptError`, `LogFormatError`, `LogPrunedError`.
    """
    log_id = read_identity(folder)
    for one in files_below(folder, end):
        try:
            data = read_file(one.path)
        except FileNotFoundError:
            raise LogPrunedError(folder) from None
        yield from frames_in(one, data, log_id, tags)


def frames_in(
    one: Kept, data: bytes, log_id: bytes, tags: TagReader | None = None
) -> Iterator[Frame]:
    """Check and yield the frames in the content of a file. `tags`: check the tags too.

    Raises `LogCorruptError`, `LogFormatError`.
    """
    offset, seq = _check_header(one, data, log_id), one.first
    crc_start = crc_start_of(log_id)
    version, key_id = 1, NO_TAG_KEY  # of the segment that the next frames come from
    while offset < len(data):
        if data.startswith(segment.MAGIC, offset):
            header = _segment_header(one, data, offset, log_id, tags)
            version, key_id = header.format, header.key_id
            offset += header.size
            continue
        head = data[offset : offset + LONGEST_FRAME_HEADER]
        try:
            frame_header = parse_header(head, crc_start)
            if not seq <= frame_header.base_seq < frame_header.next_seq <= one.end:
                raise FrameError(f"event {frame_header.base_seq} is not where it belongs")
            if frame_header.format != version:
                raise FrameError(f"a frame of format {frame_header.format}, not {version}")
            body = offset + frame_header.size
            payload = data[body : body + frame_header.payload_size]
            frame = split_payload(frame_header, payload)
            if tags is not None:
                check_frame(tags, key_id, log_id, frame_header, head, payload)
        except FrameError as error:
            raise LogCorruptError(one.path, offset, str(error)) from None
        yield frame
        seq = frame_header.next_seq
        offset = body + frame_header.payload_size


def _segment_header(
    one: Kept, data: bytes, offset: int, log_id: bytes, tags: TagReader | None
) -> segment.SegmentHeader:
    """Check the header of a segment between kept frames.

    Raises `LogCorruptError`, `LogFormatError`.
    """
    head = data[offset : offset + segment.HEADER_SIZE]
    header = segment.read_header(one.path, head)
    if header.format == 1 or header.log_id != log_id:
        raise LogCorruptError(one.path, offset, "the header of a segment of another log or format")
    if tags is not None:
        segment.check_tag(tags, one.path, header, head)
    return header


def _check_header(one: Kept, data: bytes, log_id: bytes) -> int:
    """Check the header of a file. Returns the offset of its first frame."""
    if len(data) < HEADER_SIZE or data[: len(MAGIC)] != MAGIC:
        raise LogCorruptError(one.path, 0, "this is no file of kept events")
    _, version, _, size, found_id, first, end, length, _, crc = _HEADER.unpack_from(data)
    if crc != crc32(data[: HEADER_SIZE - 4]):
        raise LogCorruptError(one.path, 0, "the checksum of its header does not match")
    versions.check(one.path, version)
    if size != HEADER_SIZE:
        raise LogFormatError(one.path, f"has a header of {size} bytes, not {HEADER_SIZE}")
    if found_id != log_id:
        raise LogFormatError(one.path, "belongs to another log")
    if (first, end) != (one.first, one.end):
        raise LogCorruptError(one.path, 0, f"holds events {first} to {end - 1} by its header")
    if len(data) != HEADER_SIZE + length:
        what = f"has {len(data)} bytes where {HEADER_SIZE + length} are due"
        raise LogCorruptError(one.path, min(len(data), HEADER_SIZE + length), what)
    return HEADER_SIZE


def keep_frames(
    folder: Path,
    begin: int,
    end: int,
    stays: Callable[[Frame], bool],
    tags: TagReader | None = None,
) -> dict[str, str]:
    """Copy the frames with the events begin <= seq < end that stay to a new file, durably.

    Both numbers are first events of segments, and the log begins with `begin`. `tags`: check the
    tags of what is copied. Returns the SHA-256 by name of all files that hold kept frames below
    `end`. Raises `LogCorruptError`, `LogFormatError`, `LogPrunedError`, `OSError`.
    """
    log_id = read_identity(folder)
    before = files_below(folder, begin)
    merged = len(before) >= MOST_FILES
    taken = b"".join(read_file(each.path)[HEADER_SIZE:] for each in before) if merged else b""
    for path in segments_of(folder):
        if segment.base_seq_of(path) < end:
            taken += b"".join(_frames(path, stays, tags))
    first = 0 if merged else begin
    target = kept_path(folder, f"{first:020d}.{end:020d}.evk")
    make_folder(target.parent)
    write_new(target, _header(log_id, first, end, len(taken)) + taken)
    files = [] if merged else [each.path for each in before]
    return _digests((*files, target))


def _header(log_id: bytes, first: int, end: int, length: int) -> bytes:
    fields = MAGIC, versions.FORMAT, 0, HEADER_SIZE, log_id, first, end, length, 0, 0
    body = _HEADER.pack(*fields)[:-4]
    return body + crc32(body).to_bytes(4, "little")


def _frames(path: Path, stays: Callable[[Frame], bool], tags: TagReader | None) -> Iterator[bytes]:
    """Yield the frames of a finished segment that stay, byte for byte, after its header."""
    data = read_file(path)
    end = segment.end_of(path)
    with open_file(path) as file:
        walk = segment.Walk(path, file, tags)
        head = data[: walk.offset] if walk.header.format > 1 else b""
        begin = walk.offset
        for frame in walk.frames(file, end):
            if frame.header.records and stays(frame):
                yield head + data[begin : walk.offset]
                head = b""
            begin = walk.offset
        if walk.stopped is not None and walk.end != end:
            raise LogCorruptError(path, walk.offset, walk.stopped)
