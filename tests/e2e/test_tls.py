"""HTTPS on tracker and API: whom it serves, whom it turns away, and how its certificate is exchanged."""

from __future__ import annotations

import http.client
import json
import signal
import socket
import ssl
from typing import TYPE_CHECKING

import pytest

from tests.e2e.certificates import Pair, make
from tests.e2e.clients import announce_target, bdecode, torrent
from tests.e2e.process import DEADLINE, Listeners, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.e2e.process import Address, Tracker

FIRST = make("first")
SECOND = make("second", old_kind=True)
STATS = "/api/v1/stats?token=MyAccessToken"
HEALTH = b"GET /health_check HTTP/1.1\r\nHost: x\r\n\r\n"
PLAIN, SECURE = 0, 1  # HTTP trackers, in the order of the configuration


def with_tls(tracker: Tracker, files: str, *, name: str = "tls_config") -> Tracker:
    """Put the second HTTP tracker and the API under TLS; `files` as the value of `name`."""
    text = tracker.config.read_text()
    before, mark, after = text.rpartition("[[http_trackers]]\n")
    text = f"{before}{mark}{name} = {files}\n{after}"
    tracker.config.write_text(text.replace("[http_api]\n", f"[http_api]\n{name} = {files}\n"))
    return tracker


@pytest.fixture
def new_secure(new_tracker: Callable[..., Tracker]) -> Callable[..., Tracker]:
    """`new_secure(files, name=…)`: not started."""

    def new(files: str, name: str = "tls_config") -> Tracker:
        return with_tls(new_tracker(Listeners(http=("127.0.0.1:0",) * 2)), files, name=name)

    return new


@pytest.fixture
def secure(new_secure: Callable[..., Tracker], tmp_path: Path) -> Tracker:
    """A tracker with the first certificate."""
    return new_secure(FIRST.write(tmp_path)).start()


def trusting(pair: Pair) -> ssl.SSLContext:
    """A client that trusts this certificate and no other."""
    return ssl.create_default_context(cadata=pair.cert.decode())


def fetch(address: Address, target: str, trusted: Pair) -> bytes:
    """The body of a 200. Raises `ssl.SSLError` for any other certificate."""
    client = http.client.HTTPSConnection(*address, timeout=DEADLINE, context=trusting(trusted))
    try:
        client.request("GET", target)
        response = client.getresponse()
        assert response.status == 200
        return response.read()
    finally:
        client.close()


@pytest.fixture
def connected(secure: Tracker) -> Iterator[ssl.SSLSocket]:
    """An open connection to the HTTP tracker."""
    with socket.create_connection(secure.http[SECURE], DEADLINE) as sock:
        context = trusting(FIRST)
        context.set_alpn_protocols(["h2", "http/1.1"])
        # An end that was not told is an error here: see `test_end_is_told`.
        with context.wrap_socket(
            sock, server_hostname="127.0.0.1", suppress_ragged_eofs=False
        ) as stream:
            yield stream


def read_answers(stream: ssl.SSLSocket, count: int) -> bytes:
    said = b""
    while said.count(b'{"status":"Ok"}') < count:
        data = stream.recv(4096)
        assert data, said
        said += data
    return said


@pytest.mark.parametrize("name", ["tls_config", "tsl_config"])
def test_announce_and_api(new_secure: Callable[..., Tracker], tmp_path: Path, name: str) -> None:
    """Under either spelling: announces and the API over HTTPS, and the lines of the start say so."""
    tracker = new_secure(FIRST.write(tmp_path), name).start()
    answer = fetch(tracker.http[SECURE], announce_target(torrent(1), 1, 6881, left=0), FIRST)
    assert bdecode(answer)["complete"] == 1
    assert json.loads(fetch(tracker.api, STATS, FIRST))["seeders"] == 1
    (event,) = tracker.events_until(lambda found: len(found) == 1, "--type", "announced")
    assert (event["address"], event["protocol"], event["listener"]) == ("127.0.0.1", "http", 2)
    assert tracker.lines is not None
    said = tracker.lines.until(lambda lines: lines[:])
    for line in (
        f"HTTP TRACKER: Started on: http://127.0.0.1:{tracker.http[PLAIN][1]}",
        f"HTTP TRACKER: Started on: https://127.0.0.1:{tracker.http[SECURE][1]}",
        f"Starting Torrust APIs server on: https://127.0.0.1:{tracker.api[1]}",
        f"API: Started on https://127.0.0.1:{tracker.api[1]}",
    ):
        assert sum(one.endswith(f" {line}") for one in said) == 1, line
    assert tracker.stop() == 0


def test_connection_is_kept(connected: ssl.SSLSocket) -> None:
    """HTTP/1.1 whatever else is offered; two requests at once, and one later, on one connection."""
    assert connected.selected_alpn_protocol() == "http/1.1"
    connected.sendall(HEALTH * 2)
    read_answers(connected, 2)
    connected.sendall(HEALTH)
    read_answers(connected, 1)


def test_end_is_told(connected: ssl.SSLSocket) -> None:
    """The end of the last answer is a TLS end, so that nobody can have cut it."""
    connected.sendall(HEALTH.replace(b"Host", b"Connection: close\r\nHost"))
    read_answers(connected, 1)
    assert connected.recv(4096) == b""


def test_nonsense_within_tls(connected: ssl.SSLSocket) -> None:
    """What is no HTTP gets the same answer as on a plain port."""
    connected.sendall(b"nonsense\r\n\r\n")
    assert connected.recv(4096).startswith(b"HTTP/1.1 400 ")


@pytest.mark.parametrize("service", ["http", "api"])
@pytest.mark.parametrize(
    "sent", [HEALTH, b"\x16\x03\x01\x00\x05hello", b"\x00" * 2000], ids=["http", "hello", "zeros"]
)
def test_client_without_tls(secure: Tracker, service: str, sent: bytes) -> None:
    """It is let go, nothing is logged as an error, and the next client is served."""
    address = secure.api if service == "api" else secure.http[SECURE]
    with socket.create_connection(address, DEADLINE) as sock:
        sock.sendall(sent)
        try:
            while answer := sock.recv(4096):
                assert not answer.startswith(b"HTTP/")
        except ConnectionResetError:
            pass  # also a way to be let go
    fetch(secure.http[SECURE], "/health_check", FIRST)
    fetch(secure.api, "/api/health_check", FIRST)
    lines = secure.lines
    assert secure.stop() == 0
    assert lines is not None
    assert not any("[ERROR]" in line for line in lines.all())


def test_silent_client_does_not_hold_up(secure: Tracker) -> None:
    """A client that never begins its handshake holds up neither others nor the stop."""
    with (
        socket.create_connection(secure.http[SECURE], DEADLINE),
        socket.create_connection(secure.api, DEADLINE),
    ):
        fetch(secure.http[SECURE], "/health_check", FIRST)
        fetch(secure.api, "/api/health_check", FIRST)
        assert secure.stop() == 0


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion.TLSv1_1 is deprecated")
def test_old_protocol(secure: Tracker) -> None:
    """Nothing below TLS 1.2 is spoken."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.TLSv1_1
    for newest, accepted in ((ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True)):
        context.maximum_version = newest
        for address in (secure.http[SECURE], secure.api):
            assert handshakes(context, address) == accepted, (newest, address)


def handshakes(context: ssl.SSLContext, address: Address) -> bool:
    with socket.create_connection(address, DEADLINE) as sock:
        try:
            context.wrap_socket(sock).close()
        except (ssl.SSLError, ConnectionResetError):
            return False
        return True


def reloaded(tracker: Tracker, mark: str) -> str:
    """Send SIGHUP; returns the first line with `mark`."""
    assert tracker.lines is not None
    tracker.send(signal.SIGHUP)
    return tracker.lines.until(lambda lines: next((one for one in lines if mark in one), None))


def test_exchange(secure: Tracker, connected: ssl.SSLSocket, tmp_path: Path) -> None:
    """SIGHUP: new connections get the new certificate, of another kind of key; those that are open go on."""
    SECOND.write(tmp_path)
    connected.sendall(HEALTH)
    read_answers(connected, 1)
    fetch(secure.http[SECURE], "/health_check", FIRST)
    reloaded(secure, "Certificate read again")
    for address, target in ((secure.http[SECURE], "/health_check"), (secure.api, STATS)):
        fetch(address, target, SECOND)
        with pytest.raises(ssl.SSLCertVerificationError):
            fetch(address, target, FIRST)
    connected.sendall(HEALTH)
    read_answers(connected, 1)


BROKEN = [
    ("other-key", Pair(SECOND.cert, make("other", old_kind=True).key), "site.key: is not the key"),
    ("other-kind", Pair(SECOND.cert, FIRST.key), "site.key: is not the key of the certificate"),
    ("no-certificate", Pair(b"nothing", SECOND.key), "site.crt: holds no certificate in PEM form"),
    ("no-key", Pair(SECOND.cert, b""), "site.key: holds no private key in PEM form"),
    ("passphrase", make("locked", passphrase=b"secret"), "site.key: the key has a passphrase"),
]


@pytest.mark.parametrize(
    ("pair", "reason"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN]
)
def test_exchange_that_fails(secure: Tracker, tmp_path: Path, pair: Pair, reason: str) -> None:
    """A pair that is not whole is refused with its reason, the old one stays; a later try is taken."""
    pair.write(tmp_path)
    line = reloaded(secure, "The certificate in force stays")
    assert "[ERROR]" in line
    assert reason in line
    fetch(secure.http[SECURE], "/health_check", FIRST)
    SECOND.write(tmp_path)
    reloaded(secure, "Certificate read again")
    fetch(secure.http[SECURE], "/health_check", SECOND)


def test_hangup_without_certificates(tracker: Tracker) -> None:
    """SIGHUP does not end a tracker that has nothing to read again."""
    reloaded(tracker, "there are no certificates")
    assert tracker.stop() == 0


@pytest.mark.parametrize(
    ("pair", "reason"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN]
)
def test_start_with_a_broken_pair(
    new_secure: Callable[..., Tracker], tmp_path: Path, pair: Pair, reason: str
) -> None:
    """The tracker does not start, says which table, file and reason, and begins no log."""
    assert reason in refused(new_secure(pair.write(tmp_path)), "http_trackers[1]: ")


@pytest.mark.parametrize("missing", ["site.crt", "site.key"])
def test_start_without_a_file(
    new_secure: Callable[..., Tracker], tmp_path: Path, missing: str
) -> None:
    """A file that is not there is named."""
    tracker = new_secure(FIRST.write(tmp_path))
    (tmp_path / missing).unlink()
    assert f"{missing}: No such file or directory" in refused(tracker, "http_trackers[1]: ")


def test_start_with_a_broken_pair_of_the_api(
    new_tracker: Callable[..., Tracker], tmp_path: Path
) -> None:
    """The API's own files are checked too."""
    tracker = new_tracker()
    files = Pair(FIRST.cert, SECOND.key).write(tmp_path)
    text = tracker.config.read_text()
    tracker.config.write_text(text.replace("[http_api]\n", f"[http_api]\ntls_config = {files}\n"))
    assert "is not the key" in refused(tracker, "http_api: ")


def refused(tracker: Tracker, place: str) -> str:
    """Start a tracker that must refuse; returns its one line of complaint."""
    done = run("--config", str(tracker.config), folder=tracker.folder)
    assert done.returncode == 1
    assert not (tracker.folder / "log").exists()
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"tracker: {place}no TLS with these files: ")
    return line
