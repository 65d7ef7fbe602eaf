"""Tests HTTPS on tracker and API: clients with and without TLS, and a new certificate."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import ssl
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING

import pytest

from tests.e2e.certificates import Pair, make
from tests.e2e.clients import announce_target, bdecode, read_all, torrent
from tests.e2e.process import DEADLINE, Listeners, Tracker

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.e2e.process import Address

FIRST = make("first")
SECOND = make("second", old_kind=True)
STATS = "/api/v1/stats?token=MyAccessToken"
HEALTH = b"GET /health_check HTTP/1.1\r\nHost: x\r\n\r\n"
PLAIN, SECURE = 0, 1  # HTTP trackers, in the order of the configuration


def with_tls(tracker: Tracker, files: str) -> Tracker:
    """Puts the second HTTP tracker and the API under TLS; `files` is the value of `tls_config`."""
    text = tracker.config.read_text()
    before, mark, after = text.rpartition("[[http_trackers]]\n")
    text = f"{before}{mark}tls_config = {files}\n{after}"
    tracker.config.write_text(text.replace("[http_api]\n", f"[http_api]\ntls_config = {files}\n"))
    return tracker


@pytest.fixture
def new_secure(new_tracker: Callable[..., Tracker]) -> Callable[..., Tracker]:
    """`new_secure(files)` returns a tracker that is not started."""

    def new(files: str) -> Tracker:
        return with_tls(new_tracker(Listeners(http=("127.0.0.1:0",) * 2)), files)

    return new


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracker]:
    """A running tracker with the first certificate, for all tests that leave it as it is."""
    folder = tmp_path_factory.mktemp("shared")
    tracker = Tracker(folder / "tracker", Listeners(http=("127.0.0.1:0",) * 2))
    with closing(with_tls(tracker, FIRST.write(folder))):
        yield tracker.start()


@pytest.fixture
def secure(new_secure: Callable[..., Tracker], tmp_path: Path) -> Tracker:
    """A running tracker with the first certificate."""
    return new_secure(FIRST.write(tmp_path)).start()


def trusting(pair: Pair) -> ssl.SSLContext:
    """Returns a client context that trusts only this certificate."""
    return ssl.create_default_context(cadata=pair.cert.decode())


def fetch(address: Address, target: str, trusted: Pair) -> bytes:
    """Returns the body of a 200. Raises `ssl.SSLError` for any other certificate."""
    client = http.client.HTTPSConnection(*address, timeout=DEADLINE, context=trusting(trusted))
    try:
        client.request("GET", target)
        response = client.getresponse()
        assert response.status == 200
        return response.read()
    finally:
        client.close()


@contextmanager
def connection(tracker: Tracker) -> Iterator[ssl.SSLSocket]:
    """Opens a connection to the HTTP tracker."""
    with socket.create_connection(tracker.http[SECURE], DEADLINE) as sock:
        context = trusting(FIRST)
        context.set_alpn_protocols(["h2", "http/1.1"])
        # An end without a TLS close is an error here: see `test_the_end_is_a_tls_close`.
        with context.wrap_socket(
            sock, server_hostname="127.0.0.1", suppress_ragged_eofs=False
        ) as stream:
            yield stream


@pytest.fixture
def connected(shared: Tracker) -> Iterator[ssl.SSLSocket]:
    """An open connection to the HTTP tracker."""
    with connection(shared) as stream:
        yield stream


def read_answers(stream: ssl.SSLSocket, count: int) -> bytes:
    received = b""
    while received.count(b'{"status":"Ok"}') < count:
        data = stream.recv(4096)
        assert data, received
        received += data
    return received


def test_announce_and_api(secure: Tracker) -> None:
    """Tracker and API serve HTTPS, and the lines of the start say so."""
    tracker = secure
    answer = fetch(tracker.http[SECURE], announce_target(torrent(1), 1, 6881, left=0), FIRST)
    assert bdecode(answer)["complete"] == 1
    assert json.loads(fetch(tracker.api, STATS, FIRST))["seeders"] == 1
    (event,) = tracker.events_until(lambda found: len(found) == 1, "--type", "announced")
    assert (event["address"], event["protocol"], event["listener"]) == ("127.0.0.1", "http", 2)
    assert tracker.lines is not None
    received = tracker.lines.until(lambda lines: lines[:])
    for line in (
        f"HTTP TRACKER: Started on: http://127.0.0.1:{tracker.http[PLAIN][1]}",
        f"HTTP TRACKER: Started on: https://127.0.0.1:{tracker.http[SECURE][1]}",
        f"Starting Torrust APIs server on: https://127.0.0.1:{tracker.api[1]}",
        f"API: Started on https://127.0.0.1:{tracker.api[1]}",
    ):
        assert sum(one.endswith(f" {line}") for one in received) == 1, line
    assert tracker.stop() == 0


def test_connection_is_kept(connected: ssl.SSLSocket) -> None:
    """A connection speaks HTTP/1.1, whatever ALPN offers, and serves several requests."""
    assert connected.selected_alpn_protocol() == "http/1.1"
    connected.sendall(HEALTH * 2)
    read_answers(connected, 2)
    connected.sendall(HEALTH)
    read_answers(connected, 1)


def test_the_end_is_a_tls_close(connected: ssl.SSLSocket) -> None:
    """A TLS close follows the last answer, because it proves that the answer is whole."""
    connected.sendall(HEALTH.replace(b"Host", b"Connection: close\r\nHost"))
    read_answers(connected, 1)
    assert connected.recv(4096) == b""


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_sessions_are_resumed(secure: Tracker, version: ssl.TLSVersion, tmp_path: Path) -> None:
    """A client that comes back need not shake hands in full, also after a new certificate."""
    context = trusting(FIRST)
    context.minimum_version = context.maximum_version = version
    session = None
    for resumed in (False, True, True):
        with (
            socket.create_connection(secure.http[SECURE], DEADLINE) as sock,
            context.wrap_socket(sock, server_hostname="127.0.0.1", session=session) as stream,
        ):
            assert stream.session_reused is resumed
            stream.sendall(HEALTH)
            read_answers(stream, 1)
            session = stream.session
        if resumed:
            SECOND.write(tmp_path)
            reloaded(secure, "Certificate read again")


def test_pieces_and_many_requests(shared: Tracker) -> None:
    """A handshake and requests are served byte by byte, and many requests at once in order."""
    sent, received = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = trusting(FIRST).wrap_bio(received, sent, server_hostname="127.0.0.1")
    with socket.create_connection(shared.http[SECURE], DEADLINE) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

        def bring() -> None:
            data = sock.recv(65_536)
            assert data
            received.write(data)

        while True:
            try:
                client.do_handshake()
                break
            except ssl.SSLWantReadError:
                for one in sent.read():
                    sock.sendall(bytes([one]))
                bring()
        client.write(HEALTH)
        for one in sent.read():
            sock.sendall(bytes([one]))
        client.write(HEALTH * 1000)
        sock.sendall(sent.read())
        answers = b""
        while answers.count(b'{"status":"Ok"}') < 1001:
            try:
                answers += client.read(65_536)
            except ssl.SSLWantReadError:
                bring()


def test_nonsense_within_tls(connected: ssl.SSLSocket) -> None:
    """Nonsense within TLS gets the same answer as on a plain port."""
    connected.sendall(b"nonsense\r\n\r\n")
    assert connected.recv(4096).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("service", ["http", "api"])
@pytest.mark.parametrize(
    "sent", [HEALTH, b"\x16\x03\x01\x00\x05hello", b"\x00" * 2000], ids=["http", "hello", "zeros"]
)
def test_client_without_tls(shared: Tracker, service: str, sent: bytes) -> None:
    """A client without TLS gets no answer and causes no error; the next client is served."""
    address = shared.api if service == "api" else shared.http[SECURE]
    with socket.create_connection(address, DEADLINE) as sock:
        sock.sendall(sent)
        assert not read_all(sock).startswith(b"HTTP/")
    fetch(shared.http[SECURE], "/health_check", FIRST)
    fetch(shared.api, "/api/health_check", FIRST)
    assert shared.lines is not None
    assert not any("[ERROR]" in line for line in shared.lines.so_far())


def test_silent_client_does_not_hold_up(secure: Tracker) -> None:
    """A client that never starts its handshake delays neither other clients nor the stop."""
    with (
        socket.create_connection(secure.http[SECURE], DEADLINE),
        socket.create_connection(secure.api, DEADLINE),
    ):
        fetch(secure.http[SECURE], "/health_check", FIRST)
        fetch(secure.api, "/api/health_check", FIRST)
        assert secure.stop() == 0


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_old_protocol(shared: Tracker) -> None:
    """Versions below TLS 1.2 are refused."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1_1
    for newest, accepted in ((ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True)):
        context.maximum_version = newest
        for address in (shared.http[SECURE], shared.api):
            assert handshakes(context, address) == accepted, (newest, address)


def handshakes(context: ssl.SSLContext, address: Address) -> bool:
    with socket.create_connection(address, DEADLINE) as sock:
        try:
            context.wrap_socket(sock).close()
        except (ssl.SSLError, ConnectionResetError):
            return False
        return True


def reloaded(tracker: Tracker, mark: str) -> str:
    """Sends SIGHUP; returns the first line with `mark` after that."""
    assert tracker.lines is not None
    before = len(tracker.lines.so_far())
    tracker.send(signal.SIGHUP)
    return tracker.lines.until(
        lambda lines: next((one for one in lines[before:] if mark in one), None)
    )


def test_exchange(secure: Tracker, tmp_path: Path) -> None:
    """SIGHUP gives new connections the new certificate; open connections go on."""
    with connection(secure) as open_before:
        open_before.sendall(HEALTH)
        read_answers(open_before, 1)
        fetch(secure.http[SECURE], "/health_check", FIRST)
        SECOND.write(tmp_path)
        reloaded(secure, "Certificate read again")
        for address, target in ((secure.http[SECURE], "/health_check"), (secure.api, STATS)):
            fetch(address, target, SECOND)
            with pytest.raises(ssl.SSLCertVerificationError):
                fetch(address, target, FIRST)
        open_before.sendall(HEALTH)
        read_answers(open_before, 1)


BROKEN = [
    (
        Pair(SECOND.cert, make("other", old_kind=True).key),
        "site.key: is not the key of the certificate",
    ),
    (Pair(SECOND.cert, FIRST.key), "site.key: is not the key of the certificate"),
    (Pair(b"nothing", SECOND.key), "site.crt: holds no certificate in PEM form"),
    (Pair(SECOND.cert, b""), "site.key: holds no private key in PEM form"),
    (make("locked", passphrase=b"secret"), "site.key: the key has a passphrase"),
]


def test_exchange_that_fails(secure: Tracker, tmp_path: Path) -> None:
    """A broken pair is refused with its reason and the old one stays; a later good one is taken."""
    for pair, reason in BROKEN:
        pair.write(tmp_path)
        line = reloaded(secure, reason)
        assert "[ERROR]" in line
        assert "The certificate in force stays" in line
        fetch(secure.http[SECURE], "/health_check", FIRST)
    SECOND.write(tmp_path)
    reloaded(secure, "Certificate read again")
    fetch(secure.http[SECURE], "/health_check", SECOND)


def test_hangup_without_certificates(tracker: Tracker) -> None:
    """SIGHUP does not end a tracker without certificates."""
    reloaded(tracker, "there are no certificates")
    assert tracker.stop() == 0


def test_start_with_a_broken_pair(new_secure: Callable[..., Tracker], tmp_path: Path) -> None:
    """The start fails, names the table, the file and the reason, and creates no log."""
    tracker = new_secure(FIRST.write(tmp_path))
    for pair, reason in (BROKEN[0], BROKEN[-1]):
        pair.write(tmp_path)
        assert reason in refused(tracker, "http_trackers[1]: ")
    FIRST.write(tmp_path)
    for missing in ("site.crt", "site.key"):
        hidden = (tmp_path / missing).rename(tmp_path / "hidden")
        assert f"{missing}: No such file or directory" in refused(tracker, "http_trackers[1]: ")
        hidden.rename(tmp_path / missing)


def test_start_with_a_broken_pair_of_the_api(
    new_tracker: Callable[..., Tracker], tmp_path: Path
) -> None:
    """The API's own files are checked as well."""
    tracker = new_tracker()
    files = Pair(FIRST.cert, SECOND.key).write(tmp_path)
    text = tracker.config.read_text()
    tracker.config.write_text(text.replace("[http_api]\n", f"[http_api]\ntls_config = {files}\n"))
    assert "is not the key" in refused(tracker, "http_api: ")


def refused(tracker: Tracker, place: str) -> str:
    """Makes a start that must fail at the TLS files of `place`; returns its line of error."""
    line = tracker.start_refused()
    assert not (tracker.folder / "log").exists()
    assert line.startswith(f"tracker: {place}no TLS with these files: ")
    return line


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("asked", [b"", HEALTH])
def test_bytes_after_the_last_word(shared: Tracker, asked: bytes, apart: bool) -> None:
    """A client that ends TLS (close_notify) and sends more is left, and all others are served."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = trusting(FIRST).wrap_bio(incoming, outgoing, server_hostname="127.0.0.1")
    with socket.create_connection(shared.http[SECURE], DEADLINE) as sock:
        shaken = False
        while not shaken:
            try:
                tls.do_handshake()
                shaken = True
            except ssl.SSLWantReadError:
                sock.sendall(outgoing.read())
                incoming.write(sock.recv(65_536))
        tls.write(asked)
        with suppress(ssl.SSLWantReadError):
            tls.unwrap()
        with suppress(ConnectionError):  # in two segments the tracker may be gone before the second
            sock.sendall(outgoing.read() + b"x" * (not apart))
            sock.sendall(b"x")
            while data := sock.recv(65_536):
                incoming.write(data)
    answer = b""
    with suppress(ssl.SSLError):
        answer = tls.read(65_536)
    assert answer.startswith(b"HTTP/1.1 200") == bool(asked) or apart
    with closing(http.client.HTTPConnection(*shared.http[PLAIN], timeout=DEADLINE)) as other:
        other.request("GET", "/health_check")
        assert other.getresponse().status == 200
