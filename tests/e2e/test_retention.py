"""Tests that a running tracker removes data older than `keep_days`, and commands on the rest."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING
from urllib.request import urlopen

import pytest

from tests.days import Site, address_of, endpoints

if TYPE_CHECKING:
    from collections.abc import Callable

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
    assert len(tracker.events("--type", "tracker_started")) == DAYS + 1
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
