"""Receives and sends the datagrams of a UDP listener in threads, so that other cores do that part.

A thread receives, checks connection ids, answers connects and sends, all without the interpreter's
lock. The loop decides about everything else, in one place for all threads (ADR 29). Each thread has
a socket of its own; the kernel gives all datagrams of a client's port to the same one, so that they
stay in order. This module needs the compiled build: `available` says whether it is there.
"""

from __future__ import annotations

import os
import socket
from array import array
from threading import Thread
from time import perf_counter_ns
from typing import TYPE_CHECKING, Final

from tracker.domain import packed
from tracker.frontends.udp import mmsg, recvmmsg, ring

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracker.frontends.fairness import Turn
    from tracker.frontends.udp.handler import DatagramHandler

SLOTS: Final = 1024
"""Datagrams that a thread and the loop have in hand; 4.3 MB."""
_RING_BYTES: Final = 1024  # more than the structure in ring.pxd

available: Final = bool(
    packed.COMPILED
    and recvmmsg.available
    and hasattr(socket, "SO_REUSEPORT")
    and hasattr(os, "eventfd")
)


class Receiver:
    """One thread with its socket and its ring."""

    __slots__ = (
        "_greetings", "_kept", "_memory", "_ring", "_thread", "_wakes", "batch", "taken", "unsent",
    )  # fmt: skip

    def __init__(
        self,
        sock: socket.socket,
        handler: DatagramHandler,
        sleeping: array[int],
        wakes_loop: int,
        *,
        local_addresses: bool,
    ) -> None:
        self.batch = recvmmsg.Batch(sock, local_addresses=local_addresses, slots=SLOTS)
        self.taken = 0  # datagrams that the loop has decided, or dropped
        self.unsent = 0  # replies that were not sent, as far as they are counted
        self._greetings = bytearray(16 * SLOTS)
        self._memory = bytearray(_RING_BYTES)
        self._ring = ring.of(self._memory)
        self._wakes = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        ring.prepare(
            self._ring, self.batch, SLOTS, self._greetings, handler.ids, handler.deadline, sleeping,
            wakes_loop, self._wakes,
        )  # fmt: skip
        # So that nobody changes the size of what the thread points into.
        self._kept = (memoryview(self._memory), memoryview(self._greetings), handler, sleeping)
        # A daemon, because a process that ends without `close` must not wait for it.
        self._thread = Thread(target=self._run, name="udp-receiver", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def _run(self) -> None:
        ring.run(self._ring)

    def close(self) -> None:
        """Ends the thread, after it has sent what was published."""
        ring.stop(self._ring)
        if self._thread.ident is not None:
            self._thread.join()
        os.close(self._wakes)


class Receivers:
    """All threads of a listener.

    `serve` and `serve_durably` do what there is to do. Then the loop may sleep on `fileno()` if
    `sleeps` says so.
    """

    __slots__ = ("_all", "_handler", "_sleeping", "_wakes")

    def __init__(
        self, sockets: Sequence[socket.socket], handler: DatagramHandler, *, local_addresses: bool
    ) -> None:
        """Raises `OSError`."""
        self._handler = handler
        self._sleeping = array("Q", [0])  # 1 = whoever has something wakes the loop
        self._wakes = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self._all: list[Receiver] = []
        for sock in sockets:
            receiver = Receiver(
                sock, handler, self._sleeping, self._wakes, local_addresses=local_addresses
            )
            self._all.append(receiver)

    def start(self) -> None:
        """Starts the threads. Raises `RuntimeError` where the system refuses one."""
        for receiver in self._all:
            receiver.start()

    def fileno(self) -> int:
        """Returns the descriptor that is readable when a sleeping loop has something to do."""
        return self._wakes

    def waiting(self) -> bool:
        """Tells whether datagrams wait for the loop."""
        for receiver in self._all:  # noqa: SIM110  # Cython cannot compile `any` here
            if ring.waiting(receiver._ring, receiver.taken):
                return True
        return False

    def sleeps(self) -> bool:
        """Promises a wake-up, unless something waits already."""
        ring.set_sleeping(self._sleeping, True)
        if not self.waiting():
            return True
        ring.set_sleeping(self._sleeping, False)
        return False

    def woken(self) -> None:
        ring.set_sleeping(self._sleeping, False)
        ring.clear(self._wakes)

    def serve(self, until: int) -> None:
        """Decides what waits, and what comes meanwhile, until then, by `perf_counter_ns`.

        Replies do not wait for the disk.
        """
        handler = self._handler
        requests = unsent = took_ns = 0
        began = perf_counter_ns()
        handler.begin()
        try:
            while True:
                count = self.drop() if handler.deadline.passed() else self.decide(until)
                unsent += self.publish()
                requests += count
                took_ns = perf_counter_ns() - began
                if not count or began + took_ns >= until:
                    break
                handler._service.go_on()
        finally:
            handler.end()
            handler.traffic.batch(requests, unsent, took_ns)

    async def serve_durably(self, turn: Turn) -> None:
        """Decides what waits, and gives it back once its events are on stable storage."""
        handler = self._handler
        began = perf_counter_ns()
        late = handler.deadline.passed()
        handler.begin()
        count = self.drop() if late else self.decide(turn.until)
        handler.end()
        turn.over()
        if count and handler.settle is not None:
            await handler.settle()
        handler.traffic.batch(count, self.publish(), perf_counter_ns() - began)

    def decide(self, until: int) -> int:
        """Decides what waits, up to a batch in all, until then, by `perf_counter_ns`; returns how
        many datagrams.

        Call it between the handler's `begin` and `end`.
        """
        handler = self._handler
        decided, most = 0, 256 // len(self._all)  # recvmmsg.BATCH
        for receiver in self._all:
            ring.tell_time(receiver._ring, handler.ids.slot)
            count = min(ring.waiting(receiver._ring, receiver.taken), most)
            while count:
                piece = min(count, 32)  # as in `answer_some`
                handler.answer_all(receiver.batch, piece, receiver.taken % 1024)  # SLOTS
                receiver.taken += piece
                decided += piece
                count = 0 if perf_counter_ns() >= until else count - piece
            if handler.settle is None:
                ring.publish(receiver._ring, receiver.taken)
        return decided

    def publish(self) -> int:
        """Lets the threads send what was decided; returns the replies that they could not send
        since the last call.
        """
        unsent = 0
        for receiver in self._all:
            ring.publish(receiver._ring, receiver.taken)
            total = ring.unsent(receiver._ring)
            unsent += total - receiver.unsent
            receiver.unsent = total
        return unsent

    def drop(self) -> int:
        """Drops what waits after the deadline, unanswered; returns how many datagrams."""
        dropped = 0
        for receiver in self._all:
            count = ring.waiting(receiver._ring, receiver.taken)
            first = receiver.taken % 1024  # SLOTS
            for slot in range(first, first + count):
                mmsg.put_vector(receiver.batch.vectors, slot * 16, 0, 0)
            receiver.taken += count
            dropped += count
        self._handler.traffic.ignored += dropped
        return dropped

    def refused(self) -> OSError | None:
        """Returns the system's refusal to receive since the last call."""
        number = 0
        for receiver in self._all:
            number = ring.refused(receiver._ring) or number
        return OSError(number, os.strerror(number)) if number else None

    def close(self) -> None:
        """Ends the threads."""
        for receiver in self._all:
            receiver.close()
        os.close(self._wakes)


if (SLOTS, recvmmsg.BATCH, recvmmsg.SLOT) != (1024, 256, 2016):
    raise AssertionError("Receivers, the handler and ring.pxd spell these numbers out")
