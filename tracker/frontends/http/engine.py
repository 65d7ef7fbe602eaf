"""Serves all connections of one HTTP listener from one epoll set, without a task for any.

A wake-up accepts, reads, parses in place, answers, and sends. Most clients connect, send one
request and wait: the request has usually arrived when the connection is accepted, so it is answered
and closed at once. Several new connections go through each step together, because the kernel's code
and ours then evict each other from the processor's caches less often. A connection that must wait
(slow, or kept alive) takes a place, and enters the set. Under TLS every connection does; OpenSSL
then stands between the bytes of the socket and ours, and works in memory.

This module can be compiled, with the types in the .pxd beside it.
"""

from __future__ import annotations

import select
import ssl
from array import array
from collections import deque
from contextlib import suppress
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Final

from tracker.domain import packed
from tracker.frontends.http import calls
from tracker.wire.request import REQUEST_LIMIT, RequestParser, may_end

if TYPE_CHECKING:
    from tracker.frontends.http.connections import ConnectionLimits, Greeting
    from tracker.frontends.http.handler import RequestHandler
    from tracker.places import Place

TOGETHER: Final = 32
"""New connections that go through each step together, and events that are taken at once."""
PIPELINED: Final = 16
"""Requests of one connection that are answered at once, then others have their turn."""
LINGER_READS: Final = 64
EARLY: Final = 16
"""Times that a request is parsed again because its end may have come. A chunked body may look like
that in each of its pieces, and to parse it from its beginning takes up to a millisecond.
"""

NO_GREETING: Final = "it does not begin with the PROXY header of a proxy that this port trusts"

_TICKS: Final = 32  # of the timer wheel in the shortest time that it measures
_MOST_SECONDS: Final = 16.0  # a longer time has more ticks, so that shorter ones are not stretched
_BUCKETS: Final = 64  # a connection whose time is longer is looked at once in a turn of the wheel
# What waits, what came before and OpenSSL could not decrypt yet, and what comes.
_ROOM: Final = 4 * REQUEST_LIMIT

# The engine spells these numbers out, because a global costs a dictionary look-up.
_SPELT = (PIPELINED, LINGER_READS, EARLY, _BUCKETS, REQUEST_LIMIT, _ROOM, select.EPOLLIN, select.EPOLLOUT)  # fmt: skip
if _SPELT != (16, 64, 16, 64, 16_384, 65_536, 1, 4):
    raise AssertionError("Engine spells these numbers out")


class Secure:
    """The TLS of one connection."""

    __slots__ = ("incoming", "outgoing", "shaken", "tls")

    def __init__(self, context: ssl.SSLContext) -> None:
        self.incoming = ssl.MemoryBIO()  # from the socket
        self.outgoing = ssl.MemoryBIO()  # to it
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_side=True)
        self.shaken = False  # the handshake is done

    def encrypt(self, reply: bytes, last: bool) -> bytes:
        """Returns what to send for a reply, with whatever TLS has to say before it; `last`: and
        with its word for the end.
        """
        try:
            self.tls.write(reply)
            if last:
                self.tls.unwrap()
        except ssl.SSLError:  # unwrap: the client has not said its word yet
            pass
        return self.outgoing.read()


class Connection:
    """A connection that waits: for a request, for its client to take a reply, or for its end."""

    __slots__ = (
        "address", "again", "data", "descriptor", "due", "ends", "greeted", "held", "lingering", "out", "place",
        "secure", "tick", "tries",
    )  # fmt: skip

    def __init__(self, descriptor: int, address: bytes, greeted: bool) -> None:
        self.descriptor = descriptor  # -1 = closed
        self.address = address
        self.greeted = greeted  # has sent the PROXY header, where one has to come
        self.secure: Secure | None = None  # from its first byte of TLS on
        self.place: Place | None = None
        self.data = b""  # received and not served yet
        # Bytes of data at which they are parsed again; -1 = it is in `Engine._work`, -2 = it comes
        # back there when `out` is sent.
        self.again = 0
        self.tries = 0  # of `EARLY`
        self.out = b""  # not sent yet
        self.held = False  # a reply waits for the log
        self.ends = False  # after the reply
        self.lingering = 0  # reads left, 0 = it does not linger
        self.due = 0  # tick at which its time is over
        self.tick = 0  # its bucket in the wheel is that of this tick; not after `due`


class Engine:
    """Accepts and serves the connections of one listener."""

    __slots__ = (
        "_accepting", "_buffer", "_connections", "_context", "_deadline", "_epoll", "_expired", "_first_ticks", "_greeting",
        "_handler", "_held", "_holds", "_last", "_left", "_linger_ticks", "_listener", "_now", "_open", "_parser", "_places", "_ready", "_request_ticks", "_until", "_wheel", "_work", "refused",
        "tick_seconds",
    )  # fmt: skip

    def __init__(
        self,
        listener: int,
        handler: RequestHandler,
        limits: ConnectionLimits,
        greeting: Greeting | None = None,
        context: ssl.SSLContext | None = None,
    ) -> None:
        """`listener`: the descriptor of a listening, non-blocking socket, which the caller keeps.
        `greeting`: what each connection begins with; None = with a request, or a handshake.
        `context`: serve TLS.

        Raises `OSError`.
        """
        self._greeting = greeting
        self._context = context
        header = handler.proxies.header.lower().encode() if handler.proxied else b""
        self._handler = handler
        self._deadline = handler.deadline
        self._parser = RequestParser(header)
        self._listener = listener
        self._places = limits.places
        self._buffer = bytearray(_ROOM)
        self._connections: list[Connection | None] = []  # by descriptor, because those are small
        self._open = 0  # of them
        self._work: deque[Connection] = deque()  # with data that need not wait for more
        # Descriptors that the set has shown; so many of the first ones are not served yet.
        self._ready = array("I", bytes(4 * TOGETHER))
        self._left = 0
        self._until = 0  # when a wake-up has to end, by `calls.now_ns`
        # Replies of new connections that end with them, and of others that wait for the log.
        self._last: list[tuple[int, bytes]] = []
        self._held: list[tuple[Connection, bytes]] = []
        self._holds = handler.settle is not None
        # The time for a request, and that of a connection that is new.
        seconds = limits.request_seconds
        first = seconds if context is None else limits.handshake_seconds
        self.tick_seconds = min(seconds, first, _MOST_SECONDS) / _TICKS  # how often `expire` is due
        self._request_ticks = int(seconds / self.tick_seconds) + 1
        self._first_ticks = int(first / self.tick_seconds) + 1
        self._linger_ticks = int(min(1, seconds) / self.tick_seconds) + 1
        self._now = self._expired = self._tick()
        self._wheel: list[set[Connection]] = [set() for _ in range(_BUCKETS)]
        self.refused: OSError | None = None  # why the system refused to accept
        self._epoll = calls.open_set()
        self._accepting = False
        self.accept_again()

    def fileno(self) -> int:
        """Returns the descriptor of the epoll set, which is readable when there is work."""
        return calls.fileno(self._epoll)

    def busy(self) -> bool:
        """Tells whether there is work that the descriptor does not show."""
        return bool(self._work) or self._left > 0

    def waits(self) -> bool:
        """Tells whether a connection is open, so that `expire` has something to look at."""
        return self._open > 0

    def accept_again(self) -> None:
        """Accepts connections, at first and after `refused` was set. Raises `OSError`."""
        self.refused = None
        if not self._accepting:
            calls.add(self._epoll, self._listener)
            self._accepting = True

    def serve(self, until: int) -> None:
        """Does what there is to do until then, by `calls.now_ns`; the rest stays in the set.

        `send_held` sends the replies that wait.
        """
        handler, listener = self._handler, self._listener
        self._now = self._tick()
        self._until = until
        handler.begin()
        try:
            while True:
                if self._deadline.passed():
                    self._end_connections()
                # What is left of the last wake-up comes first, because a client that is always at
                # the end of the set would never be served.
                if not self._left:
                    self._left = calls.ready(self._epoll, self._ready)
                served = 0
                while self._left:
                    self._left -= 1
                    descriptor = packed.u32(self._ready, self._left)
                    if descriptor == listener:
                        served += self._accept()
                    elif descriptor < len(self._connections):
                        connection = self._connections[descriptor]
                        if connection is not None:
                            served += self._attend(connection)
                    if calls.now_ns() > self._until:
                        return
                for _ in range(min(len(self._work), TOGETHER)):
                    served += self._go_on(self._work.popleft())
                    if calls.now_ns() > self._until:
                        return
                if not served:
                    return
        finally:
            handler.end()

    def send_held(self) -> None:
        """Sends the replies that waited for the log."""
        self._send_last()
        held, self._held = self._held, []
        for connection, reply in held:
            if connection.descriptor >= 0:
                connection.held = False
                self._send(connection, reply)

    def expire(self) -> bool:
        """Ends connections whose time is over; True = it ended `TOGETHER` of them, and there may
        be more.
        """
        self._now = now = self._tick()
        closed = 0
        for tick in range(max(self._expired + 1, now - _BUCKETS + 1), now + 1):
            for connection in list(self._wheel[tick % _BUCKETS]):
                if connection.due > now:
                    self._move(connection)
                elif closed < TOGETHER:
                    self._close(connection)
                    closed += 1
                else:
                    return True
            self._expired = tick
        return False

    def close(self) -> None:
        """Closes every connection and the set, without the replies that were held."""
        for descriptor, _reply in self._last:
            calls.close(descriptor)
        self._end_connections()
        self._accepting = True  # so that a late `accept_again` does not touch the set
        calls.close_set(self._epoll)

    def _end_connections(self) -> None:
        for connection in self._connections:
            if connection is not None:
                self._close(connection)

    def _tick(self) -> int:
        return int(monotonic() / self.tick_seconds)

    def _accept(self) -> bool:
        """Serves up to `TOGETHER` new connections; False = there was none."""
        accepted = False
        over = self._deadline.passed()
        for _ in range(TOGETHER):
            try:
                descriptor, address = calls.accept(self._listener)
            except OSError as error:
                self.refused = error
                with suppress(OSError):  # else it is tried again at once
                    calls.remove(self._epoll, self._listener)
                    self._accepting = False
                break
            if descriptor < 0:
                break
            accepted = True
            if over:
                calls.close(descriptor)
                continue
            size = calls.receive(descriptor, self._buffer, 0, 16_384)  # REQUEST_LIMIT
            if size > 0:
                self._begin(descriptor, address, size)
            elif (
                size == -2 or self._admit(descriptor, address, self._greeting is None) is None
            ):  # calls.GONE
                calls.close(descriptor)
            if calls.now_ns() > self._until:
                break
        if not self._holds:
            self._send_last()
        return accepted

    def _begin(self, descriptor: int, address: bytes, size: int) -> None:
        """Serves the first bytes of a connection, which are in the buffer."""
        parser, at = self._parser, 0
        if self._greeting is not None:
            at, client = self._greeting.read(self._buffer, size, address)
            if at <= 0:
                connection = self._admit(descriptor, address, False)
                if connection is None:
                    calls.close(descriptor)
                else:
                    self._greet(self._greeting, connection, size)
                return
            address = client
        if self._context is not None:
            connection = self._admit(descriptor, address, True)
            if connection is None:
                calls.close(descriptor)
            else:
                self._decrypt(connection, self._context, at, size)
            return
        whole = parser.parse(self._buffer, at, size) > 0
        if not whole or parser.keep:
            connection = self._admit(descriptor, address, True)
            if connection is not None:
                self._answer(connection, at, size)
                return
            if not whole:
                calls.close(descriptor)
                return
        reply = self._handler.answer(
            parser.method, parser.target, address, parser.forwarded, False, parser.agent
        )
        self._last.append((descriptor, reply))

    def _send_last(self) -> None:
        """Sends the replies to new connections, and closes them.

        A client whose buffer cannot take one reply is disconnected.
        """
        for descriptor, reply in self._last:
            self._transmit(descriptor, reply, True)
            calls.close(descriptor)
        self._last.clear()

    def _admit(self, descriptor: int, address: bytes, greeted: bool) -> Connection | None:
        """Lets a connection wait; None = there is no place for it."""
        try:
            calls.add(self._epoll, descriptor)
        except OSError:  # no memory, or no room for more
            return None
        connection = Connection(descriptor, address, greeted)
        if not self._take_place(connection):
            return None
        connection.due = connection.tick = self._now + self._first_ticks
        self._wheel[connection.tick % 64].add(connection)
        while descriptor >= len(self._connections):
            self._connections.append(None)
        self._connections[descriptor] = connection
        self._open += 1
        return connection

    def _take_place(self, connection: Connection) -> bool:
        """Gives a connection a place in the name of its address; False = there is none."""
        handler, address = self._handler, connection.address
        shared = handler.proxied and handler.behind_proxy(address)
        if not connection.greeted and self._greeting is not None:
            shared = shared or self._greeting.is_proxy(address)
        connection.place = self._places.take(
            address, partial(self._close, connection), shared=shared
        )
        return connection.place is not None

    def _greet(self, greeting: Greeting, connection: Connection, size: int) -> None:
        """Reads the PROXY header at the beginning of the buffer, then what follows it."""
        at, address = greeting.read(self._buffer, size, connection.address)
        if at == 0:  # INCOMPLETE
            connection.data = bytes(self._buffer[:size])
            return
        if at < 0:
            connection.data = b""
            connection.ends = True
            self._reply(connection, self._handler.unreadable(NO_GREETING))
            return
        connection.data = b""
        connection.greeted = True
        if address != connection.address:
            place, connection.place = connection.place, None
            if place is not None:
                self._places.give_back(place)
            connection.address = address
            if not self._take_place(connection):
                self._close(connection)
                return
        if self._context is not None:
            self._decrypt(connection, self._context, at, size)
        else:
            self._answer(connection, at, size)

    def _decrypt(self, connection: Connection, context: ssl.SSLContext, at: int, size: int) -> None:
        """Goes on with the handshake by `_buffer[at:size]`, or answers the requests in it."""
        secure = connection.secure
        if secure is None:
            secure = connection.secure = Secure(context)
        buffer, have = self._buffer, len(connection.data)
        secure.incoming.write(buffer[at:size])
        end, over, tls = have, False, secure.tls
        try:
            if not secure.shaken:
                tls.do_handshake()
                secure.shaken = True
                connection.due = self._now + self._request_ticks
                self._move(connection)
            with memoryview(buffer) as view:
                # A read of nothing is the client's word for the end. What comes after it is never
                # read, and stays pending.
                while not over and end < 65_536 and (secure.incoming.pending or tls.pending()):
                    count = int(tls.read(65_536, view[end:]))  # _ROOM
                    over = not count
                    end += count
        except ssl.SSLWantReadError:
            pass
        except ssl.SSLError:  # no TLS that we accept
            over = True
        if end > have and not connection.lingering:
            buffer[:have] = connection.data
            if not self._is_early(connection, have, end):
                self._answer(connection, 0, end)
        if connection.descriptor < 0:
            return
        if secure.outgoing.pending:
            self._put(connection, secure.outgoing.read())
        if over and not (
            connection.lingering or connection.held or connection.out or connection.again < 0
        ):
            self._close(connection)

    def _attend(self, connection: Connection) -> bool:
        """Serves a connection that can go on; False = it has to wait for something else."""
        if connection.out:
            self._flush(connection)
            return True
        if connection.again < 0 or connection.held:
            return False
        secure = connection.secure is not None
        have = 0 if secure else len(connection.data)
        buffer = self._buffer
        size = calls.receive(connection.descriptor, buffer, have, 16_384)  # REQUEST_LIMIT
        if size == -1:  # calls.AGAIN
            return False
        if size < 0:
            self._close(connection)
            return True
        if connection.lingering:
            connection.lingering -= 1
            if not connection.lingering:
                self._close(connection)
            return True
        if secure and self._context is not None:
            self._decrypt(connection, self._context, 0, size)
            return True
        if have:
            buffer[:have] = connection.data
            size += have
            if self._is_early(connection, have, size):
                return True
        if not connection.greeted and self._greeting is not None:
            self._greet(self._greeting, connection, size)
        elif self._context is not None:
            self._decrypt(connection, self._context, 0, size)
        else:
            self._answer(connection, 0, size)
        return True

    def _is_early(self, connection: Connection, have: int, size: int) -> bool:
        """Tells whether a request need not be parsed before more of it has come, and keeps it then.

        Whoever sends a request byte by byte must not make it be parsed as often.
        """
        if size >= connection.again or size > 16_384:  # REQUEST_LIMIT
            return False
        if connection.tries < 16 and may_end(self._buffer, have, size):  # EARLY
            connection.tries += 1
            return False
        connection.data = bytes(self._buffer[:size])
        return True

    def _go_on(self, connection: Connection) -> bool:
        """Serves more of what a connection has sent at once; False = it has to wait."""
        if connection.descriptor < 0:
            return True
        if connection.held:
            self._work.append(connection)
            return False
        if connection.out:  # `_flush` puts it back
            connection.again = -2
            return True
        size = len(connection.data)
        self._buffer[:size] = connection.data
        self._answer(connection, 0, size)
        return True

    def _answer(self, connection: Connection, at: int, size: int) -> None:
        """Answers the requests in `_buffer[at:size]`, in order, and keeps what is left of it."""
        parser, handler, buffer = self._parser, self._handler, self._buffer
        replies = b""
        taken = 0
        connection.again = 0
        for _ in range(16):  # PIPELINED
            taken = parser.parse(buffer, at, size)
            if taken <= 0:
                break
            at += taken
            connection.tries = 0
            reply = handler.answer(
                parser.method, parser.target, connection.address, parser.forwarded, parser.keep, parser.agent
            )  # fmt: skip
            replies = replies + reply if replies else reply
            if not parser.keep:
                connection.ends = True
                break
            if at == size:
                break
        if taken < 0:
            replies += handler.unreadable(parser.problem)
            connection.ends = True
        if at == size or connection.ends:
            connection.data = b""
        else:
            connection.data = bytes(buffer[at:size])
            if taken:  # PIPELINED
                connection.again = -1
                self._work.append(connection)
            else:
                connection.again = parser.needed or 2 * (size - at)
        if replies:
            self._reply(connection, replies)

    def _reply(self, connection: Connection, replies: bytes) -> None:
        if self._holds:
            connection.held = True
            self._held.append((connection, replies))
        else:
            self._send(connection, replies)

    def _send(self, connection: Connection, reply: bytes) -> None:
        secure = connection.secure
        if secure is not None:
            reply = secure.encrypt(reply, connection.ends)
        self._put(connection, reply)

    def _transmit(self, descriptor: int, data: bytes, last: bool) -> int:
        """Sends, but nothing after the deadline: then the connection is to be closed."""
        return -2 if self._deadline.passed() else calls.send(descriptor, data, last)  # calls.GONE

    def _put(self, connection: Connection, data: bytes) -> None:
        if connection.out:
            connection.out += data
            return
        sent = self._transmit(connection.descriptor, data, connection.ends)
        if sent == len(data):
            self._sent(connection)
        elif sent == -2:  # calls.GONE
            self._close(connection)
        else:
            connection.out = data[max(0, sent) :]
            self._watch(connection, 4)  # EPOLLOUT

    def _flush(self, connection: Connection) -> None:
        """Sends more of a reply to a client that was slow to take it."""
        out = connection.out
        sent = self._transmit(connection.descriptor, out, connection.ends)
        if sent == -2:  # calls.GONE
            self._close(connection)
            return
        connection.out = out[max(0, sent) :]
        if connection.out:
            return
        if not self._watch(connection, 1):  # EPOLLIN
            return
        self._sent(connection)
        if connection.again == -2:
            connection.again = -1
            self._work.append(connection)

    def _watch(self, connection: Connection, what: int) -> bool:
        """Waits for something else of a connection; where the system refuses that, it ends."""
        try:
            calls.watch(self._epoll, connection.descriptor, what)
        except OSError:
            self._close(connection)
            return False
        return True

    def _sent(self, connection: Connection) -> None:
        """Lets a connection wait for the next request, or for its end.

        Before the end its client's bytes are read on for a second, because unread bytes would reset
        the connection and lose our reply.
        """
        place = connection.place
        if not connection.ends:
            if connection.secure is not None and not connection.secure.shaken:
                return
            if place is not None:
                self._places.wait_anew(place)
            connection.due = self._now + self._request_ticks
            return
        calls.shut(connection.descriptor)
        connection.lingering = 64  # LINGER_READS
        connection.due = min(connection.due, self._now + self._linger_ticks)
        self._move(connection)

    def _move(self, connection: Connection) -> None:
        """Puts a connection into the wheel's bucket of the tick at which its time is over."""
        self._wheel[connection.tick % 64].discard(connection)  # _BUCKETS
        connection.tick = connection.due
        self._wheel[connection.tick % 64].add(connection)

    def _close(self, connection: Connection) -> None:
        """Closes a connection and gives back its place."""
        descriptor = connection.descriptor
        if descriptor < 0:
            return
        connection.descriptor = -1
        self._connections[descriptor] = None
        self._open -= 1
        self._wheel[connection.tick % 64].discard(connection)  # _BUCKETS
        calls.close(descriptor)
        connection.data = connection.out = b""
        connection.secure = None
        place, connection.place = connection.place, None
        if place is not None:
            self._places.give_back(place)
