"""Serves one connection of the API with Hypercorn's trio server, and changes nine of its habits.

- It serves only HTTP/1.1. It ignores an `Upgrade` header (RFC 9110, section 7.8), `h2c` as well as
  `websocket`, because a WebSocket upgrade makes Hypercorn 0.18 raise out of the connection (its
  issue 225).
- Sending can be cancelled and has a time limit. Hypercorn shields it, so that a client that stops
  reading could delay the shutdown without limit.
- After an early response (413) it reads and drops the rest of the request for a moment, because
  closing at once would reset the connection, and the client would lose the response.
- The idle timer also runs between two requests. With Quart-Trio, Hypercorn stops it after the first
  request. It is a deadline, because a task for each wait, as Hypercorn's, costs several passes of
  the event loop.
- A response whose length is known goes out in one piece. Hypercorn sends its head, its body and its
  empty end, and each of them costs two passes of the loop.
- Closing waits for nothing, also under TLS: the caller closes the socket.
- Its own answers, to what is no request, have the headers that every answer must have.
- A request with `Content-Length` and `Transfer-Encoding` gets 400 and the connection is closed (RFC
  9112, section 6.1). h11 takes it as chunked, where a proxy in front may have gone by the length:
  then the two disagree about where the next request begins.

Only this module and `api.serve` know Hypercorn's internals. They fit version 0.18.
"""

from __future__ import annotations

from contextlib import suppress
from math import inf
from socket import AF_INET, AF_INET6, inet_pton
from typing import TYPE_CHECKING, Final

import h11
import trio
from hypercorn.config import Config
from hypercorn.events import Closed, Event, RawData, Updated
from hypercorn.protocol.h11 import H11Protocol
from hypercorn.trio.task_group import TaskGroup
from hypercorn.trio.tcp_server import TCPServer
from hypercorn.typing import ConnectionState
from hypercorn.utils import parse_socket_addr

from tracker.turns import in_steps

if TYPE_CHECKING:
    from hypercorn.trio.worker_context import WorkerContext
    from hypercorn.typing import AppWrapper, H11SendableEvent

    from tracker.turns import Turns

    Stream = trio.SocketStream | trio.SSLStream[trio.SocketStream]

RECEIVED_AT_ONCE: Final = 2048
"""Bytes, because a body may come in chunks of a byte, and each of those takes 30 us."""
SEND_TIMEOUT: Final = 10.0  # the longest time to send one chunk, in seconds
SHARED_TURNS: Final = "turns"
"""The name, in a connection's state, of the turns of all connections."""
LINGER: Final = 1.0  # seconds that a client gets to close after the last response

_V4_MAPPED = bytes(10) + b"\xff\xff"
_GONE = (trio.BrokenResourceError, trio.ClosedResourceError, trio.BusyResourceError)


class Served(Config):
    every: tuple[tuple[bytes, bytes], ...] = ()  # headers that every answer must have


class Http1(H11Protocol):
    config: Served
    _head = b""  # of a response, until its body comes

    async def _send_h11_event(self, event: H11SendableEvent) -> None:
        if isinstance(event, h11.Response) and self.config.every:
            event = _with_headers(event, self.config.every)
        try:
            data = self.connection.send(event)
        except h11.LocalProtocolError:
            if self.connection.their_state is not h11.ERROR:
                raise
            return
        data, self._head = self._head + (data or b""), b""
        if isinstance(event, h11.Response) and _has_length(event):
            self._head = data
        elif data:
            await self.send(RawData(data=data))

    async def _check_protocol(self, event: h11.Request) -> None:
        """Does nothing. Hypercorn's own method would switch to HTTP/2."""

    async def _create_stream(self, request: h11.Request) -> None:
        if _of_unsure_length(request):
            await self._send_error_response(400)
            await self.send(Closed())
            return
        await trio.lowlevel.checkpoint()
        await super()._create_stream(_without_upgrade(request))


def _with_headers(response: h11.Response, more: tuple[tuple[bytes, bytes], ...]) -> h11.Response:
    """Adds those headers that a response does not have."""
    there = {name for name, _ in response.headers}
    headers = [*response.headers, *(one for one in more if one[0] not in there)]
    return h11.Response(status_code=response.status_code, headers=headers)


def _has_length(response: h11.Response) -> bool:
    return any(name == b"content-length" for name, _ in response.headers)


def _of_unsure_length(request: h11.Request) -> bool:
    """Tells whether others may read another length of the body from these headers."""
    names = {name for name, _ in request.headers}
    if b"transfer-encoding" not in names:
        return False
    return b"content-length" in names or request.http_version < b"1.1"


def _without_upgrade(request: h11.Request) -> h11.Request:
    if all(name != b"upgrade" for name, _ in request.headers):
        return request
    return h11.Request(
        method=request.method,
        target=request.target,
        headers=[(name, value) for name, value in request.headers if name != b"upgrade"],
        http_version=request.http_version,
    )


class Connection(TCPServer):
    """A connection. Call `run` once to serve it.

    `run` raises the errors that Hypercorn does not handle; the caller must handle them, and close
    the socket.
    """

    def __init__(
        self,
        app: AppWrapper,
        config: Served,
        context: WorkerContext,
        stream: Stream,
        turns: Turns,
    ) -> None:
        """`turns`: those of all connections, for each step."""
        # Hypercorn declares TLS streams only, but takes both kinds.
        super().__init__(app, config, context, ConnectionState({}), stream)  # type: ignore[arg-type]
        self._socket = stream
        self._turns = turns
        self.scope = trio.CancelScope()
        self._reading = trio.CancelScope()  # its deadline is the end of the time for a request
        self._lingering = False

    def address(self) -> bytes:
        """Returns the client's address, 4 or 16 bytes; b"" over a Unix socket or once it left."""
        plain = _plain(self._socket).socket
        with suppress(OSError):
            if plain.family in (AF_INET, AF_INET6):
                packed = inet_pton(plain.family, plain.getpeername()[0].partition("%")[0])
                return packed.removeprefix(_V4_MAPPED)
        return b""

    async def run(self) -> None:
        await in_steps(self._run(), self._turns)

    async def _run(self) -> None:
        # The scope surrounds the group, because Hypercorn's group lets its own cancellation escape.
        with self.scope:
            if await self._handshake():
                async with TaskGroup() as self._task_group:
                    await self._talk()

    async def _handshake(self) -> bool:
        """Does the TLS handshake. Returns False if the client did not complete it in time."""
        if isinstance(self._socket, trio.SocketStream):
            return True
        try:
            with trio.fail_after(self.config.ssl_handshake_timeout):
                await self._socket.do_handshake()
        except (trio.BrokenResourceError, trio.TooSlowError):
            return False
        return True

    async def _talk(self) -> None:
        self.protocol = self._http1()  # type: ignore[assignment] # it never switches
        self._wait_for_request()
        with self._reading:
            await self._read_data()
        await self.protocol.handle(Closed())
        self.scope.cancel()

    def _wait_for_request(self) -> None:
        """Ends the connection if the next request does not come in time, or the server stops."""
        stops = self.context.terminated.is_set()
        self._reading.deadline = (
            -inf if stops else trio.current_time() + self.config.keep_alive_timeout
        )

    def end_if_idle(self) -> None:
        """Ends the connection, unless a request is being answered."""
        if self._reading.deadline < inf:
            self._reading.cancel()

    def _http1(self) -> Http1:
        tls = isinstance(self._socket, trio.SSLStream)
        socket = _plain(self._socket).socket
        return Http1(
            self.app,
            self.config,
            self.context,
            self._task_group,
            ConnectionState(self.state | {SHARED_TURNS: self._turns}),
            tls,
            parse_socket_addr(socket.family, socket.getpeername()),
            parse_socket_addr(socket.family, socket.getsockname()),
            self.protocol_send,
        )

    async def protocol_send(self, event: Event) -> None:
        if isinstance(event, RawData):
            await self._send(event.data)
        elif isinstance(event, Updated):
            if event.idle:
                self._wait_for_request()
            else:
                self._reading.deadline = inf
        elif isinstance(event, Closed):
            # Quart cancels the task that ends a response at this very moment.
            with trio.move_on_after(LINGER, shield=True):
                await self._half_close()
                await self.protocol.handle(Closed())

    async def _send(self, data: bytes) -> None:
        try:
            self.send_lock.acquire_nowait()  # `acquire` would be a checkpoint
        except trio.WouldBlock:
            await self.send_lock.acquire()
        try:
            with trio.fail_after(SEND_TIMEOUT):
                await self.stream.send_all(data)
        except (*_GONE, trio.TooSlowError):
            self.scope.cancel()
        finally:
            self.send_lock.release()

    async def _half_close(self) -> None:
        """Ends the output, and gives the client `LINGER` seconds to read the rest."""
        if self._lingering:
            return
        self._lingering = True
        self.scope.deadline = min(self.scope.deadline, trio.current_time() + LINGER)
        try:
            await self._end_of_output()
        except _GONE:
            self.scope.cancel()

    async def _end_of_output(self) -> None:
        if isinstance(self._socket, trio.SocketStream):
            await self._socket.send_eof()
        else:  # trio's TLS cannot close one direction only
            await self._socket.aclose()

    async def _read_data(self) -> None:
        while data := await self._receive():
            if not self._lingering:
                await self.protocol.handle(RawData(data))

    async def _receive(self) -> bytes:
        """Returns bytes from the client; b"" = the client ended."""
        try:
            return bytes(await self.stream.receive_some(RECEIVED_AT_ONCE))
        except _GONE:
            return b""


def _plain(stream: Stream) -> trio.SocketStream:
    return stream if isinstance(stream, trio.SocketStream) else stream.transport_stream
