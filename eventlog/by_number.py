"""Finds frames by the numbers of their events, and reads none between them. It finds the place of a
frame by halving its segment. Blocking.
"""

from __future__ import annotations

import os
from contextlib import suppress
from itertools import pairwise
from typing import TYPE_CHECKING

from eventlog.errors import LogCorruptError
from eventlog.files import open_file
from eventlog.first_event import first_seq, segments_of
from eventlog.frame import (
    HEADER_SIZE,
    LAST_SEQ,
    MAGIC,
    FrameError,
    Header,
    crc_start_of,
    parse_header,
)
from eventlog.segment import Walk, base_seq_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from eventlog.frame import Frame
    from eventlog.tags import TagReader

_PIECE = 1 << 13  # bytes in which headers are looked for at once


def frames_with(log: Path, seqs: Iterable[int], tags: TagReader | None) -> Iterator[Frame]:
    """Yield the frames that hold durable events with these numbers, ascending, each once.

    What retention removed is missing. Each frame is checked for itself, with its tag if there are
    `tags`. Its protected section stays encrypted. Raises the errors of `Reader`.
    """
    wanted, paths = sorted(seqs), segments_of(log)
    starts = [*map(base_seq_of, paths), LAST_SEQ + 1]
    for path, (first, end) in zip(paths, pairwise(starts), strict=True):
        own = [seq for seq in wanted if first <= seq < end]
        if own:
            with suppress(FileNotFoundError), open_file(path) as file:
                walk = Walk(path, file, tags)
                yield from walk.picked(file, _places(walk, file.fileno(), own))


def holds_frame(log: Path, seq: int, chain: bytes) -> bool:
    """Tells whether the frame that ends before event `seq` has the chain value `chain`.

    If so, and the log is whole, all events before are unchanged too, because each header has the
    chain value of the one before it. The result is also true if the log now begins with `seq` or
    after it, because that frame was removed then. The header of the first segment may have another
    chain value: that of a watermark which came after the frame.

    Raises `LogFormatError`, `OSError`.
    """
    if first_seq(log) >= seq:
        return True
    for path in reversed(segments_of(log)):
        if base_seq_of(path) > seq:
            continue
        with open_file(path) as file:
            try:
                walk = Walk(path, file)
            except LogCorruptError:
                continue  # its making was cut off, or opening the log reports it
            if walk.end == (seq, chain):
                return True
            crc_start = crc_start_of(walk.header.log_id)
            if found := _find(file.fileno(), crc_start, seq - 1, walk.header.size):
                walk.go_to(found[0], (found[1].base_seq, found[1].previous))
            for _ in walk.frames(file):
                if walk.end == (seq, chain):
                    return True
                if walk.next_seq > seq:
                    break
        if base_seq_of(path) < seq:
            break
    return False


def _places(walk: Walk, file: int, seqs: list[int]) -> Iterator[tuple[int, int]]:
    """Yields the byte where each frame begins, and its first event."""
    place, given = walk.header.size, -1  # the event after the last frame that was given
    crc_start = crc_start_of(walk.header.log_id)
    for seq in seqs:
        if seq >= given and (found := _find(file, crc_start, seq, place)) is not None:
            place, header = found
            given = header.next_seq
            yield place, header.base_seq


def _find(file: int, crc_start: int, seq: int, begin: int) -> tuple[int, Header] | None:
    """Finds the frame of an event that is in no frame before `begin`; None = it is not there."""
    end = os.fstat(file).st_size
    while end - begin > _PIECE:
        middle = (begin + end) // 2
        found = next(_headers(file, crc_start, middle, end), None)
        if found is None or found[1].base_seq > seq:
            end = middle
        else:
            begin = found[0]
    for at, header in _headers(file, crc_start, begin, os.fstat(file).st_size):
        if header.base_seq > seq:
            return None
        if seq < header.next_seq:
            return at, header
    return None


def _headers(file: int, crc_start: int, begin: int, end: int) -> Iterator[tuple[int, Header]]:
    """Yields the intact headers of frames that begin in a part of a segment."""
    while begin < end:
        # A header that begins here may end in the next piece.
        data = os.pread(file, _PIECE + HEADER_SIZE - 1, begin)
        at = data.find(MAGIC)
        while 0 <= at < _PIECE and begin + at < end:
            with suppress(FrameError):
                yield begin + at, parse_header(data[at : at + HEADER_SIZE], crc_start)
            at = data.find(MAGIC, at + 1)
        begin += _PIECE
