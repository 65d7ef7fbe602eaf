"""Serves the HTTP tracker's sockets.

Plain connections are served by an engine (tracker/frontends/http/engine.py), without a task for
any. Under TLS each connection is a task, because a handshake takes several steps; its requests are
parsed and answered by the same code. Without epoll, plain connections are tasks too.
"""

from __future__ import annotations

import select
import socket
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

import trio

from tracker.frontends.fairness import FairShare
from tracker.frontends.http.calls import LOOPBACK
from tracker.frontends.http.engine import LINGER_READS, NO_GREETING, Engine
from tracker.frontends.waiting import wait_out
from tracker.turns import InTurn
from tracker.wire.request import REQUEST_LIMIT, RequestParser, may_end

if TYPE_CHECKING:
    import ssl

    from tracker.frontends.http.connections import ConnectionLimits, Greeting
    from tracker.frontends.http.handler import RequestHandler
    from tracker.places import Place

    Stream = trio.SocketStream | trio.SSLStream[InTurn]

BACKLOG = 4096  # connections not yet accepted
TOGETHER = 32  # connections that are accepted in one pass of the event loop and become tasks
_READ = 16_384  # bytes read at once


def open_socket(host: str, port: int, *, v6only: bool = False) -> socket.socket:
    """Returns a listening, non-blocking TCP socket. Raises `OSError`."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(v6only))
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((host, port))
        sock.listen(BACKLOG)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return sock


def _save_segments(listener: socket.socket) -> None:
    """Sets options that accepted connections inherit: no segment for an ACK alone, because the
    reply carries it, and no waiting for more data before one with a reply.
    """
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    if hasattr(socket, "TCP_QUICKACK"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)


async def serve(
    listener: socket.socket,
    handler: RequestHandler,
    limits: ConnectionLimits,
    tls: ssl.SSLContext | None = None,
    greeting: Greeting | None = None,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answers requests until cancelled, under TLS if `tls` is given. Owns the listening socket.

    `limits` bounds the waiting connections of all listeners that share it. `greeting`: what each
    connection begins with, before TLS; None = nothing.
    """
    with listener:
        if listener.family != socket.AF_UNIX:
            _save_segments(listener)
        async with trio.open_nursery() as nursery:
            if tls is None and hasattr(select, "epoll"):
                engine = Engine(listener.fileno(), handler, limits, greeting)
                task_status.started()
                try:
                    idle = trio.lowlevel.ParkingLot()
                    nursery.start_soon(_expire, engine, idle)
                    await _run(engine, handler, nursery, idle)
                finally:
                    engine.close()
            else:
                task_status.started()
                await Tasks(handler, nursery, limits, tls, greeting).accept(listener)


async def _run(
    engine: Engine,
    handler: RequestHandler,
    nursery: trio.Nursery,
    idle: trio.lowlevel.ParkingLot,
) -> None:
    fair_share = FairShare()
    took_ns = 0
    while True:
        try:
            if engine.busy():
                await trio.lowlevel.checkpoint()
            else:
                await trio.lowlevel.wait_readable(engine.fileno())
        except OSError as error:  # the system refuses to wait
            await wait_out(error)
        await fair_share.let_others_run(took_ns)
        began = perf_counter_ns()
        engine.serve()
        if engine.refused is not None:
            nursery.start_soon(_accept_later, engine, engine.refused)
            engine.refused = None
        if handler.settle is not None:
            await handler.settle()
            engine.send_held()
        if idle and engine.waits():
            idle.unpark()
        took_ns = perf_counter_ns() - began


async def _accept_later(engine: Engine, error: OSError) -> None:
    """Waits out what the system refuses: no descriptors, no memory. Connections end meanwhile."""
    refused: OSError | None = error
    while refused is not None:
        await wait_out(refused)
        refused = None
        try:
            engine.accept_again()
        except OSError as again:
            refused = again


async def _expire(engine: Engine, idle: trio.lowlevel.ParkingLot) -> None:
    """Ends connections in time; while there is none it waits in `idle`, and costs nothing."""
    while True:
        if not engine.waits():
            await idle.park()
        await trio.sleep(engine.tick_seconds)
        engine.expire()


class Tasks:
    """Gives each connection of one listener a task."""

    __slots__ = ("_context", "_greeting", "_handler", "_header", "_limits", "_nursery")

    def __init__(
        self,
        handler: RequestHandler,
        nursery: trio.Nursery,
        limits: ConnectionLimits,
        context: ssl.SSLContext | None,
        greeting: Greeting | None,
    ) -> None:
        self._greeting = greeting
        self._handler = handler
        self._nursery = nursery
        self._limits = limits
        self._context = context
        self._header = handler.proxies.header.lower().encode() if handler.proxied else b""

    async def accept(self, listener: socket.socket) -> None:
        """Accepts until cancelled."""
        while True:
            try:
                await trio.lowlevel.wait_readable(listener)
                for _ in range(TOGETHER):
                    try:
                        connection, source = listener.accept()
                    except (BlockingIOError, ConnectionAbortedError):
                        break
                    self._start(connection, _packed(listener.family, source))
            except OSError as error:
                # No descriptors, no memory, or another refusal of the system: connections end.
                await wait_out(error)

    def _start(self, sock: socket.socket, address: bytes) -> None:
        connection = trio.socket.from_stdlib_socket(sock)
        shared = self._handler.behind_proxy(address)
        if self._greeting is not None:
            shared = shared or self._greeting.is_proxy(address)
        place = self._limits.places.take(address, connection.close, shared=shared)
        if place is None:
            connection.close()
        else:
            self._nursery.start_soon(self._converse, connection, address, place)

    async def _converse(
        self, connection: trio.socket.SocketType, address: bytes, place: Place
    ) -> None:
        """Serves a connection until it ends or gives way.

        To give way its socket is closed, which ends the wait for the client: a cancel scope for
        each connection costs 7 us. Nothing that a client does raises out of here.
        """
        transport = trio.SocketStream(connection)
        stream: Stream = transport
        received = Received(self._header)
        limits = self._limits
        first = b""
        try:
            async with transport:
                if self._greeting is not None:
                    address, first = await self._read_greeting(self._greeting, transport, address)
                    limits.places.give_back(place)
                    shared = self._handler.behind_proxy(address)
                    moved = limits.places.take(address, connection.close, shared=shared)
                    if moved is None:
                        return
                    place = moved
                if self._context is None:
                    received.feed(first)
                else:
                    in_turn = InTurn(transport, limits.turns, first)
                    stream = trio.SSLStream(in_turn, self._context, server_side=True)
                await self._shake_hands(stream)
                while await _exchange(stream, self._handler, received, address, limits, connection):
                    limits.places.wait_anew(place)
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError):
            return
        finally:
            limits.places.give_back(place)
            if isinstance(stream, trio.SSLStream):
                # It refers to itself, and collections are rare: clients that reset thousands of
                # handshakes would fill the memory.
                vars(stream).clear()

    async def _read_greeting(
        self, greeting: Greeting, transport: trio.SocketStream, address: bytes
    ) -> tuple[bytes, bytes]:
        """Returns the client's address, and what came behind the PROXY header.

        Raises `BrokenResourceError` for a connection without one, `TooSlowError` for a slow one.
        """
        data, taken, client = bytearray(), 0, address
        with trio.fail_after(self._limits.request_seconds):
            while not taken:
                piece = await transport.receive_some(_READ)
                if not piece:
                    raise trio.BrokenResourceError
                data += piece
                taken, client = greeting.read(data, len(data), address)
        if taken < 0:
            self._handler.unreadable(NO_GREETING)
            raise trio.BrokenResourceError
        return client, bytes(data[taken:])

    async def _shake_hands(self, stream: Stream) -> None:
        """Raises `BrokenResourceError` for a client without TLS, or without a version that we
        accept; `TooSlowError` for a slow one.
        """
        if isinstance(stream, trio.SSLStream):
            with trio.fail_after(self._limits.handshake_seconds):
                await stream.do_handshake()


def _packed(family: int, source: Any) -> bytes:
    """Returns an address as 4 or 16 bytes, v4-mapped ones as IPv4, LOOPBACK over a Unix socket."""
    if family == socket.AF_UNIX:
        return LOOPBACK
    address = socket.inet_pton(family, source[0].partition("%")[0])
    return address[12:] if address.startswith(bytes(10) + b"\xff\xff") else address


class Received:
    """What a connection has sent and is not answered yet."""

    __slots__ = ("again", "data", "parser")

    def __init__(self, header: bytes = b"") -> None:
        self.parser = RequestParser(header)
        self.data = bytearray()
        self.again = 0  # bytes at which they are parsed again, as in the engine

    def feed(self, data: bytes | bytearray) -> None:
        before = len(self.data)
        self.data += data
        if (before and may_end(self.data, before, len(self.data))) or len(
            self.data
        ) > REQUEST_LIMIT:
            self.again = 0

    def next(self) -> bool | None:
        """Parses the next request: True, False when it is not complete, None when it is none."""
        size = len(self.data)
        if size < self.again or not size:
            return False
        taken = self.parser.parse(self.data, 0, size)
        if taken > 0:
            del self.data[:taken]
            self.again = 0
            return True
        if taken < 0:
            return None
        self.again = self.parser.needed or 2 * size
        return False


async def _exchange(
    stream: Stream,
    handler: RequestHandler,
    received: Received,
    address: bytes,
    limits: ConnectionLimits,
    connection: trio.socket.SocketType,
) -> bool:
    """Reads until a request is complete and answers it, within the limit of time; tells whether to
    go on.
    """
    parser = received.parser
    with trio.move_on_after(limits.request_seconds):
        while not (whole := received.next()):
            if whole is None:
                await stream.send_all(handler.unreadable(parser.problem))
                await _linger(stream)
                return False
            data = await stream.receive_some(_READ)
            await limits.turns.turn(connection)
            if not data:
                return False
            received.feed(data)
        while whole:
            keep = parser.keep
            handler.begin()
            try:
                reply = handler.answer(
                    parser.method, parser.target, address, parser.forwarded, keep, parser.agent
                )
            finally:
                handler.end()
            if handler.settle is not None:
                await handler.settle()
            await stream.send_all(reply)
            if not keep:
                await _linger(stream)
                return False
            if not received.data:
                return True
            await limits.turns.turn(connection)
            whole = received.next()
        return True
    return False


async def _linger(stream: Stream) -> None:
    """Reads on for a second, because unread bytes would reset the connection and lose our reply."""
    with trio.move_on_after(1):
        if isinstance(stream, trio.SSLStream):
            await stream.unwrap()  # sends close_notify, and waits for the client's
            return
        await stream.send_eof()
        for _ in range(LINGER_READS):
            if not await stream.receive_some(_READ):
                return
