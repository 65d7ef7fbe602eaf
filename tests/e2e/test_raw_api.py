"""Tests the REST API byte by byte: bad and odd requests get clear answers, without `server`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.e2e.clients import exchange
from tests.e2e.process import Tracker

if TYPE_CHECKING:
    from collections.abc import Iterator

HASH = b"b6256c5f8e8f5c7c0f0b50a43d52ae7c5662dea5"
ODD = "a+b/c=d&e f%20ü"
T = b"token=MyAccessToken"
STATS = b"/api/v1/stats"
UNAUTHORIZED = b'Unhandled rejection: Err { reason: "unauthorized" }'
NOT_VALID = b'Unhandled rejection: Err { reason: "token not valid" }'
UNKNOWN = b'Unhandled rejection: Err { reason: "unknown token provided" }'
DIGITS = b"Failed to deserialize query string: invalid digit found in string"
TOO_LARGE = b"Failed to deserialize query string: number too large to fit in target type"
NO_HASH = b'Invalid URL: invalid infohash param: string "%s", expected a 40 character long string'
JSON = b"Content-Type: application/json\r\n"


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracker]:
    tracker = Tracker(tmp_path_factory.mktemp("site"))
    text = tracker.config.read_text()
    token = 'access_tokens.admin = "MyAccessToken"'
    tracker.config.write_text(text.replace(token, f'{token}\naccess_tokens.odd = "{ODD}"'))
    try:
        yield tracker.start()
    finally:
        tracker.close()


def answered(site: Tracker, request: bytes) -> tuple[int, dict[bytes, bytes], bytes]:
    return parsed(exchange(site.api, request))


def parsed(response: bytes) -> tuple[int, dict[bytes, bytes], bytes]:
    """Returns status, headers by name, and body."""
    head, _, body = response.partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    assert first.startswith(b"HTTP/1.1 ")
    headers = dict(line.lower().split(b": ", 1) for line in lines)
    assert b"server" not in headers
    assert b"date" in headers
    return int(first[9:12]), headers, body


def exchange_as(
    site: Tracker, method: bytes, target: bytes, headers: bytes = b"", body: bytes = b""
) -> tuple[int, dict[bytes, bytes], bytes]:
    length = b"Content-Length: %d\r\n" % len(body) if body else b""
    head = b"%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n%s%s\r\n"
    return answered(site, head % (method, target, headers, length) + body)


def bearer(value: bytes) -> bytes:
    return b"Authorization: " + value + b"\r\n"


@pytest.mark.parametrize(
    ("target", "headers", "status", "body"),
    [
        (STATS + b"?token=%ff%fe", b"", 500, NOT_VALID),
        (STATS, bearer(b"Bearer "), 500, NOT_VALID),
        (STATS, bearer(b"BearerMyAccessToken"), 500, UNKNOWN),
        (STATS, bearer(b"Bearer " + ODD.encode()), 200, None),
        (STATS + b"?token=a%2Bb%2Fc%3Dd%26e%20f%2520%C3%BC", b"", 200, None),
        (STATS + b"?token=a%2Bb%2Fc%3Dd%26e+f%2520%C3%BC", b"", 200, None),
        (STATS + b"?x=1&" + T + b"&y", b"", 200, None),
    ],
)
def test_tokens(
    site: Tracker, target: bytes, headers: bytes, status: int, body: bytes | None
) -> None:
    """A token may have any characters; it is accepted in the query and in the header."""
    found = exchange_as(site, b"GET", target, headers)
    assert found[0] == status
    assert body is None or found[2] == body


@pytest.mark.parametrize(
    ("method", "target", "status", "allow"),
    [
        (b"OPTIONS", STATS, 405, b"get,head"),
        (b"BREW", STATS, 405, b"get,head"),
        (b"TRACE", STATS, 405, b"get,head"),
        (b"GET", b"/api//v1/stats", 404, None),
        (b"GET", b"/", 302, None),
        (b"GET", b"/api/v1/torrent/" + HASH + b"/", 404, None),
    ],
)
def test_paths_and_methods(
    site: Tracker, method: bytes, target: bytes, status: int, allow: bytes | None
) -> None:
    """An unknown path or method gets an empty body; a wrong method also gets `Allow`."""
    found, headers, body = exchange_as(site, method, target + b"?" + T)
    assert (found, headers.get(b"allow"), body) == (status, allow, b"")
    assert b"content-type" not in headers
    assert b"x-request-id" in headers


@pytest.mark.parametrize(
    ("query", "status", "body"),
    [
        (b"limit=0", 200, b"[]"),
        (b"limit=", 200, b"[]"),
        (b"offset=", 200, b"[]"),
        (b"offset=4294967295", 200, b"[]"),
        (b"offset=4294967296", 400, TOO_LARGE),
        (b"offset=99999999999999999999999", 400, TOO_LARGE),
        (b"limit=18446744073709551616", 400, TOO_LARGE),
        (b"limit=%20", 400, DIGITS),
        (b"limit=%D9%A1", 400, DIGITS),
        (b"info_hash=" + HASH + b"&info_hash=zz&info_hash=y", 400, NO_HASH % b"zz"),
        (b"info_hash=", 400, NO_HASH % b""),
        (b"info_hash=%62" + HASH[1:].upper(), 200, b"[]"),
    ],
)
def test_listings(site: Tracker, query: bytes, status: int, body: bytes) -> None:
    """Numbers at their limits and several info hashes are read as the reference reads them."""
    found = exchange_as(site, b"GET", b"/api/v1/torrents?" + T + b"&" + query)
    assert (found[0], found[2]) == (status, body)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET\r\n\r\n", 400),
        (b"\x16\x03\x01\x00nonsense\r\n\r\n", 400),
        (b"GET " + STATS + b" HTTP/1.1\r\n\r\n", 400),
        (b"GET /\xff\xfe HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 400),
        (b"CONNECT x:80 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", 400),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\na", 400),
        (b"GET " + b"/" * 200_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 200_000 + b"\r\n\r\n", 431),
    ],
)
def test_invalid_requests(site: Tracker, request_: bytes, status: int) -> None:
    """Input that HTTP forbids gets a status without a body, and ends the connection."""
    found, headers, _ = answered(site, request_)
    assert (found, headers[b"content-length"]) == (status, b"0")


@pytest.mark.parametrize(
    ("version", "size", "status"),
    [(b"v1", 3_000_000, 413), (b"v2", 70_000, 413), (b"v1", 60_000, 400)],
)
def test_large_bodies(site: Tracker, version: bytes, size: int, status: int) -> None:
    """A large body is refused at once; a client that keeps sending still gets the answer."""
    target = b"/api/" + version + b"/keys?" + T
    found = exchange_as(site, b"POST", target, JSON, b'{"key":"' + b"a" * size)
    assert found[0] == status


@pytest.mark.parametrize(
    ("version", "headers", "status"),
    [
        (b"1.1", b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"400"),
        (b"1.1", b"transfer-encoding: Chunked\r\nx: y\r\ncontent-length: 0\r\n", b"400"),
        (b"1.0", b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", b"400"),
        (b"1.0", b"Transfer-Encoding: chunked\r\n", b"400"),
        (b"1.1", b"Content-Length: 5\r\nContent-Length: 6\r\n", b"400"),
        (b"1.1", b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", b"501"),
        (b"1.1", b"Transfer-Encoding: gzip, chunked\r\n", b"501"),
        (b"1.1", b"Content-Length: 5\r\nTransfer-Encoding: identity\r\n", b"501"),
    ],
)
def test_bodies_of_unsure_length(
    site: Tracker, version: bytes, headers: bytes, status: bytes
) -> None:
    """A request whose length others may read differently is refused, and its connection closed.

    So nothing that follows it is taken for a request (RFC 9112, section 6.1).
    """
    keys = exchange_as(site, b"GET", b"/api/v2/keys", bearer(b"Bearer MyAccessToken"))[2]
    for address, path in ((site.api, b"/api/v1/key/60?" + T), (site.health, b"/health_check")):
        head = b"POST %b HTTP/%b\r\nHost: x\r\n%b\r\n" % (path, version, headers)
        hidden = b"POST /api/v1/key/61?%b HTTP/1.1\r\nHost: x\r\n\r\n" % T
        response = exchange(address, head + b"0\r\n\r\n" + hidden)
        assert response.startswith(b"HTTP/1.1 %b " % status)
        assert response.count(b"HTTP/1.1") == 1
        assert b"connection: close" in response.lower()
    assert exchange_as(site, b"GET", b"/api/v2/keys", bearer(b"Bearer MyAccessToken"))[2] == keys


@pytest.mark.parametrize(
    ("given", "echoed"),
    [(b"abc-123", True), (b"a" * 128, True), (b"a" * 129, False), (b"a b", False)],
)
def test_request_ids(site: Tracker, given: bytes, echoed: bool) -> None:
    """A short printable request id is echoed in every answer; any other is replaced by a UUID."""
    for target in (STATS + b"?" + T, STATS, b"/api/v2/nothing"):
        headers = exchange_as(site, b"GET", target, b"X-Request-Id: " + given + b"\r\n")[1]
        assert (headers[b"x-request-id"] == given) is echoed
        assert len(headers[b"x-request-id"]) == (len(given) if echoed else 36)


def test_head(site: Tracker) -> None:
    """HEAD is answered like GET, without the body."""
    for target in (STATS + b"?" + T, b"/api/health_check"):
        head, get = (exchange_as(site, method, target) for method in (b"HEAD", b"GET"))
        assert (head[0], head[2]) == (get[0], b"") == (200, b"")
        assert head[1][b"content-length"] == get[1][b"content-length"] == b"%d" % len(get[2])


def test_metrics_have_no_past(site: Tracker) -> None:
    """Metrics refuse `at=`, because they describe the process."""
    found = exchange_as(site, b"GET", b"/api/v1/metrics?at=1&" + T)
    assert found[0] == 400
    assert found[2].startswith(b"at: ")
