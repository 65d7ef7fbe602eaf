"""Talks HTTP/1.1 to the tracker's API, over connections that are kept for the next request.

h11 has the protocol. A read that finds its connection closed is sent again on a new one; a change
always has a new one, so that none is made twice.
"""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from math import inf
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

import h11
import trio
from attrs import define, field, frozen

from api.trust import trusting

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncGenerator, Callable, Mapping

CONNECT_SECONDS: Final = 5.0
ANSWER_SECONDS: Final = 40.0
"""Longest time for a whole answer, in seconds. The API itself takes up to 30 for the past."""
MOST_AT_ONCE: Final = 48
"""Requests to the API at a time; further ones wait."""
TURN_SECONDS: Final = 0.02
"""A request goes when the one before has its answer, or after so many seconds. So twenty people who
click at once load one core with their questions, and announces find another one.
"""
MOST_BYTES: Final = 8 << 20
"""Most bytes of an answer: a page of 1,000 events with long texts has less."""
IDLE_SECONDS: Final = 3.0
"""Seconds after which an unused connection is not used again, because the API closes it after 5."""
_READ_BYTES: Final = 1 << 16
_UNIX: Final = "unix:"
_CUT: Final = "the connection was closed without a whole answer"


class DownError(Exception):
    """The tracker does not answer. `since`: Unix time in seconds of the first such failure."""

    def __init__(self, why: str, since: float) -> None:
        super().__init__(why)
        self.since = since


class _OddError(Exception):
    """What answers is not the API; the text says how."""


@frozen
class Answer:
    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes


@frozen
class Place:
    """Where the API is. `path`: of a Unix socket, "" = it has a host. `tls` None = plain HTTP."""

    host: str
    port: int
    authority: str
    path: str = ""
    tls: ssl.SSLContext | None = None

    @classmethod
    def of(cls, url: str, certificate: str | None) -> Place:
        """Reads `http://host:port`, `https://host:port` or `unix:/path`.

        `certificate`: the file with the only certificate to trust, under https. Raises `OSError`.
        """
        if url.startswith(_UNIX):
            return cls("", 0, "localhost", url.removeprefix(_UNIX))
        parts = urlsplit(url)
        tls = trusting(certificate) if parts.scheme == "https" else None
        return cls(parts.hostname or "", parts.port or 0, parts.netloc, "", tls)


@define(eq=False)
class _Wire:
    """One connection."""

    stream: trio.abc.Stream
    used: float = 0.0
    http: h11.Connection = field(factory=lambda: h11.Connection(h11.CLIENT))

    async def ask(self, request: h11.Request, body: bytes) -> h11.Response:
        sent = self.http.send(request) or b""
        if body:
            sent += self.http.send(h11.Data(data=body)) or b""
        sent += self.http.send(h11.EndOfMessage()) or b""
        await self.stream.send_all(sent)
        while True:
            event = await self._next()
            if isinstance(event, h11.Response):
                return event

    async def part(self) -> bytes:
        """Returns the next part of the answer's body; b"" = it is over."""
        event = await self._next()
        return bytes(event.data) if isinstance(event, h11.Data) else b""

    async def _next(self) -> object:
        some = b"-"
        try:
            while (event := self.http.next_event()) is h11.NEED_DATA:
                some = bytes(await self.stream.receive_some(_READ_BYTES))
                self.http.receive_data(some)
        except h11.RemoteProtocolError as error:
            what = f"the answer is no HTTP: {error}" if some else _CUT
            raise _OddError(what) from None
        return event

    def again(self) -> bool:
        """Makes the connection ready for the next request, if it can have one."""
        if self.http.our_state is not h11.DONE or self.http.their_state is not h11.DONE:
            return False
        self.http.start_next_cycle()
        self.used = trio.current_time()
        return True


@define(eq=False)
class _Turn:
    """That of one request. `until`: trio's time at which the next one goes at the latest."""

    until: float = -inf
    over: trio.Event = field(factory=trio.Event)


@define(eq=False)
class Link:
    """The connections to one API. `down_since`: Unix time in seconds; None = it answers."""

    place: Place
    clock: Callable[[], float] = time.time
    down_since: float | None = None
    _idle: list[_Wire] = field(factory=list)
    _turns: trio.Semaphore = field(factory=lambda: trio.Semaphore(MOST_AT_ONCE))
    _gate: trio.Lock = field(factory=trio.Lock)  # of who goes next
    _turn: _Turn = field(factory=_Turn)  # of who went last

    async def exchange(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes = b""
    ) -> Answer:
        """Sends a request and returns the whole answer. Raises `DownError`."""
        async with self._turns, self._in_turn():
            with self._noticing():
                with trio.fail_after(ANSWER_SECONDS):
                    return await self._exchange(self._request(method, target, headers, body), body)

    @asynccontextmanager
    async def _in_turn(self) -> AsyncGenerator[None]:
        async with self._gate:
            with trio.move_on_at(self._turn.until):
                await self._turn.over.wait()
            self._turn = mine = _Turn(trio.current_time() + TURN_SECONDS)
        try:
            yield
        finally:
            mine.over.set()

    def close(self) -> None:
        """Closes the connections that are kept."""
        while self._idle:
            _drop(self._idle.pop())

    async def _exchange(self, request: h11.Request, body: bytes) -> Answer:
        kept = self._kept() if request.method == b"GET" else None
        if kept is not None:
            try:
                return await self._asked(kept, request, body)
            except (OSError, trio.BrokenResourceError, h11.ProtocolError, _OddError):
                pass  # the API closed it meanwhile
        return await self._asked(await self._connected(), request, body)

    async def _asked(self, wire: _Wire, request: h11.Request, body: bytes) -> Answer:
        done = False
        try:
            answer = _answer(await wire.ask(request, body), await _whole(wire))
            done = wire.again()
            if done:
                self._idle.append(wire)
            return answer
        finally:
            if not done:
                await _close(wire)

    def _kept(self) -> _Wire | None:
        """Returns the connection that was used last; those that are too old are closed."""
        oldest = trio.current_time() - IDLE_SECONDS
        while self._idle and self._idle[0].used < oldest:
            wire = self._idle.pop(0)
            _drop(wire)
        return self._idle.pop() if self._idle else None

    async def _connected(self) -> _Wire:
        place = self.place
        with trio.fail_after(CONNECT_SECONDS):
            if place.path:
                return _Wire(await trio.open_unix_socket(place.path))
            stream: trio.abc.Stream = await trio.open_tcp_stream(place.host, place.port)
            if place.tls is not None:
                stream = trio.SSLStream(
                    stream, place.tls, server_hostname=place.host, https_compatible=True
                )
                await stream.do_handshake()
        return _Wire(stream)

    def _request(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> h11.Request:
        # Texts go as UTF-8, as the API reads them.
        fields = [("host", self.place.authority), *headers.items()]
        if body or method not in ("GET", "DELETE"):
            fields.append(("content-length", str(len(body))))
        return h11.Request(
            method=method,
            target=target,
            headers=[(name.encode(), text.encode()) for name, text in fields],
        )

    def _noticing(self) -> _Noticing:
        return _Noticing(self)


class _Noticing:
    """Turns a failure to get an answer into `DownError`, and notes since when there is none."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, _trace: object) -> None:
        link = self._link
        if error is None:
            link.down_since = None
        elif isinstance(error, (*_FAILURES, trio.TooSlowError)):
            link.down_since = link.down_since or link.clock()
            raise DownError(_why(error), link.down_since) from None


_FAILURES: Final = (
    OSError, trio.BrokenResourceError, trio.ClosedResourceError, h11.ProtocolError, _OddError,
)  # fmt: skip


def _answer(head: h11.Response, body: bytes) -> Answer:
    headers = {name.decode("latin-1"): text.decode("latin-1") for name, text in head.headers}
    return Answer(head.status_code, headers, body)


async def _whole(wire: _Wire) -> bytes:
    body = b""
    while part := await wire.part():
        body += part
        if len(body) > MOST_BYTES:
            raise _OddError(f"the answer has more than {MOST_BYTES} bytes")
    return body


async def _close(wire: _Wire) -> None:
    with trio.move_on_after(1, shield=True):
        await trio.aclose_forcefully(wire.stream)


def _drop(wire: _Wire) -> None:
    """Closes the socket of an unused connection, without waiting for anything."""
    stream = wire.stream
    plain = stream.transport_stream if isinstance(stream, trio.SSLStream) else stream
    if isinstance(plain, trio.SocketStream):
        plain.socket.close()


def _why(error: BaseException) -> str:
    """Says in words why there is no answer: by the system's own error, under what trio makes of
    it.
    """
    if isinstance(error, trio.TooSlowError):
        return f"no answer within {ANSWER_SECONDS:.0f} s"
    while error.__cause__ is not None:
        error = error.__cause__
    if isinstance(error, BaseExceptionGroup):  # of a name with several addresses
        error = error.exceptions[0]
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
