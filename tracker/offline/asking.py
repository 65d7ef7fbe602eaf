"""Announces to a tracker as its clients do, over HTTP (BEP 3, 23) or UDP (BEP 15, 41), for tests of
an instance with recorded announces.
"""

from __future__ import annotations

import os
import socket
from contextlib import asynccontextmanager
from ipaddress import ip_address
from struct import pack, unpack_from
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import quote_from_bytes, urlsplit

import trio
from attrs import define, evolve, field, frozen

from tracker.domain import events
from tracker.wire.bencode import BencodeError, decode

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from contextlib import AbstractAsyncContextManager

    from tracker.history.recorded import Recorded

ANSWER_SECONDS = 5.0
"""Longest wait for an answer, in seconds; over UDP for each of `_TRIES` datagrams."""
UNANSWERED = "no answer"
_TRIES = 3
_CONNECTED_SECONDS = 50.0  # an id holds for two minutes (BEP 15)
_MAGIC = 0x41727101980
_NUMBERS = (b"interval", b"complete", b"incomplete")
_MOST_BYTES = 65_536  # of an answer over HTTP


class NoAnswerError(Exception):
    """The instance cannot be reached; the text says why, in one line."""


@frozen
class Answer:
    """What an announce was answered."""

    refused: str  # the reason, or `UNANSWERED`; "" = it was served
    interval: int = 0  # seconds
    seeders: int = 0
    leechers: int = 0
    peers: int = 0


class Session(Protocol):
    """Announces one after the other."""

    async def announce(self, one: Recorded, key: bytes, agent: bytes) -> Answer:
        """Sends a recorded announce whose address is known, with the text of a key (b"" = that of
        the URL). Raises `NoAnswerError`.
        """
        ...


@frozen
class Asking:
    """An instance by its announce URL. `has_key`: the URL has a key at its end."""

    url: str
    udp: bool
    host: str  # an IP address
    port: int
    path: bytes  # of the URL
    has_key: bool

    def session(self) -> AbstractAsyncContextManager[Session]:
        return _over_udp(self) if self.udp else _over_http(self)

    def over(self, one: Recorded) -> Recorded:
        """Returns an announce as it arrives at this instance: by the protocol of the URL.

        Over UDP nobody can say the address of another, so all come from one of the family of ours.
        """
        v6 = ":" in self.host if self.udp else one.v6
        if self.udp:
            return evolve(one, path=events.UDP6 if v6 else events.UDP4)
        return evolve(one, path=events.HTTP6 if v6 else events.HTTP4)

    def path_for(self, key: bytes) -> bytes:
        return self.path + b"/" + key if key else self.path


def asking(url: str) -> Asking:
    """Reads the announce URL of an instance, and looks its host up.

    Raises `ValueError` with a text for people.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "udp") or not parts.hostname or not parts.port:
        raise ValueError(f"{url}: expected http://HOST:PORT/announce[/KEY] or udp://HOST:PORT[/announce/KEY]")  # fmt: skip
    try:
        ((*_, (host, *_)), *_) = socket.getaddrinfo(parts.hostname, parts.port, type=socket.SOCK_STREAM)  # fmt: skip
    except OSError as error:
        raise ValueError(f"{url}: {parts.hostname} has no address: {error.strerror}") from None
    path = parts.path.rstrip("/") or "/announce"
    has_key = path.rpartition("/")[2] != "announce"
    return Asking(url, parts.scheme == "udp", str(host), parts.port, path.encode(), has_key)


@asynccontextmanager
async def _over_http(to: Asking) -> AsyncIterator[Session]:
    yield _Http(to)


@frozen
class _Http:
    to: Asking

    async def announce(self, one: Recorded, key: bytes, agent: bytes) -> Answer:
        with trio.move_on_after(ANSWER_SECONDS):
            try:
                return _read_http(await self._exchange(_http_request(self.to, one, key, agent)))
            except OSError as error:
                raise NoAnswerError(f"{self.to.url}: {error}") from None
            except trio.BrokenResourceError:
                return Answer(UNANSWERED)
        return Answer(UNANSWERED)

    async def _exchange(self, request: bytes) -> bytes:
        """Sends a request on a connection of its own, and reads to its end."""
        received = bytearray()
        async with await trio.open_tcp_stream(self.to.host, self.to.port) as stream:
            await stream.send_all(request)
            async for some in stream:
                received += some
                if len(received) > _MOST_BYTES:
                    break
        return bytes(received)


def _http_request(to: Asking, one: Recorded, key: bytes, agent: bytes) -> bytes:
    fields: dict[bytes, bytes | int] = {
        b"info_hash": quote_from_bytes(one.info_hash).encode(),
        b"peer_id": quote_from_bytes(one.peer_id).encode(),
        b"port": int.from_bytes(one.port, "big"),
        b"uploaded": one.uploaded,
        b"downloaded": one.downloaded,
        b"compact": 0 if one.flags & events.FLAG_DICTIONARIES else 1,
    }
    if one.left != events.LEFT_UNKNOWN:
        fields[b"left"] = one.left
    if one.event != events.NONE:
        fields[b"event"] = events.EVENT_NAMES[one.event].encode()
    if not one.flags & events.FLAG_NUMWANT_ABSENT:
        fields[b"numwant"] = one.numwant
    if one.key_hash:
        fields[b"key"] = one.key_hash
    query = b"&".join(
        name + b"=" + (value if isinstance(value, bytes) else b"%d" % value)
        for name, value in fields.items()
    )
    lines = [
        b"GET %b?%b HTTP/1.1" % (to.path_for(key), query),
        b"Host: test",
        b"X-Forwarded-For: " + str(ip_address(one.address or b"")).encode(),
        b"Connection: close",
    ]
    if agent:
        lines.append(b"User-Agent: " + agent)
    return b"\r\n".join([*lines, b"", b""])


def _read_http(response: bytes) -> Answer:
    try:
        reply: Any = decode(response.partition(b"\r\n\r\n")[2])
        if b"failure reason" in reply:
            return Answer(reply[b"failure reason"].decode("utf-8", "replace"))
        peers = reply[b"peers"]
        count = len(peers) if isinstance(peers, list) else len(peers) // 6
        count += len(reply.get(b"peers6", b"")) // 18
        interval, seeders, leechers = map(int, map(reply.__getitem__, _NUMBERS))
        return Answer("", interval, seeders, leechers, count)
    except (BencodeError, KeyError, TypeError, ValueError, AttributeError):
        line = response.partition(b"\r\n")[0].decode("latin-1")
        return Answer(f"no reply of a tracker: {line[:80]!r}")


@asynccontextmanager
async def _over_udp(to: Asking) -> AsyncIterator[Session]:
    family = socket.AF_INET6 if ":" in to.host else socket.AF_INET
    with trio.socket.socket(family, socket.SOCK_DGRAM) as sock:
        await sock.connect((to.host, to.port))
        yield _Udp(to, sock)


@define
class _Udp:
    to: Asking
    sock: trio.socket.SocketType
    _id: bytes = field(init=False, default=b"")  # of the connection
    _connected: float = field(init=False, default=float("-inf"))  # when we got it

    async def announce(self, one: Recorded, key: bytes, agent: bytes) -> Answer:
        del agent
        if trio.current_time() - self._connected > _CONNECTED_SECONDS:
            reply = await self._exchange(pack(">QI", _MAGIC, 0), b"")
            if len(reply) < 16 or reply[:4] != bytes(4):
                return Answer(UNANSWERED)
            self._id, self._connected = reply[8:16], trio.current_time()
        path = self.to.path_for(key)
        options = bytes([2, len(path)]) + path if key or self.to.has_key else b""
        return _read_udp(
            await self._exchange(self._id + pack(">I", 1), _udp_fields(one) + options),
            18 if ":" in self.to.host else 6,
        )

    async def _exchange(self, head: bytes, rest: bytes) -> bytes:
        """Returns the reply with the transaction id of this request; b"" = none came."""
        transaction = os.urandom(4)
        for _ in range(_TRIES):
            with trio.move_on_after(ANSWER_SECONDS):
                try:
                    await self.sock.send(head + transaction + rest)
                    while (reply := await self.sock.recv(_MOST_BYTES))[4:8] != transaction:
                        pass
                except OSError as error:
                    raise NoAnswerError(f"{self.to.url}: {error.strerror}") from None
                return reply
        return b""


def _udp_fields(one: Recorded) -> bytes:
    """Returns the fields of an announce after the transaction id."""
    numwant = -1 if one.flags & events.FLAG_NUMWANT_ABSENT else one.numwant
    return pack(
        ">20s20sQQQIIIi2s", one.info_hash, one.peer_id, one.downloaded, one.left, one.uploaded,
        one.event, 0, one.key_hash, numwant, one.port,
    )  # fmt: skip


def _read_udp(reply: bytes, width: int) -> Answer:
    if len(reply) >= 20 and reply[:4] == pack(">I", 1):
        interval, leechers, seeders = unpack_from(">III", reply, 8)
        return Answer("", interval, seeders, leechers, (len(reply) - 20) // width)
    if len(reply) >= 8 and reply[:4] == pack(">I", 3):
        return Answer(reply[8:].decode("utf-8", "replace"))
    return Answer(UNANSWERED)
