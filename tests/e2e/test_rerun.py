"""Re-runs the log of a real private tracker: both protocols, a rotated key, a restart."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.clients import announce_datagram, announce_target, api, ask, get, torrent, udp_client
from tests.e2e.process import Tracker

if TYPE_CHECKING:
    from collections.abc import Iterator

HASH, OTHER = torrent(0xCD), torrent(0x22)


class Site:
    """A private tracker and its members' keys. A member's port is its number."""

    def __init__(self, tracker: Tracker) -> None:
        self.tracker = tracker
        self.keys: list[str] = []

    def http(self, key: str, info_hash: bytes, peer: int, **fields: int | str) -> bytes:
        target = announce_target(info_hash, peer, 6000 + peer, **fields)
        return get(self.tracker.http[0], target.replace("/announce", f"/announce/{key}", 1))

    def udp(self, key: str, info_hash: bytes, peer: int, **fields: int) -> bytes:
        path = f"/announce/{key}".encode()
        with udp_client(self.tracker.udp[0]) as client:
            sent = announce_datagram(client.connection_id, info_hash, peer, 6000 + peer, **fields)
            return client.exchange(sent + bytes([2, len(path)]) + path)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A tracker that was restarted, after a key was rotated and another one revoked; stopped."""
    site = Site(Tracker(tmp_path_factory.mktemp("rerun")))
    tracker = site.tracker
    tracker.switch_on("private")
    tracker.start()
    try:
        anna, bert = site.keys = [api(tracker, "/api/v1/key/86400000", "POST")["key"] for _ in "ab"]
        site.http(anna, HASH, 1, left=0, event="started")
        site.udp(bert, HASH, 2, left=900, event=2)
        site.udp(bert, OTHER, 2, left=0)
        site.http(anna, HASH, 1, left=0, uploaded=500)
        rotated = ask(tracker, "POST", "/api/v2/keys/1/rotate").json["key"]
        site.http(rotated, HASH, 1, left=0, uploaded=800)
        assert b"failure" in site.http(anna, HASH, 1, left=0, uploaded=900)
        tracker.stop()
        tracker.start()
        site.keys[0] = rotated
        site.udp(bert, HASH, 2, left=0, downloaded=900, event=1)
        site.http(rotated, HASH, 1, left=0, uploaded=20)  # a new session
        site.udp(bert, HASH, 2, left=0, downloaded=900, event=3)
        tracker.stop()
        yield site
    finally:
        tracker.close()


def lines(done: Any) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_every_outcome_is_as_recorded(site: Site) -> None:
    """The whole log, and a part that begins and ends somewhere, come out as recorded."""
    events = site.tracker.events()
    done = site.tracker.command("replay", "--check", "--json", "0", "now")
    assert (done.returncode, done.stderr) == (0, "")
    (summary,) = lines(done)
    assert (summary["first"], summary["last"]) == (0, len(events) - 1)
    assert (summary["differing"], summary["not_decided"], summary["whole"]) == (0, {}, True)
    decided = [one for one in events if one["type"] in ("announced", "tick", "announce_refused")]
    assert summary["as_recorded"] == len(decided)
    assert sum(summary[name] for name in ("as_recorded", "brought_about", "inputs")) == len(events)
    first, last = decided[1]["time"], decided[-2]["seq"]
    done = site.tracker.command("replay", "--check", "--trace", "--json", first, str(last))
    *traced, summary = lines(done)
    assert [one["seq"] for one in traced] == [one["seq"] for one in decided[1:-1]]
    assert {one["outcome"] for one in traced} == {"as recorded"}
    done = site.tracker.command("replay", "--check", "--trace", first, str(last))
    assert [line.split()[0] for line in done.stdout.splitlines()[:-1]] == [
        str(one["seq"]) for one in traced
    ]


WRONG = [
    (("--check", "0"), "needs a part of the log"),
    (("--check", "0", "now", "--at", "3"), "needs a part of the log"),
    (("0", "now"), "belong to --check"),
    (("--check", "0", "99999999"), "is not in the log"),
]


@pytest.mark.parametrize(("arguments", "said"), WRONG, ids=lambda each: " ".join(each))
def test_parts_that_cannot_be(site: Site, arguments: tuple[str, ...], said: str) -> None:
    """A part that is not whole, or not in the log, gets exit code 1 and a line that says so."""
    done = site.tracker.command("replay", *arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    assert said in done.stderr


def test_what_other_settings_would_have_made_of_it(site: Site) -> None:
    """A tighter rule refuses members of the log, a longer interval lowers the load, and a rule
    without effect changes nothing; what was refused then is said to be unknown.
    """
    tracker = site.tracker
    done = tracker.command("what-if", "--json", "--set", "policy.max_peers=1", "0", "now")
    assert done.returncode == 0
    (shown,) = lines(done)
    announces = tracker.events("--type", "announced")
    assert shown["announces"] == shown["recorded"]["replies"] == len(announces)
    assert shown["settings"] == {"recorded": {"max_peers": 0}, "now": {"max_peers": 1}}
    assert shown["refused"] == {"peers_full": shown["announces"] - shown["now"]["replies"]}
    assert shown["not_recorded"] == {"key_revoked": 1}
    assert shown["credit"]["recorded"]["downloaded"] == 900
    assert (shown["accounts"][0]["account"], shown["accounts"][0]["downloaded"]) == (2, -900)
    done = tracker.command("what-if", "--set", "core.announce_policy.interval=240", "0", "now")
    assert "  interval: 240 instead of 120\nrefused now: 0\n" in done.stdout
    assert "announces, if clients keep to the interval: 8 recorded, 6 now (-2)\n" in done.stdout
    assert "What was refused was not recorded" in done.stderr
    done = tracker.command("what-if", "--set", "policy.retry_in_minutes=1", "0", "now")
    assert (done.returncode, done.stdout) == (1, "")
    assert "policy.retry_in_minutes is no key that can be set here. These work: " in done.stderr
    hidden = ("--log", str(tracker.folder / "log"), "--set", "policy.max_peers=1", "0", "now")
    done = tracker.command("what-if", *hidden)
    assert (done.returncode, done.stdout) == (1, "")
    assert "name the secrets (--secrets)" in done.stderr
