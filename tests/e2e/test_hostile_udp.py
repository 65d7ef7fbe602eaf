"""Nonsense on the UDP port: silence, or an error that says what is wrong; nothing is recorded."""

from __future__ import annotations

import random
import struct
from typing import TYPE_CHECKING

import pytest

from tests.e2e.clients import MAGIC, UdpClient, announce_datagram, torrent, udp_client
from tests.e2e.witness import Witness

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

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
    """An announce that would be recorded; the tests spoil it."""
    return announce_datagram(connection_id, HASH, 1, port, event=event)


def head(connection_id: bytes, action: int) -> bytes:
    return connection_id + struct.pack(">I", action) + TRANSACTION


SILENCE = [0, 1, 8, 12, 15]


@pytest.mark.parametrize("size", SILENCE)
def test_silence(shared_tracker: Tracker, witness: Witness, size: int) -> None:
    """What is too short to name a transaction is not answered."""
    with udp_client(shared_tracker.udp[0]) as client:
        client.send(good(client.connection_id)[:size])
        # Answers come in the order of the datagrams: had there been one, this would not be it.
        assert client.exchange(head(client.connection_id, 5)) == error(
            "bad request: Invalid action"
        )
    witness.check_udp()


def error(reason: str, transaction: bytes = TRANSACTION) -> bytes:
    return struct.pack(">I", 3) + transaction + reason.encode()


ERRORS: list[tuple[str, Callable[[bytes], bytes], str]] = [
    ("wrong-magic", lambda _: head(FORGED, 0), "bad request: Protocol identifier missing"),
    ("zero-magic", lambda _: head(bytes(8), 0), "bad request: Protocol identifier missing"),
    ("unknown-action", lambda id_: head(id_, 4), "bad request: Invalid action"),
    ("huge-action", lambda id_: head(id_, 2**32 - 1), "bad request: Invalid action"),
    ("long-unknown-action", lambda id_: head(id_, 9) + bytes(300), "bad request: Invalid action"),
    ("announce-16", lambda id_: good(id_)[:16], "bad request: invalid data"),
    ("announce-97", lambda id_: good(id_)[:97], "bad request: invalid data"),
    ("forged-id", lambda _: good(FORGED), "connection id could not be verified"),
    ("zero-id", lambda _: good(bytes(8)), "connection id could not be verified"),
    ("magic-as-id", lambda _: good(struct.pack(">Q", MAGIC)), "connection id could not be verified"),
    ("id-bit-flipped", lambda id_: good(bytes([id_[0] ^ 1]) + id_[1:]), "connection id could not be verified"),
    ("id-of-other-slot", lambda id_: good(id_[:7] + bytes([id_[7] ^ 1])), "connection id could not be verified"),
    ("port-0", lambda id_: good(id_, port=0), "bad request: Port can't be 0"),
    ("event-4", lambda id_: good(id_, event=4), "bad request: Invalid announce event"),
    ("event-7", lambda id_: good(id_, event=7), "bad request: Invalid announce event"),
    ("event-huge", lambda id_: good(id_, event=2**32 - 1), "bad request: Invalid announce event"),
    ("scrape-forged-id", lambda _: head(FORGED, 2) + HASH, "connection id could not be verified"),
    ("scrape-nothing", lambda id_: head(id_, 2), "bad request: Full scrapes are not allowed"),
    ("scrape-19", lambda id_: head(id_, 2) + HASH[:19], "bad request: Invalid info hash list"),
    ("scrape-ragged", lambda id_: head(id_, 2) + HASH + HASH[:1], "bad request: Invalid info hash list"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("build", "reason"), [row[1:] for row in ERRORS], ids=[r[0] for r in ERRORS]
)
def test_error(
    shared_tracker: Tracker, witness: Witness, build: Callable[[bytes], bytes], reason: str
) -> None:
    """A datagram that can be answered gets an error with its transaction and the reason."""
    with udp_client(shared_tracker.udp[0]) as client:
        assert client.exchange(build(client.connection_id)) == error(reason)
    witness.check_udp()


def test_1400_zeros(shared_tracker: Tracker, witness: Witness) -> None:
    """What existing clients probe a tracker with: an error of transaction 0 that begins `bad request`."""
    client = UdpClient(shared_tracker.udp[0])
    reply = client.exchange(bytes(1400))
    client.close()
    assert reply.startswith(error("bad request", bytes(4)))
    witness.check_udp()


def test_somebody_elses_id(shared_tracker: Tracker, witness: Witness) -> None:
    """An id is good only for the address it was given to."""
    with (
        udp_client(shared_tracker.udp[0], "127.0.0.1") as one,
        udp_client(shared_tracker.udp[0], "127.0.0.5") as other,
    ):
        refused = error("connection id could not be verified")
        assert other.exchange(good(one.connection_id)) == refused
    witness.check_udp()


def test_answers_before_an_id_are_short(shared_tracker: Tracker, witness: Witness) -> None:
    """A forged source address gains nobody anything: no answer is longer than what caused it by much."""
    # 16 bytes is a connect, and so is its answer; texts of errors may add some words.
    client = UdpClient(shared_tracker.udp[0])
    for datagram in (head(FORGED, 0), head(FORGED, 1), head(FORGED, 2), good(FORGED), bytes(2000)):
        assert len(client.exchange(datagram)) < 64
    client.close()
    witness.check_udp()


def test_megabyte_of_noise(shared_tracker: Tracker, witness: Witness) -> None:
    """Random datagrams of all sizes, as fast as they go: the next honest client is served."""
    noise = random.Random(6)
    client = UdpClient(shared_tracker.udp[0])
    sent = 0
    while sent < 1_000_000:
        datagram = noise.randbytes(noise.choice((1, 15, 16, 17, 36, 97, 98, 99, 500, 1400, 4000)))
        client.send(datagram)
        sent += len(datagram)
    client.close()
    witness.check_udp()


def test_noise_that_looks_right(shared_tracker: Tracker, witness: Witness) -> None:
    """Real actions and real ids with noise behind them, which reaches the parts that parse."""
    noise = random.Random(7)
    with udp_client(shared_tracker.udp[0]) as client:
        for _ in range(1000):
            action = noise.choice((1, 2))
            # Too short for an announce, or with an event that is none: never to be recorded.
            size = noise.randrange(81)
            client.send(head(client.connection_id, action) + noise.randbytes(size))
    witness.check_udp()
