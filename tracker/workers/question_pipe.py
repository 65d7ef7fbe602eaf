"""A helper process and the pipe to it: questions go in, answers come out, as pickles with their
length before them.

The tracker's side is `Helper`, which gets one answer to each question. The process's side is a
`Worker`, run by `serve`. `tracker.history.past` and `tracker.ledger.client` decide what is asked.
"""

from __future__ import annotations

import os
import pickle  # between two processes of ours, over their own pipe
import sys
from abc import ABC, abstractmethod
from contextlib import contextmanager, suppress
from queue import SimpleQueue
from struct import Struct
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import trio
from attrs import define, field, frozen

from eventlog import LogError, LogPrunedError, first_seq
from tracker import streams
from tracker.domain.events.codec import CodecError
from tracker.domain.state import ReplayError
from tracker.ports import BusyError, NoMomentError, PrunedMomentError, UnreadableLogError
from tracker.workers import lifetime
from tracker.workers.child import Child

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

IDLE_SECONDS = 120.0
"""Seconds without a question after which a helper process gives back the memory of what it read:
another one takes its place, because a start takes half a second, which the next question would
wait for.
"""
REST_SECONDS = 12 * 3600.0
"""Seconds without a question after which there is no process any more; as long as a session of the
console lasts.
"""
KEPT_SECONDS = 60.0
"""Seconds after a question for which its answer is kept for who asks the same: the log goes on, and
keys to addresses may be shredded.
"""
GIVE_UP_SECONDS = 600.0
"""Seconds after which a process is ended that still works on a question whose asker has left."""

_LENGTH = Struct("<I")
_SETTLE_SECONDS = 0.02
_READ_BYTES = 1 << 18


@frozen
class Question:
    """A call of the worker's method of that name.

    `kept`: who asks the same soon after an asker left gets the answer to that asker's question.
    """

    method: str
    arguments: tuple[Any, ...] = ()
    kept: bool = False


class Failed(NamedTuple):
    """The answer to a question that could not be answered; the text says why."""

    text: str


def _packed(message: object) -> bytes:
    data = pickle.dumps(message)
    return _LENGTH.pack(len(data)) + data


# The tracker's side.


@define(eq=False)
class Helper:
    """A helper process, started by the first question. It works on one question at a time.

    After `IDLE_SECONDS` without a question a new process takes its place, after `REST_SECONDS`
    none.
    """

    command: list[str]
    worker: Worker | None = None  # answers in this process, in place of another one
    users: int = 0  # tasks that need the process in its present state
    used: float = 0.0  # when a task last began or ceased to use it
    owed: int = 0  # answers to come, also to questions whose asker has left
    fresh: bool = False  # the process has read nothing yet
    _asked: Question | None = None  # the latest one
    _asked_at: float = 0.0  # trio's clock
    _process: Child | None = None
    _received: bytearray = field(factory=bytearray)
    _turn: trio.Semaphore = field(factory=lambda: trio.Semaphore(1))

    @property
    def runs(self) -> bool:
        return self._process is not None

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keeps the process from being ended as idle."""
        self.users += 1
        self.used = trio.current_time()
        try:
            yield
        finally:
            self.users -= 1
            self.used = trio.current_time()

    async def ask(self, question: Question) -> object:
        """Raises `BusyError` when the process has ended, `NoMomentError`, `UnreadableLogError`."""
        if self.worker is not None:
            return _said(self.worker.answer(question))
        async with self._turn:
            try:
                if not self._comes(question):
                    await self._receive_owed()
                    await self._send(_packed(question))
                    self._asked, self._asked_at = question, trio.current_time()
                    self.owed += 1
                answer = await self._receive()
            except (OSError, EOFError, trio.BrokenResourceError, trio.ClosedResourceError):
                await self.end()
                text = "the process that computes this has ended: ask again"
                raise BusyError(text) from None
        return _said(answer)

    def _comes(self, question: Question) -> bool:
        """Tells whether the answer to a question is to come, because somebody asked it lately."""
        lately = trio.current_time() - self._asked_at < KEPT_SECONDS
        return question.kept and self.owed > 0 and question == self._asked and lately

    async def settle(self) -> None:
        """Takes answers whose askers have left.

        Ends the process when they do not come for too long.
        """
        with trio.move_on_after(_SETTLE_SECONDS):
            async with self._turn:
                try:
                    await self._receive_owed()
                except (OSError, EOFError, trio.BrokenResourceError, trio.ClosedResourceError):
                    await self.end()
        if self.owed and not self.users and self._unused_seconds() > GIVE_UP_SECONDS:
            await self.end()

    async def rest_if_idle(self) -> None:
        """Ends the process, or replaces it by a new one, when it has had no question for long."""
        unused = self._unused_seconds()
        if self.users or not self.runs or unused < (REST_SECONDS if self.fresh else IDLE_SECONDS):
            return
        await self.settle()
        if self.users or self.owed:
            return
        await self.end()
        if unused < REST_SECONDS and self._process is None:
            with suppress(OSError):  # then the next question starts it
                self._start()

    def _start(self) -> Child:
        """Starts a process. Raises `OSError`."""
        self._process, self.fresh = Child(self.command, errors_apart=True), True
        return self._process

    def _unused_seconds(self) -> float:
        return trio.current_time() - self.used

    async def _receive_owed(self) -> None:
        while self.owed:
            await self._receive()

    async def _send(self, message: bytes) -> None:
        # Shielded because half a question would spoil the next one. A question fits the pipe, so
        # this does not block.
        with trio.CancelScope(shield=True):
            if (dead := self._process) is not None and self.fresh and dead.ended:
                self._process = None  # it ended unused, for example because memory was scarce
                await dead.end()
            process = self._process or self._start()
            self.fresh = False
            await process.input.send_all(message)

    async def _receive(self) -> object:
        """The next answer.

        When it is cancelled, the bytes received so far stay for the next call.
        """
        await self._fill(_LENGTH.size)
        (size,) = _LENGTH.unpack_from(self._received)
        await self._fill(_LENGTH.size + size)
        data = bytes(self._received[_LENGTH.size : _LENGTH.size + size])
        del self._received[: _LENGTH.size + size]
        self.owed -= 1
        answer: object = pickle.loads(data)  # noqa: S301  # of our own process
        return answer

    async def _fill(self, size: int) -> None:
        while len(self._received) < size:
            if self._process is None:
                raise EOFError
            some = await self._process.receive(_READ_BYTES)
            if not some:
                raise EOFError
            self._received += some

    async def end(self) -> None:
        """Ends the process: its input ends, and if it goes on all the same it is killed."""
        process, self._process = self._process, None
        self.owed = 0
        self.ended()
        self._received.clear()
        if process is not None:
            with trio.CancelScope(shield=True):
                await process.end()

    def ended(self) -> None:
        """For subclasses that note what the process has in memory."""


def _said(answer: object) -> object:
    """Returns an answer. Raises `NoMomentError`, `UnreadableLogError` if it says so."""
    if isinstance(answer, NoMomentError):
        raise answer
    if isinstance(answer, Failed):
        raise UnreadableLogError(answer.text)
    return answer


async def rest_when_idle(helpers: Sequence[Helper]) -> None:
    """Lets helpers without questions rest, until it is cancelled; then it ends them all."""
    try:
        while True:
            await trio.sleep(IDLE_SECONDS / 10)
            for helper in helpers:
                await helper.rest_if_idle()
    finally:
        for helper in helpers:
            await helper.end()


@contextmanager
def answered_within(seconds: float, text: str) -> Iterator[None]:
    """Raises `BusyError` with this text when the answer takes longer.

    The process goes on with the question.
    """
    try:
        with trio.fail_after(seconds):
            yield
    except trio.TooSlowError:
        raise BusyError(text) from None


# The process's side.


class Keys(Protocol):
    """The keys to addresses, as `tracker.store.address_keys.Keyring` has them."""

    def forget(self) -> bool:
        """Drops keys that were shredded. Returns whether it had any of them."""
        ...


class Worker(ABC):
    """Answers questions over a log by the method that each one names. Blocking.

    A worker may keep what it has read for later questions, but not beyond the shredding of a key
    that opened it.
    """

    def __init__(self, log: Path, keys: Keys | None) -> None:
        self._log = log
        self._keys_used = keys

    @abstractmethod
    def forget(self) -> None:
        """Drops everything that was read from the log."""

    def answer(self, question: Question) -> object:
        """Returns what the method returns; or `NoMomentError`, or `Failed` with the reason."""
        try:
            if self._keys_used is not None and self._keys_used.forget():
                self.forget()
            try:
                return self._call(question)
            except LogPrunedError:  # between two questions, or while this one was read
                self.forget()
                return self._call(question)
        except NoMomentError as error:
            return error
        except LogPrunedError:
            return PrunedMomentError(first_seq(self._log))
        except (LogError, CodecError, ReplayError, OSError) as error:
            self.forget()
            return Failed(str(error))

    def _call(self, question: Question) -> object:
        answer: object = getattr(self, question.method)(*question.arguments)
        return answer


def serve(worker: Worker) -> None:
    """Answers questions from standard input, at low priority, until it ends or the tracker does."""
    lifetime.end_with_parent()
    lifetime.step_back()
    streams.never_wait("stderr")  # for the tracker's reader of it may be gone
    questions: SimpleQueue[Question] = SimpleQueue()
    lifetime.start_thread(_listen, questions)
    while True:
        sys.stdout.buffer.write(_packed(worker.answer(questions.get())))
        sys.stdout.buffer.flush()


def _listen(questions: SimpleQueue[Question]) -> None:
    """Ends the process with its input, in the middle of a computation too: the tracker has ended,
    or was killed.
    """
    pipe = sys.stdin.buffer
    with suppress(OSError, EOFError, pickle.UnpicklingError):  # the last question may be cut off
        while len(head := pipe.read(_LENGTH.size)) == _LENGTH.size:
            questions.put(pickle.loads(pipe.read(*_LENGTH.unpack(head))))  # noqa: S301  # our own
    os._exit(0)
