"""Tests malformed input on the UDP port: it gets an error or silence and is not recorded."""

from __future__ import annotations

import random
import struct
from typing import TYPE_CHECKING

import pytest

from tests.e2e.clients import UdpClient, announce_datagram, torrent, udp_client
from tests.e2e.witness import Witness

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.process import Tracker

HASH = torrent(1)
TRANSACTION = struct.pack(">I", 7)
FORGED = bytes.fromhex("0123456789abcdef")


@pytest.fixture(scope="module")
def witness(shared_tracker: Tracker) -> Iterator[Witness]:
    found = Witness(shared_tracker)
    yield found
    found.close()


def good(connection_id: bytes, port: int = 6881, event: int = 2) -> bytes:
    """Returns an announce that the tracker would record."""
    return announce_datagram(connection_id, HASH, 1, port, event=event)


def head(connection_id: bytes, action: int) -> bytes:
    return connection_id + struct.pack(">I", action) + TRANSACTION


def error(reason: str, transaction: bytes = TRANSACTION) -> bytes:
    return struct.pack(">I", 3) + transaction + reason.encode()


UNKNOWN = {"next": (4, 0), "an error": (3, 0), "huge": (2**32 - 1, 0), "long": (9, 1300)}


@pytest.mark.parametrize(("action", "more"), UNKNOWN.values(), ids=UNKNOWN)
def test_unknown_actions(shared_tracker: Tracker, witness: Witness, action: int, more: int) -> None:
    """An action that no request has gets no reply, with a valid connection id neither."""
    with udp_client(shared_tracker.udp[0]) as client:
        assert client.replies(head(client.connection_id, action) + bytes(more)) == []
    witness.check_udp()


def test_1400_zeros(shared_tracker: Tracker, witness: Witness) -> None:
    """A common probe of clients, 1,400 zeros, gets a `bad request` with transaction 0."""
    client = UdpClient(shared_tracker.udp[0])
    reply = client.exchange(bytes(1400))
    client.close()
    assert reply.startswith(error("bad request", bytes(4)))
    witness.check_udp()


def test_megabyte_of_noise(shared_tracker: Tracker, witness: Witness) -> None:
    """After random datagrams of all sizes at full speed, the next honest client is served."""
    noise = random.Random(6)
    client = UdpClient(shared_tracker.udp[0])
    sent = 0
    while sent < 1_000_000:
        datagram = noise.randbytes(noise.choice((1, 15, 16, 17, 36, 97, 98, 99, 500, 1400, 4000)))
        client.send(datagram)
        sent += len(datagram)
    client.close()
    witness.check_udp()


def test_noise_after_a_valid_head(shared_tracker: Tracker, witness: Witness) -> None:
    """Valid actions and ids followed by noise reach the parser and record nothing."""
    noise = random.Random(7)
    with udp_client(shared_tracker.udp[0]) as client:
        for _ in range(1000):
            action = noise.choice((1, 2))
            # Too short for an announce, so that none is recorded.
            size = noise.randrange(81)
            client.send(head(client.connection_id, action) + noise.randbytes(size))
    witness.check_udp()
