"""Tests malformed and hostile input on the HTTP port: it must harm no other client."""

from __future__ import annotations

import random
import socket
import struct
from typing import TYPE_CHECKING

import pytest

from tests.e2e.clients import announce_target, bdecode, body, exchange, read_all, torrent
from tests.e2e.process import DEADLINE
from tests.e2e.witness import Witness

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.process import Tracker

HASH = torrent(1)
GOOD = announce_target(HASH, 1, 6881)  # a valid announce, of which the tests change parts
QUERY = GOOD.partition("?")[2]
_GOOD_LINE = b"GET " + GOOD.encode()
END = b"\r\nHost: tracker\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def slow_clients(shared_tracker: Tracker) -> Iterator[list[socket.socket]]:
    """Connections with nothing or half a request sent, open while all these tests run."""
    held = []
    for sent in (b"", b"GET ", _GOOD_LINE, _GOOD_LINE + b" HTTP/1.1\r\n") * 10:
        held.append(socket.create_connection(shared_tracker.http[0], DEADLINE))
        held[-1].sendall(sent)
    yield held
    for sock in held:
        sock.close()


@pytest.fixture(scope="module")
def witness(shared_tracker: Tracker, slow_clients: list[socket.socket]) -> Iterator[Witness]:
    assert slow_clients  # because every test has to pass beside them
    found = Witness(shared_tracker)
    yield found
    found.close()


_BIG = random.Random(5).randbytes(1_000_000)
_UPGRADE = b" HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n"

STATUSES = [
    ("climbing-path", b"GET /../announce?" + QUERY.encode() + b" HTTP/1.1" + END, 404),
    ("put", b"PUT " + GOOD.encode() + b" HTTP/1.1\r\nContent-Length: 3" + END + b"abc", 405),
    ("not-http", b"\x13BitTorrent protocol\0\0\0\0\0\0\0\0" + HASH * 2, 400),
    ("tls-hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500), 400),
    ("http-3.7", _GOOD_LINE + b" HTTP/3.7" + END, 400),
    ("header-without-colon", _GOOD_LINE + b" HTTP/1.1\r\nnonsense" + END, 400),
    ("nul-in-header", _GOOD_LINE + b" HTTP/1.1\r\nA: b\0c" + END, 400),
    ("bad-length", _GOOD_LINE + b" HTTP/1.1\r\nContent-Length: -5" + END, 400),
    ("two-lengths", _GOOD_LINE + b" HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked" + END, 400),
    ("lengths-that-differ", _GOOD_LINE + b" HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4" + END, 400),
    ("header-100-kb", _GOOD_LINE + b" HTTP/1.1\r\nX: " + b"x" * 100_000 + END, 400),
    ("many-headers", _GOOD_LINE + b" HTTP/1.1" + b"\r\nA: b" * 20_000 + END, 400),
    ("body-100-kb", _GOOD_LINE + b" HTTP/1.1\r\nContent-Length: 100000" + END + bytes(100_000), 400),
]  # fmt: skip


def test_an_upgrade_is_ignored(shared_tracker: Tracker, witness: Witness) -> None:
    """A request to switch protocols is answered over HTTP (RFC 9110, 7.8)."""
    response = exchange(shared_tracker.http[0], b"GET /health_check" + _UPGRADE)
    assert response.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nConnection: close\r\n" in response
    assert body(response) == b'{"status":"Ok"}'
    witness.check_http()


@pytest.mark.parametrize(
    ("request_", "status"), [row[1:] for row in STATUSES], ids=[r[0] for r in STATUSES]
)
def test_refused(shared_tracker: Tracker, witness: Witness, request_: bytes, status: int) -> None:
    """Invalid input gets a status, and the tracker closes the connection."""
    response = exchange(shared_tracker.http[0], request_)
    assert response.startswith(b"HTTP/1.1 %d " % status)
    if status == 404:
        assert body(response) == b""
    witness.check_http()


def test_megabyte_of_garbage(shared_tracker: Tracker, witness: Witness) -> None:
    """A client that sends garbage gets status 400 or a closed connection, whichever comes first."""
    with socket.create_connection(shared_tracker.http[0], DEADLINE) as sock:
        try:
            sock.sendall(_BIG)
        except (BrokenPipeError, ConnectionResetError):
            received = b""
        else:
            received = read_all(sock)
    assert not received or received.startswith(b"HTTP/1.1 400 ")
    witness.check_http()


def test_reset_in_mid_request(shared_tracker: Tracker, witness: Witness) -> None:
    """Connections reset before, within or after a request do no harm."""
    # The whole request is a scrape, so that nothing is recorded.
    scrape = b"GET /scrape?info_hash=aaaaaaaaaaaaaaaaaaaa HTTP/1.1" + END
    for sent in (b"", b"GET /anno", _GOOD_LINE + b" HTTP/1.1\r\n", scrape) * 10:
        with socket.create_connection(shared_tracker.http[0], DEADLINE) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.sendall(sent)
    witness.check_http()


def test_half_a_request(shared_tracker: Tracker, witness: Witness) -> None:
    """A connection that ends within its request is closed."""
    for sent in (b"", b"G", _GOOD_LINE, _GOOD_LINE + b" HTTP/1.1\r\nHost: x\r\n"):
        with socket.create_connection(shared_tracker.http[0], DEADLINE) as sock:
            sock.sendall(sent)
            sock.shutdown(socket.SHUT_WR)
            assert read_all(sock) == b""
    witness.check_http()


def test_two_requests_at_once(shared_tracker: Tracker, witness: Witness) -> None:
    """Requests sent together are answered one by one, in order, even if the second arrives in
    parts.
    """
    first = b"GET /scrape?info_hash=" + b"a" * 20 + b" HTTP/1.1\r\nHost: x\r\n\r\n"
    second = b"GET /scrape?info_hash=" + b"b" * 20 + b" HTTP/1.1" + END
    for pause in (False, True):
        with socket.create_connection(shared_tracker.http[0], DEADLINE) as sock:
            sock.sendall(first + second[:10])
            if pause:
                assert sock.recv(1, socket.MSG_PEEK) == b"H"  # the first answer does not wait
            sock.sendall(second[10:])
            answers = read_all(sock).split(b"HTTP/1.1 200 OK\r\n")[1:]
        assert [list(bdecode(body(one))["files"]) for one in answers] == [["a" * 20], ["b" * 20]]
    witness.check_http()


def test_a_request_before_nonsense(shared_tracker: Tracker, witness: Witness) -> None:
    """Nonsense after a request on a kept connection gets status 400; the request is answered."""
    with socket.create_connection(shared_tracker.http[0], DEADLINE) as sock:
        sock.sendall(b"GET /health_check HTTP/1.1\r\nHost: x\r\n\r\n")
        assert sock.recv(1, socket.MSG_PEEK) == b"H"
        sock.sendall(b"\0\0\0\0 nonsense\r\n\r\n")
        received = read_all(sock)
    assert received.count(b"HTTP/1.1 200 OK") == 1
    assert received.count(b"HTTP/1.1 400 Bad Request") == 1
    witness.check_http()


@pytest.mark.faults  # it waits for the ends of slow requests
def test_slow_clients(slow_clients: list[socket.socket], witness: Witness) -> None:
    """Clients that never finish their request delay no other client and are soon closed."""
    witness.check_http()
    for sock in slow_clients:
        assert read_all(sock) == b""
    witness.check_http()
