"""The system has no thread or no memory for a commit: the log waits, and goes on."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING, Any

import pytest
import trio

from eventlog import NO_THREAD, EventLog, in_thread, log, open_log
from eventlog.threads import to_the_end
from tests.eventlog.logs import RECORD_SIZES, TAGS, append, read, running

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TIMES = 3


def no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    left = list(range(TIMES))

    def refuse() -> None:
        if left and left.pop() >= 0:
            raise RuntimeError("can't start new thread")

    async def refusing(*args: Any, real: Any = trio.to_thread.run_sync, **options: Any) -> Any:
        await trio.lowlevel.checkpoint()
        refuse()
        return await real(*args, **options)

    def starting(*args: Any, real: Any = trio.lowlevel.start_thread_soon) -> None:
        refuse()
        real(*args)

    monkeypatch.setattr(trio.to_thread, "run_sync", refusing)
    monkeypatch.setattr(trio.lowlevel, "start_thread_soon", starting)


def no_memory(call: str) -> Callable[[pytest.MonkeyPatch], None]:
    def refuse(monkeypatch: pytest.MonkeyPatch) -> None:
        real, left = getattr(os, call), list(range(TIMES))

        def refusing(*args: Any) -> Any:
            if left and left.pop() >= 0:
                raise MemoryError
            return real(*args)

        monkeypatch.setattr(os, call, refusing)

    return refuse


REFUSALS = {"thread": no_thread, "pwrite": no_memory("pwrite"), "fdatasync": no_memory("fdatasync")}


@pytest.mark.parametrize("name", REFUSALS)
def test_a_commit_waits(folder: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """What was appended becomes durable once the system gives again; nothing is taken before."""
    monkeypatch.setattr(log, "RETRY_SECONDS", 0.01)
    one = open_log(folder, RECORD_SIZES, TAGS, linger_seconds=0)
    room: list[bool] = []
    said: set[str] = set()

    def watched(error: Exception, real: Callable[..., None] = EventLog._note_failure) -> None:
        real(one, error)
        room.append(one.has_room())
        said.add(one.trouble())

    monkeypatch.setattr(EventLog, "_note_failure", lambda _, error: watched(error))

    async def main() -> None:
        async with running(one):
            REFUSALS[name](monkeypatch)
            await one.wait_durable(append(one, b"waited for"))
            assert one.has_room()

    trio.run(main)
    assert room
    assert not any(room)
    (why,) = said
    assert why.startswith("it cannot be written (")
    assert [data for _, data in read(folder)] == [b"waited for"]


def test_a_disk_that_hangs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A commit that takes too long stops announces, not administrators, until it has ended."""
    monkeypatch.setattr(log, "HUNG_SECONDS", 0)
    one, goes_on = open_log(folder, RECORD_SIZES, TAGS, linger_seconds=0), threading.Event()
    begun, real = threading.Event(), os.fdatasync

    def hanging(descriptor: int) -> None:
        begun.set()
        goes_on.wait()
        real(descriptor)

    async def main() -> None:
        async with running(one):
            assert one.has_room()
            monkeypatch.setattr(os, "fdatasync", hanging)
            seq = append(one, b"hangs")
            await trio.to_thread.run_sync(begun.wait)
            assert not one.has_room()
            assert one.trouble() == "its disk does not answer"
            assert one.has_room(reserved=True)
            goes_on.set()
            await one.wait_durable(seq)
            assert one.has_room()
            assert not one.trouble()

    trio.run(main)


def test_no_thread_is_an_error_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever runs work in a thread is told so as of any refusal of the system."""
    no_thread(monkeypatch)
    with pytest.raises(BlockingIOError, match=NO_THREAD[:20]):
        trio.run(in_thread, int)
    with pytest.raises(BlockingIOError, match=NO_THREAD[:20]):
        trio.run(to_the_end, int)


def test_nothing_cancels_a_commit() -> None:
    """The work runs, and its result comes back, also where everything was cancelled before."""

    async def main() -> int:
        with trio.CancelScope() as scope:
            scope.cancel()
            return await to_the_end(int, "7")

    assert trio.run(main) == 7
