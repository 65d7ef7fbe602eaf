"""Runs the servers under load, our tracker and Debian's opentracker, and gives their Target.

It configures, starts and stops each one, and knows nothing of the load.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.parse
from typing import TYPE_CHECKING

from benchlib.load import ROOT, Target

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

START_LIMIT = 120.0  # seconds until a server must have printed its ports
STOP_LIMIT = 20.0  # seconds from SIGTERM to SIGKILL
SERVER_CORE = 0

CONFIG = """\
[metadata]
schema_version = "2.0.0"
[logging]
threshold = "info"
[core]
listed = false
private = false
[[udp_trackers]]
bind_address = "127.0.0.1:0"
[[http_trackers]]
bind_address = "127.0.0.1:0"
[health_check_api]
bind_address = "127.0.0.1:0"
[event_log]
path = "{folder}/log"
secrets_path = "{folder}/secrets"
# No follower: it belongs on another core, and here the load has that core.
follower = "at_stop"
"""

STARTED = re.compile(r"(UDP|HTTP) TRACKER: Started on: \w+://127\.0\.0\.1:(\d+)")


class ServerError(Exception):
    """A server did not start; the message has the end of its output."""


def tracker_command() -> str:
    return str(ROOT / ".venv" / "bin" / "tracker")


def opentracker_command() -> str | None:
    return shutil.which("opentracker", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/bin")


@contextlib.contextmanager
def tracker(folder: Path, pinned: bool, more: str = "") -> Iterator[Target]:
    """Runs our tracker with its log in `folder`; `more` is configuration. Raises ServerError."""
    config = folder / "tracker.toml"
    config.write_text(CONFIG.format(folder=folder) + more)
    command = [tracker_command(), "serve", "--config", str(config)]
    with _running(command, folder / "output", pinned) as process:
        ports = _announced_ports(process, folder / "output")
        yield Target(ports["UDP"], ports["HTTP"], process.pid, SERVER_CORE)


@contextlib.contextmanager
def opentracker(folder: Path, whitelist: str, pinned: bool) -> Iterator[Target]:
    """Runs Debian's opentracker for the info hashes of `whitelist` only. Raises ServerError."""
    folder.chmod(0o755)  # it changes its root to this folder and reads as `nobody`
    (folder / "whitelist").write_text(whitelist)
    port = str(free_port())
    # -p is the TCP port, -P the UDP port; -i and -d apply to the listeners after them.
    command = [opentracker_command() or "opentracker", "-i", "127.0.0.1", "-p", port, "-P", port]
    command += ["-d", str(folder), "-u", "nobody", "-w", "whitelist"]
    with _running(command, folder / "output", pinned) as process:
        _wait_serving(process, folder / "output", int(port), whitelist.split()[0])
        yield Target(int(port), int(port), process.pid, SERVER_CORE)


@contextlib.contextmanager
def _running(command: list[str], output: Path, pinned: bool) -> Iterator[subprocess.Popen[bytes]]:
    """Runs a process with its output in a file; always terminates it, then kills it."""
    pin = ["taskset", "-c", str(SERVER_CORE)] if pinned else []
    with output.open("wb") as sink:
        process = subprocess.Popen(
            [*pin, *command], stdin=subprocess.DEVNULL, stdout=sink, stderr=subprocess.STDOUT
        )
    try:
        yield process
    finally:
        _stop(process)


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(STOP_LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _announced_ports(process: subprocess.Popen[bytes], output: Path) -> dict[str, int]:
    deadline = time.monotonic() + START_LIMIT
    while time.monotonic() < deadline:
        ports = {name: int(port) for name, port in STARTED.findall(output.read_text())}
        if len(ports) == 2:
            return ports
        _check_alive(process, output)
        time.sleep(0.02)
    raise ServerError(f"no ports announced in {START_LIMIT:.0f} s\n{_tail(output)}")


def _wait_serving(
    process: subprocess.Popen[bytes], output: Path, port: int, info_hash: str
) -> None:
    """Waits until opentracker serves a listed hash, because it listens before reading its
    whitelist.
    """
    deadline = time.monotonic() + START_LIMIT
    while time.monotonic() < deadline:
        _check_alive(process, output)
        with contextlib.suppress(OSError):
            if b"8:interval" in _stopped_announce(port, info_hash):
                return
        time.sleep(0.02)
    raise ServerError(f"not serving after {START_LIMIT:.0f} s\n{_tail(output)}")


def _stopped_announce(port: int, info_hash: str) -> bytes:
    """Returns the answer to an announce that leaves no peer behind."""
    escaped = urllib.parse.quote(bytes.fromhex(info_hash))
    query = f"info_hash={escaped}&peer_id=-XX0000-000000000000&port=1&left=1&event=stopped"
    with socket.create_connection(("127.0.0.1", port), 1) as connection:
        connection.settimeout(1)
        connection.sendall(f"GET /announce?{query} HTTP/1.0\r\n\r\n".encode())
        return connection.recv(4096)


def _check_alive(process: subprocess.Popen[bytes], output: Path) -> None:
    if process.poll() is not None:
        raise ServerError(f"exit {process.returncode}\n{_tail(output)}")


def _tail(output: Path) -> str:
    return output.read_text(errors="replace")[-1500:]


def free_port() -> int:
    """Returns a port that is free for TCP; the server itself tries it for UDP."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
