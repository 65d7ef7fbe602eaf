"""Hostile clients for the soak. Each function goes on until its event is set."""

from __future__ import annotations

import random
import socket
import struct
import time
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING

from tests.e2e.clients import UdpClient, announce_datagram

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Event

    from tests.e2e.process import Address, Tracker

HELLO = b"\x16\x03\x01"  # the beginning of a TLS handshake
RESET = struct.pack("ii", 1, 0)  # the value of SO_LINGER with which `close` sends a reset
PATIENCE = 5.0  # seconds that these clients wait for anything
TOKEN = b"Authorization: Bearer MyAccessToken\r\n"


def url_data(path: bytes) -> bytes:
    """Returns the BEP 41 option of a UDP announce that has this path."""
    return bytes([2, len(path)]) + path


def junk(tracker: Tracker, _key: bytes, over: Event) -> None:
    """Sends datagrams of random bytes over IPv4 and IPv6."""
    chance = random.Random(1)
    with ExitStack() as opened:
        socks = []
        for family, source in ((socket.AF_INET, "127.0.1.1"), (socket.AF_INET6, "::1")):
            sock = opened.enter_context(socket.socket(family, socket.SOCK_DGRAM))
            sock.bind((source, 0))
            socks.append(sock)
        while not over.wait(0.01):
            for number in range(20):
                with suppress(OSError):
                    datagram = chance.randbytes(chance.randrange(200))
                    socks[number % 2].sendto(datagram, tracker.udp[number % 2])


def flood(tracker: Tracker, key: bytes, over: Event) -> None:
    """Announces invented torrents of one member from one address, whatever is answered."""
    chance, client = random.Random(2), UdpClient(tracker.udp[0], "127.0.1.2")
    try:
        client.connect()
        while not over.wait(0.02):
            for _ in range(20):
                datagram = announce_datagram(client.connection_id, chance.randbytes(20), 1, 7001)
                client.send(datagram + url_data(b"/announce/" + key))
            client.arrived()
    except (OSError, AssertionError):
        pass  # the tracker is gone
    finally:
        client.close()


def crowd(tracker: Tracker, _key: bytes, over: Event) -> None:
    """Opens connections that send no whole request: idle, half a handshake, half a head, a slow
    head. Leaves with a reset or an end.
    """
    kinds: list[tuple[Address, bytes]] = [
        (tracker.http[0], b"GET /announce?info"),
        (tracker.http[1], HELLO),
        (tracker.http[1], b""),
        (tracker.api, b""),
        (tracker.api, b"POST /api/v2/whitelist HTTP/1.1\r\nHost: x\r\nContent-Length: 90\r\n\r\n{"),
        (tracker.health, b"GET /hea"),
    ]
    number = 0
    while not over.is_set():
        number += 1
        with ExitStack() as opened:
            socks = []
            for to, sent in kinds * 25:
                with suppress(OSError):
                    source = (f"127.0.2.{number % 200 + 1}", 0)
                    sock = socket.create_connection(to, PATIENCE, source)
                    socks.append(opened.enter_context(sock))
                    sock.sendall(sent)
            for _ in range(3):
                over.wait(1)
                for sock in socks:
                    with suppress(OSError):
                        sock.sendall(b"a")
            for sock in socks[::2]:
                with suppress(OSError):
                    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)


def slow_readers(tracker: Tracker, _key: bytes, over: Event) -> None:
    """Asks for large replies of the API, and reads a little of them now and then."""
    while not over.is_set():
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 2))
        paths = (
            "/api/v2/events?limit=1000",
            "/api/v1/torrents?limit=4000",
            "/api/v2/events/stream?after=0",
            "/api/v1/metrics?format=prometheus",
            f"/api/v1/torrents?limit=4000&at={moment}",
        )
        with ExitStack() as opened:
            socks = []
            for path in paths * 2:
                sock = opened.enter_context(socket.socket())
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                sock.settimeout(0.01)
                with suppress(OSError):
                    sock.bind(("127.0.1.3", 0))
                    sock.connect(tracker.api)
                    sock.sendall(b"GET %b HTTP/1.1\r\nHost: x\r\n%b\r\n" % (path.encode(), TOKEN))
                    socks.append(sock)
            for _ in range(20):
                over.wait(0.3)
                for sock in socks:
                    with suppress(OSError):
                        sock.recv(512)


ALL: tuple[Callable[[Tracker, bytes, Event], None], ...] = (junk, flood, crowd, slow_readers)
