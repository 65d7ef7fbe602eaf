"""Tests that a running tracker removes data older than `keep_days`, and commands on the rest."""

from __future__ import annotations

import json
from time import time_ns
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest

from tests.days import Site, address_of, endpoints
from tests.e2e.clients import ask
from tests.support import SECOND, Announce, Rig, endpoint4, hash_of, key_text
from tests.tracker.logged import write_log
from tracker.domain import events
from tracker.domain.events import DAY_US
from tracker.domain.events.admin import TrackerStarted
from tracker.domain.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.process import Tracker

DAYS = 8


@pytest.fixture
def idle(new_tracker: Callable[..., Tracker]) -> Tracker:
    return new_tracker()


@pytest.fixture
def site(idle: Tracker) -> Site:
    return Site(idle.folder)


@pytest.fixture
def pruned(idle: Tracker, site: Site) -> Tracker:
    """A tracker that was given a log of eight days, one run and segment each, and pruned it to
    three.
    """
    tracker = idle
    text = tracker.config.read_text()
    assert "[event_log]\n" in text
    tracker.config.write_text(text.replace("[event_log]\n", "[event_log]\nkeep_days = 3\n"))
    site.live_until_now(DAYS)
    tracker.start()
    tracker.events_until(bool, "--type", "log_pruned")
    assert tracker.lines is not None
    tracker.lines.until(lambda some: any("segments of the log" in line for line in some) or None)
    return tracker


def stats(tracker: Tracker) -> dict[str, int]:
    host, port = tracker.api
    with urlopen(f"http://{host}:{port}/api/v1/stats?token=MyAccessToken", timeout=30) as answer:
        body: dict[str, int] = json.load(answer)
    return body


def test_a_pruned_log(pruned: Tracker) -> None:
    """Counts cover all days, even after a restart; the log is whole; commands name its begin."""
    tracker = pruned
    (event,) = tracker.events("--type", "log_pruned")
    begin = event["first_seq"]
    assert event["by"]["token"] == "keep_days"
    assert event["segments"] == 4
    before = stats(tracker)
    assert before["udp4_announces_handled"] == DAYS * 2 * 4
    segments = sorted(each.name for each in (tracker.folder / "log" / "seg").iterdir())
    assert int(segments[0][:20]) == begin
    verified = tracker.command("verify", "--json")
    assert verified.returncode == 0, verified.stdout
    summary = json.loads(verified.stdout.splitlines()[-1])
    assert (summary["findings"], summary["first_seq"]) == (0, begin)
    assert len(tracker.events("--type", "tracker_started")) == DAYS - 4 + 1
    early = {each["type"] for each in tracker.events("--to", str(begin - 1))}
    assert early == {"settings_changed"}  # only what administrators do is kept
    assert min(each["seq"] for each in tracker.events("--type", "announced")) >= begin
    for command in (
        ["replay", "--at", "3"],
        ["swarm", "00" * 20, "--at", "3"],
        ["diff", "3", str(begin)],
    ):
        refused = tracker.command(*command)
        assert refused.returncode == 1
        assert f"events {begin} to" in refused.stderr
    assert tracker.command("replay", "--at", str(begin)).returncode == 0
    assert tracker.command("diff", str(begin), str(begin + 5)).returncode == 0
    tracker.stop()
    for snapshot in (tracker.folder / "log").glob("snap/*"):
        snapshot.unlink()
    tracker.start()
    assert stats(tracker) == before
    assert tracker.command("verify").returncode == 0


def test_removed_addresses(pruned: Tracker, site: Site) -> None:
    """Peers that announced on a removed day have no address in the log, even with the keys."""
    shown = {event["address"] for event in pruned.events("--type", "announced")}
    days = [{address_of(each) for each in endpoints(site.first_day + day)} for day in range(DAYS)]
    assert [bool(day & shown) for day in days] == [day >= 4 for day in range(DAYS)]


def members(rig: Rig) -> Iterator[None]:
    """Writes a private site's log of an hour, three days ago, and of its starts since then: two
    accounts with three keys, and nobody left.
    """
    rig.time.wall = time_ns() // 1000 - 3 * DAY_US - DAY_US // 8
    rig.service.append(TrackerStarted("test", 1))
    rig.service.change_settings(Settings(private=True, max_peer_timeout=60))
    for number, owner in ((1, "anna"), (2, "bert"), (3, "anna")):
        rig.issue(number, owner)
    for number in range(360):
        rig.time.advance(10 * SECOND)
        key, torrent = 1 + number % 3, number % 4
        if number >= 40 * (torrent + 1):
            torrent = 3
        some = Announce(
            hash_of(torrent), endpoint4(key), b"-XX%04d-abcdefghijkl" % (number // 90),
            uploaded=number * key, downloaded=number // 2, left=max(0, 60 - number),
            event=events.COMPLETED if number == 100 else events.NONE, key=key_text(key),
        )  # fmt: skip
        rig.announce(some)
        rig.service.tick()
        if number % 60 == 30:
            rig.correct(1 + number % 2, 5, -1 if number > 100 else 0, rig.state.seq - 2)
        if number % 10 == 0:
            yield
    for _ in range(10):
        rig.time.advance(10 * SECOND)
        rig.service.tick()
    yield
    for _ in range(3):
        rig.time.advance(DAY_US)
        rig.service.append(TrackerStarted("test", 1))
        yield


def test_rows_outlive_the_announces(idle: Tracker) -> None:
    """What each account did in each torrent is the same before and after the announces are removed,
    for the commands and for the API.
    """
    tracker = idle
    write_log(
        tracker.folder / "log", members, segment_bytes=9000, secrets=tracker.folder / "secrets"
    )
    tracker.switch_on("private")

    def told(*options: str) -> list[dict[str, object]]:
        done = tracker.command("ledger", "--json", *options, "anna")
        assert (done.returncode, done.stderr) == (0, "")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def totals() -> dict[object, list[object]]:
        """Returns the sums by torrent, under None those of the account."""
        names = "uploaded", "downloaded", "seeding_seconds", "sessions", "announces"
        named = [
            one for one in told("--totals") if one.get("info_hash") or one["type"] == "account"
        ]
        return {one.get("info_hash"): [one[name] for name in names] for one in named}

    rows, before = told("--torrents"), totals()
    text = tracker.config.read_text()
    tracker.config.write_text(text.replace("[event_log]\n", "[event_log]\nkeep_days = 1\n"))
    tracker.start()
    (event,) = tracker.events_until(bool, "--type", "log_pruned")
    first = event["first_seq"]
    kept = tracker.events("--type", "announced")
    assert {one["info_hash"] for one in kept} < {one["info_hash"] for one in rows}
    assert told("--torrents") == rows
    assert totals() == before
    end = ask(tracker, "GET", "/api/v2/events?limit=1").json["end"] - 1
    for query in ("", f"?at={end}"):
        answer = ask(tracker, "GET", f"/api/v2/accounts/1/torrents{query}").json
        assert answer["seq"] >= first
        assert answer["torrents"] == [{**one, "label": None} for one in rows]
        for row in filter(lambda one: one["info_hash"], rows):
            path = f"/api/v2/torrents/{row['info_hash']}/accounts{query}"
            assert ask(tracker, "GET", path).json["accounts"][0] == {
                "account": 1, "owner": "anna", **{name: row[name] for name in row if name != "info_hash"}
            }  # fmt: skip
    refused = ask(tracker, "GET", f"/api/v2/accounts/1/torrents?at={first - 1}")
    assert refused.status == 410
    assert refused.json["first_seq"] >= first
