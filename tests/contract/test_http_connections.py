"""Tests connections of the HTTP tracker: versions, methods, sizes, proxies (RFC 9112)."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING

import pytest

from tests.contract.asking import addresses, ask, converse, counts, escaped, headers, reason, target
from tests.contract.cases import case
from tests.e2e.clients import bdecode, body, endpoints, exchange, get, read_all
from tests.e2e.process import DEADLINE

if TYPE_CHECKING:
    from tests.e2e.process import Tracker

OTHER = b"another info hash..."
CLOSE = "Host: x\r\nConnection: close\r\n\r\n"
RAW = [
    case(34, "raw bytes of an info hash", b"/announce?info_hash=" + b"\xff" * 20),
    case(34, "a letter of Latin-1", b"/announce?key=\xe9"),
    case(34, "a letter of UTF-8", "/announce?key=é".encode()),
    case(34, "a raw byte in the path", b"/announce\xff"),
    case(34, "a blank in a parameter", b"/announce?port= 6881"),
]  # fmt: skip


@pytest.mark.parametrize("asked", RAW)
def test_bytes_that_http_forbids(public: Tracker, asked: bytes) -> None:
    """A request line with bytes that HTTP forbids gets status 400, and a text that says what to
    send.
    """
    response = exchange(public.http[0], b"GET " + asked + b" HTTP/1.1\r\n" + CLOSE.encode())
    assert response.startswith(b"HTTP/1.1 400 ")
    assert re.fullmatch(rb"bad request: .+\. Send HTTP/1\.1 .+ %xx.+\n", body(response))


# A row has the rest of the request, and whether the connection stays open after the answer.
KEEPING = [
    case(40, "version 1.0 without a host", "HTTP/1.0\r\n\r\n", False),
    case(40, "version 1.0 with a host", "HTTP/1.0\r\nHost: x\r\n\r\n", False),
    case(40, "version 1.0 with keep-alive", "HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", False),
    case(41, "version 1.1", "HTTP/1.1\r\nHost: x\r\n\r\n", True),
    case(41, "version 1.1 with close", f"HTTP/1.1\r\n{CLOSE}", False),
]  # fmt: skip


@pytest.mark.parametrize(("rest", "open_after"), KEEPING)
def test_keep_alive(public: Tracker, info_hash: bytes, rest: str, open_after: bool) -> None:
    """The connection is closed after the answer, or serves another request."""
    request = f"GET {target(info_hash)} {rest}".encode()
    with socket.create_connection(public.http[0], DEADLINE) as sock:
        sock.sendall(request)
        if open_after:
            assert sock.recv(1, socket.MSG_PEEK) == b"H"  # the answer does not wait for more bytes
            sock.sendall(f"GET {target(info_hash)} HTTP/1.1\r\n{CLOSE}".encode())
        answers = read_all(sock).split(b"HTTP/1.1 200 OK\r\n")[1:]
    assert len(answers) == (2 if open_after else 1)
    assert all(bdecode(body(one))["incomplete"] == 1 for one in answers)
    assert [b"Connection: close" in one for one in answers] == [*[False] * open_after, True]


def test_case_41_pipelined(public: Tracker, info_hash: bytes) -> None:
    """Requests sent together are answered in order: each swarm is one peer larger than the last."""
    sent = [f"GET {target(info_hash, port=n)} HTTP/1.1\r\nHost: x\r\n\r\n" for n in range(1, 6)]
    last = f"GET {target(info_hash, port=6)} HTTP/1.1\r\n{CLOSE}"
    received = converse(public.http[0], *(one.encode() for one in (*sent, last)))
    answers = [bdecode(body(one)) for one in received.split(b"HTTP/1.1 200 OK\r\n")[1:]]
    assert [one["incomplete"] for one in answers] == [1, 2, 3, 4, 5, 6]


METHODS = [
    case(42, "POST of an announce is refused", "POST", "/announce", 405),
    case(42, "PUT of an announce is refused", "PUT", "/announce", 405),
    case(42, "OPTIONS of an announce is refused", "OPTIONS", "/announce", 405),
    case(42, "HEAD of an announce is refused", "HEAD", "/announce", 405),
    case(42, "HEAD of a scrape is served", "HEAD", "/scrape", 200),
    case(42, "POST of a scrape is refused", "POST", "/scrape", 405),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "status"), METHODS)
def test_methods(public: Tracker, info_hash: bytes, method: str, path: str, status: int) -> None:
    """An announce must be a GET. Other methods get status 405 and change nothing."""
    request = f"{method} {target(info_hash, path=path)} HTTP/1.1\r\nContent-Length: 0\r\n{CLOSE}"
    response = exchange(public.http[0], request.encode())
    assert response.startswith(b"HTTP/1.1 %d " % status)
    assert body(response) == b""
    assert ("allow" in headers(response)) == (status == 405)
    assert counts(public, info_hash) == (0, 0, 0)


def scrape_of(count: int) -> str:
    """Returns a scrape of `count` torrents with every byte escaped."""
    hashes = (escaped(number.to_bytes(20, "big")) for number in range(count))
    return "/scrape?" + "&".join(f"info_hash={one}" for one in hashes)


SIZES = [
    case(47, "a scrape of 50 torrents is served", scrape_of(50), True),
    case(47, "a scrape of 100 torrents is served", scrape_of(100), True),
    case(47, "an announce with 8,000 more bytes is served",
         target(OTHER, more="&x=" + "y" * 8000), True),
    case(47, "an announce with 40,000 more bytes is refused",
         target(OTHER, more="&x=" + "y" * 40_000), False),
]  # fmt: skip


@pytest.mark.parametrize(("request_target", "served"), SIZES)
def test_sizes(public: Tracker, request_target: str, served: bool) -> None:
    """A request of up to 16 KiB is served, more than clients send; a larger one gets 400."""
    response = exchange(public.http[0], f"GET {request_target} HTTP/1.1\r\n{CLOSE}".encode())
    assert response.startswith(b"HTTP/1.1 200 OK" if served else b"HTTP/1.1 400 ")


# A row has the X-Forwarded-For headers and the peer's address.
FORWARDED = [
    case(49, "the only address counts", "X-Forwarded-For: 80.80.1.1\r\n", "80.80.1.1:6881"),
    case(49, "the last address of a list counts", "X-Forwarded-For: 6.6.6.6, 80.80.1.2\r\n",
         "80.80.1.2:6881"),
    case(49, "the last of two headers counts",
         "X-Forwarded-For: 6.6.6.6\r\nX-Forwarded-For: 80.80.1.3\r\n",
         "80.80.1.3:6881"),
    case(49, "the header's name may be in any case",
         "x-forwarded-FOR: 2001:db8::5\r\n", "[2001:db8::5]:6881"),
    case(49, "an address may have a port", "X-Forwarded-For: 80.80.1.5:51234\r\n",
         "80.80.1.5:6881"),
    case(49, "an address may be in brackets", "X-Forwarded-For: 6.6.6.6, [2001:db8::6]\r\n",
         "[2001:db8::6]:6881"),
    case(49, "an address in brackets may have a port", "X-Forwarded-For: [2001:db8::7]:443\r\n",
         "[2001:db8::7]:6881"),
    case(53, "an IPv4-mapped address counts as IPv4",
         "X-Forwarded-For: ::ffff:80.80.1.4\r\n", "80.80.1.4:6881"),
]  # fmt: skip


@pytest.mark.parametrize(("sent", "address"), FORWARDED)
def test_behind_a_proxy(proxied: Tracker, info_hash: bytes, sent: str, address: str) -> None:
    """Behind a configured proxy, the client's address is the right-most one in the header."""
    request = f"GET {target(info_hash)} HTTP/1.1\r\n{sent}{CLOSE}"
    assert bdecode(body(exchange(proxied.http[0], request.encode())))["incomplete"] == 1
    assert addresses(proxied, info_hash) == [address]


@pytest.mark.parametrize("sent", [
    case(49, "no header", ""),
    case(49, "an empty header", "X-Forwarded-For: \r\n"),
    case(49, "a header without an address", "X-Forwarded-For: unknown\r\n"),
    case(49, "an address before a word", "X-Forwarded-For: 80.80.1.1, me\r\n"),
    case(49, "an address before an empty one", "X-Forwarded-For: 80.80.1.1,\r\n"),
    case(49, "a port that is a word", "X-Forwarded-For: 80.80.1.1:http\r\n"),
    case(49, "a bracket without its end", "X-Forwarded-For: [2001:db8::7\r\n"),
    case(49, "the header of another proxy", "X-Real-IP: 80.80.1.1\r\n"),
])  # fmt: skip
def test_no_address_behind_a_proxy(proxied: Tracker, info_hash: bytes, sent: str) -> None:
    """An announce fails without a forwarded address, because the only other one is the proxy's."""
    request = f"GET {target(info_hash)} HTTP/1.1\r\n{sent}{CLOSE}"
    answer = bdecode(body(exchange(proxied.http[0], request.encode())))
    assert "missing or invalid the right most X-Forwarded-For IP" in reason(answer)
    assert counts(proxied, info_hash) == (0, 0, 0)


# The listener, the address that connects, the headers, and the peer's address or None.
OTHER_PROXIES = [
    case(49, "one address in X-Real-IP", 0, "127.0.0.1", "X-Real-IP: 80.80.2.1\r\n", "80.80.2.1"),
    case(49, "beside one that clients may send", 0, "127.0.0.1",
         "X-Forwarded-For: 6.6.6.6\r\nX-Real-IP: 80.80.2.2\r\n", "80.80.2.2"),
    case(49, "a client that connects itself", 0, "127.0.0.9", "X-Real-IP: 6.6.6.6\r\n",
         "127.0.0.9"),
    case(49, "a proxy that names nobody", 0, "127.0.0.1", "X-Forwarded-For: 80.80.2.3\r\n", None),
    case(49, "an element of Forwarded", 1, "127.0.0.1",
         'Forwarded: for=6.6.6.6;proto=http, proto=https;For="[2001:db8::8]:4711";by=x\r\n',
         "[2001:db8::8]"),
    case(49, "Forwarded through three proxies", 1, "127.0.0.1",
         "Forwarded: for=6.6.6.6, for=80.80.2.4\r\nForwarded: for=10.1.2.3,for=127.0.0.1\r\n",
         "80.80.2.4"),
    case(49, "Forwarded without for", 1, "127.0.0.1", "Forwarded: for=6.6.6.6, by=x\r\n", None),
    case(49, "a quoted host with separators", 1, "127.0.0.1",
         'Forwarded: host="a;for=6.6.6.6, b, for=6.6.6.6";for=80.80.2.7\r\n', "80.80.2.7"),
    case(49, "quoted quotes in the client's host", 1, "127.0.0.1",
         'Forwarded: for="80.80.2.8:80";host="a\\", for=6.6.6.6;x=\\"b"\r\n', "80.80.2.8"),
    case(49, "a quote that the client opened", 1, "127.0.0.1",
         'Forwarded: for=6.6.6.6;x=", for="80.80.2.9", for=10.0.0.1;host=","\r\n', "80.80.2.9"),
    case(49, "a quote without its end", 1, "127.0.0.1", 'Forwarded: for=6.6.6.6;x="\r\n', None),
    case(49, "Forwarded for somebody unknown", 1, "127.0.0.1",
         "Forwarded: for=80.80.2.5, for=unknown\r\n", None),
    case(49, "nothing left of the proxies", 1, "127.0.0.1", "Forwarded: me, for=10.0.0.1\r\n", None),
    case(49, "more proxies than anybody has", 1, "127.0.0.1",
         "Forwarded: for=80.80.2.6" + ", for=10.0.0.1" * 300 + "\r\n", None),
]  # fmt: skip


@pytest.mark.parametrize(("listener", "host", "sent", "address"), OTHER_PROXIES)
def test_proxies_and_their_headers(
    proxied: Tracker, info_hash: bytes, listener: int, host: str, sent: str, address: str | None
) -> None:
    """Where proxies are named, the client is the right-most address in their header that is none
    of them; whoever connects from elsewhere is its own client.
    """
    own = proxied.http[1 + listener]
    with socket.create_connection(own, DEADLINE, source_address=(host, 0)) as sock:
        sock.sendall(f"GET {target(info_hash)} HTTP/1.1\r\n{sent}{CLOSE}".encode())
        answer = bdecode(body(read_all(sock)))
    if address is None:
        header = ("X-Real-IP", "forwarded")[listener]
        assert f"missing or invalid the right most {header} IP" in reason(answer)
    else:
        assert answer["incomplete"] == 1
    assert addresses(proxied, info_hash) == ([f"{address}:6881"] if address else [])


def test_fewer_peers_than_74(proxied: Tracker, info_hash: bytes) -> None:
    """A reply has no more peers than `max_peers_per_announce`, whatever the client wants."""
    for port in range(1, 7):
        asked = f"GET {target(info_hash, port=port, numwant=50)} HTTP/1.1\r\n"
        sent = f"{asked}X-Forwarded-For: 80.80.3.{port}\r\n{CLOSE}".encode()
        answer = bdecode(body(exchange(proxied.http[0], sent)))
        assert len(endpoints(answer["peers"])) == min(port - 1, 3)


def test_a_listener_for_ipv6_alone(proxied: Tracker) -> None:
    """With `ipv6_v6only` a listener on `[::]` takes IPv6 and no IPv4."""
    port = proxied.http[3][1]
    assert get(("::1", port), "/health_check").startswith(b"HTTP/1.1 200 ")
    with pytest.raises(ConnectionRefusedError):
        get(("127.0.0.1", port), "/health_check")


def test_case_49_without_a_proxy(public: Tracker, info_hash: bytes) -> None:
    """Without a configured proxy the header has no effect."""
    request = f"GET {target(info_hash)} HTTP/1.1\r\nX-Forwarded-For: 8.8.8.8\r\n{CLOSE}"
    assert bdecode(body(exchange(public.http[0], request.encode())))["incomplete"] == 1
    assert addresses(public, info_hash) == ["127.0.0.1:6881"]


def test_case_41_an_idle_connection_delays_no_other_client(
    public: Tracker, info_hash: bytes
) -> None:
    """Other clients are served while one kept connection is idle."""
    with socket.create_connection(public.http[0], DEADLINE) as idle:
        idle.sendall(f"GET {target(info_hash, port=1)} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert idle.recv(1, socket.MSG_PEEK) == b"H"
        assert endpoints(ask(public.http[0], target(info_hash, port=2))["peers"]) == [
            ("127.0.0.1", 1)
        ]
