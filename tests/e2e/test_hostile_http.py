"""Nonsense, malice and bad luck on the HTTP port: each is answered clearly or met with silence, and harms nobody."""

from __future__ import annotations

import random
import socket
import struct
from typing import TYPE_CHECKING

import pytest

from tests.e2e.clients import announce_target, bdecode, body, exchange, get, read_all, torrent
from tests.e2e.process import DEADLINE
from tests.e2e.witness import Witness

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.process import Tracker

HASH = torrent(1)
GOOD = announce_target(HASH, 1, 6881)  # would be recorded; the tests spoil it
QUERY = GOOD.partition("?")[2]
_GOOD_LINE = b"GET " + GOOD.encode()
END = b"\r\nHost: tracker\r\nConnection: close\r\n\r\n"
_IN_ANNOUNCE = "Cannot parse query params for announce request: "


@pytest.fixture(scope="module")
def slow_clients(shared_tracker: Tracker) -> Iterator[list[socket.socket]]:
    """Connections on which nothing was sent, or half of something; open while all the tests run."""
    held = []
    for sent in (b"", b"GET ", _GOOD_LINE, _GOOD_LINE + b" HTTP/1.1\r\n") * 10:
        held.append(socket.create_connection(shared_tracker.http[0], DEADLINE))
        held[-1].sendall(sent)
    yield held
    for sock in held:
        sock.close()


@pytest.fixture(scope="module")
def witness(shared_tracker: Tracker, slow_clients: list[socket.socket]) -> Iterator[Witness]:
    assert slow_clients  # whatever is tested is tested beside them
    found = Witness(shared_tracker)
    yield found
    found.close()


FAILURES = [
    ("no-query", "/announce", "missing query params for announce request"),
    ("empty-query", "/announce?", "missing query params for announce request"),
    ("no-info-hash", f"/announce?{QUERY.partition('&')[2]}", "missing param info_hash"),
    ("info-hash-19", GOOD.replace("%01", "", 1), "got 19 bytes, expected 20"),
    ("info-hash-21", GOOD.replace("%01", "%01%01", 1), "got 21 bytes, expected 20"),
    ("info-hash-hex", f"/announce?info_hash={HASH.hex()}&port=1", "got 40 bytes, expected 20"),
    ("info-hash-twice", f"{GOOD}&info_hash=aaaaaaaaaaaaaaaaaaaa", "repeated param info_hash"),
    ("bad-escape", GOOD.replace("%01", "%zz", 1), "bad percent-encoding"),
    ("no-peer-id", f"/announce?{QUERY.partition('&')[0]}&port=1", "missing param peer_id"),
    ("no-port", GOOD.replace("&port=6881", ""), "missing param port"),
    ("port-text", GOOD.replace("6881", "http"), "invalid param value http for port"),
    ("port-0", GOOD.replace("6881", "0"), "invalid param value 0 for port"),
    ("port-65536", GOOD.replace("6881", "65536"), "invalid param value 65536 for port"),
    ("port-negative", GOOD.replace("6881", "-1"), "invalid param value -1 for port"),
    ("left-negative", f"{GOOD}&left=-1", "invalid param value -1 for left"),
    ("left-huge", f"{GOOD}&left={2**63}", "param value overflow 9223372036854775808 for left"),
    ("left-5000-digits", f"{GOOD}&left={'9' * 5000}", "param value overflow"),
    ("uploaded-float", f"{GOOD}&uploaded=1.5", "invalid param value 1.5 for uploaded"),
    ("unknown-event", f"{GOOD}&event=exploded", "invalid param value exploded for event"),
    ("compact-2", f"{GOOD}&compact=2", "invalid param value 2 for compact"),
    ("numwant-negative", f"{GOOD}&numwant=-1", "invalid param value -1 for numwant"),
    ("two-equals", f"{GOOD}&a=b=c", "invalid param a=b=c"),
    ("no-equals", f"{GOOD}&a", "invalid param a"),
    ("bad-key", GOOD.replace("/announce", "/announce/short"), "Invalid format for authentication"),
    ("scrape-nothing", "/scrape", "missing query params for scrape request"),
    ("scrape-19", "/scrape?info_hash=aaaaaaaaaaaaaaaaaaa", "got 19 bytes, expected 20"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("target", "reason"), [row[1:] for row in FAILURES], ids=[r[0] for r in FAILURES]
)
def test_failure_reason(
    shared_tracker: Tracker, witness: Witness, target: str, reason: str
) -> None:
    """A request that makes no sense gets status 200 and a bencoded reason that says what is wrong."""
    response = get(shared_tracker.http[0], target)
    assert response.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; charset=utf-8\r\n")
    answer = bdecode(body(response))
    assert list(answer) == ["failure reason"]
    assert reason in answer["failure reason"].decode()
    witness.check_http()


_BIG = random.Random(5).randbytes(1_000_000)
_UPGRADE = b" HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\r\n"

STATUSES = [
    ("unknown-path", b"GET /index.html HTTP/1.1" + END, 404),
    ("root", b"GET / HTTP/1.1" + END, 404),
    ("climbing-path", b"GET /../announce?" + QUERY.encode() + b" HTTP/1.1" + END, 404),
    ("post", b"POST " + GOOD.encode() + b" HTTP/1.1\r\nContent-Length: 0" + END, 405),
    ("put", b"PUT " + GOOD.encode() + b" HTTP/1.1\r\nContent-Length: 3" + END + b"abc", 405),
    ("not-http", b"\x13BitTorrent protocol\0\0\0\0\0\0\0\0" + HASH * 2, 400),
    ("tls-hello", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500), 400),
    ("http-3.7", _GOOD_LINE + b" HTTP/3.7" + END, 400),
    ("header-without-colon", _GOOD_LINE + b" HTTP/1.1\r\nnonsense" + END, 400),
    ("nul-in-header", _GOOD_LINE + b" HTTP/1.1\r\nA: b\0c" + END, 400),
    ("bad-length", _GOOD_LINE + b" HTTP/1.1\r\nContent-Length: -5" + END, 400),
    ("header-100-kb", _GOOD_LINE + b" HTTP/1.1\r\nX: " + b"x" * 100_000 + END, 400),
    ("many-headers", _GOOD_LINE + b" HTTP/1.1" + b"\r\nA: b" * 20_000 + END, 400),
    ("target-100-kb", _GOOD_LINE + b"&a=" + b"x" * 100_000 + b" HTTP/1.1" + END, 400),
    ("body-100-kb", _GOOD_LINE + b" HTTP/1.1\r\nContent-Length: 100000" + END + bytes(100_000), 400),
]  # fmt: skip


def test_an_upgrade_is_ignored(shared_tracker: Tracker, witness: Witness) -> None:
    """A client that would rather speak another protocol is answered in this one (RFC 9110, 7.8)."""
    response = exchange(shared_tracker.http[0], b"GET /health_check" + _UPGRADE)
    assert response.startswith(b"HTTP/1.1 200 OK\r\n")
    assert b"\r\nConnection: close\r\n" in response
    assert body(response) == b'{"status":"Ok"}'
    witness.check_http()


@pytest.mark.parametrize(
    ("request_", "status"), [row[1:] for row in STATUSES], ids=[r[0] for r in STATUSES]
)
def test_refused(shared_tracker: Tracker, witness: Witness, request_: bytes, status: int) -> None:
    """What is no request to a tracker gets a status, and the connection is closed."""
    response = exchange(shared_tracker.http[0], request_)
    assert response.startswith(b"HTTP/1.1 %d " % status)
    if status == 404:
        assert body(response) == b""
    witness.check_http()


RAW_TARGETS = [
    ("in-the-path", b"/\xff\xfe"),
    ("in-the-query", b"/announce?info_hash=\xff\xfe"),
    ("whole-info-hash", b"/announce?info_hash=" + b"\xff" * 19 + b"&peer_id=" + b"\xfe" * 20 + b"&port=1"),
]  # fmt: skip


@pytest.mark.parametrize("target", [row[1] for row in RAW_TARGETS], ids=[r[0] for r in RAW_TARGETS])
def test_raw_bytes_in_the_request_line(
    shared_tracker: Tracker, witness: Witness, target: bytes
) -> None:
    """Bytes above 127 in a target are no reason to stumble: an answer of some kind, nothing recorded."""
    response = exchange(shared_tracker.http[0], b"GET " + target + b" HTTP/1.1" + END)
    assert response.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 404 ", b"HTTP/1.1 200 "))
    if response.startswith(b"HTTP/1.1 200 "):
        assert "failure reason" in bdecode(body(response))
    witness.check_http()


def test_megabyte_of_garbage(shared_tracker: Tracker, witness: Witness) -> None:
    """A client that pours out bytes is told so or cut off, whichever comes first."""
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
    """Clients that reset the connection, with nothing, half a request or a whole one to be answered."""
    # The whole one is a scrape: its answer finds nobody, and nothing is recorded.
    scrape = b"GET /scrape?info_hash=aaaaaaaaaaaaaaaaaaaa HTTP/1.1" + END
    for sent in (b"", b"GET /anno", _GOOD_LINE + b" HTTP/1.1\r\n", scrape) * 10:
        with socket.create_connection(shared_tracker.http[0], DEADLINE) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            sock.sendall(sent)
    witness.check_http()


def test_half_a_request(shared_tracker: Tracker, witness: Witness) -> None:
    """A client that ends in the middle of its request gets the end of the connection."""
    for sent in (b"", b"G", _GOOD_LINE, _GOOD_LINE + b" HTTP/1.1\r\nHost: x\r\n"):
        with socket.create_connection(shared_tracker.http[0], DEADLINE) as sock:
            sock.sendall(sent)
            sock.shutdown(socket.SHUT_WR)
            assert read_all(sock) == b""
    witness.check_http()


def test_http_1_0_without_host(shared_tracker: Tracker, witness: Witness) -> None:
    """An old client is answered, and its connection closed without its asking."""
    hashes = b"info_hash=aaaaaaaaaaaaaaaaaaaa"
    response = exchange(shared_tracker.http[0], b"GET /scrape?" + hashes + b" HTTP/1.0\r\n\r\n")
    assert b"\r\nConnection: close\r\n" in response
    files = bdecode(body(response))["files"]
    assert files == {"a" * 20: {"complete": 0, "downloaded": 0, "incomplete": 0}}
    witness.check_http()


def test_two_requests_at_once(shared_tracker: Tracker, witness: Witness) -> None:
    """Requests sent together on one connection are answered one after the other, in their order."""
    first = b"GET /scrape?info_hash=" + b"a" * 20 + b" HTTP/1.1\r\nHost: x\r\n\r\n"
    second = b"GET /scrape?info_hash=" + b"b" * 20 + b" HTTP/1.1" + END
    for pause in (False, True):
        with socket.create_connection(shared_tracker.http[0], DEADLINE) as sock:
            sock.sendall(first + second[:10])
            if pause:
                assert sock.recv(1, socket.MSG_PEEK) == b"H"  # the first is answered on its own
            sock.sendall(second[10:])
            answers = read_all(sock).split(b"HTTP/1.1 200 OK\r\n")[1:]
        assert [list(bdecode(body(one))["files"]) for one in answers] == [["a" * 20], ["b" * 20]]
    witness.check_http()


def test_answer_to_a_whole_request_before_nonsense(
    shared_tracker: Tracker, witness: Witness
) -> None:
    """Nonsense after a request on a kept connection ends it with status 400."""
    with socket.create_connection(shared_tracker.http[0], DEADLINE) as sock:
        sock.sendall(b"GET /health_check HTTP/1.1\r\nHost: x\r\n\r\n")
        assert sock.recv(1, socket.MSG_PEEK) == b"H"
        sock.sendall(b"\0\0\0\0 nonsense\r\n\r\n")
        received = read_all(sock)
    assert received.count(b"HTTP/1.1 200 OK") == 1
    assert received.count(b"HTTP/1.1 400 Bad Request") == 1
    witness.check_http()


def test_slow_clients(slow_clients: list[socket.socket], witness: Witness) -> None:
    """Clients that never finish their request hold up nobody, and are let go after some seconds."""
    witness.check_http()
    for sock in slow_clients:
        assert read_all(sock) == b""
    witness.check_http()
