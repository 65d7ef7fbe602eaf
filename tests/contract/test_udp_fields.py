"""Tests the fields of a UDP announce: refused and accepted values (BEP 15)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.contract.asking import addresses, counts, peers, udp_announce, udp_counts, udp_error
from tests.contract.cases import case
from tests.e2e.clients import STARTED, STOPPED, UdpClient, announce_datagram, udp_client

if TYPE_CHECKING:
    from tests.e2e.process import Tracker

MANY = b"more peers than fit."


@pytest.fixture(scope="module")
def many(public: Tracker) -> Tracker:
    """A tracker with a swarm of more peers than a reply holds."""
    with udp_client(public.udp[0]) as client:
        for port in range(1, 91):
            client.announce(MANY, port, port)
    return public


def test_case_77_a_partial_seed(public: Tracker, client: UdpClient, info_hash: bytes) -> None:
    """Event 4 counts as `paused` over HTTP: libtorrent sends it for a torrent that has all the
    files that its user wants (BEP 21).
    """
    assert udp_counts(udp_announce(client, info_hash, event=4)) == (0, 1)
    (one,) = public.events_until(lambda events: len(events) == 1, "--info-hash", info_hash.hex())
    assert one["event"] == "paused"


@pytest.mark.parametrize("event", [
    case(77, "event 5", 5),
    case(77, "event 2**32 - 1", 2**32 - 1),
])  # fmt: skip
def test_unknown_events(public: Tracker, client: UdpClient, info_hash: bytes, event: int) -> None:
    """An unknown event gets the reference's error."""
    assert udp_error(udp_announce(client, info_hash, event=event)) == (
        "bad request: Invalid announce event"
    )
    assert counts(public, info_hash) == (0, 0, 0)


@pytest.mark.parametrize(("left", "expected"), [
    case(77, "left of -1 is a leecher", 2**64 - 1, (0, 1)),
    case(12, "left of 2**63 is a leecher", 2**63, (0, 1)),
    case(12, "left of 2**63 - 1 is a leecher", 2**63 - 1, (0, 1)),
    case(11, "left of 0 is a seeder", 0, (1, 0)),
])  # fmt: skip
def test_left(client: UdpClient, info_hash: bytes, left: int, expected: tuple[int, int]) -> None:
    """Only `left` = 0 makes a seeder."""
    assert udp_counts(udp_announce(client, info_hash, left=left)) == expected


@pytest.mark.parametrize("moved", [
    case(13, "totals of -1", 2**64 - 1),
    case(13, "totals of 2**63", 2**63),
])  # fmt: skip
def test_impossible_totals(
    public: Tracker, client: UdpClient, info_hash: bytes, moved: int
) -> None:
    """An announce with totals beyond 63 bits is served, and the totals count as zero."""
    udp_announce(client, info_hash, uploaded=moved, downloaded=moved)
    (peer,) = peers(public, info_hash)
    assert (peer["uploaded"], peer["downloaded"]) == (0, 0)


@pytest.mark.parametrize(("numwant", "count"), [
    case(5, "numwant -1 gives 74", -1, 74),
    case(6, "numwant 0 gives 74", 0, 74),
    case(7, "numwant 1 gives one", 1, 1),
    case(7, "numwant 3 gives three", 3, 3),
    case(8, "numwant 75 gives 74", 75, 74),
    case(8, "numwant 2**31 - 1 gives 74", 2**31 - 1, 74),
])  # fmt: skip
def test_numbers_wanted(many: Tracker, numwant: int, count: int) -> None:
    """A reply has as many peers as the request wants: each once, and never the client."""
    with udp_client(many.udp[0]) as client:
        answer = client.announce(MANY, 1, 1, numwant=numwant)
    found = set(answer.peers)
    assert answer.interval == 120
    assert len(found) == len(answer.peers) == count
    assert ("127.0.0.1", 1) not in found


def test_case_78_an_address_in_the_request(
    public: Tracker, client: UdpClient, info_hash: bytes
) -> None:
    """A peer is listed at its datagram's source; the address in the request is ignored."""
    datagram = announce_datagram(client.connection_id, info_hash, 1, 6881, left=5)
    reply = client.exchange(datagram[:84] + bytes([8, 8, 8, 8]) + datagram[88:])
    assert udp_counts(reply) == (0, 1)
    assert addresses(public, info_hash) == ["127.0.0.1:6881"]


@pytest.mark.parametrize(("event", "refused"), [
    case(78, "port 0 is refused", 0, True),
    case(78, "port 0 with started is refused", STARTED, True),
    case(78, "port 0 with stopped is accepted", STOPPED, False),
])  # fmt: skip
def test_port_0(client: UdpClient, info_hash: bytes, event: int, refused: bool) -> None:
    """Port 0 is refused, except with `stopped`."""
    reply = udp_announce(client, info_hash, port=0, event=event)
    if refused:
        assert udp_error(reply) == "bad request: Port can't be 0"
    else:
        assert udp_counts(reply) == (0, 0)


def test_case_80_an_unlisted_torrent(listed: Tracker, info_hash: bytes) -> None:
    """An unlisted torrent gets the reference's error."""
    with udp_client(listed.udp[0]) as client:
        assert udp_error(udp_announce(client, info_hash)) == (
            f"Tracker error: The torrent: {info_hash.hex()}, is not whitelisted"
        )
    assert counts(listed, info_hash) == (0, 0, 0)
