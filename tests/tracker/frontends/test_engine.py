"""The engine of the HTTP tracker over real sockets: order, slow clients, bodies, time."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from time import monotonic, perf_counter_ns
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from tests.support import Rig, hash_of
from tests.tracker.frontends.policy.site import serving
from tracker.domain.policy import Policy
from tracker.frontends.http import engine
from tracker.frontends.http.connections import ConnectionLimits
from tracker.frontends.http.engine import PIPELINED
from tracker.frontends.http.handler import RequestHandler
from tracker.places import Places

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

    from tests.tracker.frontends.policy.site import Site

HEALTH = b"GET /health_check HTTP/1.1\r\nHost: t\r\n\r\n"
HEALTHY = b'{"status":"Ok"}'
ANNOUNCE = b"GET /announce?info_hash=%b&peer_id=-XX0001.abcdefghijkl&port=%d&left=1 HTTP/1.1\r\nHost: t\r\n\r\n"
LAST = b"HEAD /health_check HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"


@pytest.fixture(autouse=True)
def opened() -> Iterator[ExitStack]:
    """Closes the clients after a test."""
    with ExitStack() as sockets:
        yield sockets


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with serving(Policy()) as running:
        yield running


def announces(count: int) -> bytes:
    info_hash = b"".join(b"%%%02x" % one for one in hash_of(1))
    return b"".join(ANNOUNCE % (info_hash, port) for port in range(1, count + 1))


async def read_to_end(client: trio.socket.SocketType) -> bytes:
    received = b""
    while data := await client.recv(65_536):
        received += data
    return received


async def read(client: trio.socket.SocketType, until: bytes) -> bytes:
    received = b""
    while not received.endswith(until):
        data = await client.recv(65_536)
        assert data, received
        received += data
    return received


async def send_all(client: trio.socket.SocketType, data: bytes) -> None:
    while data:
        data = data[await client.send(data) :]


@pytest.mark.parametrize("kept", [False, True])
async def test_many_requests_at_once(opened: ExitStack, site: Site, kept: bool) -> None:
    """More requests than a connection may have answered at once are answered in order, on a new
    connection and on a kept one, and another client is served meanwhile."""
    count = 5 * PIPELINED + 1
    client = opened.enter_context(await site.connection())
    if kept:
        await client.send(HEALTH)
        await read(client, HEALTHY)
    await send_all(client, announces(count) + LAST)
    assert (await site.announce("http", source="127.0.0.2")).interval
    replies = (await read_to_end(client)).split(b"HTTP/1.1 200 OK\r\n")[1:]
    swarm = [int(one.partition(b"10:incompletei")[2].partition(b"e")[0]) for one in replies[:-1]]
    assert len(swarm) == count
    assert swarm == sorted(swarm)
    assert replies[-1].endswith(b"Connection: close\r\n\r\n")


async def test_a_client_that_reads_late(opened: ExitStack, site: Site) -> None:
    """Replies wait for a client that does not read, and all of them reach it in order."""
    client = opened.enter_context(trio.socket.socket())
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    await client.connect(("127.0.0.1", site.http_port))
    await site.announce("http", 1)
    count = 4000
    whole = announces(count) + LAST
    replies: list[bytes] = []
    async with trio.open_nursery() as nursery:
        nursery.start_soon(send_all, client, whole)
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert (await site.announce("http", 1)).interval
        replies += (await read_to_end(client)).split(b"HTTP/1.1 200 OK\r\n")[1:]
    assert len(replies) == count + 1


async def test_a_body_in_pieces(opened: ExitStack, site: Site) -> None:
    """A body is skipped, however it arrives; the next request follows it."""
    client = opened.enter_context(await site.connection())
    posted = b"POST / HTTP/1.1\r\nContent-Length: 20\r\n\r\n"
    for sent in (posted + b"x" * 20, posted + b"GET / HTTP/1.1\r\n\r\n\r\n", HEALTH):
        for at in range(0, len(sent), 7):
            await client.send(sent[at : at + 7])
            await trio.testing.wait_all_tasks_blocked()
        received = await read(client, HEALTHY if sent is HEALTH else b"Content-Length: 0\r\n\r\n")
    assert received.count(b"HTTP/1.1 ") == 1


async def test_half_closed(opened: ExitStack, site: Site) -> None:
    """A client that has ended its side gets its answer."""
    for first in (b"", HEALTH):
        client = opened.enter_context(await site.connection())
        if first:
            await client.send(first)
            await read(client, HEALTHY)
        await client.send(HEALTH)
        client.shutdown(socket.SHUT_WR)
        assert (await read_to_end(client)).endswith(HEALTHY)


async def test_nonsense_after_requests(opened: ExitStack, site: Site) -> None:
    """Requests before nonsense are answered, in the same piece too; then the connection ends."""
    client = opened.enter_context(await site.connection())
    await client.send(HEALTH * 2 + b"\0nonsense\r\n\r\n" + HEALTH)
    received = await read_to_end(client)
    assert received.count(HEALTHY) == 2
    assert received.partition(HEALTHY * 1)[2].count(b"HTTP/1.1 400 ") == 1


@pytest.mark.parametrize("pieces", [(b"GET / HTTP/1.1\n",), (b"GET / HTTP/1.1\r\nA: b", b"\n")])
async def test_lines_without_cr(opened: ExitStack, site: Site, pieces: tuple[bytes, ...]) -> None:
    """A client that ends its lines with LF alone is told so at its first line, in pieces too."""
    client = opened.enter_context(await site.connection())
    for piece in pieces:
        await client.send(piece)
        await trio.testing.wait_all_tasks_blocked()
    assert (await read_to_end(client)).startswith(b"HTTP/1.1 400 ")


async def test_an_idle_connection_ends_and_a_busy_one_stays(opened: ExitStack) -> None:
    """Each exchange begins the time of a connection anew."""
    places = Places(8)
    limits = ConnectionLimits(places, request_seconds=0.4)
    async with serving(Policy(), limits=limits) as site:
        idle, busy = (
            opened.enter_context(await site.connection()),
            opened.enter_context(await site.connection()),
        )
        for client in (idle, busy):
            await client.send(HEALTH)
            await read(client, HEALTHY)
        ended = trio.Event()

        async def wait() -> None:
            assert await idle.recv(1) == b""
            ended.set()

        async with trio.open_nursery() as nursery:
            nursery.start_soon(wait)
            while not ended.is_set():
                await busy.send(HEALTH)
                await read(busy, HEALTHY)
                await trio.sleep(0.02)
        await busy.send(HEALTH)
        await read(busy, HEALTHY)
        assert places.opened == 1
        assert await read_to_end(busy) == b""
    assert places.opened == 0


async def test_no_place(opened: ExitStack) -> None:
    """A connection that may not wait is answered all the same, if its request has come with it;
    the reply says that it ends."""
    async with serving(Policy(), limits=ConnectionLimits(Places(0))) as site:
        sock = socket.create_connection(("127.0.0.1", site.http_port))
        sock.sendall(HEALTH)  # with no await before it, so it is there when the tracker accepts
        client = opened.enter_context(trio.socket.from_stdlib_socket(sock))
        received = await read_to_end(client)
    assert received.endswith(HEALTHY)
    assert b"\r\nConnection: close\r\n" in received


async def test_places_come_back(opened: ExitStack) -> None:
    """However a connection ends, its place is free again, and who has waited longest gives way."""
    places = Places(3)
    async with serving(Policy(), limits=ConnectionLimits(places)) as site:
        clients = [opened.enter_context(await site.connection()) for _ in range(4)]
        assert await clients[0].recv(1) == b""
        assert (places.opened, places.given_way) == (3, 1)
        await clients[1].send(HEALTH + LAST)
        assert (await read_to_end(clients[1])).count(HEALTHY) == 1
        await clients[2].send(b"nonsense\r\n\r\n")
        assert (await read_to_end(clients[2])).startswith(b"HTTP/1.1 400 ")
        for client in clients:
            client.close()
        while places.opened:  # noqa: ASYNC110  # no event tells when a client's end has arrived
            await trio.sleep(0.01)


def test_many_whose_time_is_over(
    opened: ExitStack, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """They are closed some at a time, because others must not wait for thousands of them."""
    listener = opened.enter_context(socket.socket(socket.AF_UNIX))
    listener.bind(str(tmp_path / "socket"))
    listener.listen(100)
    listener.setblocking(False)
    handler = RequestHandler(Rig().service, 0, proxied=False)
    running = engine.Engine(listener.fileno(), handler, ConnectionLimits(), None, None)
    clients = [opened.enter_context(socket.socket(socket.AF_UNIX)) for _ in range(70)]
    for client in clients:
        client.connect(str(tmp_path / "socket"))
    for _ in clients:  # each accepts some
        running.serve(perf_counter_ns() + 10_000_000)
    assert not running.expire()
    monkeypatch.setattr(engine, "monotonic", lambda: monotonic() + 3600)
    assert [running.expire() for _ in range(3)] == [True, True, False]
    assert not running.waits()
    assert all(client.recv(1) == b"" for client in clients)
    running.close()
