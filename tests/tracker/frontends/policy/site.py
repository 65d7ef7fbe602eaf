"""A tracker with the site's own rules behind real HTTP and UDP sockets."""

from __future__ import annotations

from contextlib import asynccontextmanager
from struct import pack, unpack_from
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_from_bytes

import pytest
import trio
from attrs import define, field, frozen

from tests.support import Rig, hash_of, replayed
from tracker.domain import events
from tracker.frontends.http import server as http_server
from tracker.frontends.http.connections import ConnectionLimits
from tracker.frontends.http.handler import RequestHandler
from tracker.frontends.udp import server as udp_server
from tracker.frontends.udp.handler import DatagramHandler
from tracker.wire.bencode import decode
from tracker.wire.connection_id import ConnectionIds

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

    from tracker.domain.policy import Policy
    from tracker.service.rate_limits import Bans


MINE, THEIRS = b"-XX0001.abcdefghijkl", b"-YY0001-abcdefghijkl"
MAGIC = bytes.fromhex("0000041727101980")
both = pytest.mark.parametrize("protocol", ["http", "udp"])


@frozen
class Reply:
    """The reply to an announce."""

    failure: str = ""
    retry: object = None  # HTTP only
    interval: int = 0
    seeders: int = 0
    leechers: int = 0
    ports: tuple[int, ...] = ()  # of the peers
    warning: str = ""  # HTTP only


@define
class Site:
    """A tracker in memory behind real sockets. The test moves its time."""

    rig: Rig
    http_port: int = 0
    udp_port: int = 0
    sockets: dict[str, tuple[trio.socket.SocketType, bytes]] = field(factory=dict)

    async def announce(self, protocol: str, port: int = 6881, **changed: Any) -> Reply:
        """Announces as a leecher without a key, from 127.0.0.1 by default."""
        send = self._http_announce if protocol == "http" else self._udp_announce
        return await send(port, **changed)

    async def _http_announce(
        self,
        port: int,
        *,
        info_hash: bytes = hash_of(1),
        peer_id: bytes = MINE,
        event: int = events.NONE,
        left: int = 5,
        key: bytes = b"",
        source: str = "127.0.0.1",
    ) -> Reply:
        name = ("", "completed", "started", "stopped", "paused")[event]
        target = (
            f"/announce{'/' * bool(key)}{key.decode()}?info_hash={quote_from_bytes(info_hash)}"
            f"&peer_id={quote_from_bytes(peer_id)}&port={port}&left={left}&event={name}"
        )
        reply = await self.get(target, source)
        if "failure reason" in reply:
            return Reply(reply["failure reason"].decode(), reply.get("retry in"))
        counts = reply["interval"], reply["complete"], reply["incomplete"]
        warning = reply.get("warning message", b"").decode()
        return Reply("", None, *counts, ports_in(reply["peers"]), warning)

    async def _udp_announce(
        self,
        port: int,
        *,
        info_hash: bytes = hash_of(1),
        peer_id: bytes = MINE,
        event: int = events.NONE,
        left: int = 5,
        key: bytes = b"",
        source: str = "127.0.0.1",
    ) -> Reply:
        _, connection_id = await self.udp_client(source)
        reply = await self.exchange(
            udp_announce(connection_id, port, info_hash, peer_id, event, left)
            + (bytes([2, len(key) + 10]) + b"/announce/" + key if key else b""),
            source,
        )
        if reply[:4] == pack(">I", 3):
            return Reply(reply[8:].decode())
        interval, leechers, seeders = unpack_from(">III", reply, 8)
        return Reply("", None, interval, seeders, leechers, ports_in(reply[20:]))

    async def udp_client(self, source: str) -> tuple[trio.socket.SocketType, bytes]:
        """Returns the client socket of an address and its connection id."""
        if source not in self.sockets:
            sock = trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM)
            await sock.bind((source, 0))
            await sock.connect(("127.0.0.1", self.udp_port))
            await sock.send(MAGIC + pack(">I4s", 0, b"tran"))
            self.sockets[source] = sock, (await sock.recv(100))[8:]
        return self.sockets[source]

    def leave_udp(self) -> None:
        for sock, _ in self.sockets.values():
            sock.close()
        self.sockets.clear()

    async def exchange(self, datagram: bytes, source: str = "127.0.0.1") -> bytes:
        sock, _ = await self.udp_client(source)
        await sock.send(datagram)
        return await sock.recv(1500)

    async def udp_scrape(self, source: str = "127.0.0.1") -> bytes:
        _, connection_id = await self.udp_client(source)
        return await self.exchange(connection_id + pack(">I4s", 2, b"tran") + hash_of(1), source)

    async def get(self, target: str, source: str = "127.0.0.1") -> dict[str, Any]:
        """Returns the decoded body."""
        stream = trio.SocketStream(await self.connection(source))
        async with stream:
            request = f"GET {target} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"
            await stream.send_all(request.encode())
            response = b"".join([chunk async for chunk in stream])
        values = decode(response.partition(b"\r\n\r\n")[2])
        assert isinstance(values, dict)
        return {name.decode(): value for name, value in values.items()}

    async def connection(self, source: str = "127.0.0.1") -> trio.socket.SocketType:
        sock = trio.socket.socket()
        await sock.bind((source, 0))
        await sock.connect(("127.0.0.1", self.http_port))
        return sock

    def logged(self, kind: str) -> list[dict[str, Any]]:
        return [one for one in self.rig.events() if one["type"] == kind]


def ports_in(packed: bytes) -> tuple[int, ...]:
    return tuple(
        sorted(int.from_bytes(packed[at : at + 2], "big") for at in range(4, len(packed), 6))
    )


def udp_announce(
    connection_id: bytes, port: int, info_hash: bytes, peer_id: bytes, event: int, left: int
) -> bytes:
    return connection_id + pack(
        ">I4s20s20sqqqIIIiH", 1, b"tran", info_hash, peer_id, 0, left, 0, event, 0, 0, -1, port
    )


@asynccontextmanager
async def serving(
    policy: Policy,
    *,
    limits: ConnectionLimits | None = None,
    bans: Bans | None = None,
    tls: ssl.SSLContext | None = None,
    **settings: Any,
) -> AsyncIterator[Site]:
    """A tracker with these rules, on two sockets."""
    rig = Rig.with_settings(policy=policy, **settings)
    datagrams, requests = (
        udp_server.open_socket("127.0.0.1", 0),
        http_server.open_socket("127.0.0.1", 0),
    )
    site = Site(rig, requests.getsockname()[1], datagrams.getsockname()[1])
    handler = DatagramHandler(rig.service, ConnectionIds(b"c" * 32), 0, None, bans)
    try:
        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                await nursery.start(udp_server.serve, datagrams, handler)
                answers = RequestHandler(rig.service, 1, proxied=False)
                await nursery.start(
                    http_server.serve, requests, answers, limits or ConnectionLimits(), tls
                )
                yield site
                nursery.cancel_scope.cancel()
    finally:
        site.leave_udp()
    assert replayed(rig.log.frames()).digest() == rig.state.digest()


async def refused(site: Site, protocol: str, text: str, retry: object, **announce: Any) -> None:
    """Checks that the announce is refused with this text, and that no announce is counted."""
    before = site.rig.state.swarms.announces[:]
    reply = await site.announce(protocol, **announce)
    assert reply == Reply(f"Tracker error: {text}", retry if protocol == "http" else None)
    assert site.rig.state.swarms.announces == before
