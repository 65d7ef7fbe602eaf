"""With `durability = "strict"` no answer to an announce leaves before its event is on stable
storage."""

from __future__ import annotations

import socket
from struct import pack
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from eventlog import LogFailedError
from tests.support import SECOND, SELECTION_KEY, HandTime, MemoryLog, events_in, replayed
from tracker.domain.state import State
from tracker.frontends.http import server as http_server
from tracker.frontends.http.connections import ConnectionLimits
from tracker.frontends.http.handler import RequestHandler
from tracker.frontends.udp import receivers, recvmmsg
from tracker.frontends.udp import server as udp_server
from tracker.frontends.udp.handler import DatagramHandler
from tracker.service.service import Service
from tracker.wire.connection_id import ConnectionIds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

HASH = b"h" * 20
TARGET = b"/announce?info_hash=%b&peer_id=%b&port=6881&left=0" % (HASH, b"-XX0001.abcdefghijkl")


every_way = pytest.mark.parametrize(
    ("batches", "receiving"), [(True, 1), (False, 1), *[(True, 3)] * receivers.available]
)


class SlowDisk(MemoryLog):
    """A log whose events become durable at `sync` only. After a failed `sync` they never do."""

    def __init__(self) -> None:
        super().__init__()
        self.durable_seq = 0
        self.failed = False
        self._synced = trio.Event()
        self.waited_for = trio.Event()

    async def wait_durable(self, seq: int) -> None:
        while self.durable_seq <= seq:
            self.waited_for.set()
            if self.failed:
                raise LogFailedError("the disk is gone")
            await self._synced.wait()

    def sync(self, *, fail: bool = False) -> None:
        self.failed = fail
        if not fail:
            self.durable_seq = self.pool.next_seq
        synced, self._synced = self._synced, trio.Event()
        synced.set()


class Site:
    """Both front ends over one service, and their ports."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.log = SlowDisk()
        self.time = HandTime()
        self.state = State()
        clock = self.time.log_clock()
        self.service = Service(self.log, self.state, clock, SELECTION_KEY, strict=True)
        self._nursery = nursery

    async def start(self, receiving: int = 1) -> None:
        """`receiving`: threads that receive and send."""
        datagrams, *others = udp_server.open_sockets("127.0.0.1", 0, receiving)
        requests = http_server.open_socket("127.0.0.1", 0)
        self.udp_port, self.http_port = (one.getsockname()[1] for one in (datagrams, requests))
        ids = ConnectionIds(b"c" * 32)
        self.udp = DatagramHandler(self.service, ids, 0)
        await self._nursery.start(udp_server.serve, datagrams, self.udp, tuple(others))
        handler = RequestHandler(self.service, 1, proxied=False)
        await self._nursery.start(http_server.serve, requests, handler, ConnectionLimits())


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            started = Site(nursery)
            await started.start()
            yield started
            nursery.cancel_scope.cancel()


async def answer_after_sync(
    site: Site, stream: trio.SocketStream | trio.socket.SocketType
) -> bytes:
    """Returns the answer, after a check that it came with the sync and not before."""
    answers: list[bytes] = []

    async def receive() -> None:
        receive_some = stream.receive_some if isinstance(stream, trio.SocketStream) else stream.recv
        answers.append(bytes(await receive_some(2000)))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(receive)
        await site.log.waited_for.wait()
        await trio.testing.wait_all_tasks_blocked(0.02)
        assert answers == []
        site.log.sync()
    return answers[0]


async def send_announce(site: Site, connection: bytes, *, waits: bool = False) -> trio.SocketStream:
    """Connects and sends an announce, which arrives before the connection is accepted or
    (`waits=False`) after it."""
    sock = socket.create_connection(("127.0.0.1", site.http_port))
    if not waits:
        await trio.testing.wait_all_tasks_blocked()
    head = b" HTTP/1.1\r\nHost: t\r\nConnection: " + connection + b"\r\n\r\n"
    sock.sendall(b"GET " + TARGET + head)
    sock.setblocking(False)
    return trio.SocketStream(trio.socket.from_stdlib_socket(sock))


@pytest.mark.parametrize("waits", [True, False])
async def test_http_answers_wait_for_the_disk(site: Site, waits: bool) -> None:
    """The answer waits for the disk when the listener's task gives it, and when the connection's
    own task does."""
    async with await send_announce(site, b"close", waits=waits) as stream:
        assert b"8:completei1e" in await answer_after_sync(site, stream)
        assert await stream.receive_some() == b""


async def test_http_kept_alive(site: Site) -> None:
    """On a kept connection the first and the second answer wait for the disk."""
    async with await send_announce(site, b"keep-alive", waits=True) as stream:
        assert b"8:completei1e" in await answer_after_sync(site, stream)
        site.log.waited_for = trio.Event()
        await stream.send_all(b"GET " + TARGET + b" HTTP/1.1\r\nHost: t\r\n\r\n")
        assert b"8:completei1e" in await answer_after_sync(site, stream)


@every_way
async def test_udp_answers_wait_for_the_disk(
    monkeypatch: pytest.MonkeyPatch, batches: bool, receiving: int
) -> None:
    """UDP answers wait for the disk, with recvmmsg and without, and with receivers."""
    monkeypatch.setattr(recvmmsg, "available", batches)
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            site = Site(nursery)
            await site.start(receiving)
            with trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as sock:
                await sock.connect(("127.0.0.1", site.udp_port))
                await sock.send(bytes.fromhex("0000041727101980") + pack(">I4s", 0, b"tran"))
                connection_id = (await sock.recv(100))[8:]
                announce = pack(
                    ">8sI4s20s20sQQQIIIiH", connection_id, 1, b"tran", HASH,
                    b"-XX0001.abcdefghijkl", 0, 0, 0, 0, 0, 7, -1, 6881,
                )  # fmt: skip
                await sock.send(announce)
                assert (await answer_after_sync(site, sock))[:8] == pack(">I4s", 1, b"tran")
            nursery.cancel_scope.cancel()


@pytest.mark.parametrize("step", [3600, -3600, 0])
async def test_the_clock_is_set_while_an_answer_waits(site: Site, step: int) -> None:
    """The answer comes all the same, log time never goes back, and a replay gives the same."""
    async with await send_announce(site, b"close", waits=True) as stream:
        await site.log.waited_for.wait()
        site.time.wall += step * SECOND
        site.service.tick()
        assert b"8:completei1e" in await answer_after_sync(site, stream)
    site.service.tick()
    frames = site.log.frames()
    assert [one["type"] for one in events_in(frames)].count("clock_stepped") == (step > 0)
    times = [frame.header.time_us for frame in frames]
    assert times == sorted(times)
    assert replayed(frames).digest() == site.state.digest()


@pytest.mark.parametrize("waits", [True, False])
async def test_a_failed_disk_ends_the_connection_without_an_answer(waits: bool) -> None:
    """After a disk failure the client has no answer, the connection is closed, and the error
    reaches the caller."""
    with trio.fail_after(30), pytest.RaisesGroup(LogFailedError, flatten_subgroups=True):
        async with trio.open_nursery() as nursery:
            site = Site(nursery)
            await site.start()
            async with await send_announce(site, b"close", waits=waits) as stream:
                await site.log.waited_for.wait()
                with trio.CancelScope(shield=True):
                    site.log.sync(fail=True)
                    assert await stream.receive_some() == b""
