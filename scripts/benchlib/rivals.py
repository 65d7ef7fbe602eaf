"""Declares the other trackers: for each its configuration, its command and what it can do.

Each gets one worker where it has workers, as many peers in an answer as the load asks for, and no
files or statistics that it can do without.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from dataclasses import dataclass, field
from functools import partial
from http.client import HTTPConnection
from typing import TYPE_CHECKING

from benchlib.load import Target
from benchlib.probe import http_serves, udp_serves, wait_serving
from benchlib.processes import ServerError, free_port, running

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from benchlib.load import Load

TOKEN = "bench"  # noqa: S105  # the token of a tracker that runs for a minute


@dataclass(frozen=True, slots=True)
class Place:
    """Says where and for what a server is to run."""

    folder: Path
    load: Load
    hashes: Sequence[str]
    keys: Sequence[str]  # of private mode
    certificate: str  # path without .pem, .key, .der, .key.der; with TLS only
    core: int | None
    port: int = field(default_factory=free_port)  # for UDP and for TCP
    api_port: int = field(default_factory=free_port)

    @property
    def host(self) -> str:
        return "::1" if self.load.ipv6 else "127.0.0.1"

    @property
    def host_in_url(self) -> str:
        return f"[{self.host}]" if self.load.ipv6 else self.host

    @property
    def address(self) -> str:
        return f"{self.host_in_url}:{self.port}"


@dataclass(frozen=True, slots=True)
class Rival:
    """Declares a tracker; its binary has its name."""

    name: str
    can: frozenset[str]  # see Load.needs
    files: Callable[[Place], dict[str, str]]  # in the folder, by name
    arguments: Callable[[Place], list[str]]
    version: tuple[str, ...] = ()  # the command that prints it

    def command(self) -> str | None:
        return shutil.which(self.name, path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/bin")


def _opentracker_files(place: Place) -> dict[str, str]:
    return {"whitelist": "\n".join([*place.hashes, ""])}


def _opentracker_arguments(place: Place) -> list[str]:
    # -p is the TCP port, -P the UDP port; -i and -d apply to the listeners after them.
    listeners = ["-i", place.host, "-p", str(place.port), "-P", str(place.port)]
    return [*listeners, "-d", str(place.folder), "-u", "nobody", "-w", "whitelist"]


def _aquatic_udp_files(place: Place) -> dict[str, str]:
    text = f"""\
socket_workers = 1
[network]
address = "{place.address}"
only_ipv6 = {str(place.load.ipv6).lower()}
[protocol]
max_response_peers = 200
[statistics]
interval = 0
"""
    return {"config": text}


def _aquatic_http_files(place: Place) -> dict[str, str]:
    text = f"""\
socket_workers = 1
swarm_workers = 1
[network]
address = "{place.address}"
only_ipv6 = {str(place.load.ipv6).lower()}
keep_alive = {str(place.load.keep_alive).lower()}
enable_tls = {str(place.load.tls).lower()}
tls_certificate_path = "{place.certificate}.der"
tls_private_key_path = "{place.certificate}.key.der"
[protocol]
max_peers = 200
"""
    return {"config": text}


def _config_file(place: Place) -> list[str]:
    return ["-c", str(place.folder / "config")]


def _chihaya_files(place: Place) -> dict[str, str]:
    certificate = place.certificate
    plain = f'addr: "{place.address}"'
    # It serves no HTTPS without HTTP.
    secure = f'addr: "{place.host_in_url}:{free_port()}"\n    https_addr: "{place.address}"\n    tls_cert_path: "{certificate}.pem"\n    tls_key_path: "{certificate}.key"'
    text = f"""\
chihaya:
  announce_interval: "30m"
  min_announce_interval: "15m"
  metrics_addr: "127.0.0.1:{place.api_port}"
  http:
    {secure if place.load.tls else plain}
    read_timeout: "5s"
    write_timeout: "5s"
    idle_timeout: "30s"
    enable_keepalive: true
    announce_routes: ["/announce"]
    scrape_routes: ["/scrape"]
    max_numwant: 200
  udp:
    addr: "{place.address}"
    max_clock_skew: "10s"
    private_key: "a key for connection ids of a tracker that runs for a minute"
    max_numwant: 200
  storage:
    name: "memory"
    config:
      gc_interval: "3m"
      peer_lifetime: "31m"
      shard_count: 1024
      prometheus_reporting_interval: "10s"
"""
    return {"config": text}


def _chihaya_arguments(place: Place) -> list[str]:
    return ["--config", str(place.folder / "config")]


def _torrust_files(place: Place) -> dict[str, str]:
    certificate = place.certificate
    tls = f"""\
[http_trackers.tsl_config]
ssl_cert_path = "{certificate}.pem"
ssl_key_path = "{certificate}.key"
"""
    text = f"""\
[metadata]
app = "torrust-tracker"
purpose = "configuration"
schema_version = "2.0.0"
[logging]
threshold = "error"
[core]
listed = false
private = {str(place.load.private).lower()}
tracker_usage_statistics = false
[core.database]
driver = "sqlite3"
path = "{place.folder}/database"
[[udp_trackers]]
bind_address = "{place.address}"
[[http_trackers]]
bind_address = "{place.address}"
{tls if place.load.tls else ""}
[http_api]
bind_address = "127.0.0.1:{place.api_port}"
[http_api.access_tokens]
admin = "{TOKEN}"
[health_check_api]
bind_address = "127.0.0.1:{free_port()}"
"""
    return {"config": text}


def _torrust_arguments(place: Place) -> list[str]:  # it has no options
    del place
    return []


_BOTH = frozenset({"udp", "http"})
RIVALS = {
    rival.name: rival
    for rival in (
        Rival(
            "opentracker",
            _BOTH,
            _opentracker_files,
            _opentracker_arguments,
            ("dpkg-query", "-W", "-f", "${Version}", "opentracker"),
        ),
        Rival(
            "aquatic_udp",
            frozenset({"udp", "ipv6"}),
            _aquatic_udp_files,
            _config_file,
            ("aquatic_udp", "-v"),
        ),
        Rival(
            "aquatic_http",
            frozenset({"http", "ipv6", "tls"}),
            _aquatic_http_files,
            _config_file,
            ("aquatic_http", "-v"),
        ),
        Rival("chihaya", _BOTH | {"ipv6", "tls"}, _chihaya_files, _chihaya_arguments),
        Rival(
            "torrust-tracker",
            _BOTH | {"ipv6", "tls", "private"},
            _torrust_files,
            _torrust_arguments,
        ),
    )
}


@contextlib.contextmanager
def serving(rival: Rival, place: Place) -> Iterator[Target]:
    """Runs another tracker until it serves. Raises ServerError."""
    place.folder.chmod(0o755)  # opentracker changes its root to this folder and reads as `nobody`
    for name, text in rival.files(place).items():
        (place.folder / name).write_text(text)
    output = place.folder / "output"
    # Only Torrust's tracker finds its file so; the others are told in their arguments.
    found = {"TORRUST_TRACKER_CONFIG_TOML_PATH": str(place.folder / "config")}
    command = [rival.command() or rival.name, *rival.arguments(place)]
    with running(command, output, place.core, found) as process:
        if place.load.private:
            wait_serving(lambda: _issue_keys(place), process, output)
        for protocol in sorted(_BOTH & rival.can):
            if protocol == "http" or not place.load.private:
                wait_serving(partial(_serves, place, protocol), process, output)
        udp, http = (place.port if protocol in rival.can else 0 for protocol in ("udp", "http"))
        yield Target(udp, http, process.pid, place.core or 0)


def _serves(place: Place, protocol: str) -> bool:
    if protocol == "udp":
        return udp_serves(place.host, place.port, place.hashes[0])
    path = f"/announce/{place.keys[0]}" if place.load.private else "/announce"
    return http_serves(place.host, place.port, path, place.hashes[0], place.load.tls)


def _issue_keys(place: Place) -> bool:
    """Gives each account of the load its key, by Torrust's API, once that answers."""
    connection = HTTPConnection("127.0.0.1", place.api_port, timeout=60)
    with contextlib.closing(connection):
        for key in place.keys:
            form = json.dumps({"key": key, "seconds_valid": None})
            headers = {"Content-Type": "application/json"}
            connection.request("POST", f"/api/v1/keys?token={TOKEN}", form, headers)
            response = connection.getresponse()
            text = response.read()
            if response.status != 200:
                raise ServerError(f"a key was answered with {response.status}: {text[:200]!r}")
    return True


def make_certificate(folder: Path) -> str:
    """Makes a certificate and its key (P-256); returns their path without what follows the dot."""
    path = str(folder / "certificate")
    subject = ["-subj", "/CN=localhost", "-days", "7", "-out", f"{path}.pem"]
    new = ["-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    for command in (
        ["req", *new, "-keyout", f"{path}.key", *subject],
        ["x509", "-in", f"{path}.pem", "-outform", "DER", "-out", f"{path}.der"],
        [
            "pkcs8",
            "-topk8",
            "-nocrypt",
            "-in",
            f"{path}.key",
            "-outform",
            "DER",
            "-out",
            f"{path}.key.der",
        ],
    ):
        done = subprocess.run(["openssl", *command], capture_output=True, text=True, check=False)
        if done.returncode:
            raise ServerError(f"openssl {command[0]}: {done.stderr[-500:]}")
    return path
