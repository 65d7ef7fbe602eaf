"""A helper process: both ends of a pipe over which questions and answers go, as pickles with their length before them.

The tracker's side is `Helper`, an answer to each question in turn; the process's side is `serve`. What is asked is
the business of those that use it (`past_reads`, `ledger_reads`).
"""

from __future__ import annotations

import os
import pickle  # between two processes of ours, over their own pipe
import sys
from contextlib import suppress
from queue import SimpleQueue
from struct import Struct
from threading import Thread
from typing import TYPE_CHECKING, Any, NamedTuple

import trio
from attrs import define, field

from eventlog import LogError
from tracker.ports import BusyError, NoMomentError
from tracker.workers import lifetime
from tracker.workers.child import Child

if TYPE_CHECKING:
    from collections.abc import Callable

LENGTH = Struct("<I")
_LOOK_SECONDS = 0.02
_READ_BYTES = 1 << 18


class Failed(NamedTuple):
    """An answer: what was asked could not be done, the text says why."""

    text: str


def packed(message: object) -> bytes:
    data = pickle.dumps(message)
    return LENGTH.pack(len(data)) + data


@define(eq=False)
class Helper:
    """A process, started when it is needed. One question is under way at a time."""

    command: list[str]
    users: int = 0  # who needs it as it is now
    used: float = 0.0  # when the latest question came
    owed: int = 0  # answers to come; nobody may be waiting for them any more
    _process: Child | None = None
    _received: bytearray = field(factory=bytearray)
    _turn: trio.Semaphore = field(factory=lambda: trio.Semaphore(1))

    @property
    def runs(self) -> bool:
        return self._process is not None

    async def ask(self, question: object) -> object:
        """Raises `BusyError` when the process ended, `NoMomentError`, `LogError`."""
        async with self._turn:
            try:
                await self._settle()
                await self._send(packed(question))
                self.owed += 1
                answer = await self._receive()
            except (OSError, EOFError, trio.BrokenResourceError, trio.ClosedResourceError):
                await self.end()
                text = "the process that computes this has ended: ask again"
                raise BusyError(text) from None
        if isinstance(answer, NoMomentError):
            raise answer
        if isinstance(answer, Failed):
            raise LogError(answer.text)
        return answer

    async def look(self) -> None:
        """Take what came of a question that nobody waits for."""
        with trio.move_on_after(_LOOK_SECONDS):
            async with self._turn:
                try:
                    await self._settle()
                except (OSError, EOFError, trio.BrokenResourceError, trio.ClosedResourceError):
                    await self.end()

    async def _settle(self) -> None:
        while self.owed:
            await self._receive()

    async def _send(self, message: bytes) -> None:
        with trio.CancelScope(
            shield=True
        ):  # half a question would spoil the next; it fits the pipe
            if self._process is None:
                self._process = Child(self.command, errors_apart=True)
            await self._process.input.send_all(message)

    async def _receive(self) -> object:
        """The next answer. Cancelled, it leaves what has come for the next time."""
        await self._fill(LENGTH.size)
        (size,) = LENGTH.unpack_from(self._received)
        await self._fill(LENGTH.size + size)
        data = bytes(self._received[LENGTH.size : LENGTH.size + size])
        del self._received[: LENGTH.size + size]
        self.owed -= 1
        answer: object = pickle.loads(data)  # noqa: S301  # of our own process
        return answer

    async def _fill(self, size: int) -> None:
        while len(self._received) < size:
            if self._process is None:
                raise EOFError
            some = await self._process.output.receive_some(_READ_BYTES)
            if not some:
                raise EOFError
            self._received += some

    async def end(self) -> None:
        """Its input ends, so it does; if it does not, it is killed."""
        process, self._process = self._process, None
        self.owed = 0
        self.ended()
        self._received.clear()
        if process is not None:
            with trio.CancelScope(shield=True):
                await process.end()

    def ended(self) -> None:
        """For whoever remembers what the process knows."""


# The process's side.


def serve(answer: Callable[[Any], object]) -> None:
    """Answer what comes on standard input, at low priority; ends when that does, or the tracker."""
    lifetime.end_with_parent()
    lifetime.step_back()
    questions: SimpleQueue[object] = SimpleQueue()
    Thread(target=_listen, args=(questions,), daemon=True).start()
    while True:
        sys.stdout.buffer.write(packed(answer(questions.get())))
        sys.stdout.buffer.flush()


def _listen(questions: SimpleQueue[object]) -> None:
    """Whatever is being computed: when the tracker ends, even killed, so does this."""
    pipe = sys.stdin.buffer
    with suppress(OSError):
        while len(head := pipe.read(LENGTH.size)) == LENGTH.size:
            questions.put(pickle.loads(pipe.read(*LENGTH.unpack(head))))  # noqa: S301  # our own
    os._exit(0)
