"""Tests public swarms: the identity of peers, peer lists and counts (BEP 3, 7, 15)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract.asking import (
    addresses,
    ask,
    counts,
    from_host,
    peers,
    target,
    torrent,
    udp_announce,
    udp_counts,
)
from tests.contract.cases import case
from tests.e2e.clients import COMPLETED, STOPPED, endpoints, udp_client
from tests.support import SECOND, Announce, Rig, endpoint4, hash_of

if TYPE_CHECKING:
    from tests.e2e.process import Tracker

ME, OTHER = "-QS0001-00000000000a", "-QS0001-00000000000b"
HASH = hash_of(1)

# A row has `event` and `left` of one peer's announces, the completions, and true for a seeder.
COMPLETIONS = [
    case(11, "completed without left counts, and leaves a leecher",
         [("", 9), ("completed", None)], 1, False),
    case(11, "a seeder that sends no left becomes a leecher", [("", 0), ("", None)], 0, False),
    case(16, "completed with bytes left counts, as in the reference",
         [("", 9), ("completed", 5)], 1, False),
    case(17, "completed from an unknown peer does not count", [("completed", 0)], 0, True),
    case(17, "completed again from that peer does not count",
         [("completed", 0), ("completed", 0)], 0, True),
    case(18, "completed counts", [("started", 9), ("completed", 0)], 1, True),
    case(18, "completed twice counts once", [("", 9), ("completed", 0), ("completed", 0)], 1, True),
    case(18, "completed before and after a usual announce counts once",
         [("", 9), ("completed", 0), ("", 0), ("completed", 0)], 1, True),
    case(18, "started twice does not prevent the count",
         [("started", 9), ("started", 9), ("completed", 0)], 1, True),
    case(19, "left 0 without completed does not count", [("started", 9), ("", 0)], 0, True),
    case(19, "completed after left 0 counts", [("started", 9), ("", 0), ("completed", 0)], 1, True),
]  # fmt: skip


@pytest.mark.parametrize(("announces", "completed", "seeds"), COMPLETIONS)
def test_completions(
    public: Tracker,
    info_hash: bytes,
    announces: list[tuple[str, int | None]],
    completed: int,
    seeds: bool,
) -> None:
    """A completion counts once a session, for known peers only; the role follows `left`."""
    for event, left in announces:
        ask(public.http[0], target(info_hash, event=event, left=left))
    assert counts(public, info_hash) == (int(seeds), completed, int(not seeds))


def test_case_17_an_uncounted_completion_is_logged(public: Tracker, info_hash: bytes) -> None:
    """A completion that does not count is in the log."""
    ask(public.http[0], target(info_hash, event="completed", left=0))
    (event,) = public.events_until(bool, "--info-hash", info_hash.hex())
    assert (event["event"], event["rule"], event["prev_seq"]) == ("completed", "first", None)


def test_case_19_a_leecher_stops_with_nothing_left(public: Tracker, info_hash: bytes) -> None:
    """A leecher that sends `stopped` with `left=0` is gone and leaves no seeder."""
    ask(public.http[0], target(info_hash, event="started"))
    answer = ask(public.http[0], target(info_hash, event="stopped", left=0, numwant=0))
    assert (answer["complete"], answer["incomplete"]) == (0, 0)
    assert counts(public, info_hash) == (0, 0, 0)


def test_case_20_stopped_removes_the_peer(public: Tracker, info_hash: bytes) -> None:
    """`stopped` removes the peer at once and returns no peers, however many it asks for."""
    ask(public.http[0], target(info_hash, port=1))
    ask(public.http[0], target(info_hash, port=2))
    answer = ask(public.http[0], target(info_hash, port=1, event="stopped", numwant=50))
    assert (answer["incomplete"], answer["peers"]) == (1, b"")
    assert addresses(public, info_hash) == ["127.0.0.1:2"]


def test_case_20_stopped_over_udp(public: Tracker, info_hash: bytes) -> None:
    """The reply to `stopped` has the counts without the peer, known or not, and no peers."""
    with udp_client(public.udp[0]) as client:
        unknown = client.announce(info_hash, 1, 1, event=STOPPED)
        assert (unknown.seeders, unknown.leechers, unknown.peers) == (0, 0, [])
        assert torrent(public, info_hash) == {}
        for port in (1, 2, 3, 4):
            client.announce(info_hash, port, port, left=port % 2)
        for port in (1, 1, 0):
            gone = client.announce(info_hash, 1, port, event=STOPPED)
            assert (gone.seeders, gone.leechers, gone.peers) == (2, 1, [])


def test_case_50_one_peer_over_both_protocols(public: Tracker, info_hash: bytes) -> None:
    """An address and port is one peer over both protocols; another address is another peer."""
    endpoint, elsewhere = ("127.0.0.1", 5), ("127.0.0.2", 5)
    for host, port in (endpoint, elsewhere):
        with udp_client(public.udp[0], host) as client:
            found = client.announce(info_hash, 1, port)
    assert found.peers == [endpoint]
    answer = ask(public.http[0], target(info_hash, port=5, left=0))
    assert (answer["complete"], endpoints(answer["peers"])) == (2, [elsewhere])


def test_case_50_no_client_gets_itself(public: Tracker, info_hash: bytes) -> None:
    """A client gets all other peers and not itself, at its first announce and at the next."""
    for _ in range(2):
        seen = [
            endpoints(ask(public.http[0], target(info_hash, port=port, left=port % 2))["peers"])
            for port in (1, 2, 3)
        ]
    for own, found in enumerate(seen, 1):
        assert sorted(found) == [("127.0.0.1", port) for port in (1, 2, 3) if port != own]


def test_case_52_a_small_swarm_is_listed_whole(public: Tracker, info_hash: bytes) -> None:
    """A seeder gets seeders too when all peers fit into the answer, as in the reference."""
    for port in (1, 2):
        answer = ask(public.http[0], target(info_hash, port=port, left=0))
    assert endpoints(answer["peers"]) == [("127.0.0.1", 1)]


def test_case_53_families_apart(both: Tracker, info_hash: bytes) -> None:
    """HTTP lists both families, UDP the client's own; IPv4 on a dual socket is IPv4."""
    http, udp = both.http[0][1], both.udp[0][1]
    ask(("127.0.0.1", http), target(info_hash, port=1))
    answer = ask(("::1", http), target(info_hash, port=2))
    assert endpoints(answer["peers"]) == [("127.0.0.1", 1)]
    assert answer["peers6"] == b""
    answer = ask(("::1", http), target(info_hash, port=3))
    assert endpoints(answer["peers6"], v6=True) == [("::1", 2)]
    with udp_client(("127.0.0.1", udp)) as four, udp_client(("::1", udp)) as six:
        assert four.announce(info_hash, 4, 4).peers == [("127.0.0.1", 1)]
        assert sorted(six.announce(info_hash, 5, 5).peers) == [("::1", 2), ("::1", 3)]
    assert addresses(both, info_hash) == [
        "127.0.0.1:1", "127.0.0.1:4", "[::1]:2", "[::1]:3", "[::1]:5",
    ]  # fmt: skip


def test_case_54_two_addresses_are_two_peers(both: Tracker, info_hash: bytes) -> None:
    """In a public swarm two addresses are two peers, because nothing proves that they are one."""
    for host in ("127.0.0.1", "::1"):
        answer = ask((host, both.http[0][1]), target(info_hash))
    assert answer["incomplete"] == 2


def test_case_55_a_new_peer_id_at_a_known_address(public: Tracker, info_hash: bytes) -> None:
    """A new peer id at a known address and port replaces the old peer."""
    for peer_id in (ME, OTHER):
        answer = ask(public.http[0], target(info_hash, peer_id=peer_id, event="started"))
    assert (answer["incomplete"], answer["peers"]) == (1, b"")
    (peer,) = peers(public, info_hash)
    assert peer["peer_id"]["id"] == f"0x{OTHER.encode().hex()}"


def test_case_56_a_known_peer_id_elsewhere(public: Tracker, info_hash: bytes) -> None:
    """A known peer id at another address is another peer."""
    ask(public.http[0], target(info_hash, peer_id=ME, port=1, left=0, key="one"))
    answer = from_host(
        "127.0.0.2", public.http[0], target(info_hash, peer_id=ME, port=1, key="two")
    )
    assert (answer["complete"], answer["incomplete"]) == (1, 1)
    assert addresses(public, info_hash) == ["127.0.0.1:1", "127.0.0.2:1"]


@pytest.mark.parametrize(("host", "port"), [
    case(57, "from another address", "127.0.0.2", 1),
    case(57, "with another port", "127.0.0.1", 2),
])  # fmt: skip
def test_stopped_by_another(public: Tracker, info_hash: bytes, host: str, port: int) -> None:
    """A peer id alone is not enough to stop a peer."""
    ask(public.http[0], target(info_hash, peer_id=ME, port=1))
    asked = target(info_hash, peer_id=ME, port=port, event="stopped")
    assert from_host(host, public.http[0], asked)["incomplete"] == 1
    assert addresses(public, info_hash) == ["127.0.0.1:1"]


@pytest.mark.parametrize("protocol", [case(62, "over HTTP", "http"), case(62, "over UDP", "udp")])
def test_an_early_announce(public: Tracker, info_hash: bytes, protocol: str) -> None:
    """An announce before `min interval` counts and gets peers."""
    ask(public.http[0], target(info_hash, port=9))
    for left in (5, 0):
        if protocol == "http":
            answer = ask(public.http[0], target(info_hash, port=1, left=left))
            assert endpoints(answer["peers"]) == [("127.0.0.1", 9)]
        else:
            with udp_client(public.udp[0]) as client:
                assert client.announce(info_hash, 1, 1, left=left).peers == [("127.0.0.1", 9)]
    assert counts(public, info_hash) == (1, 0, 1)


def test_case_63_a_repeated_announce(public: Tracker, info_hash: bytes) -> None:
    """A repeated announce is logged each time and changes nothing in the swarm."""
    for _ in range(3):
        ask(public.http[0], target(info_hash, event="started", uploaded=5))
    assert counts(public, info_hash) == (0, 0, 1)
    found = public.events_until(lambda events: len(events) == 3, "--info-hash", info_hash.hex())
    assert [one["rule"] for one in found] == ["first", "continued", "continued"]
    assert [one["prev_seq"] for one in found] == [None, found[0]["seq"], found[1]["seq"]]


def test_case_82_sent_twice_over_udp(public: Tracker, info_hash: bytes) -> None:
    """A repeated datagram gets the same reply and changes nothing."""
    with udp_client(public.udp[0]) as client:
        udp_announce(client, info_hash)
        first = udp_announce(client, info_hash, event=COMPLETED, left=0)
        assert udp_announce(client, info_hash, event=COMPLETED, left=0) == first
        assert udp_counts(first) == (1, 0)
        assert counts(public, info_hash) == (1, 1, 0)
        last = udp_announce(client, info_hash, event=STOPPED, left=0)
        assert udp_announce(client, info_hash, event=STOPPED, left=0) == last
        assert udp_counts(last) == (0, 0)


# Tests with clocks that the test moves.


def after(rig: Rig, seconds: int, ticks: int = 60) -> list[int]:
    """Lets time pass and makes enough ticks to sweep everything; returns seeders and leechers."""
    rig.time.advance(seconds * SECOND)
    for _ in range(ticks):
        rig.service.tick()
    return [rig.state.swarms.seeders_total, rig.state.swarms.leechers_total]


@pytest.mark.parametrize(("seconds", "remaining"), [
    case(59, "before the timeout the peers stay", 899, [1, 1]),
    case(59, "after the timeout the peers are gone", 901, [0, 0]),
])  # fmt: skip
def test_expiry(seconds: int, remaining: list[int]) -> None:
    """A peer that is silent for longer than the timeout is removed."""
    rig = Rig.with_settings(max_peer_timeout=900)
    rig.announce(Announce(HASH, endpoint4(1), left=0), Announce(HASH, endpoint4(2)))
    assert after(rig, seconds) == remaining


def test_case_59_the_log_distinguishes_expired_from_stopped() -> None:
    """An expired peer has no `stopped` in the log; a tick removed it."""
    rig = Rig.with_settings(max_peer_timeout=900)
    rig.announce(Announce(HASH, endpoint4(1)), Announce(HASH, endpoint4(2)))
    rig.announce(Announce(HASH, endpoint4(2), event=STOPPED))
    assert after(rig, 901) == [0, 0]
    found = rig.events()
    assert [one["event"] for one in found if one["type"] == "announced"] == [
        "none",
        "none",
        "stopped",
    ]
    assert found[-1]["type"] == "tick"


def test_case_59_the_default_outlasts_the_interval(public: Tracker) -> None:
    """By default a peer that misses one announce does not expire."""
    (started,) = public.events_until(bool, "--type", "settings_changed")
    settings = started["settings"]
    assert settings["max_peer_timeout"] > 2 * settings["interval"]
