"""Starts and ends a process beside the tracker that does not outlive it, even when the child is
stopped or hangs.

The kernel kills the child (`lifetime.end_with_parent`) when the thread that started it ends, even
if the process goes on. So the main thread starts it: trio's worker threads end when they are idle.
"""

from __future__ import annotations

import os
import subprocess
import sys

import trio

_POLL_SECONDS = 0.02
_END_SECONDS = 5.0
_READ_BYTES = 1 << 16


def python(module: str, *arguments: str) -> list[str]:
    """Returns the command that runs one of our modules as a process, for `Child` and `run`.

    It imports nothing from the working folder, because a file there may be called like a module.
    """
    return [sys.executable, "-P", "-m", module, *arguments]


class Child:
    """A running child. Its standard input is a pipe that ends with the tracker."""

    def __init__(
        self, command: list[str], *, errors_apart: bool = False, sockets: tuple[int, ...] = ()
    ) -> None:
        """Starts the child, in about a millisecond; call it in the main thread. Raises `OSError`.

        The child's standard error comes with its output, or with `errors_apart` goes where the
        tracker's goes. `sockets`: descriptors that it gets, under the same numbers.
        """
        self._process = subprocess.Popen(  # noqa: S603  # a program of ours
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=None if errors_apart else subprocess.STDOUT,
            start_new_session=True,  # because Ctrl-C in a terminal is for the tracker
            bufsize=0,
            pass_fds=sockets,
        )
        assert self._process.stdin is not None  # noqa: S101  # for mypy: it is a pipe
        assert self._process.stdout is not None  # noqa: S101  # likewise
        with self._process.stdin as pipe:
            self.input = trio.lowlevel.FdStream(os.dup(pipe.fileno()))
        with self._process.stdout as pipe:
            self.output = trio.lowlevel.FdStream(os.dup(pipe.fileno()))

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def ended(self) -> bool:
        return self._process.poll() is not None

    async def receive(self, most: int) -> bytes:
        """Returns some bytes of the child's output, b"" at its end. Raises `OSError`."""
        try:
            return bytes(await self.output.receive_some(most))
        except trio.BrokenResourceError as error:  # the system refused to read
            raise OSError(f"what the process says cannot be read: {error.__cause__}") from error

    async def wait(self) -> int:
        """Waits for the child's end; returns its exit code, negative for the signal that ended
        it.
        """
        # Polling is enough: mostly its output has ended already, and so has the process.
        while (code := self._process.poll()) is None:  # noqa: ASYNC110  # there is no event for it
            await trio.sleep(_POLL_SECONDS)
        return code

    async def end(self) -> bool:
        """Closes the child's input, on which it ends, and kills it when it goes on all the same.

        Returns whether it is gone: a process that waits for a disk may not be.
        """
        await self.input.aclose()
        with trio.move_on_after(_END_SECONDS):
            await self.wait()
        self._process.kill()  # does nothing when it has ended
        with trio.move_on_after(_END_SECONDS):
            await self.wait()
        await self.output.aclose()
        return self._process.poll() is not None


async def run(command: list[str]) -> tuple[int, bytes]:
    """Runs a child to its end; returns its exit code and its output.

    Ends it when cancelled. Raises `OSError`.
    """
    child = Child(command)
    output = b""
    try:
        while some := await child.receive(_READ_BYTES):
            output += some
        return await child.wait(), output
    finally:
        with trio.CancelScope(shield=True):
            await child.end()
