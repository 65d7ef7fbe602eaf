"""Whoever has the log and the secrets can compute which peers a reply listed, and its interval."""

from __future__ import annotations

from struct import unpack_from
from typing import TYPE_CHECKING, Any

import pytest

from tests.support import SELECTION_KEY, Rig, hash_of, replayed
from tests.tracker.frontends.private.front import query, udp_announce
from tracker.domain import choice, events
from tracker.domain.choice import INTERVAL, PEERS, drawn, drawn_by_rule_1, halves
from tracker.domain.policy import Policy
from tracker.frontends.http.handler import RequestHandler
from tracker.frontends.udp.handler import DatagramHandler
from tracker.history import pictures, replies
from tracker.wire.bencode import decode
from tracker.wire.connection_id import ConnectionIds

if TYPE_CHECKING:
    from tracker.domain.state import State

SECRET = bytes(range(32))


@pytest.mark.parametrize(
    ("seq", "peers", "interval"),
    [
        (0, 0x5CB96F6BA2A4FCFC, 0xD1B92226CAFF873D),
        (1, 0x32C5EA5CE472F19B, 0xF58E06A8EDDEADA6),
        (1000, 0x2801D742CDB1F479, 0xA066952A55AA7120),
        (2**64 - 1, 0x823F307311453347, 0xEFFB7C2011AC7DCA),
    ],
)
def test_rule_2(seq: int, peers: int, interval: int) -> None:
    """SipHash-1-3 of the number: these are results of another implementation."""
    assert drawn(halves(SECRET), PEERS, seq) == peers
    assert drawn(halves(SECRET), INTERVAL, seq) == interval


@pytest.mark.parametrize(
    ("seq", "peers", "interval"),
    [
        (1, 0x15FCD1976A964957, 0x8641F030E98963EA),
        (1000, 0x46850103931B479D, 0x913FF169EDBC538C),
        (2**40 + 7, 0xAD2F95B3C402B343, 0xCAA77D9F77E1073C),
    ],
)
def test_rule_1(seq: int, peers: int, interval: int) -> None:
    """These are what the versions with this rule drew."""
    assert drawn_by_rule_1(SECRET, seq) == peers
    assert drawn_by_rule_1(SECRET, seq, b"interval") == interval


def explained(state: State, protocol: str, want: int) -> tuple[bytes, int]:
    """Returns what the latest announce, of a leecher over IPv4, was told: peers and interval.

    `state` is a replay of the log up to it. Both ways to choose by a draw give the same peers.
    """
    seq, torrent = state.seq - 1, state.swarms.lookup(hash_of(1))
    path = events.HTTP4 if protocol == "http" else events.UDP4
    one = replies.Asked(seq, seq, path, seeder=False, stopped=False, numwant=74)
    peer = pictures.peer_of(state, torrent, seq)
    found = replies.endpoints(state, SELECTION_KEY, one, torrent, peer, want)
    draw = replies.drawn(state.settings, SELECTION_KEY, one, PEERS)
    assert replies.ring(state.swarms.v4, torrent, want, peer, False, draw) == found
    peers = b"".join(found)
    return peers, replies.interval(state.settings, SELECTION_KEY, one)


@pytest.mark.parametrize("protocol", ["http", "udp"])
def test_a_reply_is_explained_by_the_log_and_the_secret(protocol: str) -> None:
    """Peers and interval follow from the announce's number in the log. No draw is like another."""
    rig = Rig.with_settings(policy=Policy(interval_jitter=1000), choice=choice.RULE)
    ids = ConnectionIds(b"k")
    udp = DatagramHandler(rig.service, ids, 0)
    http = RequestHandler(rig.service, 1, proxied=False)
    info_hash, told = hash_of(1), set()
    for number in range(400):
        address = bytes([10, 0, number >> 8, number & 255])
        if protocol == "udp":
            udp.begin()
            asked = bytearray(udp_announce(ids.issue(address), info_hash))
            asked[71] = number & 1  # left
            reply = udp.answer(asked, 0, len(asked), address)
            udp.end()
            assert reply is not None
            interval, peers = unpack_from(">8xI", reply)[0], reply[20:]
        else:
            http.begin()
            path = b"/announce" + query(info_hash, b"&numwant=74&compact=1")
            path = path.replace(b"left=7", b"left=%d" % (number & 1))
            body = http.answer(b"GET", path, address, None, False).partition(b"\r\n\r\n")[2]
            http.end()
            values: Any = decode(body)
            interval, peers = values[b"interval"], values[b"peers"]
        if number > 300 and number % 17 == 0 and number & 1:
            state = replayed(rig.log.frames())
            assert state.settings.choice == choice.RULE
            assert state.digest() == rig.state.digest()
            assert explained(state, protocol, 74) == (peers, interval)
            told.add(peers)
    assert len(told) == 3
