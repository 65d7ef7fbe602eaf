"""A standard stream with a queue: who writes never waits, and is told of what was dropped."""

from __future__ import annotations

import fcntl
import io
import os
from typing import TYPE_CHECKING

import pytest

from tracker import streams
from tracker.streams import QueuedStream

if TYPE_CHECKING:
    from collections.abc import Iterator

LINES = [f"line {number}\n" for number in range(1000)]


@pytest.fixture
def pipe() -> Iterator[tuple[int, QueuedStream]]:
    """The end to read of a small pipe, and a stream of at most 100 waiting lines into it."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, 4096)
    with io.TextIOWrapper(os.fdopen(writing, "wb", 0)) as plain:
        yield reading, QueuedStream(plain, 100)
        os.close(reading)


def read_lines(reading: int, last: str) -> list[str]:
    text = ""
    while not text.endswith(last):
        text += os.read(reading, 1 << 16).decode()
    return text.splitlines(keepends=True)


def test_nobody_reads(pipe: tuple[int, QueuedStream], monkeypatch: pytest.MonkeyPatch) -> None:
    """Writing and flushing end; the reader gets the first lines, and how many are missing."""
    monkeypatch.setattr(streams, "END_SECONDS", 0.01)
    reading, stream = pipe
    for line in LINES:
        stream.write(line)
    stream.flush()
    stream.flush()
    found = read_lines(reading, " are missing)\n")
    (told,) = [line for line in found if line not in LINES]
    assert told == f"({1000 - len(found) + 1} earlier lines are missing)\n"
    assert [line for line in found if line != told] == LINES[: len(found) - 1]
    monkeypatch.undo()
    stream.write("again\n")
    stream.flush()
    assert read_lines(reading, "again\n") == ["again\n"]


def test_a_reader_that_left(pipe: tuple[int, QueuedStream]) -> None:
    """Text for it is dropped, and no error reaches who writes."""
    reading, stream = pipe
    os.dup2(os.open(os.devnull, os.O_RDONLY), reading)
    for line in LINES:
        stream.write(line)
        stream.flush()


def test_a_pipe_that_does_not_block(pipe: tuple[int, QueuedStream]) -> None:
    """A pipe that whoever started us made non-blocking takes every line, once it is read."""
    reading, stream = pipe
    os.set_blocking(stream.fileno(), False)
    stream.write("x" * 9999 + "\n")
    assert len("".join(read_lines(reading, "\n"))) == 10_000


def test_no_thread(pipe: tuple[int, QueuedStream], monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a thread each line is written at once, in order."""

    def refuse(_: object) -> None:
        raise RuntimeError("can't start new thread")

    reading, stream = pipe
    fcntl.fcntl(stream.fileno(), fcntl.F_SETPIPE_SZ, 1 << 16)
    long = "x" * 9999 + "\n"  # more than a pipe is sure to take at once
    with monkeypatch.context() as patch:
        patch.setattr("threading.Thread.start", refuse)
        stream.write(long)
        assert os.read(reading, 1 << 16) == long.encode()
        stream.flush()
    stream.write(long)
    stream.flush()
    assert os.read(reading, 1 << 16) == long.encode()
