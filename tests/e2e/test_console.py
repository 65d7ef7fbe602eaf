"""Tests the console's process beside a real tracker: it serves, is started again, and ends."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
import time
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e import certificates
from tests.e2e.process import DEADLINE, Listeners, Tracker

if TYPE_CHECKING:
    from collections.abc import Iterator

CONSOLE = '[console]\nbind_address = "127.0.0.1:0"\nname = "production"'
STARTED = r" CONSOLE: Started on: https?://127\.0\.0\.1:(\d+)"


@pytest.fixture(scope="module")
def tracker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracker]:
    tracker = Tracker(tmp_path_factory.mktemp("console"), extra=CONSOLE)
    try:
        yield tracker.start()
    finally:
        tracker.close()


def said(tracker: Tracker, pattern: str) -> list[str]:
    """Waits until the tracker's text log has a pattern; returns what it captures, line by line."""
    assert tracker.lines is not None
    return tracker.lines.until(lambda lines: re.findall(pattern, "\n".join(lines)) or None)


def port_of(tracker: Tracker) -> int:
    return int(said(tracker, STARTED)[-1])


def ask(
    port: int,
    method: str,
    path: str,
    body: str = "",
    cookie: str = "",
    tls: ssl.SSLContext | None = None,
) -> tuple[int, dict[str, str], str]:
    """Sends one request as a browser does; waits for the process where it begins just now."""
    headers = {"Cookie": cookie, "Origin": f"http://127.0.0.1:{port}"}
    headers["Content-Type"] = "application/x-www-form-urlencoded"
    connection = HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
    if tls is not None:
        connection = HTTPSConnection("127.0.0.1", port, timeout=DEADLINE, context=tls)
    try:
        connection.request(method, path, body, headers)
        answer = connection.getresponse()
        named = {name.lower(): text for name, text in answer.getheaders()}
        return answer.status, named, answer.read().decode()
    finally:
        connection.close()


def sign_in(port: int) -> str:
    status, headers, _ = ask(port, "POST", "/sign-in", "token=MyAccessToken")
    assert status == 303
    return headers["set-cookie"].partition(";")[0]


def test_serves_and_is_started_again(tracker: Tracker) -> None:
    """A killed console is started again on its port, without its sessions; announces go on."""
    port = port_of(tracker)
    cookie = sign_in(port)
    status, _, page = ask(port, "GET", "/today", cookie=cookie)
    assert status == 200
    assert "production" in page
    assert "last changes" in page.lower()
    (first,) = said(tracker, r"Console started: process (\d+)")
    os.kill(int(first), signal.SIGKILL)
    assert ask(port, "GET", "/today", cookie=cookie)[0] == 303  # it waited for the next process
    assert len(said(tracker, r"Console started: process (\d+)")) == 2
    assert said(tracker, r"The console ended with code (-9)")
    assert tracker.running


def test_gets_no_log_and_no_secrets(tracker: Tracker) -> None:
    """The process is told where the API is, and holds no file of the log or the secrets."""
    process = Path("/proc") / said(tracker, r"Console started: process (\d+)")[-1]
    arguments = (process / "cmdline").read_text()
    assert f"http://127.0.0.1:{tracker.api[1]}" in arguments
    assert str(tracker.folder) not in arguments
    assert "MyAccessToken" not in arguments
    assert str(tracker.folder) not in " ".join(map(os.readlink, (process / "fd").iterdir()))


def test_ends_with_the_tracker(tracker: Tracker) -> None:
    port = port_of(tracker)
    process = int(said(tracker, r"Console started: process (\d+)")[-1])
    assert tracker.stop() == 0
    with pytest.raises((OSError, HTTPException)):
        ask(port, "GET", "/today")
    give_up = time.monotonic() + DEADLINE
    while Path(f"/proc/{process}").exists() and time.monotonic() < give_up:
        time.sleep(0.01)
    assert not Path(f"/proc/{process}").exists()


def test_without_api_there_is_none(tmp_path: Path) -> None:
    tracker = Tracker(tmp_path, extra=CONSOLE)
    text = re.sub(r"\[http_api\]\n(?:[^\[].*\n)*", "", tracker.config.read_text())
    tracker.config.write_text(text)
    try:
        tracker.start()
        assert said(tracker, "(The console does not run: it is a client of the API)")
    finally:
        tracker.close()


def served_certificate(port: int, trusted: ssl.SSLContext) -> str:
    """Returns the name in the certificate that a port serves."""
    with (
        socket.create_connection(("127.0.0.1", port), DEADLINE) as plain,
        trusted.wrap_socket(plain) as secure,
    ):
        found = secure.getpeercert() or {}
        return str(dict(pair for (pair,) in found["subject"])["commonName"])


@pytest.mark.faults
@pytest.mark.parametrize("over", ["tls", "unix"])
def test_reaches_the_api_however_it_listens(tmp_path: Path, over: str) -> None:
    """Under TLS the console trusts the API's own certificate; it has one of its own, which SIGHUP
    reads again, and a cookie that goes over TLS only.
    """
    first, second = certificates.make("first"), certificates.make("second")
    files = first.write(tmp_path)
    api = f"unix:{tmp_path}/api.sock" if over == "unix" else "127.0.0.1:0"
    more = f"{CONSOLE}\ntls_config = {files}"
    tracker = Tracker(tmp_path / "tracker", Listeners(api=api), more)
    if over == "tls":
        text = tracker.config.read_text()
        tracker.config.write_text(
            text.replace("[http_api]\n", f"[http_api]\ntls_config = {files}\n")
        )
    trusted = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusted.check_hostname = False
    for pair in (first, second):
        trusted.load_verify_locations(cadata=pair.cert.decode())
    try:
        port = port_of(tracker.start())
        status, headers, _ = ask(port, "POST", "/sign-in", "token=MyAccessToken", tls=trusted)
        assert status == 303
        cookie = headers["set-cookie"]
        assert cookie.startswith("__Host-")
        assert "Secure" in cookie
        status, headers, _ = ask(
            port, "GET", "/today.json", cookie=cookie.partition(";")[0], tls=trusted
        )
        assert (status, "strict-transport-security" in headers) == (200, True)
        assert served_certificate(port, trusted) == "first"
        second.write(tmp_path)
        tracker.send(signal.SIGHUP)
        said(tracker, "(Certificate read again)")
        give_up = time.monotonic() + DEADLINE
        while served_certificate(port, trusted) != "second":
            assert time.monotonic() < give_up
    finally:
        tracker.close()
