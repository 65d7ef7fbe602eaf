"""Configures and starts our tracker for a load, and gives it the keys of private mode."""

from __future__ import annotations

import contextlib
import json
import re
import time
from http.client import HTTPConnection
from types import MappingProxyType
from typing import TYPE_CHECKING

from benchlib.compiler import ROOT
from benchlib.load import UDP, Target
from benchlib.processes import (
    ServerError,
    check_alive,
    free_port,
    running,
    tail,
)

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

    from benchlib.load import Load

TOKEN = "bench"  # noqa: S105  # the token of a tracker that runs for a minute
START_LIMIT = 120.0  # seconds until the tracker must have printed its ports
FOLLOW_LIMIT = 900.0  # seconds until the follower must have read the log
NEAR_EVENTS = 1000  # with fewer events to read it has caught up
IMPORT = 200  # keys that one request may import

CONFIG = """\
[metadata]
schema_version = "2.0.0"
[logging]
threshold = "info"
[core]
listed = false
private = {private}
[[udp_trackers]]
bind_address = "{host}:0"
receivers = {receivers}
[[http_trackers]]
bind_address = "{host}:0"
{tls}
[http_api]
bind_address = "127.0.0.1:{api_port}"
access_tokens.admin = "{token}"
[health_check_api]
bind_address = "127.0.0.1:0"
[event_log]
path = "{folder}/log"
secrets_path = "{folder}/secrets"
"""
ALONE = """\
# No follower: it belongs on another core, and here the load has that core.
follower = "at_stop"
"""
CONSOLE = """\
cases = true
[console]
bind_address = "127.0.0.1:{port}"
name = "bench"
"""
TLS = """\
[http_trackers.tls_config]
ssl_cert_path = "{certificate}.pem"
ssl_key_path = "{certificate}.key"
"""

SERVICES = ("UDP TRACKER", "HTTP TRACKER", "HEALTH CHECK API")  # the last one starts last
STARTED = re.compile(rf"({'|'.join(SERVICES)}): Started on: \w+://\S+:(\d+)")
DROPPED = re.compile(rb"^swarmlog_udp_kernel_dropped_total(?:\{.*\})? (\d+)", re.MULTILINE)
LAG = re.compile(rb"^swarmlog_follower_lag_events (\S+)", re.MULTILINE)
STALL = re.compile(rb"^swarmlog_loop_lag_seconds (\S+)", re.MULTILINE)


def tracker_command() -> str:
    return str(ROOT / ".venv" / "bin" / "tracker")


@contextlib.contextmanager
def tracker(
    folder: Path,
    core: int | None,
    load: Load = UDP,
    certificate: str = "",
    more_cores: Sequence[int] = (),
    environment: Mapping[str, str] = MappingProxyType({}),
    *,
    whole: bool = False,
    more: str = "",
) -> Iterator[Target]:
    """Runs our tracker with its log in `folder`. Raises ServerError.

    `whole`: with the follower and the console. `more`: tables at the end of its configuration.
    """
    config, api_port, console_port = folder / "tracker.toml", free_port(), free_port()
    text = CONFIG.format(
        folder=folder,
        host="[::1]" if load.ipv6 else "127.0.0.1",
        receivers=load.receivers,
        private=str(load.private).lower(),
        tls=TLS.format(certificate=certificate) if load.tls else "",
        api_port=api_port,
        token=TOKEN,
    )
    config.write_text(text + (CONSOLE.format(port=console_port) if whole else ALONE) + more)
    command = [tracker_command(), "serve", "--config", str(config)]
    output = folder / "output"
    with running(command, output, core, environment, more_cores=more_cores) as process:
        ports = _announced_ports(process, output)
        udp, http, health = (ports[name] for name in SERVICES)
        yield Target(udp, http, process.pid, core or 0, api_port, health, console_port)


def _announced_ports(process: subprocess.Popen[bytes], output: Path) -> dict[str, int]:
    deadline = time.monotonic() + START_LIMIT
    while time.monotonic() < deadline:
        ports = {name: int(port) for name, port in STARTED.findall(output.read_text())}
        if len(ports) == len(SERVICES):
            return ports
        check_alive(process, output)
        time.sleep(0.02)
    raise ServerError(f"no ports announced in {START_LIMIT:.0f} s\n{tail(output)}")


def issue_keys(target: Target, keys: Sequence[str]) -> None:
    """Gives each account of the load its key."""
    for start in range(0, len(keys), IMPORT):
        some = [
            {"key": key, "owner": f"account {number}"}
            for number, key in enumerate(keys[start : start + IMPORT], start)
        ]
        _api(target, "POST", "/api/v2/keys/import", json.dumps({"keys": some}))


def dropped_by_metric(target: Target) -> int:
    """Returns the datagrams that the kernel dropped, as the tracker's metric has them."""
    text = _api(target, "GET", "/api/v1/metrics?format=prometheus")
    return sum(map(int, DROPPED.findall(text)))


def longest_stall(target: Target) -> float:
    """Returns the longest stall of the tracker's loop within the last minute, in seconds."""
    found = STALL.search(_api(target, "GET", "/api/v1/metrics?format=prometheus"))
    return float(found[1]) if found else 0.0


def wait_for_follower(target: Target) -> None:
    """Waits until the follower has read the log. Raises ServerError where that takes long."""
    until = time.monotonic() + FOLLOW_LIMIT
    while time.monotonic() < until:
        lag = LAG.search(_api(target, "GET", "/api/v1/metrics?format=prometheus"))
        if lag and float(lag[1]) < NEAR_EVENTS:
            return
        time.sleep(1)
    raise ServerError(f"the follower has not read the log in {FOLLOW_LIMIT:.0f} s")


def _api(target: Target, method: str, path: str, body: str | None = None) -> bytes:
    connection = HTTPConnection("127.0.0.1", target.api_port, timeout=60)
    headers = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
    with contextlib.closing(connection):
        connection.request(method, path, body, headers)
        response = connection.getresponse()
        text = response.read()
    if response.status >= 300:
        raise ServerError(f"{method} {path}: status {response.status}, {text[:200]!r}")
    return text
