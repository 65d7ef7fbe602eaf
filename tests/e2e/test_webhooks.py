"""Tests webhooks with a receiver that fails, hangs and answers twice, through kills of both."""

from __future__ import annotations

import hashlib
import hmac
import json
import ssl
import threading
import time
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e import certificates
from tests.e2e.clients import ask
from tests.e2e.process import DEADLINE, lasting_listeners

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.e2e.process import Tracker

SECRET = "only the two know it"  # not of a site


class Receiver:
    """A site's server, over TLS, with a table of its own: the keys that are in force."""

    def __init__(self, port: int, pair: certificates.Pair, folder: Path) -> None:
        self.statuses: list[int] = []  # of the next answers; then 200
        self.seqs: list[int] = []  # of acknowledged events
        self.keys: set[int] = set()
        self.asked = 0
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                self.send_response(receiver.answer(self.headers["swarmlog-signature"], body))
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        pair.write(folder, "hook")
        context.load_cert_chain(folder / "hook.crt", folder / "hook.key")
        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def answer(self, signed: str, body: bytes) -> int:
        self.asked += 1
        seconds, _, mac = signed.removeprefix("t=").partition(",v1=")
        expected = hmac.new(SECRET.encode(), f"{seconds}.".encode() + body, hashlib.sha256)
        assert hmac.compare_digest(mac, expected.hexdigest())
        status = self.statuses.pop(0) if self.statuses else 200
        if status == 200:
            for event in json.loads(body)["events"]:
                self._take(event)
        return status

    def _take(self, event: dict[str, Any]) -> None:
        self.seqs.append(event["seq"])
        if event["type"] == "key_issued":
            self.keys.add(event["key_ref"])
        else:
            self.keys.discard(event["key_ref"])

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    with closing(Receiver(0, certificates.make("127.0.0.1"), tmp_path)) as receiver:
        yield receiver


@pytest.mark.faults
def test_a_site_that_keeps_its_own_table(
    new_tracker: Callable[..., Tracker], receiver: Receiver, tmp_path: Path
) -> None:
    """It has every key, although both fail: nothing is lost, and the order stays."""
    tracker = new_tracker(lasting_listeners())
    tracker.config.write_text(
        f"""{tracker.config.read_text()}
[[webhooks]]
name = "site"
url = "https://127.0.0.1:{receiver.port}/hook?of=site"
secret = "{SECRET}"
types = ["key_issued", "key_revoked"]
ca_path = "{tmp_path / "hook.crt"}"
"""
    )
    tracker.switch_on("private")
    tracker.start()
    receiver.statuses = [500, 503]
    issue(tracker, 3)
    wait(lambda: receiver.keys == {1, 2, 3})
    assert receiver.asked >= 3
    receiver.statuses = [500] * 3
    issue(tracker, 2)
    tracker.kill()
    tracker.start()
    issue(tracker, 1)
    assert ask(tracker, "DELETE", "/api/v2/keys/2").status == 204
    wait(lambda: receiver.keys == {1, 3, 4, 5, 6})
    once = list(dict.fromkeys(receiver.seqs))  # a kill may have had some sent twice
    events = tracker.events("--type", "key_issued", "--type", "key_revoked")
    assert once == [one["seq"] for one in events]
    assert tracker.command("verify").returncode == 0
    (hook,) = ask(tracker, "GET", "/api/v2/webhooks").json["webhooks"]
    assert (hook["name"], hook["error"], hook["dead_letters"]) == ("site", None, [])
    receiver.seqs.clear()
    done = tracker.command("webhook", "replay", "site", str(events[2]["seq"]))
    assert (done.returncode, done.stderr) == (0, "")
    wait(lambda: receiver.seqs == [one["seq"] for one in events[2:]])
    (listed,) = tracker.command("webhook", "list").stdout.splitlines()
    name, _, _, dead, state, *_ = listed.split("\t")
    assert (name, dead, state) == ("site", "0", "delivers")
    assert "there is no such webhook" in tracker.command("webhook", "retry", "sight").stderr
    assert ask(tracker, "POST", "/api/v2/webhooks/site/retry").json == {"dead_letters": 0}


def issue(tracker: Tracker, number: int) -> None:
    for _ in range(number):
        assert ask(tracker, "POST", "/api/v2/keys", {}).status == 201


def wait(reached: Callable[[], bool]) -> None:
    give_up = time.monotonic() + DEADLINE
    while not reached():
        assert time.monotonic() < give_up, "it never came"
        time.sleep(0.05)
