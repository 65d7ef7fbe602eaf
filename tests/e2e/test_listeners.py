"""Tests listeners: address families, wildcards, several at once, proxies, the whitelist."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

from tests.e2e.clients import (
    announce,
    announce_target,
    api,
    endpoints,
    exchange,
    torrent,
    udp_client,
)
from tests.e2e.process import Listeners

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.process import Tracker


def test_ipv6(new_tracker: Callable[..., Tracker]) -> None:
    """Listeners on ::1 give 18 bytes a peer, have their own counters, and bracket addresses."""
    tracker = new_tracker(Listeners(("[::1]:0",), ("[::1]:0",), "[::1]:0")).start()
    shared = torrent(1)
    first = announce(tracker.http[0], shared, 1, 1001, left=1)
    assert (first["peers"], first["peers6"]) == (b"", b"")
    with udp_client(tracker.udp[0]) as client:
        answer = client.announce(shared, 2, 1002)
        assert answer.peers == [("::1", 1001)]
        assert client.scrape(shared) == [(1, 0, 1)]
    again = announce(tracker.http[0], shared, 1, 1001, left=1)
    assert again["peers"] == b""
    assert endpoints(again["peers6"], v6=True) == [("::1", 1002)]
    rows = announce(tracker.http[0], shared, 1, 1001, left=1, compact=0)["peers"]
    assert [(one["ip"], one["port"]) for one in rows] == [(b"::1", 1002)]
    handled = {
        name: n for name, n in api(tracker, "/api/v1/stats").items() if "handled" in name and n
    }
    assert handled == {
        "tcp6_connections_handled": 3,
        "tcp6_announces_handled": 3,
        "udp6_connections_handled": 1,
        "udp6_announces_handled": 1,
        "udp6_scrapes_handled": 1,
    }
    peers = api(tracker, f"/api/v1/torrent/{shared.hex()}")["peers"]
    assert {one["peer_addr"] for one in peers} == {"[::1]:1001", "[::1]:1002"}
    events = tracker.events_until(lambda found: len(found) == 4, "--type", "announced")
    assert {one["address"] for one in events} == {"::1"}


def test_a_wildcard_replies_from_the_requested_address(new_tracker: Callable[..., Tracker]) -> None:
    """On 0.0.0.0 a reply has the address of its request, even if the system prefers another."""
    tracker = new_tracker(Listeners(udp=("0.0.0.0:0",))).start()
    ((_, port),) = tracker.udp
    for requested in ("127.0.0.2", "127.1.2.3"):
        with udp_client(
            (requested, port), "127.0.0.1"
        ) as client:  # connected: takes no other sender
            assert client.announce(torrent(1), 1, 1001).seeders == 1
            assert client.scrape(torrent(1)) == [(1, 0, 0)]


def test_several_listeners(new_tracker: Callable[..., Tracker]) -> None:
    """All listeners serve the same swarms, and the log names the listener of each announce."""
    two = ("127.0.0.1:0", "127.0.0.1:0")
    tracker = new_tracker(Listeners(two, two)).start()
    for number, address in enumerate(tracker.udp):
        with udp_client(address) as client:
            assert len(client.announce(torrent(1), number, 1000 + number).peers) == number
    for number, address in enumerate(tracker.http, 2):
        answer = announce(address, torrent(1), number, 1000 + number)
        assert len(endpoints(answer["peers"])) == number
    # A connection id is good at every port, because a client may use one for two of them.
    with udp_client(tracker.udp[0]) as one, udp_client(tracker.udp[1]) as other:
        other.connection_id = one.connection_id
        assert other.scrape(torrent(1)) == [(4, 0, 0)]
    events = tracker.events_until(lambda found: len(found) == 4, "--type", "announced")
    assert [(one["listener"], one["protocol"]) for one in events] == [
        (0, "udp"),
        (1, "udp"),
        (2, "http"),
        (3, "http"),
    ]


def failure(answer: dict[str, Any]) -> str:
    assert set(answer) <= {"failure reason", "retry in"}
    return str(answer["failure reason"].decode())


def test_listed(new_tracker: Callable[..., Tracker]) -> None:
    """Only whitelisted torrents are served, from their listing to their delisting."""
    tracker = new_tracker()
    tracker.config.write_text(tracker.config.read_text().replace("listed = false", "listed = true"))
    tracker.start()
    listed = torrent(0xC1)
    refusal = f"The torrent: {listed.hex()}, is not whitelisted"
    assert announce(tracker.http[0], listed, 1, 1)["retry in"] == 30
    assert refusal in failure(announce(tracker.http[0], listed, 1, 1))
    api(tracker, f"/api/v1/whitelist/{listed.hex()}", "POST")
    assert announce(tracker.http[0], listed, 1, 1)["complete"] == 1
    with udp_client(tracker.udp[0]) as client:
        assert client.announce(listed, 2, 2).seeders == 2
        assert client.scrape(listed, torrent(0xC2)) == [(2, 0, 0), (0, 0, 0)]
        api(tracker, f"/api/v1/whitelist/{listed.hex()}", "DELETE")
        assert client.scrape(listed) == [(0, 0, 0)]
    assert refusal in failure(announce(tracker.http[0], listed, 1, 1))
    assert api(tracker, "/api/v1/stats")["seeders"] == 0
    events = tracker.events_until(lambda found: len(found) == 4, "--info-hash", listed.hex())
    assert [one["type"] for one in events] == [
        "torrent_whitelisted",
        "announced",
        "announced",
        "torrent_delisted",
    ]


def test_one_listener_behind_a_proxy(new_tracker: Callable[..., Tracker]) -> None:
    """A forwarded address counts on the proxied listener only."""
    tracker = new_tracker(Listeners(http=("127.0.0.1:0", "127.0.0.1:0")))
    first, listener, rest = tracker.config.read_text().partition("[[http_trackers]]\n")
    tracker.config.write_text(f"{first}{listener}network.on_reverse_proxy = true\n{rest}")
    tracker.start()
    for number, address in enumerate(tracker.http, 1):
        target = announce_target(torrent(1), number, 1000 + number, left=0)
        header = "Host: x\r\nX-Forwarded-For: 80.80.100.20\r\nConnection: close"
        exchange(address, f"GET {target} HTTP/1.1\r\n{header}\r\n\r\n".encode())
    peers = api(tracker, f"/api/v1/torrent/{torrent(1).hex()}")["peers"]
    assert [one["peer_addr"] for one in peers] == ["80.80.100.20:1001", "127.0.0.1:1002"]


def test_this_machine_has_ipv6() -> None:
    """This machine has the address ::1, because other tests here need it."""
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as sock:
        sock.bind(("::1", 0))
