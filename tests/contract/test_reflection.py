"""What comes back for a datagram whose source address may be forged: how much, and how often."""

from __future__ import annotations

import re
import socket
import struct
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.contract.conftest import BOTH, running
from tests.e2e.clients import MAGIC, announce_datagram, api, udp_client

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.process import Address, Tracker

PAGE = Path(__file__).parents[2] / "docs" / "security.md"
SWARM = b"more than a reply of"
CONNECT = struct.pack(">QI4s", MAGIC, 0, b"tran")
FORGED = b"guessing"


# Without bans, because they would hide what goes on for ever.
NO_BANS = "[policy]\nmax_connection_id_errors = 0\n"


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracker]:
    """A public tracker as shipped, with a large swarm in each family."""
    for tracker in running(tmp_path_factory.mktemp("strict"), listeners=BOTH, extra=NO_BANS):
        yield filled(tracker)


@pytest.fixture(scope="module")
def disabled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracker]:
    """Another one, where nobody needs a connection id."""
    extra = NO_BANS + 'connection_id_validation = "disabled"'
    for tracker in running(tmp_path_factory.mktemp("disabled"), listeners=BOTH, extra=extra):
        yield filled(tracker)


def filled(tracker: Tracker) -> Tracker:
    for host in ("127.0.0.1", "::1"):
        with udp_client(at(tracker, host)) as client:
            for port in range(1, 77):
                client.announce(SWARM, port, port, left=port % 2)
    return tracker


def at(tracker: Tracker, host: str) -> Address:
    return host, tracker.udp[0][1]


def announce(connection_id: bytes) -> bytes:
    return announce_datagram(connection_id, SWARM, 1, 1, left=1)


def scrape(connection_id: bytes, *hashes: bytes) -> bytes:
    return connection_id + struct.pack(">I4s", 2, b"tran") + b"".join(hashes)


def head(connection_id: bytes, action: int, size: int = 16) -> bytes:
    return (connection_id + struct.pack(">I4s", action, b"tran")).ljust(size, b"\0")


# How much: each row of the page's table, with the datagram that brings the most for its size.

ONE, MOST = (SWARM,), (SWARM,) * 74
KINDS: dict[str, tuple[str, str, Callable[[bytes], bytes]]] = {
    # Tracker, the client's family, and a datagram with this connection id, which is valid.
    "connect": ("strict", "4", lambda _: CONNECT),
    "connect with another constant, 48 bytes or more": ("strict", "4", lambda _: bytes(48)),
    "connect with another constant, fewer": ("strict", "4", lambda _: bytes(47)),
    "announce, wrong id": ("strict", "4", lambda _: announce(FORGED)),
    "scrape of one torrent, wrong id": ("strict", "4", lambda _: scrape(FORGED, *ONE)),
    "scrape of more torrents, wrong id": ("strict", "4", lambda _: scrape(FORGED, *ONE * 2)),
    "a reply of any tracker": ("strict", "4", lambda _: struct.pack(">I4s", 3, b"tran") + bytes(90)),
    "an action that no request has, any id": ("strict", "4", lambda valid: head(valid, 4, 1400)),
    "announce cut off, any id": ("strict", "4", lambda valid: announce(valid)[:97]),
    "shorter than 16 bytes": ("strict", "4", lambda _: CONNECT[:15]),
    "`disabled`: announce over IPv4, wrong id": ("disabled", "4", lambda _: announce(FORGED)),
    "`disabled`: announce over IPv6, wrong id": ("disabled", "6", lambda _: announce(FORGED)),
    "`disabled`: scrape, wrong id": ("disabled", "4", lambda _: scrape(FORGED, *MOST)),
    "`disabled`: scrape without a torrent, wrong id": (
        "disabled", "4", lambda _: head(FORGED, 2),
    ),
    "announce over IPv4, valid id": ("strict", "4", announce),
    "announce over IPv6, valid id": ("strict", "6", announce),
    "`disabled`: announce over IPv4, valid id": ("disabled", "4", announce),
    "announce that is refused, valid id": ("private", "4", announce),
    "scrape, valid id": ("strict", "4", lambda valid: scrape(valid, *MOST)),
    "scrape without a torrent, valid id": ("strict", "4", lambda valid: head(valid, 2)),
    "scrape with a torrent cut off, valid id": ("strict", "4", lambda valid: head(valid, 2, 17)),
}  # fmt: skip


def written() -> dict[str, tuple[int, int, str]]:
    """The rows of the page's table: bytes in, bytes out, and their ratio."""
    section = PAGE.read_text().partition("## Amplification\n")[2].partition("\n## ")[0]
    rows = re.findall(r"(?m)^\| (.+?) \| (\d+) \| (\d+) \| ([\d.]+) \|", section)
    return {kind: (int(sent), int(got), ratio) for kind, sent, got, ratio in rows}


def test_every_kind_is_written() -> None:
    assert list(written()) == list(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_amplification(request: pytest.FixtureRequest, kind: str) -> None:
    """Exactly as many bytes come back as the page says."""
    name, family, datagram = KINDS[kind]
    address = at(request.getfixturevalue(name), "::1" if family == "6" else "127.0.0.1")
    number = list(KINDS).index(kind)
    with udp_client(address, None if family == "6" else f"127.0.9.{number + 1}") as client:
        sent = datagram(client.connection_id)
        got = b"".join(client.replies(sent))
    assert (len(sent), len(got), f"{len(got) / len(sent):.2f}") == written()[kind]
    if len(got) > len(sent):
        assert "valid id" in kind


# How often: against a host that answers whatever it gets, and our own socket.

OPENINGS: dict[str, Callable[[bytes], bytes]] = {
    "16 zeros": lambda _: bytes(16),
    "1400 zeros": lambda _: bytes(1400),
    "a connect": lambda _: CONNECT,
    "an unknown action": lambda _: head(FORGED, 9, 200),
    "an announce with a wrong id": lambda _: announce(FORGED),
    "a scrape with a wrong id": lambda _: scrape(FORGED, *MOST),
    "an announce": announce,
    "a scrape": lambda valid: scrape(valid, *(bytes([each]) * 20 for each in range(9))),
    "an error": lambda valid: head(valid, 2),
}


def error(transaction: bytes, text: bytes) -> bytes:
    return struct.pack(">I4s", 3, transaction) + text


ANSWERING: dict[str, Callable[[bytes], bytes]] = {
    "the same": lambda got: got,
    "the same twice": lambda got: got * 2,
    "an error with our transaction": lambda got: error(got[4:8], b"bad request: no"),
    "an error with other bytes of ours": lambda got: error(got[12:16], b"no" * 50),
    "an error of zeros": lambda got: error(got[4:8], bytes(500)),
    "a connection id": lambda got: struct.pack(">I4s", 0, got[4:8]) + got[:8],
}


@pytest.mark.parametrize("answer", ANSWERING)
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("mode", ["strict", "disabled"])
def test_whoever_answers(request: pytest.FixtureRequest, mode: str, host: str, answer: str) -> None:
    """Nobody is sent more than one datagram for one, whatever is answered to it."""
    address = at(request.getfixturevalue(mode), host)
    with udp_client(address) as after:
        for name, opening in OPENINGS.items():
            with udp_client(address) as client:
                client.send(opening(client.connection_id))
                after.connect()  # its reply comes after all that is sent until then
                answered = client.arrived()
                replies = answered[:]
                while answered:
                    for one in answered:
                        client.send(ANSWERING[answer](one))
                    after.connect()
                    answered = client.arrived()
                    replies += answered
                    assert len(replies) <= 1, name


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("opening", ["1400 zeros", "a connect", "an announce with a wrong id"])
def test_our_own_socket(strict: Tracker, host: str, opening: str) -> None:
    """A datagram that seems to come from our own socket gets one reply, and that gets none."""
    address = at(strict, host)
    with udp_client(address) as client:
        before = sent_by(strict)
        forge(address, OPENINGS[opening](b""))
        for _ in range(3):  # after each one the socket has read what it sent to itself before
            client.connect()
        assert sent_by(strict) - before - 3 == 1


def sent_by(tracker: Tracker) -> int:
    """How many datagrams the tracker has sent."""
    (found,) = [
        each["samples"]
        for each in api(tracker, "/api/v1/metrics")["metrics"]
        if each["name"] == "udp_tracker_server_responses_sent_total"
    ]
    return int(sum(each["value"] for each in found))


def forge(address: Address, datagram: bytes) -> None:
    """Sends a datagram to an address of this machine as if it came from there."""
    v6 = ":" in address[0]
    family = socket.AF_INET6 if v6 else socket.AF_INET
    ip, size = socket.inet_pton(family, address[0]), 8 + len(datagram)
    udp = struct.pack(">HHHH", address[1], address[1], size, 0) + datagram
    if v6:
        words = struct.unpack(f">{len(udp) // 2}H", udp)
        total = sum(struct.unpack(">16H", ip * 2)) + size + socket.IPPROTO_UDP + sum(words)
        while total >> 16:
            total = (total & 0xFFFF) + (total >> 16)
        udp = udp[:6] + struct.pack(">H", ~total & 0xFFFF or 0xFFFF) + udp[8:]
        packet = struct.pack(">IHBB", 6 << 28, size, socket.IPPROTO_UDP, 64) + ip * 2 + udp
    else:
        packet = struct.pack(">BxHxxxxBBxx", 0x45, 20 + size, 64, socket.IPPROTO_UDP) + ip * 2 + udp
    try:
        raw = socket.socket(family, socket.SOCK_RAW, socket.IPPROTO_RAW)
    except PermissionError:
        pytest.skip("a forged source address needs CAP_NET_RAW")
    with raw:
        raw.sendto(packet, (address[0], 0))


def test_errors_without_proof_are_counted(tmp_path: Path) -> None:
    """Where nobody needs a connection id, errors end too: malformed ones with a ban, refusals at
    the limit of requests.
    """
    extra = '[policy]\nrequests_per_minute = 20\nconnection_id_validation = "disabled"'
    for tracker in running(tmp_path, extra=extra):
        for number, (datagram, errors) in enumerate(
            (
                (announce_datagram(FORGED, SWARM, 1, 0), 11),
                (announce_datagram(FORGED, SWARM, 1, 1, event=9), 11),
                (scrape(FORGED, SWARM, SWARM, b"cut off"), 11),
                (bytes(48), 11),
                (announce(FORGED), 20),
                (scrape(FORGED, *MOST), 20),
            )
        ):
            with (
                udp_client(tracker.udp[0], f"127.0.8.{number + 1}") as stranger,
                udp_client(tracker.udp[0]) as after,
            ):
                for _ in range(60):
                    stranger.send(datagram)
                after.connect()  # its reply comes after all others
                replies = stranger.arrived()
            assert sum(reply[:4] == struct.pack(">I", 3) for reply in replies) == errors
