"""Each datagram of a batch gets its own reply, or none, at the address that it came from."""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from time import perf_counter_ns

import pytest
import trio

from tests.support import Rig
from tracker.frontends.udp import recvmmsg
from tracker.frontends.udp.handler import DatagramHandler
from tracker.frontends.udp.server import open_socket, serve
from tracker.wire import udp
from tracker.wire.connection_id import ConnectionIds

SILENT = b"x" * 15, udp.HEAD.pack(udp.MAGIC, 9, b"tran")
GAPS = "", "s", "ss", "r", "rsr", "srs", "rssr", "srrs", "rr" * 40 + "s" + "r" * 30
"""r = a connect, s = what gets no reply."""


def connect(number: int) -> bytes:
    return udp.HEAD.pack(udp.MAGIC, udp.CONNECT, number.to_bytes(4, "big"))


@pytest.mark.skipif(not recvmmsg.available, reason="needs recvmmsg")
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_gaps_between_replies(host: str) -> None:
    """Two clients send datagrams with and without replies, before the server looks at any."""
    sock = open_socket(host, 0)
    handler = DatagramHandler(Rig().service, ConnectionIds(b"k"), 0)
    clients = [socket.socket(sock.family, socket.SOCK_DGRAM) for _ in range(2)]
    expected: list[list[bytes]] = [[], []]
    for client in clients:
        client.connect(sock.getsockname())
    kinds = [(gap, which) for gap in GAPS for which in (0, 1)]
    for number, (kind, which) in enumerate((k, which) for gap, which in kinds for k in gap):
        clients[which].send(connect(number) if kind == "r" else SILENT[number % 2])
        if kind == "r":
            expected[which].append(number.to_bytes(4, "big"))
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            await nursery.start(serve, sock, handler)
            for client, transactions in zip(clients, expected, strict=True):
                found = []
                client.setblocking(False)
                while len(found) < len(transactions):
                    await trio.lowlevel.wait_readable(client)
                    found.append(client.recv(2048)[4:8])
                assert found == transactions
            nursery.cancel_scope.cancel()
    for client in clients:
        client.close()
    assert handler.traffic.ignored == sum(gap.count("s") for gap in GAPS) * 2


ANNOUNCE = struct.Struct(">8sI4s20s20sqqqIIIiH")


@pytest.mark.skipif(not recvmmsg.available, reason="needs recvmmsg")
def test_a_turn_ends_within_a_batch() -> None:
    """Datagrams that take long end a turn; those behind them are answered in the next ones."""
    ids = ConnectionIds(b"k")
    handler = DatagramHandler(Rig.with_settings(private=True).service, ids, 0)
    numbers = [number.to_bytes(4, "big") for number in range(100)]
    options = b"\x02\x01/" * 633
    found: list[bytes] = []
    with open_socket("127.0.0.1", 0) as sock, socket.socket(type=socket.SOCK_DGRAM) as client:
        client.connect(sock.getsockname())
        client.setblocking(False)
        fields = (bytes(20), b"-XX0001.abcdefghijkl", 0, 0, 0, 0, 0, 7, -1, 6881)
        for number in numbers:
            one = ANNOUNCE.pack(ids.issue(bytes([127, 0, 0, 1])), 1, number, *fields)
            client.send(one + options)
        batch = recvmmsg.Batch(sock, local_addresses=False)
        handler._each_ns = 1  # as if those before had taken no time
        turns = 0
        while len(found) < 100:
            before, turns = len(found), turns + 1
            handler.serve(batch, perf_counter_ns() + 100_000)
            with suppress(BlockingIOError):
                while data := client.recv(2048):
                    found.append(data[4:8])
            assert len(found) - before <= 32
    assert (found, turns) == (numbers, 4)


def announces(connection_id: bytes, torrents: int, ports: range) -> list[bytes]:
    """Builds an announce for each port, by turns in these torrents."""
    return [
        ANNOUNCE.pack(
            connection_id, 1, port.to_bytes(4, "big"), bytes([port % torrents]) * 20,
            b"-XX0001-%012d" % port, 0, 0, 0, 0, 0, 0, -1, port,
        )
        for port in ports
    ]  # fmt: skip


@pytest.mark.skipif(not recvmmsg.available, reason="needs recvmmsg")
@pytest.mark.parametrize("torrents", [1, 30])
async def test_both_families_on_one_socket(torrents: int) -> None:
    """IPv4 and IPv6 clients, new and known, in one batch: each reply lists its own family."""
    sock = open_socket("::", 0)
    ids = ConnectionIds(b"k")
    handler = DatagramHandler(Rig().service, ids, 0)
    port = sock.getsockname()[1]
    clients = []
    for host, address in (("127.0.0.1", b"\x7f\0\0\1"), ("::1", bytes(15) + b"\1")):
        client = socket.socket(
            socket.AF_INET6 if len(address) == 16 else socket.AF_INET, socket.SOCK_DGRAM
        )
        client.connect((host, port))
        handler.begin()
        clients.append((client, ids.issue(address), len(address) + 2))
        handler.end()
    with trio.fail_after(20):
        async with trio.open_nursery() as nursery:
            await nursery.start(serve, sock, handler)
            for known in (False, True):
                for client, connection_id, _ in clients:
                    for datagram in announces(connection_id, torrents, range(1, 51)):
                        client.send(datagram)
                for client, _, width in clients:
                    client.setblocking(False)
                    for number in range(1, 51):
                        await trio.lowlevel.wait_readable(client)
                        reply = client.recv(2048)
                        assert reply[4:8] == number.to_bytes(4, "big")
                        others = (50 if known else number) // torrents
                        assert (len(reply) - 20) % width == 0
                        assert (len(reply) - 20) // width >= min(others - 1, 74)
                        assert int.from_bytes(reply[16:20], "big") >= others
            nursery.cancel_scope.cancel()
    for client, _, _ in clients:
        client.close()
    assert handler._swarms.seeders_total == 100
