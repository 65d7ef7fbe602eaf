"""Runs the API on a real socket, and sends requests written byte by byte."""

from __future__ import annotations

from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import trio
from attrs import frozen

from api.serve import Settings, serve

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

    from hypercorn.typing import ASGIFramework

GUARD = 20  # seconds after which a test is stuck
QUERY = "?token=MyAccessToken"


@frozen
class Running:
    port: int
    shutdown: trio.Event
    stopped: trio.Event

    async def connect(self) -> trio.SocketStream:
        return await trio.open_tcp_stream("127.0.0.1", self.port)

    async def exchange(self, request: bytes) -> bytes:
        """Sends `request`, and returns all bytes of the server until it closes."""
        async with await self.connect() as stream:
            await stream.send_all(request)
            return await until_closed(stream)

    async def get(self, target: str) -> bytes:
        head = f"GET {target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        return await self.exchange(head.encode())


@asynccontextmanager
async def running(
    app: ASGIFramework, settings: Settings | None = None, tls: ssl.SSLContext | None = None
) -> AsyncIterator[Running]:
    """Serves `app`. At the end the server has to stop within `GUARD`."""
    with trio.fail_after(GUARD):
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        port = listeners[0].socket.getsockname()[1]
        server = Running(port, trio.Event(), trio.Event())

        async def run(task_status: trio.TaskStatus[None]) -> None:
            start = partial(serve, settings=settings, ssl_context=tls, task_status=task_status)
            await start(app, listeners, server.shutdown)
            server.stopped.set()

        async with trio.open_nursery() as nursery:
            await nursery.start(run)
            yield server
            server.shutdown.set()


async def until_closed(stream: trio.abc.ReceiveStream) -> bytes:
    return b"".join([chunk async for chunk in stream])


def body_of(response: bytes) -> bytes:
    """Returns the body of one response that is not chunked."""
    return response.partition(b"\r\n\r\n")[2]


def unchunked(response: bytes) -> bytes:
    """Returns the body of one chunked response."""
    rest, body = body_of(response), b""
    while True:
        size, _, rest = rest.partition(b"\r\n")
        if not int(size, 16):
            return body
        body += rest[: int(size, 16)]
        rest = rest[int(size, 16) + 2 :]
