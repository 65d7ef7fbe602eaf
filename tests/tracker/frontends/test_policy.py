"""The site's own rules as clients meet them, over HTTP and UDP sockets: one test a rule, named
after its key.
"""

from __future__ import annotations

import ssl
from contextlib import asynccontextmanager
from random import Random
from struct import pack, unpack_from
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_from_bytes

import pytest
import trio
from attrs import define, field, frozen

from tests.support import (
    SECOND,
    HandTime,
    MemoryLog,
    Rig,
    append_json,
    endpoint6,
    hash_of,
    replayed,
)
from tracker.domain import events
from tracker.domain.events.admin import SettingsChanged, TorrentWhitelisted
from tracker.domain.policy import Policy
from tracker.domain.settings import Settings
from tracker.frontends.http import server as http_server
from tracker.frontends.http.connections import ConnectionLimits
from tracker.frontends.http.handler import RequestHandler
from tracker.frontends.udp import server as udp_server
from tracker.frontends.udp.handler import DatagramHandler
from tracker.service.rate_limits import MOST, Bans, Rate, Table
from tracker.wire.bencode import decode
from tracker.wire.connection_id import ConnectionIds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

MINE, THEIRS = b"-XX0001-abcdefghijkl", b"-YY0001-abcdefghijkl"
MAGIC = bytes.fromhex("0000041727101980")
FORGED = bytes(8)
UNVERIFIED = b"connection id could not be verified"
both = pytest.mark.parametrize("protocol", ["http", "udp"])


@frozen
class Told:
    """What an announce was answered."""

    failure: str = ""
    retry: object = None  # HTTP only
    interval: int = 0
    seeders: int = 0
    leechers: int = 0
    ports: tuple[int, ...] = ()  # of the peers


@define
class Site:
    """A tracker in memory behind real sockets, its time in the test's hands."""

    rig: Rig
    http_port: int = 0
    udp_port: int = 0
    sockets: dict[str, tuple[trio.socket.SocketType, bytes]] = field(factory=dict)

    async def announce(self, protocol: str, port: int = 6881, **changed: Any) -> Told:
        """Announces as a leecher without a key, from 127.0.0.1 by default."""
        ask = self._http_announce if protocol == "http" else self._udp_announce
        return await ask(port, **changed)

    async def _http_announce(
        self,
        port: int,
        *,
        info_hash: bytes = hash_of(1),
        peer_id: bytes = MINE,
        event: int = events.NONE,
        left: int = 5,
        key: bytes = b"",
        source: str = "127.0.0.1",
    ) -> Told:
        name = ("", "completed", "started", "stopped", "paused")[event]
        target = (
            f"/announce{'/' * bool(key)}{key.decode()}?info_hash={quote_from_bytes(info_hash)}"
            f"&peer_id={quote_from_bytes(peer_id)}&port={port}&left={left}&event={name}"
        )
        reply = await self.get(target, source)
        if "failure reason" in reply:
            return Told(reply["failure reason"].decode(), reply.get("retry in"))
        counts = reply["interval"], reply["complete"], reply["incomplete"]
        return Told("", None, *counts, ports_in(reply["peers"]))

    async def _udp_announce(
        self,
        port: int,
        *,
        info_hash: bytes = hash_of(1),
        peer_id: bytes = MINE,
        event: int = events.NONE,
        left: int = 5,
        key: bytes = b"",
        source: str = "127.0.0.1",
    ) -> Told:
        _, connection_id = await self.udp_client(source)
        reply = await self.exchange(
            udp_announce(connection_id, port, info_hash, peer_id, event, left)
            + (bytes([2, len(key) + 1]) + b"/" + key if key else b""),
            source,
        )
        if reply[:4] == pack(">I", 3):
            return Told(reply[8:].decode())
        interval, leechers, seeders = unpack_from(">III", reply, 8)
        return Told("", None, interval, seeders, leechers, ports_in(reply[20:]))

    async def udp_client(self, source: str) -> tuple[trio.socket.SocketType, bytes]:
        """The socket at an address, and the connection id it was given."""
        if source not in self.sockets:
            sock = trio.socket.socket(trio.socket.AF_INET, trio.socket.SOCK_DGRAM)
            await sock.bind((source, 0))
            await sock.connect(("127.0.0.1", self.udp_port))
            await sock.send(MAGIC + pack(">I4s", 0, b"tran"))
            self.sockets[source] = sock, (await sock.recv(100))[8:]
        return self.sockets[source]

    def leave_udp(self) -> None:
        for sock, _ in self.sockets.values():
            sock.close()
        self.sockets.clear()

    async def exchange(self, datagram: bytes, source: str = "127.0.0.1") -> bytes:
        sock, _ = await self.udp_client(source)
        await sock.send(datagram)
        return await sock.recv(1500)

    async def udp_scrape(self, source: str = "127.0.0.1") -> bytes:
        _, connection_id = await self.udp_client(source)
        return await self.exchange(connection_id + pack(">I4s", 2, b"tran") + hash_of(1), source)

    async def get(self, target: str, source: str = "127.0.0.1") -> dict[str, Any]:
        """The decoded body."""
        stream = trio.SocketStream(await self.connection(source))
        async with stream:
            request = f"GET {target} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"
            await stream.send_all(request.encode())
            response = b"".join([chunk async for chunk in stream])
        values = decode(response.partition(b"\r\n\r\n")[2])
        assert isinstance(values, dict)
        return {name.decode(): value for name, value in values.items()}

    async def connection(self, source: str = "127.0.0.1") -> trio.socket.SocketType:
        sock = trio.socket.socket()
        await sock.bind((source, 0))
        await sock.connect(("127.0.0.1", self.http_port))
        return sock

    def logged(self, kind: str) -> list[dict[str, Any]]:
        return [one for one in self.rig.events() if one["type"] == kind]


def ports_in(packed: bytes) -> tuple[int, ...]:
    return tuple(
        sorted(int.from_bytes(packed[at : at + 2], "big") for at in range(4, len(packed), 6))
    )


def udp_announce(
    connection_id: bytes, port: int, info_hash: bytes, peer_id: bytes, event: int, left: int
) -> bytes:
    return connection_id + pack(
        ">I4s20s20sqqqIIIiH", 1, b"tran", info_hash, peer_id, 0, left, 0, event, 0, 0, -1, port
    )


@asynccontextmanager
async def serving(
    policy: Policy,
    *,
    limits: ConnectionLimits | None = None,
    bans: Bans | None = None,
    tls: ssl.SSLContext | None = None,
    **settings: Any,
) -> AsyncIterator[Site]:
    """A tracker with these rules, on two sockets."""
    rig = Rig.with_settings(policy=policy, **settings)
    datagrams, requests = (
        udp_server.open_socket("127.0.0.1", 0),
        http_server.open_socket("127.0.0.1", 0),
    )
    site = Site(rig, requests.getsockname()[1], datagrams.getsockname()[1])
    handler = DatagramHandler(rig.service, ConnectionIds(b"c" * 32), 0, None, bans)
    try:
        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                await nursery.start(udp_server.serve, datagrams, handler)
                answers = RequestHandler(rig.service, 1, proxied=False)
                await nursery.start(
                    http_server.serve, requests, answers, limits or ConnectionLimits(64), tls
                )
                yield site
                nursery.cancel_scope.cancel()
    finally:
        site.leave_udp()
    assert replayed(rig.log.frames()).digest() == rig.state.digest()


async def refused(site: Site, protocol: str, text: str, retry: object, **announce: Any) -> None:
    """It is, with this reason, and nothing changes."""
    before = site.rig.state.swarms.announces.copy()
    told = await site.announce(protocol, **announce)
    assert told == Told(f"Tracker error: {text}", retry if protocol == "http" else None)
    assert site.rig.state.swarms.announces == before


# Who may announce.

CLIENTS = [
    (Policy(clients_denied=("-XX",)), MINE, False),
    (Policy(clients_denied=("-YY", "-XX0001-a")), MINE, False),
    (Policy(clients_denied=("-XX0002", "XX", "-xx")), MINE, True),
    (Policy(clients_allowed=("-XX",)), MINE, True),
    (Policy(clients_allowed=("-XX",)), THEIRS, False),
    (Policy(clients_allowed=("-XX",), clients_denied=("-XX0001",)), MINE, False),
]


@both
@pytest.mark.parametrize(("policy", "peer_id", "allowed"), CLIENTS)
async def test_clients(protocol: str, policy: Policy, peer_id: bytes, allowed: bool) -> None:
    """clients_allowed and clients_denied go by the first characters of the peer id; denied wins;
    `stopped` passes.
    """
    async with serving(policy) as site:
        if allowed:
            assert (await site.announce(protocol, peer_id=peer_id)).leechers == 1
        else:
            text = "this client is not allowed here"
            await refused(site, protocol, text, b"never", peer_id=peer_id)
            site.rig.service.flush_counters()
            counted = [(one["counter"], one["label"]) for one in site.logged("counted")]
            assert ("refused_requests", 7) in counted
        assert not (await site.announce(protocol, peer_id=peer_id, event=events.STOPPED)).failure


@both
async def test_clients_known_before(protocol: str) -> None:
    """A rule that comes later holds for peers that are there; they can still leave."""
    async with serving(Policy()) as site:
        await site.announce(protocol)
        site.rig.service.change_settings(Settings(policy=Policy(clients_denied=("-XX",))))
        await refused(site, protocol, "this client is not allowed here", b"never")
        assert (await site.announce(protocol, event=events.STOPPED)).leechers == 0


PORTS = [(1, True), (24, True), (25, False), (6880, True), (6881, False), (6885, False), (6889, False), (6890, True)]  # fmt: skip


@both
async def test_refused_ports(protocol: str) -> None:
    """Single ports and ranges with both their ends; `stopped` passes."""
    async with serving(Policy(refused_ports=("25", "6881-6889"))) as site:
        for port, allowed in PORTS:
            if allowed:
                assert not (await site.announce(protocol, port)).failure
            else:
                text = "this port is not allowed here, choose another"
                await refused(site, protocol, text, None, port=port)
                assert not (await site.announce(protocol, port, event=events.STOPPED)).failure


@both
async def test_enforce_interval_min(protocol: str) -> None:
    """Too soon: counted and logged, but no peers. An event is never too soon, nor is the time
    exactly reached.
    """
    async with serving(Policy(enforce_interval_min=True), interval_min=60) as site:
        assert (await site.announce(protocol, 1)).ports == ()
        assert (await site.announce(protocol, 2, left=0)).ports == (1,)
        site.rig.time.advance(59 * SECOND)
        early = await site.announce(protocol, 2, left=7)
        assert (early.seeders, early.leechers, early.interval, early.ports) == (0, 2, 120, ())
        for event in (events.STARTED, events.COMPLETED):
            assert (await site.announce(protocol, 2, event=event)).ports == (1,)
        assert (await site.announce(protocol, 2)).ports == ()
        site.rig.time.advance(60 * SECOND)
        assert (await site.announce(protocol, 2)).ports == (1,)
        assert (await site.announce(protocol, 2, event=events.STOPPED)).failure == ""
        assert len(site.logged("announced")) == 8


async def test_enforce_interval_min_of_several_addresses() -> None:
    """In private modes a peer with two addresses gets peers at each; with one address it can be
    early.
    """
    policy = Policy(enforce_interval_min=True)
    async with serving(policy, private=True) as site:
        first, second = site.rig.issue(0), site.rig.issue(1)
        await site.announce("udp", 1, key=first, peer_id=THEIRS)
        for source in ("127.0.0.1", "127.0.0.2", "127.0.0.1"):
            assert (await site.announce("udp", 2, key=second, source=source)).ports == (1,)
        assert (await site.announce("udp", 2, key=second, source="127.0.0.1")).ports == ()
        assert len(site.logged("announced")) == 5


@both
async def test_peers_per_account(protocol: str) -> None:
    """peers_per_account limits new peers; known ones go on, and a restarted client keeps its
    place."""
    async with serving(Policy(peers_per_account=2), private=True) as site:
        mine, theirs = site.rig.issue(0, "anna"), site.rig.issue(1)
        other_key = site.rig.issue(2, "anna")
        ids = [b"-XX0001-%012d" % number for number in range(4)]
        for port, (key, peer_id) in enumerate(((mine, ids[0]), (other_key, ids[1])), 1):
            assert not (await site.announce(protocol, port, key=key, peer_id=peer_id)).failure
        text = "too many clients with your key on this torrent"
        for key in (mine, other_key):
            await refused(site, protocol, text, 30, port=3, key=key, peer_id=ids[2])
        assert (await site.announce(protocol, 2, key=mine, peer_id=ids[1])).leechers == 2
        assert (await site.announce(protocol, 2, key=mine, peer_id=ids[2])).leechers == 2
        assert (await site.announce(protocol, 3, key=theirs, peer_id=ids[3])).leechers == 3
        elsewhere = await site.announce(protocol, 3, key=mine, peer_id=ids[3], info_hash=hash_of(2))
        assert elsewhere.leechers == 1
        logged = [(one["key_ref"], one["reason"]) for one in site.logged("announce_refused")]
        assert logged == [(1, "account_full"), (3, "account_full")]


# How much.


@both
async def test_requests_per_minute(protocol: str) -> None:
    """Announces and scrapes from an address count together, for a minute, and for that address
    alone.
    """
    text = "too many requests from your address, try again in a minute"
    async with serving(Policy(requests_per_minute=3)) as site:
        for port in (1, 2):
            assert not (await site.announce(protocol, port)).failure
        if protocol == "http":
            scrape = f"/scrape?info_hash={quote_from_bytes(hash_of(1))}"
            assert "files" in await site.get(scrape)
            assert (await site.get(scrape))["failure reason"].decode().endswith(text)
        else:
            assert (await site.udp_scrape())[:4] == pack(">I", 2)
            assert (await site.udp_scrape())[8:].decode().endswith(text)
        await refused(site, protocol, text, 1, port=1)
        await refused(site, protocol, text, 1, port=1, event=events.STOPPED)
        assert not (await site.announce(protocol, 1, source="127.0.0.2")).failure
        site.rig.time.advance(60 * SECOND)
        assert not (await site.announce(protocol, 1)).failure


@both
async def test_requests_per_minute_with_keys(protocol: str) -> None:
    """Attempts with wrong keys count too; a known key's refusal is logged."""
    async with serving(Policy(requests_per_minute=2), private=True) as site:
        key = site.rig.issue(0)
        for wrong in (b"x" * 32, b"y" * 32):
            assert "Failed to read key" in (await site.announce(protocol, key=wrong)).failure
        for _ in range(2):
            assert "too many requests" in (await site.announce(protocol, key=key)).failure
        (logged,) = site.logged("announce_refused")
        assert (logged["key_ref"], logged["reason"]) == (1, "rate_exceeded")


CAPS = [
    (Policy(max_torrents=2), "the tracker takes no more torrents now", {"info_hash": hash_of(3)}),
    (Policy(max_peers=2), "the tracker takes no more peers now", {"port": 3}),
    (Policy(max_peers_per_torrent=1), "this torrent takes no more peers now", {"port": 3}),
]


@both
@pytest.mark.parametrize(("policy", "text", "further"), CAPS, ids=["torrents", "peers", "swarm"])
async def test_max(protocol: str, policy: Policy, text: str, further: Mapping[str, Any]) -> None:
    """max_torrents, max_peers, max_peers_per_torrent: new ones are refused, known ones go on, a
    place can become free.
    """
    async with serving(policy) as site:
        for number in (1, 2):
            assert not (await site.announce(protocol, number, info_hash=hash_of(number))).failure
        await refused(site, protocol, text, 30, **further)
        assert (await site.announce(protocol, 1)).leechers == 1
        unknown = await site.announce(protocol, event=events.STOPPED, **further)
        assert unknown.failure == ""
        await site.announce(protocol, 1, event=events.STOPPED)
        for _ in range(2):
            site.rig.time.advance(600 * SECOND)
            for _ in range(60):
                site.rig.service.tick()
        site.leave_udp()  # its connection id is too old
        assert (await site.announce(protocol, **further)).leechers == 1


async def test_flood() -> None:
    """A flood of random info hashes stops at the limits, and known peers are still served."""
    chance = Random(7)
    async with serving(Policy(max_torrents=20, max_peers=50)) as site:
        await site.announce("udp", 1)
        swarms = site.rig.state.swarms
        sizes = set()
        for number in range(600):
            protocol = "http" if number % 6 == 0 else "udp"
            told = await site.announce(
                protocol,
                chance.randrange(1, 65536),
                info_hash=chance.randbytes(20),
                source=f"127.0.0.{number % 5 + 1}",
            )
            assert bool(told.failure) == (number >= 19)
            sizes.add((len(swarms.rows), len(swarms.hashes)))
        assert swarms.torrents_total == 20
        assert len(sizes) == 19  # grew with the first nineteen, never again
        assert (await site.announce("udp", 1)).leechers == 1
        assert (await site.announce("http", 1)).leechers == 1


async def test_retry_in_minutes() -> None:
    """A temporary refusal comes with `retry in`."""
    async with serving(Policy(retry_in_minutes=7, max_torrents=1), listed=True) as site:
        told = await site.announce("http")
        assert (told.failure.endswith("is not whitelisted"), told.retry) == (True, 7)
        for number in (1, 2):
            site.rig.service.append(TorrentWhitelisted(hash_of(number)))
        await site.announce("http")
        text = "the tracker takes no more torrents now"
        await refused(site, "http", text, 7, info_hash=hash_of(2))


# What clients are told.


@both
async def test_interval_jitter(protocol: str) -> None:
    """Up to so many seconds more, differing from answer to answer, and the same for the same
    log."""
    rows = []
    for _ in range(2):
        async with serving(Policy(interval_jitter=30)) as site:
            told = [(await site.announce(protocol, port)).interval for port in range(1, 25)]
            rows.append(told)
    assert rows[0] == rows[1]
    assert set(rows[0]) <= set(range(120, 151))
    assert len(set(rows[0])) > 8


async def test_partial_seeds() -> None:
    """BEP 21: paused ones are incomplete but no downloaders, until they announce otherwise. UDP
    scrapes are as ever.
    """
    target = (
        f"/scrape?info_hash={quote_from_bytes(hash_of(1))}&info_hash={quote_from_bytes(hash_of(2))}"
    )
    async with serving(Policy(partial_seeds=True)) as site:

        async def scraped() -> tuple[int, int, int]:
            files = (await site.get(target))["files"]
            assert files[hash_of(2)] == dict.fromkeys(
                (b"complete", b"downloaded", b"downloaders", b"incomplete"), 0
            )
            one = files[hash_of(1)]
            assert list(one) == sorted(one)
            return one[b"complete"], one[b"downloaders"], one[b"incomplete"]

        steps = [
            (1, events.PAUSED, 5, (0, 0, 1)),  # a new one
            (2, events.STARTED, 5, (0, 1, 2)),
            (2, events.PAUSED, 5, (0, 0, 2)),
            (2, events.PAUSED, 5, (0, 0, 2)),
            (1, events.NONE, 5, (0, 1, 2)),  # downloads again
            (2, events.NONE, 0, (1, 1, 1)),  # has all
            (2, events.PAUSED, 0, (1, 1, 1)),
            (1, events.PAUSED, 5, (1, 0, 1)),
            (1, events.STOPPED, 5, (1, 0, 0)),
        ]
        for port, event, left, expected in steps:
            await site.announce("http", port, event=event, left=left)
            assert await scraped() == expected
        assert (await site.udp_scrape())[8:] == pack(">III", 1, 0, 0)


async def test_partial_seeds_off() -> None:
    """Without the rule a scrape is the reference's."""
    async with serving(Policy()) as site:
        await site.announce("http", event=events.PAUSED)
        files = (await site.get(f"/scrape?info_hash={quote_from_bytes(hash_of(1))}"))["files"]
        assert set(files[hash_of(1)]) == {b"complete", b"downloaded", b"incomplete"}


@pytest.mark.parametrize("compact", [0, 1])
async def test_external_ip_in_replies(compact: int) -> None:
    """`external ip` (BEP 24) has four bytes, stands in key order, and needs the setting."""
    target = (
        f"/announce?info_hash={quote_from_bytes(hash_of(1))}&peer_id={quote_from_bytes(MINE)}"
        f"&port=1&compact={compact}"
    )
    async with serving(Policy(external_ip_in_replies=True)) as site:
        reply = await site.get(target, "127.0.0.9")
        assert reply["external ip"] == bytes([127, 0, 0, 9])
        assert list(reply) == sorted(reply)
    async with serving(Policy()) as site:
        assert "external ip" not in await site.get(target)


V4, PRIVATE, PUBLIC = bytes([127, 0, 0, 1]), bytes([10, 0, 0, 9]), bytes([203, 0, 113, 9])
V6 = endpoint6(1)[:16]
CLAIMS = [
    ("ignored", V4, b"203.0.113.5", V4),
    ("local", V4, b"203.0.113.5", bytes([203, 0, 113, 5])),
    ("local", PRIVATE, b"2001%3Adb8%3A%3A1", V6),
    ("local", PUBLIC, b"203.0.113.5", PUBLIC),
    ("local", V6, b"203.0.113.5", V6),
    ("always", PUBLIC, b"203.0.113.5", bytes([203, 0, 113, 5])),
    ("always", V6, b"%3A%3Affff%3A203.0.113.5", bytes([203, 0, 113, 5])),
    ("always", PUBLIC, b"203.0.113.5:6881", bytes([203, 0, 113, 5])),
    ("always", PUBLIC, b"%5B2001%3Adb8%3A%3A1%5D:6881", V6),
    ("always", PUBLIC, b"[2001:db8::1]", V6),
    ("always", PUBLIC, b"203.0.113.5:http", PUBLIC),
    ("always", PUBLIC, b"example.com", PUBLIC),
    ("always", PUBLIC, b"%zz", PUBLIC),
    ("always", PUBLIC, b"", PUBLIC),
    ("always", PUBLIC, b"0.0.0.0", PUBLIC),
    ("always", PUBLIC, b"224.0.0.1", PUBLIC),
    ("always", PUBLIC, b"127.0.0.5", PUBLIC),
    ("always", V4, b"127.0.0.5", bytes([127, 0, 0, 5])),
]


@pytest.mark.parametrize(("policy", "source", "claimed", "listed"), CLAIMS)
def test_ip_parameter(policy: str, source: bytes, claimed: bytes, listed: bytes) -> None:
    """The policy decides the listed address; host names and unreachable addresses in `ip=` are
    ignored.
    """
    rig = Rig.with_settings(policy=Policy(ip_parameter=policy))
    handler = RequestHandler(rig.service, 0, proxied=False)
    target = (
        f"/announce?info_hash={quote_from_bytes(hash_of(1))}&peer_id={quote_from_bytes(MINE)}"
        "&port=6881&ip="
    ).encode() + claimed
    handler.begin()
    assert b"failure" not in handler.answer(b"GET", target, source, None, False)
    handler.end()
    swarms = rig.state.swarms
    assert swarms.find(swarms.lookup(hash_of(1)), listed + b"\x1a\xe1")


def test_ip_parameter_and_the_rate() -> None:
    """Who names another address each time still has one rate: its own."""
    rig = Rig.with_settings(policy=Policy(ip_parameter="always", requests_per_minute=2))
    handler = RequestHandler(rig.service, 0, proxied=False)
    target = (
        f"/announce?info_hash={quote_from_bytes(hash_of(1))}&peer_id={quote_from_bytes(MINE)}"
        "&port=6881&ip=203.0.113."
    )
    handler.begin()
    replies = [
        handler.answer(b"GET", f"{target}{number}".encode(), PUBLIC, None, False)
        for number in range(1, 4)
    ]
    handler.end()
    assert [b"too many requests" in one for one in replies] == [False, False, True]


# Sockets: bans and connections.


async def test_max_connection_id_errors() -> None:
    """Eleven errors are answered, as in the reference; then nothing is, but announces with an id
    given before.
    """
    async with serving(Policy(), bans=Bans(10, 3600)) as site:
        bad = udp_announce(FORGED, 1, hash_of(1), MINE, 0, 5)
        scrape = FORGED + pack(">I4s", 2, b"tran") + hash_of(1)
        sock, connection_id = await site.udp_client("127.0.0.1")
        for number in range(11):
            assert (await site.exchange((bad, scrape)[number % 2]))[8:] == UNVERIFIED
        for silent in (bad, scrape, MAGIC + pack(">I4s", 0, b"tran"), b""):
            await sock.send(silent)
        # Answers come in the order of the datagrams: this is the only one.
        assert (await site.announce("udp", 1)).leechers == 1
        assert not (await site.announce("udp", 2, source="127.0.0.2")).failure
        site.rig.service.flush_counters()
        dropped = [one for one in site.logged("counted") if one["counter"] == "udp_dropped"]
        assert {(one["label"], one["delta"]) for one in dropped} == {(1, 3), (0, 1)}
        site.rig.time.advance(3600 * SECOND)
        assert (await site.exchange(bad))[8:] == UNVERIFIED
        assert connection_id != FORGED


async def test_max_connection_id_errors_off() -> None:
    """0: every error is answered."""
    async with serving(Policy(), bans=Bans(0, 3600)) as site:
        bad = udp_announce(FORGED, 1, hash_of(1), MINE, 0, 5)
        for _ in range(30):
            assert (await site.exchange(bad))[8:] == UNVERIFIED


async def test_http_connections() -> None:
    """One more than may wait is closed at once; a request that is there is answered all the
    same."""
    async with serving(Policy(), limits=ConnectionLimits(2)) as site:
        kept = [await site.connection() for _ in range(2)]
        further = await site.connection()
        assert await further.recv(1) == b""
        kept.pop().close()
        while True:  # until the tracker has seen that one go
            probe = await site.connection()
            await probe.send(b"GET /health_check HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
            answered = await probe.recv(100)
            probe.close()
            if answered:
                break
        kept[0].close()
        further.close()


async def test_http_connections_per_address() -> None:
    """The limit per address is independent of other addresses."""
    async with serving(Policy(), limits=ConnectionLimits(8, per_address=1)) as site:
        first, second = await site.connection(), await site.connection()
        assert await second.recv(1) == b""
        other = await site.connection("127.0.0.2")
        await other.send(b"GET /health_check HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
        assert (await other.recv(100)).startswith(b"HTTP/1.1 200 ")
        for sock in (first, second, other):
            sock.close()


def test_connections_through_a_proxy() -> None:
    """All come from its address: they are bounded together only."""
    limits, proxy = ConnectionLimits(2, per_address=1), b"\x7f\0\0\1"
    assert [limits.take(proxy, proxied=True) for _ in range(3)] == [True, True, False]


async def test_http_request_seconds() -> None:
    """A silent connection is closed after its time limit."""
    async with serving(Policy(), limits=ConnectionLimits(8, request_seconds=0.02)) as site:
        silent = await site.connection()
        assert await silent.recv(1) == b""
        silent.close()


async def test_http_handshake_seconds() -> None:
    """Likewise one that begins no TLS."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    limits = ConnectionLimits(8, handshake_seconds=0.02)
    async with serving(Policy(), limits=limits, tls=context) as site:
        silent = await site.connection()
        assert await silent.recv(1) == b""
        silent.close()


# Tables of addresses.


def test_tables_are_bounded() -> None:
    """A flood of addresses cannot fill the memory; time empties it."""
    table = Table(60)
    for number in range(MOST + 100):
        assert table.add(number.to_bytes(4, "big"), 0) == 0
    assert len(table) == 100
    assert table.count(bytes(4), 60 * SECOND) == len(table) == 0


def test_ipv6_counts_by_64() -> None:
    """Addresses of one /64 are one source; the next /64 is another."""
    rate, bans = Rate(2), Bans(1, 60)
    one, same, other = (bytes.fromhex(text) for text in ("20010db8" + "0" * 24, "20010db8" + "0" * 8 + "f" * 16, "20010db800000001" + "0" * 16))  # fmt: skip
    assert [rate.admits(each, 0) for each in (one, same, one, other)] == [True, True, False, True]
    for address in (one, same):
        bans.add_error(address, 0)
    assert [bans.banned(each, 0) for each in (one, same, other)] == [True, True, False]


# Settings.


def test_policy_comes_back_from_the_log() -> None:
    """As an event, lists and all; a log from before there were rules has none."""
    policy = Policy(clients_denied=("-XX", "-YY"), refused_ports=("25", "1-3"), max_peers=5)
    rig = Rig.with_settings(policy=policy)
    assert replayed(rig.log.frames()).settings.policy == policy
    old = Settings().as_data()
    del old["policy"]
    assert Settings.from_data(old) == Settings()
    assert Settings.from_data({"policy": {"max_peers": 3, "from later": 1}}).policy.max_peers == 3


def test_old_logs_need_no_new_settings() -> None:
    """Starting with the rules off over a log from before appends no settings."""
    log, time = MemoryLog(), HandTime()
    rig = Rig(log, time)
    data = Settings().as_data()
    del data["policy"]
    append_json(rig.service, SettingsChanged.number, {"settings": data})
    seq = rig.state.seq
    rig.service.change_settings(Settings())
    assert rig.state.seq == seq
