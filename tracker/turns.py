"""Bounds how much connections do in one pass of the event loop, so that they hold nobody else up.

In one pass trio runs every task that can go on. Thousands of connections can make as many tasks go
on at once, by sending their requests or TLS handshakes together, and everything else waits until
all of them are done. Here some go on in each pass, in the order of their arrival.
"""

from __future__ import annotations

from collections import OrderedDict

import trio


class Turns:
    """Gives out turns, at most `most` in a pass of the event loop."""

    __slots__ = ("_left", "_most", "_renewing", "_waiting")

    def __init__(self, most: int) -> None:
        self._most = most
        self._left = most
        self._renewing = False  # a task waits for the next pass, to give out turns again
        self._waiting: OrderedDict[trio.lowlevel.Task, trio.socket.SocketType] = OrderedDict()

    async def turn(self, connection: trio.socket.SocketType) -> None:
        """Waits for a turn. Where there is one it returns at once, and is no checkpoint.

        Raises `ClosedResourceError` if the connection was closed meanwhile.
        """
        while not self._left:
            if self._renewing:
                await self._wait(connection)
                continue
            self._renewing, takes_one = True, False
            try:
                await trio.lowlevel.checkpoint()
                takes_one = True
            finally:
                self._renewing = False
                self._left = self._most
                self._wake(self._most + (not takes_one))
        self._left -= 1

    def _wake(self, count: int) -> None:
        """Wakes one task more than there are turns left, and that one renews the turns again.

        Connections that gave way to others are woken too, because they would hold memory.
        """
        while count and self._waiting:
            task, connection = self._waiting.popitem(last=False)
            trio.lowlevel.reschedule(task)
            count -= connection.fileno() >= 0

    async def _wait(self, connection: trio.socket.SocketType) -> None:
        task = trio.lowlevel.current_task()

        def abort(_: object) -> trio.lowlevel.Abort:
            del self._waiting[task]
            return trio.lowlevel.Abort.SUCCEEDED

        self._waiting[task] = connection
        await trio.lowlevel.wait_task_rescheduled(abort)
        if connection.fileno() < 0:
            self._wake(1)  # in its place
            raise trio.ClosedResourceError


class InTurn(trio.abc.Stream):
    """A connection below TLS, which works on each piece of its bytes in turn."""

    def __init__(self, transport: trio.SocketStream, turns: Turns) -> None:
        self.transport = transport
        self._turns = turns

    async def receive_some(self, max_bytes: int | None = None) -> bytes | bytearray:
        data = await self.transport.receive_some(max_bytes)
        await self._turns.turn(self.transport.socket)
        return data

    async def send_all(self, data: bytes | bytearray | memoryview) -> None:
        await self.transport.send_all(data)

    async def wait_send_all_might_not_block(self) -> None:
        await self.transport.wait_send_all_might_not_block()

    async def aclose(self) -> None:
        await self.transport.aclose()
