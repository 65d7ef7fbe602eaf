"""Frames by the numbers of their events: the same that a reader gives, of every part of a log."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

import pytest

from eventlog import LogCorruptError, Reader, by_number, frames_with, holds_frame, open_file
from eventlog.segment import Walk
from tests.eventlog.logs import TAGS, segments, write

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("piece", [256, 1 << 13])
def test_any_numbers(folder: Path, monkeypatch: pytest.MonkeyPatch, piece: int) -> None:
    """Numbers of several frames, segments and runs, and numbers that no event has yet."""
    monkeypatch.setattr(by_number, "_PIECE", piece)
    random = Random(7)
    for segment_bytes in (2000, 64 << 20):
        batches = [
            [b"EVF" * random.choice((1, 5, 300))] * random.choice((1, 2, 40)) for _ in range(60)
        ]
        write(folder, *batches, segment_bytes=segment_bytes)
    assert len(segments(folder)) > 3
    every = [
        (one.header.base_seq, one.header.next_seq) for one in Reader(folder, to_end=True).frames()
    ]
    end = every[-1][1]
    for count in (1, 2, 30, end):
        seqs = {random.randrange(end + 5) for _ in range(count)}
        expected = [one for one in every if seqs & set(range(*one))]
        found = [
            (one.header.base_seq, one.header.next_seq) for one in frames_with(folder, seqs, TAGS)
        ]
        assert found == expected
    for path in segments(folder):
        with open_file(path) as file:
            walk = Walk(path, file)
            for _ in walk.frames(file):  # watermarks too
                seq, chain = walk.end
                assert holds_frame(folder, seq, chain)
                assert not holds_frame(folder, seq, chain[1:] + b"\0")
    assert not holds_frame(folder, end + 1, chain)


def test_a_damaged_frame(folder: Path) -> None:
    """A frame whose bytes are others than were written is not given."""
    write(folder, [b"one"], [b"two"], [b"three"])
    (path,) = segments(folder)
    path.write_bytes(path.read_bytes().replace(b"two", b"TWO"))
    assert [bytes(one.plain) for one in frames_with(folder, [0, 2], TAGS)] == [b"one", b"three"]
    with pytest.raises(LogCorruptError, match="checksum"):
        list(frames_with(folder, [1], TAGS))
