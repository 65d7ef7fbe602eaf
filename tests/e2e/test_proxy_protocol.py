"""Tests the HTTP tracker behind proxies that use the PROXY protocol or a Unix socket."""

from __future__ import annotations

import json
import socket
import ssl
import stat
from contextlib import ExitStack, closing
from struct import pack
from typing import TYPE_CHECKING

import pytest

from tests.e2e.certificates import make
from tests.e2e.clients import announce_target, api, bdecode, body, get, read_all, torrent
from tests.e2e.process import DEADLINE, Listeners, Tracker, begin

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

CERTIFICATE = make("proxied")
EACH = 3  # waiting connections of one address
PLAIN, SECURE, FORWARDED, UNIX = range(4)  # HTTP trackers, in the order of the configuration
V2 = b"\r\n\r\n\0\r\nQUIT\n"
OF = "203.0.113.7"  # the client
FOUR = socket.inet_aton(OF) + bytes([127, 0, 0, 1]) + pack(">HH", 4000, 7070)
SIX = socket.inet_pton(socket.AF_INET6, "2001:db8::7") + bytes(16 + 4)
MORE = b"\x04\x00\x05later" + b"\x02\x00\x01h"  # what else version 2 may say
LINE = b"PROXY TCP4 %b 127.0.0.1 4000 7070\r\n"
NAMING = {
    "v1": (LINE % OF.encode(), OF),
    "v1-ipv6": (b"PROXY TCP6 2001:db8::7 ::1 4000 7070\r\n", "2001:db8::7"),
    "v2": (V2 + pack(">BBH", 0x21, 0x11, len(FOUR + MORE)) + FOUR + MORE, OF),
    "v2-ipv6": (V2 + pack(">BBH", 0x21, 0x21, len(SIX)) + SIX, "2001:db8::7"),
}
NAMELESS = {
    "unknown": b"PROXY UNKNOWN\r\n",
    "local": V2 + pack(">BBH", 0x20, 0x11, len(FOUR)) + FOUR,
    "unspecified": V2 + pack(">BBH", 0x21, 0x00, 0),
}
REFUSED = {
    "none": b"",
    "garbage": bytes(range(256)),
    "no-address": b"PROXY TCP4 203.0.113 127.0.0.1 1 2\r\n",
    "too-long": b"PROXY TCP4 " + b"1" * 200,
    "no-end": b"PROXY TCP4 203.0.113.7 127.0.0.1 1 2\n",
    "version-3": V2 + pack(">BBH", 0x31, 0x11, len(FOUR)) + FOUR,
    "cut-off": V2 + pack(">BBH", 0x21, 0x11, 8) + FOUR[:8],
    "oversized": V2 + pack(">BBH", 0x21, 0x11, 65_535) + FOUR,
}


@pytest.fixture(scope="module")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracker]:
    folder = tmp_path_factory.mktemp("proxied")
    sockets = [f"unix:{folder / name}.sock" for name in ("forwarded", "unix")]
    extra = f"[policy]\nhttp_connections_per_address = {EACH}\n"
    with closing(
        Tracker(folder, Listeners(http=("127.0.0.1:0",) * 2 + tuple(sockets)), extra)
    ) as made:
        before, *tables = made.config.read_text().split("[[http_trackers]]\n")
        tables[PLAIN] = f'network.proxy_protocol = ["127.0.0.1"]\n{tables[PLAIN]}'
        tables[SECURE] = f"tls_config = {CERTIFICATE.write(folder)}\n{tables[SECURE]}"
        tables[SECURE] = f'network.proxy_protocol = ["127.0.0.1"]\n{tables[SECURE]}'
        tables[FORWARDED] = (
            f'network = {{ on_reverse_proxy = true, trusted_proxies = ["10.0.0.0/8"] }}\n{tables[FORWARDED]}'
        )
        tables[UNIX] = f'network.proxy_protocol = ["unix"]\n{tables[UNIX]}'
        made.config.write_text("[[http_trackers]]\n".join((before, *tables)))
        yield made.start()


def connected(tracker: Tracker, to: int, source: str = "127.0.0.1") -> socket.socket:
    if to in (PLAIN, SECURE):
        return socket.create_connection(tracker.http[to], DEADLINE, (source, 0))
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(DEADLINE)
    sock.connect(tracker.listeners.http[to].removeprefix("unix:"))
    return sock


def sent(tracker: Tracker, to: int, pieces: list[bytes], target: str, more: str = "") -> bytes:
    """Sends a header in pieces and then a request, under TLS where that is served."""
    request = f"GET {target} HTTP/1.1\r\nHost: t\r\n{more}Connection: close\r\n\r\n".encode()
    with connected(tracker, to) as sock:
        if to != SECURE:
            pieces = [*pieces[:-1], b"".join(pieces[-1:]) + request]
        if to in (PLAIN, SECURE):
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            sock.sendall(piece)
        if to != SECURE:
            return read_all(sock)
        context = ssl.create_default_context(cadata=CERTIFICATE.cert.decode())
        with context.wrap_socket(sock, server_hostname="127.0.0.1") as secure:
            secure.sendall(request)
            return read_all(secure)


def listed(tracker: Tracker, info_hash: bytes) -> list[str]:
    """Returns the addresses of a torrent's peers."""
    peers = api(tracker, f"/api/v1/torrent/{info_hash.hex()}")["peers"]
    return sorted(one["peer_addr"].rpartition(":")[0].strip("[]") for one in peers)


@pytest.mark.parametrize("to", [PLAIN, SECURE, UNIX])
@pytest.mark.parametrize("kind", NAMING)
def test_named(tracker: Tracker, to: int, kind: str) -> None:
    """A client is listed under the address in the header, whole or byte by byte."""
    header, address = NAMING[kind]
    for number, size in enumerate((len(header), 1)):
        info_hash = bytes([to, number, *kind.encode().ljust(18)])
        pieces = [header[at : at + size] for at in range(0, len(header), size)]
        reply = sent(tracker, to, pieces, announce_target(info_hash, 1, 6881, left=1))
        assert bdecode(body(reply))["incomplete"] == 1
        assert listed(tracker, info_hash) == [address]


@pytest.mark.parametrize("to", [PLAIN, SECURE, UNIX])
@pytest.mark.parametrize("kind", NAMELESS)
def test_nobody_named(tracker: Tracker, to: int, kind: str) -> None:
    """Where the header names nobody, the connection is the proxy's own."""
    info_hash = bytes([to, *kind.encode().ljust(19)])
    sent(tracker, to, [NAMELESS[kind]], announce_target(info_hash, 1, 6881, left=1))
    assert listed(tracker, info_hash) == ["127.0.0.1"]


@pytest.mark.parametrize("to", [PLAIN, UNIX])
@pytest.mark.parametrize("kind", REFUSED)
def test_refused(tracker: Tracker, to: int, kind: str) -> None:
    """Without a valid header nothing is served, and the text says why."""
    reply = sent(tracker, to, [REFUSED[kind]], "/health_check")
    assert reply.startswith(b"HTTP/1.1 400 ")
    assert b"PROXY header" in reply


def test_refused_under_tls(tracker: Tracker) -> None:
    with pytest.raises((ssl.SSLError, ConnectionError)):
        sent(tracker, SECURE, [], "/health_check")


def test_others_name_nobody(tracker: Tracker) -> None:
    """Who is not among the proxies may not name another address, and is served as himself."""
    for header, status in ((NAMING["v1"][0], 400), (NAMELESS["unknown"], 200)):
        with connected(tracker, PLAIN, "127.0.0.2") as sock:
            sock.sendall(header + b"GET /health_check HTTP/1.1\r\nConnection: close\r\n\r\n")
            assert read_all(sock).startswith(b"HTTP/1.1 %d " % status)


@pytest.mark.parametrize("to", [PLAIN, UNIX])
def test_places_are_the_clients(tracker: Tracker, to: int) -> None:
    """Connections count for the client. Those that have named none yet count for no address."""
    with ExitStack() as opened:
        held = [opened.enter_context(connected(tracker, to)) for _ in range(2 * EACH)]
        for sock in held[: EACH + 1]:
            sock.sendall(LINE % b"203.0.113.1")
            sock.sendall(b"GET /health_check HTTP/1.1\r\n\r\n")
            assert sock.recv(4096).startswith(b"HTTP/1.1 200 ")
        assert read_all(held[0]) == b""  # the client's oldest gave way
        for sock in held[EACH + 1 :]:
            sock.sendall(LINE % b"203.0.113.2" + b"GET /health_check HTTP/1.1\r\n\r\n")
            assert sock.recv(4096).startswith(b"HTTP/1.1 200 ")
        held[1].sendall(b"GET /health_check HTTP/1.1\r\n\r\n")
        assert held[1].recv(4096).startswith(b"HTTP/1.1 200 ")


def test_a_forwarding_proxy(tracker: Tracker) -> None:
    """Over a Unix socket X-Forwarded-For names the client, behind further proxies too."""
    target = announce_target(torrent(1), 1, 6881, left=1)
    sent(tracker, FORWARDED, [], target, f"X-Forwarded-For: 9.9.9.9, {OF}, 10.1.1.1\r\n")
    assert listed(tracker, torrent(1)) == [OF]
    assert b"X-Forwarded-For" in sent(tracker, FORWARDED, [], target)


def test_health(tracker: Tracker) -> None:
    """The health check asks these listeners too, as a proxy would."""
    details = json.loads(body(get(tracker.health, "/health_check")))["details"]
    assert [one["result"] for one in details[1:]] == [{"Ok": "200 OK"}] * 5
    text = get(tracker.api, "/api/v1/metrics?format=prometheus&token=MyAccessToken")
    assert f'server_binding_ip="{tracker.listeners.http[UNIX]}"'.encode() in text


def test_the_files(tracker: Tracker) -> None:
    """A file has mode 0660, replaces one that a kill left there, and goes with an orderly stop."""
    paths = [tracker.folder / f"{name}.sock" for name in ("forwarded", "unix")]
    tracker.kill()
    tracker.start()
    assert [stat.S_IMODE(path.stat().st_mode) for path in paths] == [0o660] * 2
    assert sent(tracker, UNIX, [NAMELESS["unknown"]], "/health_check").startswith(b"HTTP/1.1 200 ")
    assert tracker.stop() == 0
    assert not any(path.exists() for path in paths)
    tracker.start()


@pytest.mark.parametrize("kind", ["listening", "file", "long"])
def test_no_socket(new_tracker: Callable[..., Tracker], tmp_path: Path, kind: str) -> None:
    """A start fails, in one sentence, where something else is in the place, and leaves it there."""
    path = tmp_path / ("s" * 120 if kind == "long" else "http.sock")
    tracker = new_tracker(Listeners(http=(f"unix:{path}",)))
    with socket.socket(socket.AF_UNIX) as other:
        error = f"cannot listen on unix:{path} for HTTP: Address already in use"
        if kind == "file":
            path.write_text("mine")
        elif kind == "listening":
            other.bind(str(path))
            other.listen()
        else:
            error = 'must be an absolute path after "unix:", of at most 107 bytes'
        process, lines = begin(["--config", str(tracker.config)], tracker.folder)
        assert process.wait(DEADLINE) != 0
        assert any(error in line for line in lines.all())
        assert path.exists() == (kind != "long")
