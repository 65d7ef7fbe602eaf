"""Tests `tracker shred` beside a running tracker and without one, and the schedule."""

from __future__ import annotations

import json
from time import time_ns
from typing import TYPE_CHECKING, Any
from urllib.request import urlopen

import pytest

from tests.days import V4, V6, Site
from tests.e2e.process import run
from tracker.domain.events import DAY_US
from tracker.store.address_keys import day_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.process import Tracker

DAYS = 12  # days of history; the shipped schedule keeps seven and today

Found = tuple["Tracker", Site]


@pytest.fixture
def found(new_tracker: Callable[..., Tracker]) -> Found:
    """A tracker that is not started, with a log of twelve days whose peers have all left."""
    tracker = new_tracker()
    site = Site(tracker.folder)
    site.live_until_today(DAYS)
    return tracker, site


def shredded(tracker: Tracker) -> list[tuple[str, list[str]]]:
    """Returns the author and the days of each shredding in the log."""
    events = tracker.events_until(bool, "--type", "addresses_shredded")
    return [(event["by"]["token"], event["days"]) for event in events]


def addresses(tracker: Tracker) -> list[str | None]:
    """Returns the address of each day's first announce."""
    events = tracker.events("--type", "announced")
    return [event["address"] for event in events[:: 2 * (V4 + V6)]]


def stats(tracker: Tracker) -> dict[str, Any]:
    host, port = tracker.api
    with urlopen(f"http://{host}:{port}/api/v1/stats?token=MyAccessToken", timeout=30) as answer:
        body: dict[str, Any] = json.load(answer)
    return body


def test_the_schedule_and_the_command(found: Found) -> None:
    """The tracker shreds due days at its start, and more on command; counts stay the same."""
    tracker, site = found
    tracker.start()
    due = [site.day(number) for number in range(4)]
    assert shredded(tracker) == [("shred_days", due)]
    before = stats(tracker)
    done = tracker.command("shred", "--before", site.day(6), "--reason", "asked to")
    assert (done.returncode, done.stdout, done.stderr) == (
        0,
        f"shredded {site.day(4)}\nshredded {site.day(5)}\n",
        "",
    )
    assert shredded(tracker)[1:] == [("shred", [site.day(4), site.day(5)])]
    shown = addresses(tracker)
    assert shown[:6] == [None] * 6
    assert None not in shown[6:]
    assert site.traces() == []
    tracker.stop()
    tracker.start()
    assert stats(tracker) == before
    assert before["udp4_announces_handled"] == DAYS * 2 * V4


def test_the_key_of_today_is_kept(found: Found) -> None:
    """The command refuses to shred today's key, and a day without a key, each with a reason."""
    tracker, site = found
    tracker.start()
    today = tracker.command("shred", "--day", site.day(DAYS - 1))
    assert today.returncode == 1
    assert f"{site.day(DAYS - 1)} was not shredded: its key is still needed" in today.stderr
    gone = tracker.command("shred", "--day", site.day(0))
    assert gone.returncode == 1
    assert "there is no key of that day" in gone.stderr
    assert addresses(tracker)[-1] is not None


def test_a_day_with_another_date(new_tracker: Callable[..., Tracker]) -> None:
    """The command takes days of log time, and says their dates where the clock had been ahead."""
    tracker = new_tracker()
    site = Site(tracker.folder)
    site.time.wall = (day_of(time_ns() // 1000) - 10) * DAY_US + DAY_US // 2  # far from midnight
    site.first_day = day_of(site.time.wall)
    site.live(1)
    site.time.wall -= 3 * DAY_US
    site.live(4)
    done = tracker.command("shred", "--day", site.day(1))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"shredded {site.day(1)} (by the clock {site.day(-2)})\n"
    done = tracker.command("shred", "--before", site.day(3), "--json")
    told = json.loads(done.stdout)
    assert told["shredded"] == [site.day(0), site.day(2)]
    assert told["dates"][site.day(2)] == site.day(-1)


def test_without_a_tracker(found: Found) -> None:
    """Without a running tracker the command shreds by itself, and reports the keys it kept."""
    tracker, site = found
    done = tracker.command("shred", "--json")
    assert json.loads(done.stdout) == {
        "shredded": [site.day(number) for number in range(4)],
        "kept": [],
        "needed_from": site.day(DAYS - 2),
        "dates": {},
    }
    done = tracker.command("shred", "--before", site.day(DAYS))
    assert done.stdout.count("shredded") == DAYS - 4 - 2
    assert f"kept {site.day(DAYS - 2)}, {site.day(DAYS - 1)}" in done.stderr
    before = {path: path.read_bytes() for path in files(site.log)}
    done = tracker.command("shred", "--json")
    nothing = {"shredded": [], "kept": [], "needed_from": None, "dates": {}}
    assert (done.returncode, json.loads(done.stdout)) == (0, nothing)
    assert tracker.command("shred", "--day", site.day(DAYS - 1)).returncode == 1
    assert {path: path.read_bytes() for path in files(site.log)} == before
    assert addresses(tracker)[: DAYS - 2] == [None] * (DAYS - 2)
    assert site.traces() == []


def files(log: Path) -> list[Path]:
    return [path for path in log.rglob("*") if path.is_file() and path.name != "LOCK"]


def test_no_log(new_tracker: Callable[..., Tracker]) -> None:
    """Without a log nothing is created."""
    tracker = new_tracker()
    done = tracker.command("shred")
    assert done.returncode == 1
    assert "the event log in" in done.stderr
    assert not (tracker.folder / "log").exists()


def test_a_log_without_its_keys(found: Found) -> None:
    """Addresses are hidden without the keys' folder and shown with it."""
    _, site = found
    for options, known in (([], False), (["--secrets", str(site.secrets)], True)):
        done = run(
            "events", "--log", str(site.log), "--type", "announced", *options, folder=site.folder
        )
        assert done.returncode == (0 if known else 4)
        shown = {json.loads(line)["address"] is not None for line in done.stdout.splitlines()}
        assert shown == {known}


def announced(tracker: Tracker) -> int:
    host, port = tracker.http[0]
    query = f"info_hash={'%41' * 20}&peer_id=-XX0001.abcdefghijkl&port=6881"
    query += "&uploaded=0&downloaded=0&left=0"
    with urlopen(f"http://{host}:{port}/announce?{query}", timeout=30) as answer:
        return int(answer.status)


def test_lost_keys(tracker: Tracker) -> None:
    """Lost keys empty all swarms at the start, with a warning; announces go on."""
    assert announced(tracker) == 200
    tracker.stop()
    for key in (tracker.folder / "secrets" / "privacy").glob("*.key"):
        key.unlink()
    tracker.start()
    assert tracker.lines is not None
    tracker.lines.until(lambda some: any("All swarms begin empty" in line for line in some) or None)
    assert stats(tracker)["seeders"] == 0
    assert announced(tracker) == 200
    counted = stats(tracker)
    assert (counted["seeders"], counted["tcp4_announces_handled"]) == (1, 2)
    tracker.stop()
    tracker.start()
    assert stats(tracker) == counted
