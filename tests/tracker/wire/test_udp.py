"""UDP datagrams and their replies and events: those of real clients, malformed ones and random
ones.
"""

from __future__ import annotations

import socket
from struct import pack, unpack_from
from typing import TYPE_CHECKING, Any

import pytest
import trio
from attrs import define, field
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.golden import Captured, captured
from tests.support import Rig, endpoint4, hash_of, steady
from tracker.domain.settings import Settings
from tracker.frontends.udp import server as front
from tracker.frontends.udp.handler import DatagramHandler
from tracker.wire.connection_id import ConnectionIds

if TYPE_CHECKING:
    from collections.abc import Callable

MAGIC = bytes.fromhex("0000041727101980")
V4 = bytes([127, 0, 0, 9])
V6 = bytes.fromhex("20010db8") + bytes(11) + b"\x09"
TRANSACTION = b"tran"
HASH = hash_of(1)
LISTENER = 3


@define
class Udp:
    """A UDP tracker without a socket."""

    rig: Rig = field(factory=Rig)
    ids: ConnectionIds = field(factory=lambda: ConnectionIds(b"c" * 32))
    handler: DatagramHandler = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.handler = DatagramHandler(self.rig.service, self.ids, LISTENER)

    def send(self, datagram: bytes, address: bytes = V4, room: bytes = b"") -> bytes | None:
        """Answers one datagram that begins at `room` in its buffer."""
        buffer = bytearray(room + datagram + b"the end of a longer datagram that lay here before")
        self.handler.begin()
        reply = self.handler.answer(buffer, len(room), len(datagram), address)
        self.handler.end()
        return None if reply is None else bytes(reply)

    def announced(self) -> list[dict[str, Any]]:
        """Returns the announces in the log, without the names of their clients."""
        return [event for event in self.rig.events() if event["type"] == "announced"]

    def connect(self, address: bytes = V4) -> bytes:
        reply = self.send(MAGIC + pack(">I4s", 0, TRANSACTION), address)
        assert reply is not None
        assert reply[:8] == pack(">I4s", 0, TRANSACTION)
        assert len(reply) == 16
        return reply[8:]

    def announce(self, address: bytes = V4, **changed: Any) -> bytes:
        reply = self.send(announce(self.connect(address), **changed), address)
        assert reply is not None
        return reply


def announce(
    connection_id: bytes,
    info_hash: bytes = HASH,
    peer_id: bytes = b"-XX0001-abcdefghijkl",
    *,
    downloaded: int = 11,
    left: int = 22,
    uploaded: int = 33,
    event: int = 0,
    key: int = 0xABCD1234,
    numwant: int = -1,
    port: int = 6881,
    options: bytes = b"",
) -> bytes:
    """An announce as BEP 15 lays it out."""
    return (
        connection_id + pack(">I4s", 1, TRANSACTION) + info_hash + peer_id
        + pack(">QQQIIIiH", downloaded, left, uploaded, event, 0x7F000001, key, numwant, port)
        + options
    )  # fmt: skip


def scrape(connection_id: bytes, *hashes: bytes) -> bytes:
    return connection_id + pack(">I4s", 2, TRANSACTION) + b"".join(hashes)


# Captures of real clients.


def with_id(request: Captured, connection_id: bytes) -> bytes:
    return connection_id + request.datagram[8:]


@pytest.mark.parametrize("request_", captured("udp", "announce"), ids=str)
@pytest.mark.parametrize("address", [V4, V6], ids=["v4", "v6"])
def test_captured_announces(request_: Captured, address: bytes) -> None:
    """Every captured announce becomes the event it means, under the address it came from."""
    udp, expected = Udp(), request_.expected
    reply = udp.send(with_id(request_, udp.connect(address)), address)
    assert reply is not None
    assert unpack_from(">II", reply) == (1, expected["transaction_id"])
    (event,) = udp.announced()
    numwant = expected["numwant"] if expected["numwant"] > 0 else None
    named = [each["client"] for each in udp.rig.events() if each["type"] == "client_named"]
    assert event == {
        "seq": len(named),
        "client": named[0] if named else None,
        "time": event["time"],
        "type": "announced",
        "info_hash": expected["info_hash"],
        "peer_id": expected["peer_id"],
        "address": "127.0.0.9" if address == V4 else "2001:db8::9",
        "port": expected["port"],
        "uploaded": expected["uploaded"],
        "downloaded": expected["downloaded"],
        "left": expected["left"] if expected["left"] < 1 << 63 else None,
        "event": ("none", "completed", "started", "stopped")[expected["event"]],
        "numwant": numwant,
        "compact": True,
        "protocol": "udp",
        "listener": LISTENER,
        "key_ref": None,
        "client_key_hash": expected["key"] & 0xFFFF,
        "prev_seq": None,
        "rule": "first",
    }


@pytest.mark.parametrize("request_", captured("udp", "connect"), ids=str)
def test_captured_connects(request_: Captured) -> None:
    """Every captured connect gets an id that an announce may use."""
    udp = Udp()
    reply = udp.send(request_.datagram)
    assert reply is not None
    assert unpack_from(">II", reply) == (0, request_.expected["transaction_id"])
    answered = udp.send(announce(reply[8:]))
    assert answered is not None
    assert answered[:4] == pack(">I", 1)


@pytest.mark.parametrize("request_", captured("udp", "scrape"), ids=str)
def test_captured_scrapes(request_: Captured) -> None:
    """Every captured scrape is answered with the counts of its torrents."""
    udp = Udp()
    hashes = [bytes.fromhex(each) for each in request_.expected["info_hashes"]]
    udp.announce(info_hash=hashes[0], left=0)
    reply = udp.send(with_id(request_, udp.connect()))
    assert reply == pack(">IIIII", 2, request_.expected["transaction_id"], 1, 0, 0)


# Announces.


def test_an_announce_is_answered_with_counts_and_peers() -> None:
    """A reply has interval, leechers, seeders, and the endpoints of other peers of the same
    family."""
    udp = Udp()
    udp.rig.service.change_settings(Settings(interval=1234))
    udp = Udp(udp.rig)
    udp.announce(V6, left=0)
    udp.announce(bytes([127, 0, 0, 1]), left=0, port=1001)
    udp.announce(bytes([127, 0, 0, 2]), left=5, port=1002)
    reply = udp.announce(bytes([127, 0, 0, 3]), left=5, port=1003)
    assert reply[:20] == pack(">I4sIII", 1, TRANSACTION, 1234, 2, 2)
    assert {reply[at : at + 6] for at in range(20, len(reply), 6)} == {
        endpoint4(1, 1001),
        endpoint4(2, 1002),
    }
    assert len(reply) == 20 + 2 * 6
    assert udp.announce(V6, left=0)[20:] == b""
    other_v6 = udp.announce(V6[:15] + b"\x07", left=0)
    assert other_v6[8:] == pack(">III", 1234, 2, 3) + V6 + pack(">H", 6881)


@pytest.mark.parametrize(
    ("numwant", "expected"),
    [(-1, 74), (0, 74), (1, 1), (73, 73), (74, 74), (75, 74), (-(2**31), 74)],
)
def test_num_want(numwant: int, expected: int) -> None:
    """A reply has as many peers as requested, at most 74. Zero and below mean the default."""
    udp = Udp()
    for number in range(1, 100):
        udp.announce(bytes([127, 0, 1, number]))
    assert len(udp.announce(numwant=numwant)) == 20 + 6 * expected


@pytest.mark.parametrize(
    ("numwant", "noted"),
    [
        *[(each, each) for each in (1, 73, 74, 75, 65534)],
        *[(each, 65535) for each in (65535, 65536, 65537, 2**31 - 1)],
        *[(each, None) for each in (0, -1, -(2**31))],
    ],
)
def test_num_want_is_logged(numwant: int, noted: int | None) -> None:
    """The event has the requested number within 16 bits, or None for the default."""
    udp = Udp()
    udp.announce(numwant=numwant)
    assert [event["numwant"] for event in udp.announced()] == [noted]


def test_stopped_gets_no_peers() -> None:
    """`stopped` removes the peer and gets the counts only. It may have port 0."""
    udp = Udp()
    udp.announce(bytes([127, 0, 0, 1]))
    udp.announce(left=0)
    assert udp.announce(event=3) == pack(">I4sIII", 1, TRANSACTION, 120, 1, 0)
    assert udp.announce(event=3, port=0, info_hash=hash_of(2)) == pack(
        ">I4sIII", 1, TRANSACTION, 120, 0, 0
    )


NUMBERS = {
    "largest": (2**63 - 1, 2**63 - 1, 2**63 - 1),
    "just too large": (2**63, 0, None),
    "all ones": (2**64 - 1, 0, None),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_beyond_63_bits(name: str) -> None:
    """Totals beyond 63 bits count as zero, and such a `left` as unknown."""
    sent, moved, left = NUMBERS[name]
    udp = Udp()
    udp.announce(uploaded=sent, downloaded=sent, left=sent)
    (event,) = udp.announced()
    assert (event["uploaded"], event["downloaded"], event["left"]) == (moved, moved, left)


# Errors.


def error(text: str) -> bytes:
    return pack(">I4s", 3, TRANSACTION) + text.encode()


UNVERIFIED = error("connection id could not be verified")
REFUSED: dict[str, tuple[Callable[[bytes], bytes], bytes]] = {
    "announce, unknown id": (lambda _: announce(b"whatever"), UNVERIFIED),
    "announce, the magic": (lambda _: announce(MAGIC), UNVERIFIED),
    "announce, event 5": (
        lambda cid: announce(cid, event=5),
        error("bad request: Invalid announce event"),
    ),
    "announce, port 0": (lambda cid: announce(cid, port=0), error("bad request: Port can't be 0")),
    "scrape, unknown id": (lambda _: scrape(b"whatever", HASH, HASH), UNVERIFIED),
    "scrape, no hash": (
        lambda cid: scrape(cid),
        error("bad request: Full scrapes are not allowed"),
    ),
    "scrape, half a hash": (
        lambda cid: scrape(cid, HASH, HASH[:10]),
        error("bad request: Invalid info hash list"),
    ),
    "connect, no magic": (
        lambda cid: cid + pack(">I4s", 0, TRANSACTION) + bytes(32),
        error("bad request: Protocol identifier missing"),
    ),
}
SILENT: dict[str, Callable[[bytes], bytes]] = {
    "announce, 97 bytes": lambda cid: announce(cid)[:97],
    "announce, 16 bytes": lambda cid: announce(cid)[:16],
    "action 3": lambda cid: cid + pack(">I4s", 3, TRANSACTION),
    "action 257, long": lambda cid: cid + pack(">I4s", 257, TRANSACTION) + bytes(100),
    "a connect's reply": lambda cid: pack(">I4s", 0, TRANSACTION) + cid,
    "an announce's reply": lambda _: pack(">I4sIII", 1, TRANSACTION, 0, 2, 2) + bytes(90),
    "a scrape's reply": lambda _: pack(">I4sIII", 2, TRANSACTION, 0, 0, 0) + bytes(90),
    "an error of zeros": lambda _: pack(">I4s", 3, TRANSACTION) + bytes(1000),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refusals(name: str) -> None:
    """A malformed request gets a short error; it is counted, and nothing is appended."""
    udp = Udp()
    make, expected = REFUSED[name]
    assert udp.send(make(udp.connect())) == expected
    assert len(expected) < 60
    udp.rig.service.flush_counters()
    told = [e for e in udp.rig.events() if e["type"] == "counted"]
    assert [(e["counter"], e["delta"]) for e in told] == [
        ("udp4_connects", 1),
        ("refused_requests", 1),
    ]


@pytest.mark.parametrize("name", SILENT)
def test_silence(name: str) -> None:
    """What is no request gets no reply, with a valid id neither. It is counted as dropped."""
    udp = Udp()
    assert udp.send(SILENT[name](udp.connect())) is None
    udp.rig.service.flush_counters()
    told = [e for e in udp.rig.events() if e["type"] == "counted"]
    assert [(e["counter"], e["delta"]) for e in told] == [("udp4_connects", 1), ("udp_dropped", 1)]
    assert (udp.handler.traffic.ignored, udp.handler.traffic.errors) == (1, 0)


def test_no_error_is_longer_where_ids_are_not_checked() -> None:
    """The text that asks for a key is longer than an announce, so it needs a valid id."""
    udp = Udp(Rig.with_settings(private=True), ConnectionIds(b"c" * 32, checked=False))
    assert b"Missing authentication key" in udp.announce()
    udp.ids.forget()
    assert udp.send(announce(bytes(8))) is None
    assert (udp.handler.traffic.errors, udp.handler.traffic.ignored) == (1, 1)


@pytest.mark.parametrize("known", [True, False])
def test_an_id_of_another_address(known: bool) -> None:
    """An id is valid for its own address only, in the cache or not."""
    udp = Udp()
    connection_id = udp.connect(V6)
    if not known:
        udp.ids.forget()
    assert udp.send(announce(connection_id), V4) == UNVERIFIED
    assert udp.send(scrape(connection_id, HASH, HASH), V4) == UNVERIFIED
    assert udp.send(scrape(connection_id, HASH), V4) is None  # because the error is longer
    assert udp.rig.types() == []


def test_a_datagram_too_short_for_a_reply() -> None:
    """A datagram without a transaction id is dropped and counted."""
    udp = Udp()
    assert [udp.send(MAGIC[:size] + bytes(max(0, size - 8))) for size in range(16)] == [None] * 16
    udp.rig.service.flush_counters()
    told = [e for e in udp.rig.events() if e["type"] == "counted"]
    assert [(e["counter"], e["delta"]) for e in told] == [("udp_dropped", 16)]


def test_bytes_behind_a_datagram_are_ignored() -> None:
    """A short announce is not completed with the bytes of an older one in the reused buffer."""
    udp = Udp()
    whole = announce(udp.connect())
    assert udp.send(whole, room=b"x" * 7) is not None
    buffer = bytearray(whole)
    udp.handler.begin()
    reply = udp.handler.answer(buffer, 0, 97, V4)
    udp.handler.end()
    assert reply is None
    assert len(udp.announced()) == 1


def test_refusals_of_the_service() -> None:
    """Announces of unlisted torrents, and to a full log, are refused."""
    udp = Udp(Rig.with_settings(listed=True))
    text = f"Tracker error: The torrent: {HASH.hex()}, is not whitelisted"
    assert udp.announce() == error(text)
    udp = Udp()
    udp.rig.log.room = False
    reply = udp.announce()
    assert reply[:8] == pack(">I4s", 3, TRANSACTION)
    assert b"the tracker cannot record announces now" in reply.lower()
    assert udp.rig.types() == []


# Scrapes.


def test_scrapes_keep_order_and_duplicates() -> None:
    """A scrape has seeders, completed and leechers for each hash, in the order of the request."""
    udp = Udp()
    first, second, unknown = hash_of(5), hash_of(4), hash_of(3)
    udp.announce(info_hash=first, left=0)
    udp.announce(info_hash=second)
    udp.announce(info_hash=second, event=1)
    reply = udp.send(scrape(udp.connect(), second, first, unknown, second))
    triples = [(0, 1, 1), (1, 0, 0), (0, 0, 0), (0, 1, 1)]
    assert reply == pack(">I4s", 2, TRANSACTION) + b"".join(pack(">III", *t) for t in triples)


@pytest.mark.parametrize(("asked", "answered"), [(1, 1), (74, 74), (75, 74), (100, 74)])
def test_long_scrapes_are_cut(asked: int, answered: int) -> None:
    """A scrape gets at most 74 torrents."""
    udp = Udp()
    reply = udp.send(scrape(udp.connect(), *map(hash_of, range(asked))))
    assert reply is not None
    assert len(reply) == 8 + 12 * answered


# With a socket.


@pytest.mark.parametrize("silent", [[], [0], [2], [4], [1, 2], [0, 3, 4], [0, 1, 2, 3, 4]])
async def test_silence_in_a_batch(silent: list[int]) -> None:
    """A batch with datagrams that are too short gets the other replies, in order."""
    server = front.open_socket("127.0.0.1", 0)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.connect(server.getsockname())
        client.settimeout(20)
        asked = [pack(">8sI4s", MAGIC, 0, b"%04d" % number) for number in range(5)]
        for number, datagram in enumerate(asked):
            client.send(datagram[:12] if number in silent else datagram)
        client.send(asked[0])
        handler = Udp().handler
        async with trio.open_nursery() as nursery:
            await nursery.start(front.serve, server, handler)
            expected = [*(number for number in range(5) if number not in silent), 0]
            for number in expected:
                reply = await trio.to_thread.run_sync(client.recv, 100)
                assert reply[:8] == pack(">I4s", 0, b"%04d" % number)
            nursery.cancel_scope.cancel()
    assert (handler.traffic.connects, handler.traffic.ignored) == (len(expected), len(silent))


# Random datagrams.

heads = st.tuples(
    st.sampled_from(["valid", "of another address", "magic", "zeros"]), st.integers(0, 4)
)


@pytest.mark.parametrize("checked", [True, False])
@settings(steady, max_examples=400)
@given(head=heads, rest=st.binary(max_size=150), address=st.sampled_from([V4, V6]))
@example(("valid", 1), b"tran" + b"\xff" * 82, V4)
@example(("valid", 1), b"tran" + b"\0" * 82, V6)
@example(("zeros", 0), b"tran" + b"\0" * 32, V4)
def test_any_datagram(checked: bool, head: tuple[str, int], rest: bytes, address: bytes) -> None:
    """No bytes make it raise. Only a valid id gets more bytes than it sent, and only where ids are
    checked does an announce need one. No reply gets a reply.
    """
    udp = Udp(ids=ConnectionIds(b"c" * 32, checked=checked))
    connection_id = {
        "valid": udp.connect(address),
        "of another address": udp.connect(bytes([127, 9, 9, 9])),
        "magic": MAGIC,
        "zeros": bytes(8),
    }[head[0]]
    datagram = connection_id + pack(">I", head[1]) + rest
    reply = udp.send(datagram, address)
    if head[0] != "valid":
        assert udp.rig.types() == [] or not checked
        assert reply is None or len(reply) <= len(datagram)
    if reply is not None:
        assert reply[4:8] == rest[:4]
        if udp.rig.types():
            assert reply[:4] == pack(">I", 1)
        assert udp.send(reply, address) is None
    traffic = udp.handler.traffic
    assert min(traffic.errors, traffic.ignored) >= 0


@settings(steady, max_examples=400)
@given(datagram=st.binary(max_size=200))
def test_any_bytes(datagram: bytes) -> None:
    """Random bytes are refused or dropped, and append nothing."""
    udp = Udp()
    reply = udp.send(datagram)
    assert reply is None or len(reply) <= len(datagram)
    assert udp.rig.types() == []
