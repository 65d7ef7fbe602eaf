"""What clients of every kind are told: peers, counts, address families, several listeners."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.clients import (
    COMPLETED,
    STARTED,
    STOPPED,
    announce,
    announce_target,
    api,
    bdecode,
    body,
    endpoints,
    exchange,
    get,
    peer_id,
    torrent,
    udp_client,
)
from tests.e2e.process import Listeners

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.process import Address, Tracker

BIG = torrent(0xB0)
PEERS = 100


@pytest.fixture(scope="module")
def big(shared_tracker: Tracker) -> Tracker:
    """A tracker with a swarm of more peers than any answer holds: half of them seeders."""
    with udp_client(shared_tracker.udp[0]) as client:
        for port in range(1, PEERS + 1):
            client.announce(BIG, port, port, left=port % 2)
    return shared_tracker


def check_peers(peers: list[Address], count: int, own: int) -> None:
    """So many, each once, all of the swarm, and not the one that asks."""
    assert len(peers) == count
    assert len(set(peers)) == count
    assert set(peers) <= {("127.0.0.1", port) for port in range(1, PEERS + 1) if port != own}


@pytest.mark.parametrize(
    ("numwant", "count"),
    [(None, 74), (0, 0), (1, 1), (2, 2), (30, 30), (74, 74), (75, 74), (99999, 74)],
)
def test_numwant_http(big: Tracker, numwant: int | None, count: int) -> None:
    """As many as wanted, and never more than 74; without the parameter as many as allowed."""
    fields = {} if numwant is None else {"numwant": numwant}
    answer = announce(big.http[0], BIG, 1, 1, left=1, **fields)
    assert (answer["complete"], answer["incomplete"]) == (PEERS // 2, PEERS // 2)
    assert (answer["interval"], answer["min interval"], answer["peers6"]) == (120, 120, b"")
    check_peers(endpoints(answer["peers"]), count, own=1)


@pytest.mark.parametrize(
    ("numwant", "count"), [(-1, 74), (0, 74), (1, 1), (30, 30), (74, 74), (75, 74), (2**31 - 1, 74)]
)
def test_numwant_udp(big: Tracker, numwant: int, count: int) -> None:
    """The same over UDP, where -1 (and 0) leave it to the tracker."""
    with udp_client(big.udp[0]) as client:
        answer = client.announce(BIG, 2, 2, numwant=numwant)
    assert (answer.seeders, answer.leechers, answer.interval) == (PEERS // 2, PEERS // 2, 120)
    check_peers(answer.peers, count, own=2)


@pytest.mark.parametrize("ids", [True, False])
def test_dictionaries(big: Tracker, ids: bool) -> None:
    """compact=0 gives a dictionary per peer, with the peer id unless the client does without."""
    answer = announce(
        big.http[0], BIG, 1, 1, left=1, compact=0, numwant=20, no_peer_id=int(not ids)
    )
    assert "peers6" not in answer
    peers = answer["peers"]
    check_peers([(one["ip"].decode(), one["port"]) for one in peers], 20, own=1)
    for one in peers:
        expected = {"ip", "port", "peer id"} if ids else {"ip", "port"}
        assert set(one) == expected
        assert not ids or one["peer id"] == peer_id(one["port"])


def test_self_exclusion(shared_tracker: Tracker) -> None:
    """Nobody is told of itself; another port or another address is somebody else."""
    shared = torrent(0xB1)
    sources = [("127.0.0.1", 5), ("127.0.0.1", 6), ("127.0.0.2", 5)]
    for _ in range(2):
        seen = []
        for number, (host, port) in enumerate(sources):
            with udp_client(shared_tracker.udp[0], host) as client:
                seen.append(client.announce(shared, number, port).peers)
    for own, peers in zip(sources, seen, strict=True):
        assert sorted(peers) == sorted(one for one in sources if one != own)
    answer = announce(shared_tracker.http[0], shared, 1, 6)  # one peer over both protocols
    assert sorted(endpoints(answer["peers"])) == [("127.0.0.1", 5), ("127.0.0.2", 5)]
    assert answer["complete"] == 3


def test_stopped(shared_tracker: Tracker) -> None:
    """Who stops is told the counts without itself, and no peers."""
    shared = torrent(0xB2)
    with udp_client(shared_tracker.udp[0]) as client:
        for port in (1, 2, 3, 4):
            client.announce(shared, port, port, left=port % 2)
        gone = client.announce(shared, 1, 1, event=STOPPED)
        assert (gone.seeders, gone.leechers, gone.peers) == (2, 1, [])
        answer = announce(shared_tracker.http[0], shared, 2, 2, event="stopped")
        assert (answer["complete"], answer["incomplete"]) == (1, 1)
        assert (answer["peers"], answer["peers6"]) == (b"", b"")
        # Whom nobody knew: again, and with a port that cannot be (some clients send that).
        for port in (1, 0):
            gone = client.announce(shared, 1, port, event=STOPPED)
            assert (gone.seeders, gone.leechers, gone.peers) == (1, 1, [])
        assert sorted(client.announce(shared, 3, 3, left=1).peers) == [("127.0.0.1", 4)]


def test_stopped_in_an_unknown_torrent(shared_tracker: Tracker) -> None:
    """It is answered with zeros and brings no torrent into being."""
    unknown = torrent(0xB3)
    with udp_client(shared_tracker.udp[0]) as client:
        gone = client.announce(unknown, 1, 1, event=STOPPED)
    assert (gone.seeders, gone.leechers, gone.peers) == (0, 0, [])
    answer = announce(shared_tracker.http[0], unknown, 2, 2, event="stopped", compact=0)
    assert (answer["complete"], answer["incomplete"], answer["peers"]) == (0, 0, [])
    assert api(shared_tracker, f"/api/v1/torrent/{unknown.hex()}") == "torrent not known"


def test_completed_is_counted_once(shared_tracker: Tracker) -> None:
    """A known peer that says so; not a stranger, and not the same peer again."""
    shared = torrent(0xB4)
    with udp_client(shared_tracker.udp[0]) as client:
        client.announce(shared, 1, 1, event=COMPLETED)
        assert client.scrape(shared) == [(1, 0, 0)]
        client.announce(shared, 2, 2, left=5, event=STARTED)
        for _ in range(3):
            client.announce(shared, 2, 2, event=COMPLETED)
            client.announce(shared, 2, 2)
        assert client.scrape(shared) == [(2, 1, 0)]
    assert api(shared_tracker, f"/api/v1/torrent/{shared.hex()}")["completed"] == 1


def test_scrape_udp(shared_tracker: Tracker) -> None:
    """Counts in the order of the request, repetitions included, zeros for what is not known."""
    one, two, unknown = torrent(0xB5), torrent(0xB6), torrent(0xB7)
    with udp_client(shared_tracker.udp[0]) as client:
        for port in (1, 2, 3):
            client.announce(one, port, port, left=port - 1)
        client.announce(two, 1, 1)
        known, other, zero = (1, 0, 2), (1, 0, 0), (0, 0, 0)
        assert client.scrape(two, unknown, one, two) == [other, zero, known, other]
        assert client.scrape(unknown) == [zero]
        assert client.scrape(*[one] * 74) == [known] * 74
        assert client.scrape(*[one] * 80) == [known] * 74


def test_scrape_http(shared_tracker: Tracker) -> None:
    """A dictionary by info hash; a hash asked twice is there once."""
    one, unknown = torrent(0xB8), torrent(0xB9)
    announce(shared_tracker.http[0], one, 1, 1, left=4)
    query = "&".join(f"info_hash={h.hex('%', 1).join(('%', ''))}" for h in (unknown, one, unknown))
    files = bdecode(body(get(shared_tracker.http[0], f"/scrape?{query}")))["files"]
    assert files == {
        one.decode("latin-1"): {"complete": 0, "downloaded": 0, "incomplete": 1},
        unknown.decode("latin-1"): {"complete": 0, "downloaded": 0, "incomplete": 0},
    }


def test_ipv6(new_tracker: Callable[..., Tracker]) -> None:
    """Listeners on ::1: 18 bytes a peer, counters of their own, addresses in brackets."""
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


def test_both_families_on_one_listener(new_tracker: Callable[..., Tracker]) -> None:
    """On [::] IPv4 clients are IPv4 clients: their peers are 6 bytes, and HTTP tells of both kinds."""
    tracker = new_tracker(Listeners(("[::]:0",), ("[::]:0",))).start()
    shared = torrent(1)
    (udp_port,), (http_port,) = (
        [port for _, port in tracker.udp],
        [port for _, port in tracker.http],
    )
    with udp_client(("127.0.0.1", udp_port)) as four, udp_client(("::1", udp_port)) as six:
        assert four.announce(shared, 1, 1001).peers == []
        assert six.announce(shared, 2, 1002).peers == []
        assert four.announce(shared, 3, 1003).peers == [("127.0.0.1", 1001)]
        assert six.announce(shared, 4, 1004).peers == [("::1", 1002)]
    answer = announce(("127.0.0.1", http_port), shared, 5, 1005)
    assert answer["complete"] == 5
    assert sorted(endpoints(answer["peers"])) == [("127.0.0.1", 1001), ("127.0.0.1", 1003)]
    assert sorted(endpoints(answer["peers6"], v6=True)) == [("::1", 1002), ("::1", 1004)]
    stats = api(tracker, "/api/v1/stats")
    assert (stats["udp4_announces_handled"], stats["udp6_announces_handled"]) == (2, 2)
    assert (stats["tcp4_announces_handled"], stats["tcp6_announces_handled"]) == (1, 0)


@pytest.mark.parametrize(
    ("bound", "asked"),
    [("0.0.0.0:0", "127.0.0.2"), ("0.0.0.0:0", "127.1.2.3"), ("[::]:0", "127.0.0.2"), ("[::]:0", "::1")],
)  # fmt: skip
def test_wildcard_answers_from_the_address_asked(
    new_tracker: Callable[..., Tracker], bound: str, asked: str
) -> None:
    """A client takes answers only from the address it asked, also where the system prefers another."""
    tracker = new_tracker(Listeners(udp=(bound,))).start()
    ((_, port),) = tracker.udp
    source = "::1" if ":" in asked else "127.0.0.1"
    with udp_client((asked, port), source) as client:  # connected: the kernel drops other senders
        assert client.announce(torrent(1), 1, 1001).seeders == 1
        assert client.scrape(torrent(1)) == [(1, 0, 0)]


def test_several_listeners(new_tracker: Callable[..., Tracker]) -> None:
    """All listeners serve the same swarms; the log tells which one was asked."""
    two = ("127.0.0.1:0", "127.0.0.1:0")
    tracker = new_tracker(Listeners(two, two)).start()
    for number, address in enumerate(tracker.udp):
        with udp_client(address) as client:
            assert len(client.announce(torrent(1), number, 1000 + number).peers) == number
    for number, address in enumerate(tracker.http, 2):
        answer = announce(address, torrent(1), number, 1000 + number)
        assert len(endpoints(answer["peers"])) == number
    # An id is good at every port: clients that know two of them may use one for both.
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
    """Only torrents on the whitelist: from the moment they are on it to the moment they are off."""
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


def test_behind_a_proxy(new_tracker: Callable[..., Tracker]) -> None:
    """The right-most forwarded address is the client's; without one there is no answer but a reason."""
    tracker = new_tracker(extra="net.on_reverse_proxy = true").start()

    def ask(header: bytes) -> dict[str, Any]:
        line = (
            f"GET {announce_target(torrent(1), 1, 1001, left=0)} HTTP/1.1\r\nHost: x\r\n".encode()
        )
        answer = bdecode(
            body(exchange(tracker.http[0], line + header + b"Connection: close\r\n\r\n"))
        )
        assert isinstance(answer, dict)
        return answer

    assert ask(b"X-Forwarded-For: 127.0.0.9, 80.80.100.20\r\n")["complete"] == 1
    assert ask(b"x-forwarded-for: 2001:db8::5\r\n")["complete"] == 2
    for wrong in (b"", b"X-Forwarded-For: \r\n", b"X-Forwarded-For: 1.2.3.4, unknown\r\n"):
        assert "X-Forwarded-For" in failure(ask(wrong))
    peers = api(tracker, f"/api/v1/torrent/{torrent(1).hex()}")["peers"]
    assert [one["peer_addr"] for one in peers] == ["80.80.100.20:1001", "[2001:db8::5]:1001"]


def test_one_listener_behind_a_proxy(new_tracker: Callable[..., Tracker]) -> None:
    """A forwarded address counts where the proxy is, and is nothing to the listener beside it."""
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
    """The tests above need the address ::1; this one says so when it is missing."""
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as sock:
        sock.bind(("::1", 0))
