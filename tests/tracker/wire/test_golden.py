"""HTTP requests captured from real clients are read as they were meant."""

from __future__ import annotations

import pytest

from tests.golden import INFO_HASH, Captured, captured
from tracker.wire import http
from tracker.wire.clients import client_name


def expected_announce(request: Captured) -> http.Announce:
    expected = dict(request.expected)
    left = expected["left"]
    return http.Announce(
        info_hash=bytes.fromhex(expected["info_hash"]),
        peer_id=bytes.fromhex(expected["peer_id"]),
        port=expected["port"],
        uploaded=expected["uploaded"],
        downloaded=expected["downloaded"],
        left=http.LEFT_UNKNOWN if left is None else left,
        event=expected["event"],
        numwant=expected["numwant"],
        compact=expected["compact"],
        no_peer_id=expected["no_peer_id"],
        key=bytes.fromhex(expected["key"]),
        passkey=expected["passkey"],
        ip=expected["ip"],
    )


@pytest.mark.parametrize("request_", captured("http", "announce"), ids=str)
def test_announces(request_: Captured) -> None:
    """Every captured announce yields every value its client put in."""
    target = http.parse_target(request_.target)
    assert (target.kind, target.key) == (http.ANNOUNCE, None)
    assert http.parse_announce(target.query) == expected_announce(request_)


@pytest.mark.parametrize("request_", captured("http", "scrape"), ids=str)
def test_scrapes(request_: Captured) -> None:
    """Every captured scrape names the one torrent."""
    target = http.parse_target(request_.target)
    assert (target.kind, target.key) == (http.SCRAPE, None)
    assert http.parse_scrape(target.query) == [bytes.fromhex(INFO_HASH)]


@pytest.mark.parametrize(
    "request_", captured("http", "announce") + captured("udp", "announce"), ids=str
)
def test_client_names(request_: Captured) -> None:
    """Every captured client is recognised by its peer id."""
    assert (
        client_name(bytes.fromhex(request_.expected["peer_id"])) == request_.expected["client_name"]
    )


def test_the_collection_is_whole() -> None:
    """The captures are complete: 55 HTTP and 77 UDP requests, of one torrent."""
    both = [*captured("http"), *captured("udp")]
    assert (len(captured("http")), len(captured("udp"))) == (55, 77)
    assert {request.expected.get("info_hash", INFO_HASH) for request in both} == {INFO_HASH}
    hashes = [request.expected.get("info_hashes", [INFO_HASH]) for request in both]
    assert all(listed == [INFO_HASH] for listed in hashes)
