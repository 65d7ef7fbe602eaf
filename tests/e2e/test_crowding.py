"""Many connections of one sender: honest clients, administrators and monitors are served."""

from __future__ import annotations

import http.client
import re
import select
import signal
import socket
import ssl
import struct
import time
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.certificates import make
from tests.e2e.clients import announce_target, ask, bdecode, get, read_all, torrent, udp_client
from tests.e2e.process import DEADLINE, Listeners, Tracker, run

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.process import Address

CERTIFICATE = make("crowding")
PLACES, EACH = 40, 16  # of the HTTP tracker: connections that may wait, in all and of one address
PLAIN, SECURE = 0, 1  # HTTP trackers, in the order of the configuration
API_PLACES, HEALTH_PLACES = 512, 64
HELLO = b"\x16\x03\x01"  # the beginning of a TLS handshake
RESET = struct.pack("ii", 1, 0)  # the value of SO_LINGER with which `close` sends a reset
READING = "only-reads"  # a token
READERS_STREAMS = 24  # of tokens that only read
MORE_MEGABYTES = 60  # of resident memory that are no leak


def secured(folder: Path, extra: str = "") -> Tracker:
    """Makes a tracker whose second HTTP tracker is under TLS."""
    tracker = Tracker(folder / "tracker", Listeners(http=("127.0.0.1:0",) * 2), extra)
    before, mark, after = tracker.config.read_text().rpartition("[[http_trackers]]\n")
    files = CERTIFICATE.write(folder)
    tracker.config.write_text(f"{before}{mark}tls_config = {files}\n{after}")
    return tracker


@pytest.fixture(scope="module")
def crowded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracker]:
    """A running tracker with few places."""
    extra = f"[policy]\nhttp_connections = {PLACES}\nhttp_connections_per_address = {EACH}\n"
    with closing(secured(tmp_path_factory.mktemp("crowded"), extra)) as tracker:
        tracker.add_read_token(READING)
        yield tracker.start()


@pytest.fixture(scope="module")
def roomy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracker]:
    """A running tracker with as many places as shipped."""
    with closing(secured(tmp_path_factory.mktemp("roomy"))) as tracker:
        yield tracker.start()


@pytest.fixture
def opened() -> Iterator[ExitStack]:
    with ExitStack() as sockets:
        yield sockets


def connect(
    opened: ExitStack, to: Address, count: int, sent: bytes, *, of: str
) -> list[socket.socket]:
    """Opens connections from the address `of`; each sends something that is no request."""
    made = []
    for _ in range(count):
        sock = opened.enter_context(socket.create_connection(to, DEADLINE, (of, 0)))
        sock.sendall(sent)
        made.append(sock)
    return made


def secure_announce(tracker: Tracker, source: str) -> int:
    """Announces over TLS from an address. Returns the number of seeders in the reply."""
    context = ssl.create_default_context(cadata=CERTIFICATE.cert.decode())
    host, port = tracker.http[SECURE]
    client = http.client.HTTPSConnection(
        host, port, timeout=DEADLINE, source_address=(source, 0), context=context
    )
    try:
        client.request("GET", announce_target(torrent(1), 1, 6881, left=0))
        complete: int = bdecode(client.getresponse().read())["complete"]
        return complete
    finally:
        client.close()


def kept_alive(address: Address, source: str) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(*address, timeout=DEADLINE, source_address=(source, 0))


def fetched(client: http.client.HTTPConnection, target: str) -> int:
    client.request("GET", target)
    response = client.getresponse()
    response.read()
    return response.status


def resident(tracker: Tracker) -> int:
    status = Path(f"/proc/{tracker.pid}/status").read_text()
    (kilobytes,) = re.findall(r"VmRSS:\s+(\d+)", status)
    return int(kilobytes) // 1024


def test_unfinished_handshakes_give_way(crowded: Tracker, opened: ExitStack) -> None:
    """When all places are taken by handshakes that never end, HTTPS clients still get replies."""
    for number in range(1, 6):
        connect(opened, crowded.http[SECURE], PLACES, HELLO, of=f"127.0.1.{number}")
        assert secure_announce(crowded, "127.0.0.1") == 1


def test_an_address_crowds_out_itself_only(crowded: Tracker, opened: ExitStack) -> None:
    """A connection kept alive stays open while another address opens far more than its share."""
    honest = kept_alive(crowded.http[PLAIN], "127.0.0.2")
    assert fetched(honest, "/health_check") == 200
    sock = honest.sock
    mine = connect(opened, crowded.http[PLAIN], 3 * PLACES, b"GET / HT", of="127.0.1.1")
    assert read_all(mine[0]) == b""  # the oldest gave way
    assert fetched(honest, "/health_check") == 200
    assert honest.sock is sock
    honest.close()


def test_idle_connections_do_not_lock_out_administrators(
    crowded: Tracker, opened: ExitStack
) -> None:
    """Connections without a token give way to newcomers; a stream that showed its token stays."""
    stream = opened.enter_context(socket.create_connection(crowded.api, DEADLINE))
    stream.sendall(
        b"GET /api/v2/events/stream?type=key_issued HTTP/1.1\r\nHost: x\r\n"
        b"Authorization: Bearer MyAccessToken\r\n\r\n"
    )
    assert b" 200 " in stream.recv(4096)
    for source in ("127.0.1.1", "127.0.1.2", "127.0.1.3"):
        connect(opened, crowded.api, API_PLACES // 2, b"", of=source)
    at = ("--url", "http://{}:{}".format(*crowded.api), "--token", "MyAccessToken")
    added = run("key", "add", *at, folder=crowded.folder)
    assert (added.returncode, added.stderr) == (0, "")
    received = b""
    while b"event: key_issued" not in received:
        data = stream.recv(4096)
        assert data, received
        received += data


def test_a_token_that_only_reads_leaves_places(crowded: Tracker, opened: ExitStack) -> None:
    """However many connections have shown it, administrators are served, from its address too."""
    head = f"HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {READING}\r\n\r\n"
    asking = f"GET /api/v2/events/stream {head}".encode()

    def streaming() -> bool:
        (stream,) = connect(opened, crowded.api, 1, asking, of="127.0.1.1")
        reply = stream.recv(4096)
        assert b" 200 " in reply or b" 503 " in reply
        return b" 200 " in reply

    served, give_up = 0, time.monotonic() + DEADLINE
    while served < READERS_STREAMS:
        # The stream of the test before counts until the tracker has seen its end.
        assert time.monotonic() < give_up
        served += streaming()
    assert not streaming()
    for source in ("127.0.1.1", "127.0.0.1"):
        sent = f"GET /api/v1/stats {head}".encode()
        made = connect(opened, crowded.api, API_PLACES // 2, sent, of=source)
        with suppress(ConnectionResetError):
            made[-1].recv(4096)
    for number in range(9):
        assert ask(crowded, "POST", f"/api/v1/whitelist/{number:040x}").status == 200


def test_the_health_check_is_served(crowded: Tracker, opened: ExitStack) -> None:
    """Idle connections to the health check give way to a monitor."""
    connect(opened, crowded.health, 3 * HEALTH_PLACES, b"", of="127.0.1.1")
    assert b'"status":"Ok"' in get(crowded.health, "/health_check")


def test_reset_handshakes_leave_no_memory(tmp_path: Path) -> None:
    """Thousands of TLS handshakes that the client resets take no memory for good, neither in the
    HTTP tracker nor in the API.
    """
    with closing(secured(tmp_path)) as tracker:
        secured_api = f"[http_api]\ntls_config = {CERTIFICATE.write(tmp_path)}\n"
        tracker.config.write_text(tracker.config.read_text().replace("[http_api]\n", secured_api))
        tracker.start()
        sizes = []
        for _ in range(3):
            for to in (*(tracker.http[SECURE],) * 2, *(tracker.api,) * 3):
                with ExitStack() as burst:
                    sent = connect(burst, to, 700, HELLO, of="127.0.1.1")
                    for sock in sent:
                        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            assert secure_announce(tracker, "127.0.0.1") == 1
            sizes.append(resident(tracker))
        assert sizes[2] - sizes[0] < MORE_MEGABYTES


def client_hello() -> bytes:
    """Returns the first bytes of a TLS client."""
    context = ssl.create_default_context(cadata=CERTIFICATE.cert.decode())
    sent = ssl.MemoryBIO()
    with suppress(ssl.SSLWantReadError):
        context.wrap_bio(ssl.MemoryBIO(), sent, server_hostname="localhost").do_handshake()
    return sent.read()


def others_between(tracker: Tracker, waiting: list[socket.socket], data: bytes) -> int:
    """Sends the same on connections that wait, all together. Returns how many datagrams were
    answered, one after the other, before the last connection was.
    """
    unanswered, found = select.poll(), 0
    for sock in waiting:
        unanswered.register(sock, select.POLLIN)
    with udp_client(tracker.udp[0], "127.0.0.2") as other:
        for _ in waiting:  # meanwhile they are accepted
            other.connect()
        tracker.send(signal.SIGSTOP)
        for sock in waiting:
            sock.sendall(data)
        tracker.send(signal.SIGCONT)
        left = len(waiting)
        while left:
            other.connect()
            found += 1
            for descriptor, _ in unanswered.poll(0):
                unanswered.unregister(descriptor)
                left -= 1
    return found


@pytest.mark.parametrize("to", ["http", "https", "api"])
def test_what_is_sent_together_is_answered_in_turn(roomy: Tracker, to: str) -> None:
    """Hundreds of requests or handshakes at the same moment do not hold everybody else up."""
    query = "&".join(f"info_hash={number:020}" for number in range(74))
    address, count, data, least = {
        "http": (roomy.http[PLAIN], 720, f"GET /scrape?{query} HTTP/1.1\r\n\r\n".encode(), 6),
        "https": (roomy.http[SECURE], 480, client_hello(), 5),
        "api": (roomy.api, 240, b"GET /api/v1/stats HTTP/1.1\r\nHost: x\r\n\r\n", 40),
    }[to]
    best = 0
    for _ in range(5):  # because this process may be held up itself
        if best < least:
            with ExitStack() as burst:
                waiting = connect(burst, address, count, b"", of="127.0.1.1")
                best = others_between(roomy, waiting, data)
    assert best >= least
