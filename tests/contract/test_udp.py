"""Tests datagrams of the UDP tracker: sizes, connection ids, sockets (BEP 15, BEP 41)."""

from __future__ import annotations

import struct
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.contract.asking import ask, counts, target, udp_announce, udp_counts, udp_error, url_data
from tests.contract.cases import case
from tests.e2e.clients import (
    MAGIC,
    UdpClient,
    announce_datagram,
    api,
    endpoints,
    udp_client,
)
from tests.e2e.process import Listeners, Tracker, lasting_listeners
from tests.support import SECOND, START_US
from tracker.wire.connection_id import ConnectionIds

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

UNVERIFIED = "connection id could not be verified"
CONNECT = struct.pack(">QII", MAGIC, 0, 7)
HERE, THERE = bytes([127, 0, 0, 1]), bytes([127, 0, 0, 2])
START = START_US // SECOND


@pytest.mark.parametrize("datagram", [
    case(69, "no bytes", b""),
    case(69, "one byte", b"\0"),
    case(69, "a connect of 15 bytes", CONNECT[:15]),
    case(69, "a connection id alone", bytes(8)),
])  # fmt: skip
def test_too_short(client: UdpClient, datagram: bytes) -> None:
    """A datagram without a transaction id gets no reply."""
    assert client.replies(datagram) == []


@pytest.mark.parametrize("trailing", [
    case(69, "a connect of 16 bytes", b""),
    case(69, "a connect of 20 bytes", b"more"),
    case(69, "a connect of 98 bytes", bytes(82)),
    case(76, "a connect of 516 bytes", bytes(500)),
])  # fmt: skip
def test_connect(client: UdpClient, trailing: bytes) -> None:
    """A connect gets 16 bytes, with or without bytes after the request."""
    reply = client.exchange(CONNECT + trailing)
    assert len(reply) == 16
    assert reply[:8] == struct.pack(">II", 0, 7)


@pytest.mark.parametrize("magic", [
    case(69, "zeros", 0),
    case(69, "one bit off", MAGIC ^ 1),
    case(69, "the other byte order", int.from_bytes(MAGIC.to_bytes(8, "big"), "little")),
])  # fmt: skip
def test_wrong_magic(stranger: UdpClient, magic: int) -> None:
    """A connect with the wrong constant gets the reference's error, if that is not longer, and no
    connection id.
    """
    connect = struct.pack(">QII", magic, 0, 7)
    (reply,) = stranger.replies(connect.ljust(48, b"\0"))
    assert udp_error(reply) == "bad request: Protocol identifier missing"
    assert stranger.replies(connect.ljust(47, b"\0")) == []


@pytest.mark.parametrize("options", [
    case(70, "98 bytes", b""),
    case(70, "100 bytes of aria2", b"\0\0"),
    case(70, "101 bytes of libtorrent", b"\2\1/"),
    case(70, "1,398 bytes", bytes(1300)),
    case(71, "malformed options", b"\xff\xff\xff"),
    case(71, "a truncated option", b"\2\xff/announce"),
    case(72, "a key on a public tracker", url_data(b"/announce/" + b"k" * 32)),
])  # fmt: skip
def test_options_after_an_announce(client: UdpClient, info_hash: bytes, options: bytes) -> None:
    """An announce is served with any bytes after its 98."""
    assert udp_counts(udp_announce(client, info_hash, options)) == (0, 1)


@pytest.mark.parametrize("size", [
    case(70, "one byte short", 97),
    case(70, "the first 16 bytes alone", 16),
])  # fmt: skip
def test_truncated_announces(
    public: Tracker, client: UdpClient, info_hash: bytes, size: int
) -> None:
    """A truncated announce gets no reply and has no effect."""
    whole = announce_datagram(client.connection_id, info_hash, 1, 6881)
    assert client.replies(whole[:size]) == []
    assert counts(public, info_hash) == (0, 0, 0)


# Connection ids.


@pytest.mark.parametrize("spoil", [
    case(73, "zeros", lambda _: bytes(8)),
    case(73, "guessed bytes", lambda _: b"guessing"),
    case(73, "one bit off", lambda good: bytes([good[0] ^ 1]) + good[1:]),
    case(74, "another time byte", lambda good: good[:7] + bytes([(good[7] + 1) & 0xFF])),
    case(75, "the constant of a connect", lambda _: MAGIC.to_bytes(8, "big")),
])  # fmt: skip
def test_bad_connection_ids(
    public: Tracker, stranger: UdpClient, info_hash: bytes, spoil: Callable[[bytes], bytes]
) -> None:
    """A bad connection id gets an error and no effect, for announce and scrape. A scrape of one
    torrent is shorter than the error, and gets no reply.
    """
    stranger.connection_id = spoil(stranger.connection_id)
    reply = udp_announce(stranger, info_hash)
    assert udp_error(reply) == UNVERIFIED
    assert len(reply) < 98
    scrape = struct.pack(">8sII", stranger.connection_id, 2, 7) + info_hash
    assert stranger.replies(scrape) == []
    (scraped,) = stranger.replies(scrape + info_hash)
    assert udp_error(scraped) == UNVERIFIED
    assert counts(public, info_hash) == (0, 0, 0)


def test_case_74_another_port(public: Tracker, info_hash: bytes) -> None:
    """A connection id is good at any port of its address, because clients open new sockets."""
    with udp_client(public.udp[0]) as one, udp_client(public.udp[0]) as other:
        other.connection_id = one.connection_id
        assert udp_counts(udp_announce(other, info_hash)) == (0, 1)


def test_case_74_another_address(public: Tracker, info_hash: bytes) -> None:
    """A connection id is refused from another address."""
    with udp_client(public.udp[0]) as one, udp_client(public.udp[0], "127.0.0.2") as other:
        other.connection_id = one.connection_id
        assert udp_error(udp_announce(other, info_hash)) == UNVERIFIED


@pytest.mark.parametrize(("seconds", "good"), [
    case(74, "at once it is good", 0, True),
    case(74, "after two minutes it is good", 120, True),
    case(74, "after three minutes it is refused", 180, False),
    case(74, "a minute before its issue it is refused", -60, False),
    case(75, "after an hour it is refused", 3600, False),
    case(75, "after 256 periods, with the same time byte, it is refused", 256 * 30, False),
])  # fmt: skip
def test_age_of_a_connection_id(seconds: int, good: bool) -> None:
    """A connection id is good for two minutes; an id from the future is refused."""
    then, now = ConnectionIds(b"c" * 32), ConnectionIds(b"c" * 32)
    then.set_time(START)
    now.set_time(START + seconds)
    connection_id = then.issue(HERE)
    assert now.valid(connection_id, HERE) is good
    assert not now.valid(connection_id, THERE)


# Sizes of answers.


def test_case_76_as_many_as_allowed(client: UdpClient, info_hash: bytes) -> None:
    """An IPv4 reply has at most 464 bytes, so that no reply is fragmented."""
    for port in range(1, 91):
        client.announce(info_hash, port, port)
    reply = udp_announce(client, info_hash, port=1, numwant=-1)
    assert len(reply) == 20 + 6 * 74
    assert len(endpoints(reply[20:])) == 74


@pytest.mark.parametrize(("requested", "source"), [
    case(81, "the usual address 127.0.0.1", "127.0.0.1", "127.0.0.1"),
    case(81, "another local address 127.0.0.2", "127.0.0.2", "127.0.0.1"),
    case(81, "another local address 127.3.2.1", "127.3.2.1", "127.0.0.1"),
    case(81, "an IPv6 address", "::1", "::1"),
    case(83, "IPv4 on a dual socket", "127.0.0.1", "127.0.0.1"),
])  # fmt: skip
def test_a_reply_comes_from_the_requested_address(
    both: Tracker, info_hash: bytes, requested: str, source: str
) -> None:
    """The reply comes from the address of the request; a connected client receives no other."""
    with udp_client((requested, both.udp[0][1]), source) as client:
        assert udp_counts(udp_announce(client, info_hash)) == (0, 1)


@pytest.mark.parametrize("transaction", [
    case(82, "zeros", bytes(4)),
    case(82, "all bits set", b"\xff" * 4),
    case(82, "mixed bytes", b"\x00\x80\x7f\x01"),
])  # fmt: skip
def test_transactions(stranger: UdpClient, info_hash: bytes, transaction: bytes) -> None:
    """Replies and errors carry the request's transaction id."""
    announce = announce_datagram(stranger.connection_id, info_hash, 1, 6881)
    for datagram in (
        CONNECT,
        announce,
        struct.pack(">8sII", stranger.connection_id, 2, 0) + info_hash,
        struct.pack(">8sII", bytes(8), 2, 0) + info_hash + info_hash,
        struct.pack(">8sII", bytes(8), 0, 0) + bytes(32),
    ):
        reply = stranger.exchange(datagram[:12] + transaction + datagram[16:])
        assert reply[4:8] == transaction


def test_case_83_families_on_one_port(both: Tracker, info_hash: bytes) -> None:
    """A dual IPv6 socket gives IPv4 and IPv6 clients peers, and counters, of their own family."""
    port = both.udp[0][1]
    names = ("udp4_announces_handled", "udp6_announces_handled")
    before = api(both, "/api/v1/stats")
    with udp_client(("127.0.0.1", port)) as four, udp_client(("::1", port)) as six:
        four.announce(info_hash, 1, 1)
        six.announce(info_hash, 2, 2)
        assert four.announce(info_hash, 3, 3).peers == [("127.0.0.1", 1)]
        assert six.announce(info_hash, 4, 4).peers == [("::1", 2)]
    after = api(both, "/api/v1/stats")
    assert [after[name] - before[name] for name in names] == [2, 2]


def test_case_83_a_socket_for_each_family(tmp_path: Path, info_hash: bytes) -> None:
    """Two wildcard listeners on one port each serve their family; the log names the listener."""
    port = lasting_listeners().udp[0].rpartition(":")[2]
    listeners = Listeners(udp=(f"0.0.0.0:{port}", f"[::]:{port}"))
    with closing(Tracker(tmp_path / "tracker", listeners)) as tracker:
        tracker.start()
        for host in ("127.0.0.1", "::1"):
            with udp_client((host, int(port))) as client:
                udp_announce(client, info_hash)
        found = tracker.events_until(
            lambda events: len(events) == 2, "--info-hash", info_hash.hex()
        )
    assert [(one["listener"], one["address"]) for one in found] == [(0, "127.0.0.1"), (1, "::1")]


def test_case_84_vanished_clients(public: Tracker, info_hash: bytes) -> None:
    """Replies that no client receives delay neither UDP nor HTTP requests."""
    for number in range(50):
        gone = UdpClient(public.udp[0])
        gone.send(CONNECT)
        gone.close()
        if number % 10 == 0:
            with udp_client(public.udp[0]) as client:
                assert udp_counts(udp_announce(client, info_hash)) == (0, 1)
    assert ask(public.http[0], target(info_hash, port=2))["incomplete"] == 2
