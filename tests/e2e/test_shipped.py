"""Tests the shipped configuration on its own ports with the documented curl commands."""

from __future__ import annotations

import fcntl
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import tomllib
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import pytest
from attrs import frozen

from tests.e2e.clients import get, udp_client
from tests.e2e.process import DEADLINE, Lines, begin, clean_environment

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
HTTP = ("127.0.0.1", 7070)
UDP = ("127.0.0.1", 6969)
ONE = "67000d5d41a7da853b78621dc8316e3e0e89ab3c"
OTHER = "e940a7a57294e4c98f62514b32611e38181b6cae"
PEER = bytes.fromhex("2d7142343338302d616e33476269721111111111")
PATTERNS = {
    "<key>": "[0-9A-Za-z]{32}",
    "<seconds>": "[0-9]{10}",
    "<time>": r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d{3}(\d{3})?)? UTC",
}


@frozen
class Example:
    section: str
    command: str
    answer: str


def examples() -> list[Example]:
    found, section, command = [], "", ""
    for line in (ROOT / "tests" / "golden" / "curl.txt").read_text().splitlines():
        if line.startswith("== "):
            section = line[3:]
        elif line.startswith("$ "):
            command = line[2:]
        elif line and not line.startswith("#"):
            found.append(Example(section, command, line))
    return found


@pytest.fixture
def shipped_ports() -> Iterator[None]:
    """Reserves the ports of the shipped file, because only one test run can have them."""
    with (Path(tempfile.gettempdir()) / f"swarmlog-shipped-ports-{os.getuid()}.lock").open(
        "w"
    ) as lock:
        _wait_for(lock)
        for kind, host, port in _shipped_addresses():
            with socket.socket(socket.AF_INET, kind) as sock:
                sock.setsockopt(
                    socket.SOL_SOCKET, socket.SO_REUSEADDR, int(kind == socket.SOCK_STREAM)
                )
                try:
                    sock.bind((host, port))
                except OSError as error:
                    pytest.skip(
                        f"port {port} of the shipped tracker.toml is taken: {error.strerror}"
                    )
        yield


def _wait_for(lock: IO[str]) -> None:
    end = time.monotonic() + DEADLINE
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            assert time.monotonic() < end, "another test run keeps the shipped ports"
            time.sleep(0.05)
        else:
            return


def _shipped_addresses() -> Iterator[tuple[socket.SocketKind, str, int]]:
    config = tomllib.loads((ROOT / "tracker" / "config" / "default.toml").read_text())
    tables: list[tuple[socket.SocketKind, dict[str, Any]]] = [
        *((socket.SOCK_DGRAM, table) for table in config["udp_trackers"]),
        *((socket.SOCK_STREAM, table) for table in config["http_trackers"]),
        (socket.SOCK_STREAM, config["http_api"]),
        (socket.SOCK_STREAM, config["health_check_api"]),
        (socket.SOCK_STREAM, config["console"]),
    ]
    for kind, table in tables:
        host, _, port = table["bind_address"].rpartition(":")
        yield kind, host, int(port)


@pytest.fixture
def started(shipped_ports: None, tmp_path: Path) -> Iterator[Lines]:
    """Runs `tracker` without arguments beside a copy of the shipped file; yields its output."""
    del shipped_ports
    shutil.copy(ROOT / "tracker" / "config" / "default.toml", tmp_path / "tracker.toml")
    process, lines = begin([], tmp_path)
    try:
        lines.until(
            lambda output: output if any(" API: Started on" in line for line in output) else None
        )
        yield lines
        process.send_signal(signal.SIGTERM)
        assert process.wait(DEADLINE) == 0
    finally:
        process.kill()
        process.wait(DEADLINE)


def curl(command: str, folder: Path) -> str:
    """Runs a documented command; returns its output."""
    program, *arguments = shlex.split(command)
    assert program == "curl"
    if shutil.which(program) is None:
        pytest.skip("there is no curl on this machine: the documented commands are not tried")
    environment = clean_environment() | {"CURL_HOME": str(folder), "HOME": str(folder)}
    done = subprocess.run(
        [program, *arguments], env=environment, capture_output=True, encoding="utf-8", timeout=DEADLINE, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def prepare_two_swarms() -> None:
    """Makes one seeder in one swarm; in the other two seeders, one of them completed, and six
    leechers.
    """
    escaped = PEER.hex("%", 1)
    rest = f"&peer_id=%{escaped}&port=1122&uploaded=0&downloaded=0&left=0&event=started"
    get(HTTP, f"/announce?info_hash=%{bytes.fromhex(ONE).hex('%', 1)}{rest}")
    with udp_client(UDP) as client:
        for port in range(1, 9):
            client.announce(bytes.fromhex(OTHER), port, port, left=int(port > 1))
        client.announce(bytes.fromhex(OTHER), 2, 2, event=1)


PREPARE = {"two swarms": prepare_two_swarms}


def test_documented_requests(started: Lines, tmp_path: Path) -> None:
    """Each command prints the documented answer, to the byte."""
    del started
    section = ""
    for example in examples():
        if example.section != section:
            section = example.section
            PREPARE.get(section, lambda: None)()
        pattern = re.escape(example.answer)
        for mark, expression in PATTERNS.items():
            pattern = pattern.replace(re.escape(mark), expression)
        answer = curl(example.command, tmp_path)
        assert re.fullmatch(pattern, answer), f"{example.command}\n{answer}"


def test_start_up_lines(started: Lines) -> None:
    """The start prints the lines by which scripts and people find its services."""
    output = started.until(lambda lines: lines[:])
    assert output[0] == "Loading configuration from config file ./tracker.toml"
    for line in (
        "UDP TRACKER: Started on: udp://0.0.0.0:6969",
        "HTTP TRACKER: Started on: http://0.0.0.0:7070",
        "Starting Torrust APIs server on: http://127.0.0.1:1212",
        "API: Started on http://127.0.0.1:1212",
    ):
        assert sum(one.endswith(f" {line}") for one in output) == 1, line
