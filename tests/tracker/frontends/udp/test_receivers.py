"""What a receiver's thread says of a datagram, and what it leaves to the loop."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from select import select
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import Rig
from tests.tracker.frontends.udp.test_batches import announces, connect
from tracker.frontends.udp import receivers, ring
from tracker.frontends.udp.handler import DatagramHandler
from tracker.frontends.udp.server import open_sockets
from tracker.wire.connection_id import ConnectionIds

if TYPE_CHECKING:
    from collections.abc import Iterator

V4, V6 = b"\x7f\0\0\1", bytes(15) + b"\1"
hosts = pytest.mark.parametrize(
    ("host", "address"), [("127.0.0.1", V4), ("::1", V6), ("::", V4), ("::", V6)]
)


class Threads:
    """One receiver, whose datagrams the test decides instead of the loop."""

    def __init__(self, host: str, address: bytes) -> None:
        self.sockets = open_sockets(host, 0, 1)
        self.ids = ConnectionIds(b"k")
        self.handler = DatagramHandler(Rig().service, self.ids, 0)
        self.threads: Any = receivers.Receivers(
            self.sockets, self.handler, local_addresses=host == "::"
        )
        self.client = socket.socket(
            socket.AF_INET6 if len(address) == 16 else socket.AF_INET, socket.SOCK_DGRAM
        )
        self.client.settimeout(20)
        port = self.sockets[0].getsockname()[1]
        self.client.connect(("::1" if len(address) == 16 else "127.0.0.1", port))

    def decide(self) -> int:
        """Does what the loop does, and so tells the thread the time; returns how many datagrams."""
        self.handler.begin()
        decided: int = self.threads.decide(2**62)
        self.handler.end()
        self.threads.publish()
        return decided

    def verdict(self, datagram: bytes) -> int:
        """Returns what the thread says of a datagram."""
        self.client.send(datagram)
        while self.threads.sleeps():
            assert select([self.threads.fileno()], [], [], 20)[0]
            self.threads.woken()
        (receiver,) = self.threads._all
        said: int = receiver.batch.verdicts[receiver.taken % receivers.SLOTS]
        self.decide()
        return said


@contextmanager
def running(host: str, address: bytes) -> Iterator[Threads]:
    made = Threads(host, address)
    made.threads.start()
    try:
        yield made
    finally:
        made.threads.close()
        made.client.close()
        made.sockets[0].close()


@hosts
def test_the_thread_and_the_loop_agree_on_ids(host: str, address: bytes) -> None:
    """Each bit of an id, and its age, count for the thread as for the loop."""
    with running(host, address) as one:
        one.decide()
        good, slot = one.ids.issue(address), one.ids.slot
        tried = [good, bytes(8), ConnectionIds(b"another").issue(address)]
        tried += [(int.from_bytes(good, "big") ^ 1 << bit).to_bytes(8, "big") for bit in range(64)]
        for age in range(-2, 8):
            other = ConnectionIds(b"k")
            other.slot = slot - age
            tried.append(other.issue(address))
        one.ids.forget()
        valid = [one.ids.valid(each, address) for each in tried]
        assert sum(valid) == 1 + 5  # itself, and those of this slot and four before
        for each, expected in zip(tried, valid, strict=True):
            (datagram,) = announces(each, 1, range(1, 2))
            said = one.verdict(datagram)
            while expected and said == ring.OPEN:  # it has not heard the time for 100 ms
                said = one.verdict(datagram)
            assert said == (ring.PROVED if expected else ring.OPEN)


@hosts
def test_connects(host: str, address: bytes) -> None:
    """The thread answers connects as the loop does; while the loop was idle, it leaves them to it,
    because it does not know the time.
    """
    with running(host, address) as one:
        assert one.verdict(connect(1)) == ring.OPEN
        expected = one.ids.issue(address)
        assert one.client.recv(100) == bytes(4) + (1).to_bytes(4, "big") + expected
        while (said := one.verdict(connect(2))) == ring.OPEN:
            one.client.recv(100)
        assert said == (ring.CONNECT6 if len(address) == 16 else ring.CONNECT4)
        assert one.client.recv(100) == bytes(4) + (2).to_bytes(4, "big") + expected
        assert one.verdict(b"x" * 15) == ring.SHORT
        assert one.verdict(connect(3)[:8] + bytes([0, 0, 0, 9]) + bytes(4)) == ring.OPEN
        assert (one.handler.traffic.ignored, one.handler.traffic.errors) == (2, 0)


def test_a_full_ring_leaves_datagrams_to_the_kernel() -> None:
    """What does not fit into the ring waits in the socket, and is answered later, in order."""
    count = receivers.SLOTS + 200
    with running("127.0.0.1", V4) as one:
        for number in range(count):
            one.client.send(connect(number))
        found: list[int] = []
        while len(found) < count:
            replies = range(one.decide())  # at most 256, which the client's buffer takes
            found += [int.from_bytes(one.client.recv(100)[4:8], "big") for _ in replies]
        assert found == list(range(count))
