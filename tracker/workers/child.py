"""A process beside the tracker that does not outlive it, be it stopped or hung: the tracker's side.

The system kills the child (`background.end_with_parent`) when the thread that started it ends, not when the process does.
So the main thread starts it, and not one of trio's, which end when they are idle.
"""

from __future__ import annotations

import os
import subprocess

import trio

_POLL_SECONDS = 0.02
_END_SECONDS = 5.0
_READ_BYTES = 1 << 16


class Child:
    """Its input is a pipe that ends with the tracker."""

    def __init__(self, command: list[str], *, errors_apart: bool = False) -> None:
        """To be called in the main thread: a millisecond. Its errors come with its output, or go where the tracker's do.
        Raises `OSError`."""
        self._process = subprocess.Popen(  # noqa: S603  # a program of ours
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if errors_apart else subprocess.STDOUT,
            start_new_session=True,  # a terminal's signals are for the tracker
            bufsize=0,
        )
        assert self._process.stdin is not None  # noqa: S101  # for the type checker: it was asked for
        assert self._process.stdout is not None  # noqa: S101  # likewise
        with self._process.stdin as pipe:
            self.input = trio.lowlevel.FdStream(os.dup(pipe.fileno()))
        with self._process.stdout as pipe:
            self.output = trio.lowlevel.FdStream(os.dup(pipe.fileno()))

    @property
    def pid(self) -> int:
        return self._process.pid

    async def wait(self) -> int:
        """Its exit code, once it has ended; negative: the signal that ended it."""
        while (code := self._process.poll()) is None:  # noqa: ASYNC110  # nobody tells; its output has ended as a rule
            await trio.sleep(_POLL_SECONDS)
        return code

    async def end(self) -> bool:
        """Its input ends, so it does; if it does not, it is killed. Whether it is gone: one that waits for a disk may not be."""
        await self.input.aclose()
        with trio.move_on_after(_END_SECONDS):
            await self.wait()
        self._process.kill()  # nothing, if it has ended
        with trio.move_on_after(_END_SECONDS):
            await self.wait()
        await self.output.aclose()
        return self._process.poll() is not None


async def run(command: list[str]) -> tuple[int, bytes]:
    """One to its end: its exit code, and what it said. Cancelled, it is ended. Raises `OSError`."""
    child = Child(command)
    said = b""
    try:
        while some := await child.output.receive_some(_READ_BYTES):
            said += some
        return await child.wait(), said
    finally:
        with trio.CancelScope(shield=True):
            await child.end()
