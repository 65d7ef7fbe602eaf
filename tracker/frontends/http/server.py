"""Serves the HTTP tracker's sockets: accepts what has arrived, answers at once, and gives a task to
the rest.

Most clients connect, send one request and wait. The request has usually arrived when the connection
is accepted, so it is read, answered and closed at once, without a task or a checkpoint. Several
connections go through each step together, because the kernel's code and ours then evict each other
from the processor's caches less often. A connection that must wait (slow, or kept alive) becomes a
task with a deadline. So does every connection under TLS, because its handshake takes several steps.
"""

from __future__ import annotations

import os
import socket
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import httptools
import trio

from tracker.domain.clients import AGENT_BYTES
from tracker.frontends.http.accept import open_acceptor
from tracker.frontends.waiting import wait_out
from tracker.turns import InTurn

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    from tracker.frontends.http.accept import Accept
    from tracker.frontends.http.connections import ConnectionLimits
    from tracker.frontends.http.handler import RequestHandler
    from tracker.places import Place

    Stream = trio.SocketStream | trio.SSLStream[InTurn]

BACKLOG = 4096  # connections not yet accepted
ACCEPT_SECONDS = 0.005  # of accepting and answering, then other tasks run
TOGETHER = 32  # connections that go through each step together
REQUEST_LIMIT = 16_384  # bytes of one request; a scrape of 100 torrents has about 7,500
_READ = 16_384  # bytes read at once

_BAD_REQUEST = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: %d\r\nConnection: close\r\n\r\n%b"
)
_BAD_TEXT = (
    "bad request: {}. Send HTTP/1.1 or 1.0 with CR LF at the end of each line, in the target only "
    f"printable ASCII (all other bytes as %xx), and at most {REQUEST_LIMIT} bytes in all.\n"
)

Request = tuple[bytes, bytes, bytes | None, bool, bytes]
"""Method, target, the proxies' header or None, whether the connection may stay open, and the
User-Agent.
"""


class Arrived(NamedTuple):
    """A connection and what it sent before it was accepted."""

    descriptor: int
    address: bytes  # 4 or 16 bytes
    data: bytes


class BadRequestError(Exception):
    """The bytes are no HTTP request, or more than `REQUEST_LIMIT`; the text says what is wrong."""

    @property
    def reply(self) -> bytes:
        """The reply to such a request."""
        body = _BAD_TEXT.format(self).encode()
        return _BAD_REQUEST % (len(body), body)


class RequestReader:
    """Collects the requests on one connection, from httptools' callbacks."""

    __slots__ = ("_agent", "_forwarded", "_parser", "_size", "_target", "broken", "keep", "ready")

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._target = b""
        self._agent = b""
        self._forwarded: bytes | None = None
        self._size = 0
        self.broken = ""  # what is wrong with the bytes so far
        self.keep = True
        self.ready: list[Request] = []

    def feed(self, data: bytes) -> None:
        """Takes bytes from the connection. Raises `BadRequestError`."""
        self._size += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            # Complete requests are answered (an Upgrade may be ignored, RFC 9110 7.8), nothing
            # after them.
            self.keep = False
            if self.ready:
                method, target, forwarded, _, agent = self.ready[-1]
                self.ready[-1] = method, target, forwarded, False, agent
            else:
                self.broken = str(error) or "it is no HTTP"
        if self._size > REQUEST_LIMIT and not self.ready:
            self.broken = self.broken or "it is too long"
        if self.broken:
            raise BadRequestError(self.broken)

    def take(self) -> list[Request]:
        """Returns the complete requests, once."""
        ready, self.ready = self.ready, []
        if ready:
            self._size = 0
        return ready

    def close(self) -> None:
        """Breaks the cycle between reader and parser, so that memory is free without the
        collector."""
        del self._parser

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(name) == 10 and name.lower() == b"user-agent":
            self._agent = value.strip()[:AGENT_BYTES]

    def on_message_complete(self) -> None:
        # A client of HTTP/1.0 may ask for keep-alive and still read to the end (RFC 9112, C.2.2).
        parser = self._parser
        self.keep = parser.should_keep_alive() and parser.get_http_version() != "1.0"
        method = parser.get_method()
        self.ready.append((method, self._target, self._forwarded, self.keep, self._agent))
        self._target = self._agent = b""
        self._forwarded = None


class ProxiedRequestReader(RequestReader):
    """Reads the header too in which proxies name the client, its lines joined by commas. Only for
    a proxy, because nobody else may name another address.

    Ignores trailers, because the client writes those.
    """

    __slots__ = ("_in_body", "_wanted")

    def __init__(self, header: bytes) -> None:
        """`header`: its name in lower case."""
        super().__init__()
        self._in_body = False
        self._wanted = header

    def on_header(self, name: bytes, value: bytes) -> None:
        super().on_header(name, value)
        if not self._in_body and len(name) == len(self._wanted) and name.lower() == self._wanted:
            before = self._forwarded
            self._forwarded = value if before is None else b"%b,%b" % (before, value)

    def on_headers_complete(self) -> None:
        self._in_body = True

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_body = False


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
    """Sets options that accepted connections inherit, so that one segment carries ACK, reply and
    FIN.

    A connection that stays open must call `_send_at_once`, because the kernel holds corked data for
    200 ms.
    """
    if hasattr(socket, "TCP_CORK"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)


def _send_at_once(connection: trio.socket.SocketType) -> None:
    """Undoes `_save_segments` for a connection that stays open, and sends what was held."""
    if hasattr(socket, "TCP_CORK"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)


async def serve(
    listener: socket.socket,
    handler: RequestHandler,
    limits: ConnectionLimits,
    tls: ssl.SSLContext | None = None,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answers requests until cancelled, under TLS if `tls` is given. Owns the listening socket.

    `limits` bounds the waiting connections of all listeners that share it.
    """
    with listener:
        async with trio.open_nursery() as nursery:
            connections = (
                TlsConnections(handler, nursery, limits, tls)
                if tls
                else Connections(handler, nursery, limits)
            )
            _save_segments(listener)
            accept = open_acceptor(listener)
            task_status.started()
            while True:
                try:
                    await trio.lowlevel.wait_readable(listener)
                    connections.accept_waiting(accept)
                except OSError as error:
                    # No descriptors, no memory, or another refusal of the system: connections end.
                    await wait_out(error)
                if handler.settle is not None:
                    with connections.replies_held():
                        await handler.settle()


class Connections:
    """Handles the connections of one listener."""

    __slots__ = ("_handler", "_limits", "_new_reader", "_nursery", "_replies")

    def __init__(
        self, handler: RequestHandler, nursery: trio.Nursery, limits: ConnectionLimits
    ) -> None:
        self._handler = handler
        self._replies: list[tuple[Arrived, RequestReader, bytes]] = []  # not sent yet
        self._nursery = nursery
        header = handler.proxies.header.lower().encode()
        self._new_reader = (
            partial(ProxiedRequestReader, header) if handler.proxied else RequestReader
        )
        self._limits = limits

    def accept_waiting(self, accept: Accept) -> None:
        """Accepts and answers what has arrived, in one batch. Raises `OSError` when accepting
        fails.
        """
        self._handler.begin()
        until = time.perf_counter() + ACCEPT_SECONDS
        try:
            while time.perf_counter() < until and self._serve_some(accept):
                pass
        finally:
            self._handler.end()

    def _serve_some(self, accept: Accept) -> bool:
        """Serves up to `TOGETHER` connections; tells whether more may have arrived."""
        arrived: list[Arrived] = []
        try:
            return self._receive(accept, arrived)
        finally:
            self._answer(arrived)
            if self._handler.settle is None:
                self._send()

    @contextmanager
    def replies_held(self) -> Iterator[None]:
        """Sends the replies after the block. If the block raises, drops them and closes."""
        try:
            yield
        except BaseException:
            for one, reader, _ in self._replies:
                self._hand_over(one.descriptor, reader, one.address, goes_on=False)
            raise
        self._send()

    def _receive(self, accept: Accept, arrived: list[Arrived]) -> bool:
        """Accepts and reads; a connection whose request has not arrived gets a task.

        Returns whether more may have arrived.
        """
        read = os.read
        for _ in range(TOGETHER):
            descriptor, address = accept()
            if descriptor < 0:
                return False
            try:
                data = read(descriptor, _READ)
            except BlockingIOError:
                self._hand_over(descriptor, self._new_reader(), address)
            except OSError:
                os.close(descriptor)
            else:
                arrived.append(Arrived(descriptor, address, data))
        return True

    def _answer(self, arrived: list[Arrived]) -> None:
        for one in arrived:
            reader = self._new_reader()
            reply = _reply_now(self._handler, reader, one.data, one.address)
            if reply is None:
                self._hand_over(one.descriptor, reader, one.address)
            else:
                self._replies.append((one, reader, reply))

    def _send(self) -> None:
        replies, self._replies = self._replies, []
        for one, reader, reply in replies:
            try:
                # A client whose buffer cannot take one reply is disconnected.
                goes_on = os.write(one.descriptor, reply) == len(reply) and reader.keep
            except OSError:
                goes_on = False
            self._hand_over(one.descriptor, reader, one.address, goes_on)

    def _hand_over(
        self, descriptor: int, reader: RequestReader, address: bytes, goes_on: bool = True
    ) -> None:
        """Gives the connection a task of its own, or closes it."""
        if goes_on:
            connection = trio.socket.from_stdlib_socket(socket.socket(fileno=descriptor))
            shared = self._handler.behind_proxy(address)
            place = self._limits.places.take(address, connection.close, shared=shared)
            if place is not None:
                self._nursery.start_soon(self._converse, connection, reader, address, place)
                return
            connection.close()
        else:
            os.close(descriptor)
        reader.close()

    async def _converse(
        self,
        connection: trio.socket.SocketType,
        reader: RequestReader,
        address: bytes,
        place: Place,
    ) -> None:
        """Serves a connection that is slow or kept alive, until it ends or gives way.

        To give way its socket is closed, which ends the wait for the client: a cancel scope for
        each connection costs 7 us. Nothing that a client does raises out of here.
        """
        transport = trio.SocketStream(connection)
        stream = self._wrapped(transport)
        try:
            async with transport:
                _send_at_once(connection)
                await self._shake_hands(stream)
                limits = self._limits
                while await _exchange(stream, self._handler, reader, address, limits, connection):
                    self._limits.places.wait_anew(place)
        except (OSError, trio.BrokenResourceError, trio.ClosedResourceError, trio.TooSlowError):
            return
        finally:
            self._limits.places.give_back(place)
            reader.close()
            if isinstance(stream, trio.SSLStream):
                # It refers to itself, and collections are rare: clients that reset thousands of
                # handshakes would fill the memory.
                vars(stream).clear()

    def _wrapped(self, transport: trio.SocketStream) -> Stream:
        return transport

    async def _shake_hands(self, stream: Stream) -> None:
        """Raises `BrokenResourceError` for a client without TLS, or without a version that we
        accept; `TooSlowError` for a slow one.
        """
        if isinstance(stream, trio.SSLStream):
            with trio.fail_after(self._limits.handshake_seconds):
                await stream.do_handshake()


class TlsConnections(Connections):
    """Handles connections under TLS: each one gets a task."""

    __slots__ = ("_context",)

    def __init__(
        self,
        handler: RequestHandler,
        nursery: trio.Nursery,
        limits: ConnectionLimits,
        context: ssl.SSLContext,
    ) -> None:
        super().__init__(handler, nursery, limits)
        self._context = context

    def _serve_some(self, accept: Accept) -> bool:
        for _ in range(TOGETHER):
            descriptor, address = accept()
            if descriptor < 0:
                return False
            self._hand_over(descriptor, self._new_reader(), address)
        return True

    def _wrapped(self, transport: trio.SocketStream) -> Stream:
        in_turn = InTurn(transport, self._limits.turns)
        return trio.SSLStream(in_turn, self._context, server_side=True)


def _reply_now(
    handler: RequestHandler, reader: RequestReader, data: bytes, address: bytes
) -> bytes | None:
    """Returns the reply to the first bytes of a connection: b"" if it ended, None if it needs a
    task.
    """
    if not data:
        reader.keep = False
        return b""
    try:
        reader.feed(data)
    except BadRequestError:
        return None  # a task sends the error, because closing at once would reset the connection
    if len(reader.ready) != 1:
        return None  # incomplete, or pipelined: a task pauses between replies
    method, target, forwarded, keep, agent = reader.take()[0]
    return handler.answer(method, target, address, forwarded, keep, agent)


async def _exchange(
    stream: Stream,
    handler: RequestHandler,
    reader: RequestReader,
    address: bytes,
    limits: ConnectionLimits,
    connection: trio.socket.SocketType,
) -> bool:
    """Reads until a request is complete and answers it, within the limit of time; tells whether to
    go on.
    """
    with trio.move_on_after(limits.request_seconds):
        try:
            if reader.broken:
                raise BadRequestError(reader.broken)
            while not reader.ready:
                data = await stream.receive_some(_READ)
                await limits.turns.turn(connection)
                if not data:
                    return False
                reader.feed(bytes(data))
        except BadRequestError as error:
            handler.note_unreadable()
            await stream.send_all(error.reply)
            await _linger(stream)
            return False
        for number, (method, target, forwarded, keep, agent) in enumerate(reader.take()):
            if number:  # pipelined
                await limits.turns.turn(connection)
            handler.begin()
            try:
                reply = handler.answer(method, target, address, forwarded, keep, agent)
            finally:
                handler.end()
            if handler.settle is not None:
                await handler.settle()
            await stream.send_all(reply)
        if not reader.keep:
            await _linger(stream)
        return reader.keep
    return False


async def _linger(stream: Stream) -> None:
    """Reads on for a second, because unread bytes would reset the connection and lose our reply."""
    with trio.move_on_after(1):
        if isinstance(stream, trio.SSLStream):
            await stream.unwrap()  # sends close_notify, and waits for the client's
            return
        await stream.send_eof()
        for _ in range(64):
            if not await stream.receive_some(_READ):
                return
