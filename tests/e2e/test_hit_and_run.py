"""Tests hit and run over real sockets and with the commands: a rule, a violation, a pardon."""

from __future__ import annotations

import json
import threading
import time
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.clients import announce_target, ask, get, server_sent, torrent
from tests.e2e.process import DEADLINE, lasting_listeners

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.process import Tracker

TORRENT = torrent(1)
HASH = TORRENT.hex()


@pytest.mark.faults  # it waits for two ticks, and for the book
def test_a_violation_is_found_and_pardoned(new_tracker: Callable[..., Tracker]) -> None:
    """With exact times, and over a kill."""
    tracker, told = new_tracker(lasting_listeners()), Told()
    tracker.config.write_text(
        f"""{tracker.config.read_text()}
[[webhooks]]
name = "site"
url = "http://127.0.0.1:{told.port}/"
secret = "known to the test only"
types = ["hit_and_run"]
"""
    )
    tracker.switch_on("private")
    tracker.start()
    key = ask(tracker, "POST", "/api/v2/keys", {"owner": "anna"}).json["key"]
    done(tracker, "torrent", "describe", HASH, "--size", "1000")
    refused = tracker.command("hit-and-run", "set", "--seed", "3d")
    assert "--reason" in refused.stderr
    assert "nothing is judged" in done(tracker, "hit-and-run", "show", "anna", HASH)
    done(
        tracker, "hit-and-run", "set", "--warn-absent", "1", "--grace-absent", "2s", "--seed", "3d",
        "--reason", "as voted",
    )  # fmt: skip
    for downloaded, event in ((0, "started"), (100, ""), (1000, "stopped")):
        fields: dict[str, Any] = {"downloaded": downloaded, "left": 1000 - downloaded}
        target = announce_target(TORRENT, 1, 6001, **fields, **({"event": event} if event else {}))
        assert b"8:interval" in get(tracker.http[0], f"/announce/{key}?{target[10:]}")

    found = waited(tracker, "violated")
    assert found["account"] == 1
    assert found["facts"]["downloaded"] == 1000
    shown = json.loads(done(tracker, "hit-and-run", "show", "anna", HASH, "--json"))
    assert [one["state"] for one in shown["history"]] == ["liable", "at_risk", "violated"]
    events = {one["seq"]: one for one in tracker.events()}
    stopped = next(one for one in events.values() if one.get("event") == "stopped")
    then = done(tracker, "hit-and-run", "list", "anna", "--at", stopped["time"].removesuffix("Z"))
    assert HASH in then
    seconds = [micros(one["time"]) - micros(stopped["time"]) for one in shown["history"]]
    assert seconds[1:] == [1_000_000, 2_000_000]
    kinds = [events[one["position"]["seq"]]["type"] for one in shown["history"]]
    assert kinds == ["announced", "tick", "tick"]
    page = ask(tracker, "GET", "/api/v2/hit-and-run/transitions?limit=2").json
    assert [one["position"] for one in page["transitions"]] == [
        one["position"] for one in shown["history"][:2]
    ]

    tracker.kill()
    tracker.start()
    path = "/api/v2/hit-and-run/pardons"
    asked = {"from": stopped["time"], "preview": True}
    preview = ask(tracker, "POST", path, asked, X_Reason="our fault").json["downloads"]
    assert [one["info_hash"] for one in preview] == [HASH]
    done(tracker, "hit-and-run", "pardon", "--from", stopped["time"], "--reason", "our fault")
    path = "/api/v2/hit-and-run/transitions/stream"
    with closing(server_sent(tracker, path, last_event_id=page["next"])) as news:
        facts = waited(tracker, "pardoned")["facts"]
        assert facts["last_violated_at"] == shown["history"][2]["time"]
        streamed = [json.loads(next(news)["data"]) for _ in range(2)]
        assert [one["state"] for one in streamed] == ["violated", "pardoned"]
        expected = [one["position"] for one in (*page["transitions"], *streamed)]
        assert told.until(4) == expected
        assert tracker.command("webhook", "replay", "site", "0").returncode == 0
        assert told.until(8) == expected * 2
        assert tracker.stop() == 0
        assert not list(news)


class Told:
    """A site that keeps the positions that the webhook tells it, each once."""

    def __init__(self) -> None:
        self._found: list[dict[str, Any]] = []
        found = self._found

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["content-length"])))
                found.extend(event["position"] for event in body["events"])
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Says nothing."""

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = int(server.server_address[1])
        threading.Thread(target=server.serve_forever, daemon=True).start()

    def until(self, number: int) -> list[dict[str, Any]]:
        """Waits for so many positions."""
        give_up = time.monotonic() + 4 * DEADLINE
        while len(self._found) < number:
            assert time.monotonic() < give_up, self._found
            time.sleep(0.05)
        return self._found


def done(tracker: Tracker, *arguments: str) -> str:
    ran = tracker.command(*arguments)
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


def waited(tracker: Tracker, state: str) -> Any:
    """Waits until the only download is in a state."""

    give_up = time.monotonic() + 4 * DEADLINE
    while time.monotonic() < give_up:
        found = ask(tracker, "GET", f"/api/v2/hit-and-run?state={state}").json["downloads"]
        if found:
            return found[0]
        time.sleep(0.2)
    raise AssertionError(f"never {state}")


def micros(time: str) -> int:
    whole, _, rest = time.rstrip("Z").partition(".")
    hours, minutes, seconds = whole[-8:].split(":")
    return (int(hours) * 3600 + int(minutes) * 60 + int(seconds)) * 1_000_000 + int(
        rest.ljust(6, "0")
    )
