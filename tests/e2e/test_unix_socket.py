"""Tests the API on a Unix socket: requests, our commands, and the socket's file."""

from __future__ import annotations

import json
import socket
import stat
from typing import TYPE_CHECKING

import pytest

from tests.e2e.clients import body, get, read_all
from tests.e2e.process import Listeners, begin

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.process import Tracker

KEY_ISSUED = ("--type", "key_issued")


def exchange_over_unix(path: Path, method: str, target: str, headers: str = "") -> bytes:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.settimeout(20)
        sock.connect(str(path))
        head = f"{method} {target}?token=MyAccessToken HTTP/1.1\r\nHost: x\r\n{headers}"
        sock.sendall(f"{head}Connection: close\r\n\r\n".encode())
        return read_all(sock)


@pytest.fixture
def unix(new_tracker: Callable[..., Tracker], tmp_path: Path) -> tuple[Tracker, Path]:
    path = tmp_path / "api.sock"
    tracker = new_tracker(Listeners(api=f"unix:{path}"))
    text = tracker.config.read_text()
    tracker.config.write_text(
        text.replace("access_tokens.admin", 'trusted_proxies = ["unix"]\naccess_tokens.admin')
    )
    return tracker, path


def test_served(unix: tuple[Tracker, Path]) -> None:
    """Requests, health check and commands work; a socket file left by a kill is replaced."""
    tracker, path = unix
    for number in (1, 2):
        tracker.start()
        assert stat.S_IMODE(path.stat().st_mode) == 0o660
        answer = exchange_over_unix(
            path, "POST", "/api/v1/key/60", "X-Forwarded-For: 9.9.9.9, 8.8.8.8\r\n"
        )
        assert answer.startswith(b"HTTP/1.1 200")
        health = json.loads(body(get(tracker.health, "/health_check")))
        assert health["details"][-1] == {
            "binding": f"unix:{path}",
            "info": f"checking api health check at: http://unix:{path}/api/health_check",
            "result": {"Ok": "200 OK"},
        }
        assert "torrents" in tracker.command("stats").stdout
        issued = tracker.events_until(lambda found, n=number: len(found) == n, *KEY_ISSUED)
        tracker.kill()
    assert [one["by"]["address"] for one in issued] == ["8.8.8.8", "8.8.8.8"]
    gone = tracker.command("stats")
    assert (gone.returncode, "nothing listens there" in gone.stderr) == (1, True)


@pytest.mark.parametrize("kind", ["listening", "file"])
def test_a_taken_path(unix: tuple[Tracker, Path], kind: str) -> None:
    """A start fails if its path is a listening socket or a regular file, and leaves it there."""
    tracker, path = unix
    with socket.socket(socket.AF_UNIX) as other:
        if kind == "file":
            path.write_text("mine")
        else:
            other.bind(str(path))
            other.listen()
        process, lines = begin(["--config", str(tracker.config)], tracker.folder)
        assert process.wait(60) != 0
        error = f"cannot listen on unix:{path} for the API: Address already in use"
        assert any(error in line for line in lines.all())
        assert path.exists()
