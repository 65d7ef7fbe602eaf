"""The read model: lists, counts and peers as the API shows them."""

from __future__ import annotations

import pytest
from attrs import asdict, evolve

from tests.support import SECOND, START_US, Announce, Rig, endpoint4, endpoint6, hash_of
from tracker import ports
from tracker.domain import events
from tracker.service import read_model
from tracker.service.members import format_endpoint
from tracker.service.read_model import LiveReads, Projection

HASHES = sorted(hash_of(number) for number in (0, 256, 512, 3, 259, 4, 200, 255, 511))


@pytest.fixture
def rig() -> Rig:
    rig = Rig()
    rig.announce(*(Announce(info_hash, endpoint4(1)) for info_hash in reversed(HASHES)))
    return rig


def now(rig: Rig) -> Projection:
    return LiveReads(rig.service).now()


@pytest.mark.parametrize("offset", range(len(HASHES) + 2))
@pytest.mark.parametrize("limit", [0, 1, 2, 4, 100])
def test_torrents_come_in_order(rig: Rig, offset: int, limit: int) -> None:
    """Pages of any offset and limit list torrents by info hash, across the borders of buckets."""
    found = [one.info_hash for one in now(rig).torrents(offset, limit) if one]
    assert found == HASHES[offset : offset + limit]


@pytest.mark.parametrize("copied", [1000, 50])
@pytest.mark.parametrize("offset", [0, 1, 9, 10, 57, 99, 100])
def test_a_large_bucket_is_listed_in_steps(
    rig: Rig, monkeypatch: pytest.MonkeyPatch, offset: int, copied: int
) -> None:
    """A listing pauses before each piece of sorting and while it skips, even when many torrents
    share a first byte.
    """
    monkeypatch.setattr(read_model, "_SORTED_AT_ONCE", 10)
    monkeypatch.setattr(read_model, "_SKIPPED_AT_ONCE", 10)
    monkeypatch.setattr(read_model, "_LOOKED_AT_ONCE", 10)
    monkeypatch.setattr(read_model, "_COPIED_AT_ONCE", copied)
    hashes = [bytes([7]) + (number * 7919 % 10_007).to_bytes(19, "big") for number in range(100)]
    gone = [bytes([7]) + bytes(18) + bytes([number]) for number in range(60)]
    rig.announce(*(Announce(one, endpoint4(1)) for one in gone + hashes[50:]))
    for one in gone:  # their numbers are used again, and some are left over
        rig.announce(Announce(one, endpoint4(1), event=events.STOPPED))
        rig.state.swarms.drop_if_empty(rig.state.swarms.lookup(one))
    rig.announce(*(Announce(one, endpoint4(1)) for one in hashes[:20]))
    rig.announce(*(Announce(one, endpoint4(1)) for one in hashes[20:50]))
    before = [one for one in HASHES if one < hashes[0][:1]]
    listing = list(now(rig).torrents(offset + len(before), 1000))
    found = [one.info_hash for one in listing if one]
    assert found == sorted([*HASHES, *hashes])[offset + len(before) :]
    if offset < 100:
        assert listing.count(None) >= 9 + offset // 10


def test_peers_that_are_in_several_directories(rig: Rig) -> None:
    """A private peer with an identity and two addresses is listed once."""
    rig = Rig.with_settings(private=True)
    keys = [rig.issue(number) for number in (1, 2)]
    for number, key in enumerate(keys):
        peer_id = b"-XX0001.%012d" % number
        for endpoint in (endpoint4(number), endpoint6(number)):
            rig.announce(Announce(HASHES[0], endpoint, peer_id, key=key, left=number))
    peers = list(now(rig).peers(HASHES[0]))
    assert sorted(peer.peer_id[-1:] for peer in peers) == [b"0", b"1"]
    assert {peer.address for peer in peers} == {"127.0.0.0:6881", "127.0.0.1:6881"}
    present = [one for one in now(rig).present(1) if one]
    assert [(one.info_hash, one.seeder, one.key_ref) for one in present] == [(HASHES[0], True, 1)]
    assert [one.peer for one in present] == [one for one in peers if one.peer_id[-1:] == b"0"]
    listing = now(rig).present(2)
    rig.revoke(keys[1])
    assert [one for one in listing if one] == []


def test_a_listing_goes_on_while_torrents_come_and_go(rig: Rig) -> None:
    """A listing omits a torrent that leaves before its turn, and has each lasting torrent once."""
    listing = now(rig).torrents(0, 100)
    found = [first.info_hash for first in [next(listing)] if first]
    gone = HASHES[1]
    rig.announce(Announce(gone, endpoint4(1), event=events.STOPPED))
    rig.state.swarms.drop_if_empty(rig.state.swarms.lookup(gone))
    rig.announce(Announce(hash_of(768), endpoint4(1)), Announce(hash_of(201), endpoint4(1)))
    found += [one.info_hash for one in listing if one]
    assert found == sorted([*(set(HASHES) - {gone}), hash_of(201)])


def test_summaries(rig: Rig) -> None:
    """A summary has seeders, completed and leechers of a tracked torrent; others have none."""
    leecher = Announce(HASHES[0], endpoint4(1))
    rig.announce(evolve(leecher, event=1), evolve(leecher, endpoint=endpoint6(1), left=0))
    assert now(rig).summary(HASHES[0]) == ports.TorrentSummary(HASHES[0], 1, 1, 1)
    assert now(rig).summary(hash_of(99)) is None
    assert list(now(rig).peers(hash_of(99))) == []


def test_stats_add_up() -> None:
    """Each counter comes from its own place: announces from events, the rest from logged
    counters."""
    rig = Rig()
    for udp, endpoint, times in (
        (False, endpoint4, 1), (False, endpoint6, 2), (True, endpoint4, 4), (True, endpoint6, 8),
    ):  # fmt: skip
        for number in range(times):
            rig.announce(Announce(hash_of(1), endpoint(number), udp=udp, left=number % 2))
    rig.announce(Announce(hash_of(1), endpoint4(0), event=1))
    rig.announce(Announce(hash_of(2), endpoint4(0), event=3))
    for counter, times in (
        (events.UDP4_CONNECTS, 16), (events.UDP6_CONNECTS, 32), (events.TCP4_SCRAPES, 64),
        (events.TCP6_SCRAPES, 128), (events.UDP4_SCRAPES, 256), (events.UDP6_SCRAPES, 512),
        (events.REFUSED_REQUESTS, 5), (events.UDP_DROPPED, 5),
    ):  # fmt: skip
        for _ in range(times):
            rig.service.count(counter)
    expected = {
        "torrents": 1,
        "seeders": 5,
        "completed": 1,
        "leechers": 7,
        "tcp4_connections_handled": 1 + 64,
        "tcp4_announces_handled": 1,
        "tcp4_scrapes_handled": 64,
        "tcp6_connections_handled": 2 + 128,
        "tcp6_announces_handled": 2,
        "tcp6_scrapes_handled": 128,
        "udp4_connections_handled": 16,
        "udp4_announces_handled": 4 + 2,
        "udp4_scrapes_handled": 256,
        "udp6_connections_handled": 32,
        "udp6_announces_handled": 8,
        "udp6_scrapes_handled": 512,
    }
    assert asdict(now(rig).stats()) == expected
    rig.service.flush_counters()
    assert asdict(now(rig).stats()) == expected
    rig.service.count(events.UDP4_SCRAPES)
    assert now(rig).stats().udp4_scrapes_handled == 257


EVENTS = {0: "None", 1: "Completed", 2: "Started", 4: "None"}


@pytest.mark.parametrize("event", EVENTS)
@pytest.mark.parametrize(
    ("endpoint", "shown"),
    [(endpoint4(1, 6881), "127.0.0.1:6881"), (endpoint6(1, 65535), "[2001:db8::1]:65535")],
    ids=["v4", "v6"],
)
def test_peers(event: int, endpoint: bytes, shown: str) -> None:
    """Every field of a peer, in both families."""
    rig = Rig()
    one = Announce(
        hash_of(1), endpoint, b"-TR3000-abcdefghijkl", 2**63 - 1, 12, 13, event=event, udp=False
    )
    rig.announce(one)
    rig.time.advance(1_999)
    rig.announce(one)
    found = now(rig).peers(hash_of(1))
    assert tuple(found) == (
        ports.Peer(
            peer_id=b"-TR3000-abcdefghijkl",
            client="Transmission",
            address=shown,
            updated_ms=START_US // 1000 + 1,
            uploaded=2**63 - 1,
            downloaded=12,
            left=13,
            event=EVENTS[event],
        ),
    )


def test_an_unknown_left_is_the_largest_number() -> None:
    """The API shows an unknown `left` as the largest number, because it has no such value."""
    rig = Rig()
    rig.announce(Announce(hash_of(1), endpoint4(1), b"\0" * 20, left=events.LEFT_UNKNOWN))
    found = now(rig).peers(hash_of(1))
    assert [(peer.left, peer.client) for peer in found] == [(2**63 - 1, None)]


def test_all_peers_of_both_families_each_once() -> None:
    """The list of peers has as many peers as the counts say, each once."""
    rig = Rig()
    rig.announce(
        *(Announce(hash_of(1), e(n), left=n % 2) for n in range(50) for e in (endpoint4, endpoint6))
    )
    found = now(rig).peers(hash_of(1))
    addresses = [peer.address for peer in found]
    assert len(set(addresses)) == len(addresses) == 100
    assert now(rig).summary(hash_of(1)) == ports.TorrentSummary(hash_of(1), 50, 0, 50)


def test_a_list_of_peers_goes_on_while_peers_come_and_go() -> None:
    """A list omits a peer that leaves before its turn, and shows no peer of another torrent in its
    place.
    """
    rig = Rig()
    rig.announce(*(Announce(hash_of(1), endpoint4(number)) for number in range(5)))
    peers = now(rig).peers(hash_of(1))
    shown = [next(peers).address]
    rig.announce(Announce(hash_of(1), endpoint4(2), event=events.STOPPED))
    rig.announce(Announce(hash_of(2), endpoint4(9)))
    shown += [peer.address for peer in peers]
    assert shown == [f"127.0.0.{number}:6881" for number in (0, 1, 3, 4)]


def test_a_list_of_peers_ends_with_its_torrent() -> None:
    """The list of a dropped torrent ends, even when its number and those of its peers are used
    again.
    """
    rig = Rig.with_settings(max_peer_timeout=10, inactive_peer_cleanup_interval=10)
    rig.announce(*(Announce(hash_of(1), endpoint4(number)) for number in range(5)))
    peers = now(rig).peers(hash_of(1))
    shown = [next(peers).address]
    rig.time.advance(10 * SECOND)
    rig.service.tick()
    rig.announce(*(Announce(hash_of(2), endpoint4(10 + number)) for number in range(5)))
    shown += [peer.address for peer in peers]
    assert shown == ["127.0.0.0:6881"]


@pytest.mark.parametrize(
    ("endpoint", "shown"),
    [
        (bytes(6), "0.0.0.0:0"),
        (bytes.fromhex("00000000000000000000ffff7f0000011ae1"), "[::ffff:127.0.0.1]:6881"),
        (bytes(18), "[::]:0"),
    ],
    ids=["v4", "mapped", "v6"],
)
def test_endpoints_as_text(endpoint: bytes, shown: str) -> None:
    """An endpoint is shown as address and port, with brackets around IPv6."""
    assert format_endpoint(endpoint) == shown
