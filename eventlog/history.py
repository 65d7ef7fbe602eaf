"""Computes the history digest: a SHA-256 over all bytes that tell the events of a log, so that two
copies can be compared.

    digest before the first event of a log = 32 zeros
    digest after a segment                 = SHA-256("history digest" + digest before it +
                                             SHA-256 of its bytes that count)

The bytes that count are those from the segment's header to the end of its last frame with events. A
segment without events changes nothing. So there is one digest for each place between two frames,
and it stays the same when the log goes on or loses its beginning. Whoever removes a beginning keeps
the digest of what goes.

Blocking. The digest is not the state's: it covers each byte, also what changes no state.
"""

from __future__ import annotations

from hashlib import sha256
from itertools import pairwise
from typing import TYPE_CHECKING

from eventlog import segment
from eventlog.errors import LogCorruptError
from eventlog.files import open_file
from eventlog.first_event import first_seq, segments_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

BEGIN = segment.NO_DIGEST
"""History digest before event 0."""
_PIECE = 1 << 20  # bytes that are hashed between two reports


def extended(before: bytes, content: bytes) -> bytes:
    """Return the digest after a segment. `content`: the SHA-256 of its bytes that count."""
    return sha256(b"history digest" + before + content).digest()


def part_digest(path: Path, size: int, report: Callable[[int], None] = lambda _: None) -> bytes:
    """Return the SHA-256 of the first `size` bytes of a file. `report` gets the bytes read since
    its last call. Raises `LogCorruptError` where the file is shorter, `OSError`.
    """
    hasher, left = sha256(), size
    with open_file(path) as file:
        while left and (piece := file.read(min(left, _PIECE))):
            hasher.update(piece)
            left -= len(piece)
            report(len(piece))
    if left:
        raise LogCorruptError(path, size - left, "ends before its last frame does")
    return hasher.digest()


def events_end(path: Path, following: Path | None) -> int:
    """Find the end of the last frame with events in a segment, in bytes; 0 = it has no events.

    `following` is the segment after it; None = it is the newest. Reads headers from the end. Raises
    `LogCorruptError`, `LogFormatError`, `OSError`.
    """
    header = segment.open_header(path)
    end = segment.end_before(following, header.epoch) if following else None
    for offset, found in segment.headers_from_the_end(path, header):
        if end is not None and (found.next_seq, found.chain) != end:
            continue  # of a failed write
        end = None
        if found.records:
            return offset + found.size + found.payload_size
    return 0


def at(
    folder: Path, seq: int, begin: bytes, report: Callable[[int, int], None] = lambda *_: None
) -> tuple[bytes, int]:
    """Compute the history digest at the first place between two frames where all events below `seq`
    have happened. Returns it with the number of the event after that place.

    `begin`: the digest before the first event of this log. `report` gets the bytes done and the
    bytes in all. Reads all bytes before the place. Raises `LogCorruptError`, `LogFormatError`,
    `OSError`.
    """
    parts = list(_parts(folder, seq))
    total, done = sum(size for _, size, _ in parts), 0

    def count(more: int) -> None:
        nonlocal done
        done += more
        report(done, max(total, done + 1))

    digest = begin
    for path, size, _ in parts:
        digest = extended(digest, part_digest(path, size, count))
    report(total, total)
    return digest, parts[-1][2] if parts else first_seq(folder)


def _parts(folder: Path, seq: int) -> Iterator[tuple[Path, int, int]]:
    """Yield the segments with events below `seq`, how many bytes of each count, and the number of
    the event after them."""
    paths = [path for path in segments_of(folder) if segment.base_seq_of(path) < seq]
    later = [path for path in segments_of(folder) if path not in set(paths)]
    for path, following in pairwise([*paths, *later[:1]]):
        after = segment.base_seq_of(following)
        if after <= seq and (size := events_end(path, following)):
            yield path, size, after
        elif after > seq:
            yield path, *_place(path, seq, segment.end_before(following, segment.epoch_of(path)))
    if paths and not later:
        yield paths[-1], *_place(paths[-1], seq, None)


def _place(path: Path, seq: int, end: segment.End | None) -> tuple[int, int]:
    """Find the end of the frame with the event before `seq`. Returns it with the next event."""
    with open_file(path) as file:
        walk = segment.Walk(path, file)
        for _ in walk.frames(file, end):
            if walk.next_seq >= seq:
                return walk.offset, walk.next_seq
    raise LogCorruptError(path, walk.offset, f"does not hold event {seq - 1}")
