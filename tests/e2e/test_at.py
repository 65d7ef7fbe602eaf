"""Tests that `at=` repeats the API's earlier answers, in all versions and after restarts."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.days import Site
from tests.e2e.clients import announce_target, ask, get, torrent, udp_client
from tests.e2e.process import lasting_listeners
from tracker.times import parse_loosely, rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.process import Tracker

FIRST, SECOND, NEVER = torrent(1), torrent(2), torrent(3)
HASH = FIRST.hex()
KEY = "YyMxXtU3rJ6ozTYmZQZ1T7nlQbBpkVtR"
READER = "MayRead"

PUBLIC = [
    "/api/v1/stats",
    "/api/stats",
    "/api/v1/stats?format=prometheus",
    "/api/v1/torrents",
    f"/api/v1/torrents?info_hash={SECOND.hex()}&info_hash={NEVER.hex()}&info_hash={HASH}",
    "/api/torrents?offset=1&limit=1",
    f"/api/v1/torrent/{HASH}",
    f"/api/torrent/{HASH}",
    f"/api/v1/torrent/{NEVER.hex()}",
    "/api/v2/whitelist",
    f"/api/v2/whitelist/{HASH}",
    f"/api/v2/whitelist/{NEVER.hex()}",
    "/api/v2/settings",
    "/api/v2/rejections",
    "/api/v2/rejections/clients",
]
PRIVATE = [
    "/api/v2/keys",
    "/api/v2/keys?owner=anna&limit=1",
    "/api/v2/keys/1",
    "/api/v2/keys/2",
    "/api/v2/keys/9",
    "/api/v2/accounts/1",
    "/api/v2/accounts/1/peers",
    "/api/v2/factors",
    "/api/v2/factors/1",
]


def read(tracker: Tracker, target: str) -> tuple[int, str]:
    """Reads with a token that may only read; returns status and text."""
    reply = ask(tracker, "GET", target, token=READER)
    return reply.status, reply.body


def at(path: str, moment: object) -> str:
    return f"{path}{'&' if '?' in path else '?'}at={moment}"


@pytest.fixture
def tracker(new_tracker: Callable[..., Tracker]) -> Tracker:
    """Makes a public tracker with a token that may only read."""
    tracker = new_tracker(lasting_listeners())
    tracker.add_read_token(READER)
    return tracker


def last_seq(tracker: Tracker) -> int:
    """Returns the seq of the last durable event."""
    return int(json.loads(read(tracker, "/api/v2/events?limit=1")[1])["end"]) - 1


def settled(tracker: Tracker, paths: list[str]) -> tuple[int, dict[str, tuple[int, str]]]:
    """Returns a durable moment and the API's answers at it; reads again after each event."""
    for _ in range(100):
        seq = last_seq(tracker)
        answers = {path: read(tracker, path) for path in paths}
        if seq == last_seq(tracker) and answers == {path: read(tracker, path) for path in paths}:
            return seq, answers
    raise AssertionError("the answers changed in every round")


def test_public(tracker: Tracker) -> None:
    """Every read repeats its answer, by seq and by time, later and after a restart."""
    tracker.start()
    with udp_client(tracker.udp[0]) as client:
        client.announce(FIRST, 1, 1, left=0)
        client.announce(FIRST, 2, 2, left=7)
        client.announce(SECOND, 3, 3, left=1)
        ask(tracker, "POST", f"/api/v1/whitelist/{HASH}")
        tracker.events_until(bool, "--type", "counted")
        first, then = settled(tracker, PUBLIC)
        client.announce(FIRST, 2, 2, left=7, event=3)
        for number in range(4, 4 + 230):
            client.announce(torrent(number), number, number, left=number % 2)
    ask(tracker, "DELETE", f"/api/v1/whitelist/{HASH}")
    tracker.events_until(bool, "--type", "torrent_delisted")
    second, later = settled(tracker, PUBLIC)
    assert then != later
    assert len(json.loads(later["/api/v1/torrents"][1])) == 232
    # The past has the un-prefixed API's counters, because those of the process have none.
    for answers in (then, later):
        status, text = answers["/api/stats"]
        lines = "\n".join(f"{name} {value}" for name, value in json.loads(text).items())
        answers |= {PUBLIC[0]: (status, text), PUBLIC[2]: (status, lines)}

    def same(moment: object, expected: dict[str, tuple[int, str]]) -> None:
        assert {path: read(tracker, at(path, moment)) for path in PUBLIC} == expected

    same(first, then)
    same(second, later)
    (event,) = tracker.events("--from", str(first), "--to", str(first))
    same(event["time"], then)
    tracker.kill()
    tracker.restart()
    in_the_outage(tracker)  # first, because a helper that has answered already has a state
    same(second, later)
    same(first, then)
    assert tracker.stop() == 0


def in_the_outage(tracker: Tracker) -> None:
    """Replies about a moment between two runs say that it lies there, and so do commands."""
    ended = tracker.events("--type", "tracker_started")[-1]
    (before,) = tracker.events("--from", str(ended["seq"] - 1), "--to", str(ended["seq"] - 1))
    moment = rfc3339(parse_loosely(before["time"])[0] + 1)
    reply = ask(tracker, "GET", f"/api/v2/outages?from={before['seq']}", token=READER)
    (listed,) = reply.json["outages"]
    assert (listed["why"], listed["from"], listed["to"]) == (
        "killed", before["time"], ended["time"],
    )  # fmt: skip
    assert tracker.lines is not None
    said = f"[WARNING] Nobody was served since {before['time']}, for "
    assert any(said in line and "was killed" in line for line in tracker.lines.so_far())
    for path in ("/api/v1/stats", "/api/torrents", f"/api/v2/torrents/{HASH}/totals"):
        reply = ask(tracker, "GET", at(path, moment), token=READER)
        assert reply.headers["x-outage"] == f"{before['time']}/{ended['time']}"
        if "v2" in path:
            assert reply.json["outage"] == listed
        assert "x-outage" not in ask(tracker, "GET", path, token=READER).headers
    for command in (("swarm", HASH), ("stays",)):
        done = tracker.command(*command, "--at", moment)
        assert f"between {before['time']} and {ended['time']} (killed: " in done.stderr
    done = tracker.command("replay", "--json", "--at", moment)
    assert json.loads(done.stdout)["outage"] == listed


def test_private(tracker: Tracker) -> None:
    """Keys, accounts and factors are as they were, and so are an account's peers."""
    tracker.switch_on("private")
    tracker.start()
    ask(tracker, "POST", "/api/v2/keys", {"key": KEY, "owner": "anna"})
    ask(tracker, "POST", "/api/v2/factors", {"download_percent": 0})
    target = announce_target(FIRST, 1, 6001, uploaded=0, downloaded=0, left=9)
    assert b"8:interval" in get(tracker.http[0], f"/announce/{KEY}?{target[10:]}")
    tracker.events_until(bool, "--type", "announced")
    seq, then = settled(tracker, PRIVATE)
    assert json.loads(then["/api/v2/accounts/1/peers"][1])["peers"][0]["key_ref"] == 1
    assert json.loads(then["/api/v2/keys/1"][1])["last_used"] is not None
    (issued,) = tracker.events("--type", "key_issued")
    unused = read(tracker, at("/api/v2/keys/1", issued["seq"]))[1]
    assert json.loads(unused)["last_used"] is None
    ask(tracker, "DELETE", "/api/v2/keys/1")
    ask(tracker, "DELETE", "/api/v2/factors/1")
    ask(tracker, "POST", "/api/v2/keys", {"owner": "bert"})
    assert read(tracker, "/api/v2/keys/2")[0] == 200
    assert {path: read(tracker, at(path, seq)) for path in PRIVATE} == then
    tracker.kill()
    tracker.restart()
    assert {path: read(tracker, at(path, seq)) for path in PRIVATE} == then


def test_bad_moments(tracker: Tracker) -> None:
    """An invalid moment gets 400, one outside the log 404 (or 400); writes ignore `at=`."""
    tracker.start()
    for text in ("yesterday", "-1", "", "1&at=2", "99999999999999999999", "2026-02-30T00:00:00Z"):
        for path in ("/api/v1/stats", "/api/stats", "/api/v2/settings"):
            assert read(tracker, at(path, text))[0] == 400, text
    for moment in (10**9, "2099-01-01T00:00:00Z", "2001-01-01T00:00:00Z"):
        status, text = read(tracker, at("/api/v2/settings", moment))
        assert (status, "which holds events 0 to " in text) == (404, True)
        status, text = read(tracker, at("/api/v1/stats", moment))
        assert (status, "which holds events 0 to " in text) == (400, True)
    status, text = read(tracker, "/api/v2/events?at=1")
    assert (status, [event["seq"] for event in json.loads(text)["events"]]) == (200, [0, 1])
    assert read(tracker, "/api/v2/events?at=1&to=1")[0] == 400
    assert ask(tracker, "POST", f"/api/v1/whitelist/{HASH}?at=0").status == 200


def test_a_pruned_log(tracker: Tracker) -> None:
    """A moment before the first kept event gets 410 with its seq; later moments are there."""
    text = tracker.config.read_text()
    tracker.config.write_text(text.replace("[event_log]\n", "[event_log]\nkeep_days = 3\n"))
    site = Site(tracker.folder)
    site.live_until_now(8)
    tracker.start()
    (event,) = tracker.events_until(bool, "--type", "log_pruned")
    begin = event["first_seq"]
    for moment in (0, begin - 1, "2020-01-01T00:00:00Z"):
        status, text = read(tracker, at("/api/v2/settings", moment))
        assert (status, json.loads(text)["first_seq"]) == (410, begin)
        status, text = read(tracker, at("/api/stats", moment))
        assert (status, f"event {begin}:" in text) == (410, True)
    stats: dict[str, Any] = json.loads(read(tracker, at("/api/v1/stats", begin))[1])
    assert stats["udp4_announces_handled"] >= 4 * 2 * 4


def test_shredded_addresses(tracker: Tracker) -> None:
    """Once addresses are shredded they are empty at any moment; all counts stay exact."""
    site = Site(tracker.folder)
    site.live(3)
    tracker.start()
    day = site.day(0)
    events = tracker.events("--type", "announced")
    seq = next(each["seq"] for each in reversed(events) if each["time"].startswith(day))
    info_hash = events[0]["info_hash"]
    path = at(f"/api/v1/torrent/{info_hash}", seq)
    before = json.loads(read(tracker, path)[1])
    assert all(peer["peer_addr"] for peer in before["peers"])
    done = tracker.command("shred", "--before", site.day(2), "--reason", "asked to")
    assert done.returncode == 0, done.stderr
    after = json.loads(read(tracker, path)[1])
    assert {peer["peer_addr"] for peer in after["peers"]} == {""}
    assert len(after["peers"]) == len(before["peers"]) == 7
    for each in (before, after):
        del each["peers"]
    assert before == after
