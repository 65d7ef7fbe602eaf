"""HTTP tracker sockets: accept all that waits, answer what has arrived, give only the rest a task.

Most clients connect, send one request and wait. When a connection is accepted its request is usually there
already, so it is read, answered and closed on the spot: no task, no checkpoint. Some at a time go through each step
together: the kernel's code and ours evict each other from the processor's caches less often. A connection that must be
waited for (slow, or kept alive) becomes a task with a deadline. So does every connection under TLS, where the
handshake must be waited for.
"""

from __future__ import annotations

import errno
import os
import socket
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

import httptools
import trio

from tracker.frontends.http.accept import open_acceptor

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator

    from tracker.frontends.http.accept import Accept
    from tracker.frontends.http.connections import Waiting
    from tracker.frontends.http.handler import RequestHandler

    Stream = trio.SocketStream | trio.SSLStream[trio.SocketStream]

BACKLOG = 4096
ACCEPT_SECONDS = 0.005  # of accepting and answering, before the rest of the program has its turn
TOGETHER = 32  # connections that go through each step together
REQUEST_LIMIT = 16_384  # bytes of one request; a scrape of 100 torrents has about 7,500
_READ = 16_384

_BAD_REQUEST = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n"
    b"Content-Length: 12\r\nConnection: close\r\n\r\nbad request\n"
)

Request = tuple[bytes, bytes, bytes | None, bool]
"""Method, target, X-Forwarded-For, whether the connection may stay open."""


class Arrived(NamedTuple):
    """A connection and what it sent before it was accepted."""

    descriptor: int
    address: bytes  # 4 or 16 bytes
    data: bytes


class BadRequestError(Exception):
    """What arrived is no HTTP request, or too long for one."""


class Reading:
    """The requests on one connection, as httptools calls them out."""

    __slots__ = ("_forwarded", "_parser", "_size", "_target", "broken", "keep", "ready")

    def __init__(self) -> None:
        self._parser = httptools.HttpRequestParser(self)
        self._target = b""
        self._forwarded: bytes | None = None
        self._size = 0
        self.broken = False
        self.keep = True
        self.ready: list[Request] = []

    def feed(self, data: bytes) -> None:
        """Raises `BadRequestError`."""
        self._size += len(data)
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            # What is complete is answered (an Upgrade may be ignored, RFC 9110 7.8); nothing after it can be.
            self.keep = False
            self.broken = not self.ready
            if self.ready:
                self.ready[-1] = (*self.ready[-1][:3], False)
        if self.broken or (self._size > REQUEST_LIMIT and not self.ready):
            self.broken = True
            raise BadRequestError

    def take(self) -> list[Request]:
        """The complete requests."""
        ready, self.ready = self.ready, []
        if ready:
            self._size = 0
        return ready

    def close(self) -> None:
        """The parser holds our callbacks and we hold it: part, so that no collector is needed."""
        del self._parser

    def on_url(self, url: bytes) -> None:
        self._target += url

    def on_message_complete(self) -> None:
        # A client of HTTP/1.0 may ask to keep the connection and still read to its end (RFC 9112, C.2.2).
        parser = self._parser
        self.keep = parser.should_keep_alive() and parser.get_http_version() != "1.0"
        self.ready.append((self._parser.get_method(), self._target, self._forwarded, self.keep))
        self._target = b""
        self._forwarded = None


class ProxiedReading(Reading):
    """Looks at headers too, which costs a call each: only behind a proxy. Not at trailers: those are the client's."""

    __slots__ = ("_in_body",)

    def __init__(self) -> None:
        super().__init__()
        self._in_body = False

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self._in_body and len(name) == 15 and name.lower() == b"x-forwarded-for":
            self._forwarded = value

    def on_headers_complete(self) -> None:
        self._in_body = True

    def on_message_complete(self) -> None:
        super().on_message_complete()
        self._in_body = False


def open_socket(host: str, port: int, *, v6only: bool = False) -> socket.socket:
    """A listening, non-blocking TCP socket. Raises `OSError`."""
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
    """What the kernel passes on to accepted connections: the request's acknowledgement may wait for the
    reply, and the reply for the close behind it, so that one segment carries all three. Only for who takes the cork
    out again: what stays corked is held back for 200 ms."""
    if hasattr(socket, "TCP_CORK"):
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 1)
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 0)


def _send_at_once(connection: socket.socket) -> None:
    """For a connection that stays open; also sends what waits."""
    if hasattr(socket, "TCP_CORK"):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CORK, 0)


async def serve(
    listener: socket.socket,
    handler: RequestHandler,
    waiting: Waiting,
    tls: ssl.SSLContext | None = None,
    *,
    task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Answer requests until cancelled, under TLS with a context. Owns the listening socket.

    `waiting` bounds the connections, of all listeners that share it, that have to be waited for.
    """
    with listener:
        async with trio.open_nursery() as nursery:
            connections = (
                TlsConnections(handler, nursery, waiting, tls)
                if tls
                else Connections(handler, nursery, waiting)
            )
            _save_segments(listener)
            accept = open_acceptor(listener)
            task_status.started()
            while True:
                await trio.lowlevel.wait_readable(listener)
                try:
                    connections.accept_waiting(accept)
                except OSError as error:
                    await _accept_failed(error)
                if handler.settle is not None:
                    with connections.held():
                        await handler.settle()


async def _accept_failed(error: OSError) -> None:
    """Out of descriptors or memory: let some connections end first. A client that left is no matter."""
    if error.errno in (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM):
        await trio.sleep(0.1)


class Connections:
    """The connections of one listener."""

    __slots__ = ("_handler", "_nursery", "_reading", "_replies", "_waiting")

    def __init__(self, handler: RequestHandler, nursery: trio.Nursery, waiting: Waiting) -> None:
        self._handler = handler
        self._replies: list[tuple[Arrived, Reading, bytes]] = []  # not sent yet
        self._nursery = nursery
        self._reading = ProxiedReading if handler.proxied else Reading
        self._waiting = waiting

    def accept_waiting(self, accept: Accept) -> None:
        """Take what waits, in one batch. Raises `OSError` when accepting fails."""
        self._handler.begin()
        until = time.perf_counter() + ACCEPT_SECONDS
        try:
            while time.perf_counter() < until and self._serve_some(accept):
                pass
        finally:
            self._handler.end()

    def _serve_some(self, accept: Accept) -> bool:
        """Whether more connections may be waiting."""
        arrived: list[Arrived] = []
        try:
            return self._receive(accept, arrived)
        finally:
            self._answer(arrived)
            if self._handler.settle is None:
                self._send()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Replies wait until the block is through. If it fails they are never sent."""
        try:
            yield
        except BaseException:
            for one, reading, _ in self._replies:
                self._hand_over(one.descriptor, reading, one.address, goes_on=False)
            raise
        self._send()

    def _receive(self, accept: Accept, arrived: list[Arrived]) -> bool:
        """Accept some and read; one whose request is not there yet is left to a task."""
        read = os.read
        for _ in range(TOGETHER):
            descriptor, address = accept()
            if descriptor < 0:
                return False
            try:
                data = read(descriptor, _READ)
            except BlockingIOError:
                self._hand_over(descriptor, self._reading(), address)
            except OSError:
                os.close(descriptor)
            else:
                arrived.append(Arrived(descriptor, address, data))
        return True

    def _answer(self, arrived: list[Arrived]) -> None:
        for one in arrived:
            reading = self._reading()
            reply = _reply_now(self._handler, reading, one.data, one.address)
            if reply is None:
                self._hand_over(one.descriptor, reading, one.address)
            else:
                self._replies.append((one, reading, reply))

    def _send(self) -> None:
        replies, self._replies = self._replies, []
        for one, reading, reply in replies:
            try:
                # A client that lets even this fill its buffer is let go.
                goes_on = os.write(one.descriptor, reply) == len(reply) and reading.keep
            except OSError:
                goes_on = False
            self._hand_over(one.descriptor, reading, one.address, goes_on)

    def _hand_over(
        self, descriptor: int, reading: Reading, address: bytes, goes_on: bool = True
    ) -> None:
        """To a task of its own, or close it."""
        if goes_on and self._waiting.take(address, proxied=self._handler.proxied):
            self._nursery.start_soon(self._converse, descriptor, reading, address)
        else:
            reading.close()
            os.close(descriptor)

    async def _converse(self, descriptor: int, reading: Reading, address: bytes) -> None:
        """Serve a connection that is slow or kept alive. Nothing a client does gets out of here."""
        connection = socket.socket(fileno=descriptor)
        try:
            _send_at_once(connection)
            async with trio.SocketStream(trio.socket.from_stdlib_socket(connection)) as transport:
                stream = await self._open(transport)
                seconds = self._waiting.request_seconds
                while await _exchange(stream, self._handler, reading, address, seconds):
                    pass
        except (OSError, trio.BrokenResourceError, trio.TooSlowError):
            return
        finally:
            self._waiting.give_back(address)
            reading.close()

    async def _open(self, transport: trio.SocketStream) -> Stream:
        return transport


class TlsConnections(Connections):
    """The same under TLS: no connection is answered without a task."""

    __slots__ = ("_context",)

    def __init__(
        self,
        handler: RequestHandler,
        nursery: trio.Nursery,
        waiting: Waiting,
        context: ssl.SSLContext,
    ) -> None:
        super().__init__(handler, nursery, waiting)
        self._context = context

    def _serve_some(self, accept: Accept) -> bool:
        for _ in range(TOGETHER):
            descriptor, address = accept()
            if descriptor < 0:
                return False
            self._hand_over(descriptor, self._reading(), address)
        return True

    async def _open(self, transport: trio.SocketStream) -> Stream:
        """Raises `BrokenResourceError` for a client that speaks no TLS, or none that we do."""
        stream = trio.SSLStream(transport, self._context, server_side=True)
        with trio.fail_after(self._waiting.handshake_seconds):
            await stream.do_handshake()
        return stream


def _reply_now(
    handler: RequestHandler, reading: Reading, data: bytes, address: bytes
) -> bytes | None:
    """The reply to what a new connection sent: b"" when it sent nothing and is over, None when a task has to go on."""
    if not data:
        reading.keep = False
        return b""
    try:
        reading.feed(data)
    except BadRequestError:
        return None  # for a task to say so: closing at once would reset the connection
    if len(reading.ready) != 1:
        return None  # incomplete; or pipelined, for a task, which pauses between replies
    method, target, forwarded, keep = reading.take()[0]
    return handler.answer(method, target, address, forwarded, keep)


async def _exchange(
    stream: Stream, handler: RequestHandler, reading: Reading, address: bytes, seconds: float
) -> bool:
    """Read until a request is complete and answer it, within `seconds`. Whether there may be another."""
    with trio.move_on_after(seconds):
        try:
            if reading.broken:
                raise BadRequestError
            while not reading.ready:
                data = await stream.receive_some(_READ)
                if not data:
                    return False
                reading.feed(bytes(data))
        except BadRequestError:
            await stream.send_all(_BAD_REQUEST)
            await _linger(stream)
            return False
        for request in reading.take():
            handler.begin()
            try:
                reply = handler.answer(*request[:2], address, *request[2:])
            finally:
                handler.end()
            if handler.settle is not None:
                await handler.settle()
            await stream.send_all(reply)
        if not reading.keep:
            await _linger(stream)
        return reading.keep
    return False


async def _linger(stream: Stream) -> None:
    """Read on for a moment, so that what is still under way does not reset our answer."""
    with trio.move_on_after(1):
        if isinstance(stream, trio.SSLStream):
            await stream.unwrap()  # says that no more comes, and waits for the same
            return
        await stream.send_eof()
        for _ in range(64):
            if not await stream.receive_some(_READ):
                return
