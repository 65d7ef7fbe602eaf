"""Tests NGINX with the example of docs/deploy: it passes addresses, keys and long answers."""

from __future__ import annotations

import http.client
import json
import shutil
import socket
import ssl
import subprocess
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote_from_bytes

import pytest
from attrs import frozen

from tests.e2e.certificates import make
from tests.e2e.clients import announce_target, bdecode, torrent
from tests.e2e.process import DEADLINE, clean_environment, free_ports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.process import Tracker

pytestmark = pytest.mark.clients

NGINX = shutil.which("nginx") or "/usr/sbin/nginx"  # the folder is not in every PATH
EXAMPLE = Path(__file__).parents[2] / "docs" / "deploy" / "nginx.conf"
MAIN = """\
daemon off;
user root;
worker_processes 1;
pid {folder}/pid;
error_log {folder}/main.log;
events {{}}
http {{
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    include {folder}/site.conf;
}}
"""
TRACKER, API = "tracker.example.org", "api.example.org"
TOKEN = {"Authorization": "Bearer MyAccessToken"}
CLIENT, SOMEBODY = "127.0.0.7", "192.0.2.77"  # the second is a forged header's


@frozen
class Site:
    tracker: Tracker
    plain: int
    tls: int
    folder: Path

    def connect(self, name: str, *, tls: bool = True) -> http.client.HTTPConnection:
        """Connects from `CLIENT` to the server of this name."""
        port = self.tls if tls else self.plain
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=DEADLINE)
        sock = socket.create_connection(("127.0.0.1", port), DEADLINE, (CLIENT, 0))
        if tls:
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            sock = context.wrap_socket(sock, server_hostname=name)
        connection.sock = sock
        return connection

    def ask(
        self, name: str, method: str, target: str, *, tls: bool = True, **more: Any
    ) -> tuple[int, bytes]:
        with closing(self.connect(name, tls=tls)) as connection:
            headers = {"Host": name, "X-Forwarded-For": SOMEBODY, **more.pop("headers", {})}
            connection.request(method, target, headers=headers, **more)
            answer = connection.getresponse()
            return answer.status, answer.read()


@pytest.fixture
def site(new_tracker: Callable[..., Tracker], tmp_path: Path) -> Iterator[Site]:
    """The example with other ports and files, and with one more address allowed to use the API."""
    if shutil.which(NGINX) is None:
        pytest.skip("nginx is not installed: apt install nginx-light")
    tracker = new_tracker(extra="net.on_reverse_proxy = true")
    text = tracker.config.read_text()
    named = 'trusted_proxies = ["127.0.0.1"]'
    tracker.config.write_text(text.replace("[http_api]\n", f"[http_api]\n{named}\n"))
    tracker.start()
    folder = tmp_path / "nginx"
    folder.mkdir()
    plain, tls = free_ports(2)
    (folder / "site.conf").write_text(adapted(folder, tracker, plain, tls))
    (folder / "nginx.conf").write_text(MAIN.format(folder=folder))
    process = subprocess.Popen(
        [NGINX, "-c", str(folder / "nginx.conf"), "-p", str(folder), "-e", f"{folder}/main.log"],
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
    )
    site = Site(tracker, plain, tls, folder)
    try:
        until_it_listens(process, site)
        yield site
    finally:
        process.terminate()
        process.wait(DEADLINE)


def adapted(folder: Path, tracker: Tracker, plain: int, tls: int) -> str:
    make(TRACKER).write(folder)
    changes = {
        "listen [::]:80;": "",
        "listen [::]:443 ssl;": "",
        "listen 80;": f"listen 127.0.0.1:{plain};",
        "listen 443 ssl;": f"listen 127.0.0.1:{tls} ssl;",
        "/var/log/nginx/": f"{folder}/",
        "127.0.0.1:7070;": "{}:{};".format(*tracker.http[0]),
        "127.0.0.1:1212;": "{}:{};".format(*tracker.api),
        "allow 192.0.2.10;": f"allow {CLIENT};",
    }
    for name in (TRACKER, API):
        changes[f"/etc/ssl/{name}.crt"] = f"{folder}/site.crt"
        changes[f"/etc/ssl/private/{name}.key"] = f"{folder}/site.key"
    text = EXAMPLE.read_text()
    for theirs, here in changes.items():
        assert theirs in text, theirs
        text = text.replace(theirs, here)
    return text


def until_it_listens(process: subprocess.Popen[bytes], site: Site) -> None:
    end = time.monotonic() + DEADLINE
    while True:
        assert process.poll() is None, (site.folder / "main.log").read_text()
        assert time.monotonic() < end, "NGINX does not listen"
        try:
            socket.create_connection(("127.0.0.1", site.tls), DEADLINE).close()
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return


def test_announces(site: Site) -> None:
    """A peer is listed at the address that NGINX sees; an info hash may have any bytes."""
    info_hash = bytes(range(20))
    for peer, tls in ((1, True), (2, False)):
        target = announce_target(info_hash, peer, 7000 + peer, left=0)
        status, body = site.ask(TRACKER, "GET", target, tls=tls)
        assert (status, bdecode(body)["complete"]) == (200, peer)
    path = f"/api/v1/torrent/{info_hash.hex()}"
    status, body = site.ask(API, "GET", path, headers=TOKEN)
    peers = {peer["peer_addr"] for peer in json.loads(body)["peers"]}
    assert (status, peers) == (200, {f"{CLIENT}:7001", f"{CLIENT}:7002"})
    scrape = "/scrape?" + "&".join(
        f"info_hash={quote_from_bytes(torrent(one))}" for one in range(100)
    )
    status, body = site.ask(TRACKER, "GET", scrape)
    assert (status, len(bdecode(body)["files"])) == (200, 100)


def test_api(site: Site) -> None:
    """Events have the client's address, bodies the API's limit, and NGINX logs no token or
    announce.
    """
    target = f"/api/v1/whitelist/{torrent(1).hex()}"
    assert site.ask(API, "POST", target, headers=TOKEN) == (200, b'{"status":"ok"}')
    (event,) = site.tracker.events("--type", "torrent_whitelisted")
    assert event["by"]["address"] == CLIENT
    large = {"body": b"x" * (64 * 1024 + 1), "headers": TOKEN}
    assert site.ask(API, "POST", "/api/v1/keys", **large)[0] == 413
    assert site.ask(API, "GET", "/api/v1/stats?token=MyAccessToken")[0] == 200
    assert site.ask(API, "GET", "/")[0] == 404
    site.ask(TRACKER, "GET", announce_target(torrent(1), 1, 7000))
    written = "".join(file.read_text() for file in site.folder.glob("*.log"))
    assert 'GET /api/v1/stats" 200 ' in written
    assert "MyAccessToken" not in written
    assert "announce" not in written


def test_stream(site: Site) -> None:
    """NGINX passes an event of the stream on at once."""
    with closing(site.connect(API)) as connection:
        headers = {"Host": API, **TOKEN}
        connection.request("GET", "/api/v2/events/stream?type=key_issued", headers=headers)
        stream = connection.getresponse()
        assert stream.status == 200
        assert site.ask(API, "POST", "/api/v1/key/60", headers=TOKEN)[0] == 200
        while not (line := stream.readline()).startswith(b"data: "):
            assert line, "it ended"
        assert json.loads(line[6:])["by"]["address"] == CLIENT
