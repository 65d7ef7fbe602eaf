"""After its deadline a tracker decides nothing and sends nothing; with a later one it goes on."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from struct import pack
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from tests.tracker.frontends.test_strict import (
    HASH,
    Site,
    answer_after_sync,
    every_way,
    send_announce,
)
from tracker.frontends.udp import recvmmsg
from tracker.service.deadline import Deadline

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

CONNECT = bytes.fromhex("0000041727101980") + pack(">I4s", 0, b"conn")
HOUR_NS = 3_600_000_000_000


@asynccontextmanager
async def serving(receiving: int = 1) -> AsyncIterator[Site]:
    """A tracker whose replies to announces wait for the disk."""
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery:
            site = Site(nursery)
            await site.start(receiving)
            yield site
            nursery.cancel_scope.cancel()


async def ended(stream: trio.SocketStream) -> bool:
    """Tells whether the connection ends without a byte."""
    try:
        return await stream.receive_some() == b""
    except trio.BrokenResourceError:  # it was reset
        return True


async def connected(sock: trio.socket.SocketType) -> bytes:
    await sock.send(CONNECT)
    return (await sock.recv(100))[8:]


def announce(connection_id: bytes) -> bytes:
    return pack(
        ">8sI4s20s20sQQQIIIiH", connection_id, 1, b"tran", HASH,
        b"-XX0001.abcdefghijkl", 0, 0, 0, 0, 0, 7, -1, 6881,
    )  # fmt: skip


def test_none_at_first() -> None:
    """A new deadline never passes; one in the past has passed, one in the future not yet."""
    deadline = Deadline()
    assert not deadline.passed()
    now = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
    for ns, passed in ((1, True), (now, True), (now + HOUR_NS, False), (0, False)):
        deadline.ns = ns
        assert deadline.passed() == passed


@every_way
async def test_udp_after_the_deadline(
    monkeypatch: pytest.MonkeyPatch, batches: bool, receiving: int
) -> None:
    """An announce is dropped without a trace; with a later deadline the next one is answered."""
    monkeypatch.setattr(recvmmsg, "available", batches)
    async with serving(receiving) as site:
        with trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as sock:
            await sock.connect(("127.0.0.1", site.udp_port))
            connection_id = await connected(sock)
            site.service.deadline.ns = 1
            await sock.send(announce(connection_id))
            while site.udp.traffic.ignored < 1:
                await trio.testing.wait_all_tasks_blocked()
            assert site.service.swarms.seeders_total == 0
            site.service.deadline.ns = time.clock_gettime_ns(time.CLOCK_BOOTTIME) + HOUR_NS
            assert await connected(sock) == connection_id  # and nothing came before
            await sock.send(announce(connection_id))
            assert (await answer_after_sync(site, sock))[4:8] == b"tran"


@every_way
async def test_udp_deadline_before_sending(
    monkeypatch: pytest.MonkeyPatch, batches: bool, receiving: int
) -> None:
    """An announce that was decided in time gets no reply when the disk was too slow."""
    monkeypatch.setattr(recvmmsg, "available", batches)
    async with serving(receiving) as site:
        with trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM) as sock:
            await sock.connect(("127.0.0.1", site.udp_port))
            connection_id = await connected(sock)
            await sock.send(announce(connection_id))
            await site.log.waited_for.wait()
            site.service.deadline.ns = 1
            site.log.sync()
            while site.udp.traffic.unsent < 1:
                await sock.send(CONNECT)  # dropped; receivers tell their counts with the next batch
                await trio.testing.wait_all_tasks_blocked()
            site.service.deadline.ns = 0
            assert await connected(sock) == connection_id
        assert site.service.swarms.seeders_total == 1


@pytest.mark.parametrize("waits", [True, False])
async def test_http_after_the_deadline(waits: bool) -> None:
    """Open connections and new ones end without a byte, and nothing is decided."""
    async with serving() as site:
        async with await send_announce(site, b"keep-alive", waits=waits) as kept:
            assert b"8:completei1e" in await answer_after_sync(site, kept)
            site.service.deadline.ns = 1
            seq = site.log.pool.next_seq
            async with await send_announce(site, b"close", waits=waits) as new:
                assert await ended(new)
            assert await ended(kept)
        assert site.log.pool.next_seq == seq
        site.service.deadline.ns = 0
        site.log.waited_for = trio.Event()
        async with await send_announce(site, b"close", waits=waits) as new:
            assert b"8:completei1e" in await answer_after_sync(site, new)


@pytest.mark.parametrize("connection", [b"close", b"keep-alive"])
async def test_http_deadline_before_sending(connection: bytes) -> None:
    """An announce that was decided in time gets no reply when the disk was too slow."""
    async with serving() as site, await send_announce(site, connection, waits=True) as stream:
        await site.log.waited_for.wait()
        site.service.deadline.ns = 1
        site.log.sync()
        assert await ended(stream)
        assert site.service.swarms.seeders_total == 1
