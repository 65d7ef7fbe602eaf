"""Fields of a UDP announce: which values are refused, and how the rest are read (BEP 15)."""

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


@pytest.mark.parametrize("event", [
    case(77, "paused is not for UDP", 4),
    case(77, "nobody knows it", 5),
    case(77, "as large as can be", 2**32 - 1),
])  # fmt: skip
def test_unknown_events(public: Tracker, client: UdpClient, info_hash: bytes, event: int) -> None:
    """An unknown event gets the reference's error."""
    assert udp_error(udp_announce(client, info_hash, event=event)) == (
        "bad request: Invalid announce event"
    )
    assert counts(public, info_hash) == (0, 0, 0)


@pytest.mark.parametrize(("left", "expected"), [
    case(77, "minus one is not known", 2**64 - 1, (0, 1)),
    case(12, "nor is anything with the top bit", 2**63, (0, 1)),
    case(12, "as much as can be left", 2**63 - 1, (0, 1)),
    case(11, "nothing is a seeder", 0, (1, 0)),
])  # fmt: skip
def test_left(client: UdpClient, info_hash: bytes, left: int, expected: tuple[int, int]) -> None:
    """Only `left` = 0 makes a seeder."""
    assert udp_counts(udp_announce(client, info_hash, left=left)) == expected


@pytest.mark.parametrize("moved", [
    case(13, "minus one", 2**64 - 1),
    case(13, "the top bit", 2**63),
])  # fmt: skip
def test_impossible_totals(
    public: Tracker, client: UdpClient, info_hash: bytes, moved: int
) -> None:
    """Totals beyond 63 bits are answered and count as zero."""
    udp_announce(client, info_hash, uploaded=moved, downloaded=moved)
    (peer,) = peers(public, info_hash)
    assert (peer["uploaded"], peer["downloaded"]) == (0, 0)


@pytest.mark.parametrize(("numwant", "count"), [
    case(5, "minus one: as many as allowed", -1, 74),
    case(6, "nothing said: as many as allowed", 0, 74),
    case(7, "one", 1, 1),
    case(7, "three", 3, 3),
    case(8, "one more than allowed", 75, 74),
    case(8, "far more than allowed", 2**31 - 1, 74),
])  # fmt: skip
def test_numbers_wanted(many: Tracker, numwant: int, count: int) -> None:
    """A reply has as many peers as asked for, all different, without the client itself."""
    with udp_client(many.udp[0]) as client:
        answer = client.announce(MANY, 1, 1, numwant=numwant)
    found = set(answer.peers)
    assert answer.interval == 120
    assert len(found) == len(answer.peers) == count
    assert ("127.0.0.1", 1) not in found


def test_case_78_an_address_in_the_request(
    public: Tracker, client: UdpClient, info_hash: bytes
) -> None:
    """A peer is listed at its datagram's source, whatever address it names."""
    datagram = announce_datagram(client.connection_id, info_hash, 1, 6881, left=5)
    reply = client.exchange(datagram[:84] + bytes([8, 8, 8, 8]) + datagram[88:])
    assert udp_counts(reply) == (0, 1)
    assert addresses(public, info_hash) == ["127.0.0.1:6881"]


@pytest.mark.parametrize(("event", "refused"), [
    case(78, "port 0", 0, True),
    case(78, "port 0 at the start", STARTED, True),
    case(78, "port 0 of one who leaves", STOPPED, False),
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
