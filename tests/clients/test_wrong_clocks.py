"""Wrong clocks: each row of the table in docs/operations.md, with a tracker under libfaketime.

The rows in which only numbers differ are in `tests/tracker/domain/test_dates.py`.
"""

from __future__ import annotations

import glob
import json
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from tests.e2e.clients import all_pages, announce_target, api, ask, bdecode, body, get, torrent
from tests.e2e.process import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.process import Tracker

pytestmark = pytest.mark.clients

DAY = 86_400
NEAR = 300  # seconds that a test may take
QUICK = "inactive_peer_cleanup_interval = 1\ntracker_policy = {max_peer_timeout = 3600}"


class Clock:
    """The wall clock of a tracker, set by a file that libfaketime reads each second."""

    def __init__(self, tracker: Tracker) -> None:
        found = glob.glob("/usr/lib/*/faketime/libfaketimeMT.so.1")
        if not found:
            pytest.skip("libfaketime is not installed: apt install faketime")
        self._file = tracker.folder / "clock"
        self.set("+0")
        tracker.environment = {
            "LD_PRELOAD": found[0],
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "TZ": "UTC",
        }

    def set(self, what: str) -> None:
        """Sets the clock as faketime writes it: `+30d`, `-2h`, `@1970-01-01 00:00:05`."""
        following = self._file.with_suffix(".new")
        following.write_text(what)
        following.replace(self._file)  # so that nobody reads half of it


class Site:
    """A private tracker with a key and a freeleech for ten days."""

    def __init__(self, tracker: Tracker) -> None:
        self.tracker = tracker
        self.clock = Clock(tracker)
        self.peer = 0

    def start(self) -> None:
        self.tracker.start()

    def issue(self) -> None:
        until = rfc3339(time.time() + 10 * DAY)
        issued = ask(self.tracker, "POST", "/api/v2/keys", {"until": until}).json
        self.key, self.key_ref = issued["key"], issued["key_ref"]
        self.issued = time.time()
        terms = {"download_percent": 0, "until": until, "from": rfc3339(time.time() + 5)}
        assert ask(self.tracker, "POST", "/api/v2/factors", terms).status == 201

    def restart(self) -> None:
        assert self.tracker.stop() == 0
        self.tracker.start()

    def refusal(self) -> str | None:
        """Announces with the key; returns why that was refused, if it was."""
        self.peer += 1
        target = announce_target(torrent(1), self.peer, 6881).replace("?", f"/{self.key}?")
        reply = bdecode(body(get(self.tracker.http[0], target)))
        found = reply.get("failure reason")
        return None if found is None else str(found)

    def state(self) -> tuple[str, int]:
        """Returns the state of the key, and how many factors are in force or to come."""
        key = api(self.tracker, f"/api/v2/keys/{self.key_ref}")
        return key["state"], len(api(self.tracker, "/api/v2/factors")["factors"])

    def until_ahead(self, by: float, near: float = NEAR) -> None:
        """Waits until a tick has noticed that the clock is so many seconds ahead."""
        give_up = time.monotonic() + DEADLINE
        while abs(self.date() - time.time() - by) > near:
            assert time.monotonic() < give_up
            time.sleep(0.2)

    def date(self) -> float:
        """Returns the tracker's date: the end of a new key, less its duration."""
        return float(api(self.tracker, "/api/v1/key/3600", "POST")["valid_until"] - 3600)

    def check_dates(self) -> None:
        """Checks that dates are those of the right clock, whatever log time is."""
        # A date may be a second off, and `since` has whole seconds: so the key is older by more.
        time.sleep(max(0.0, self.issued + 5 - time.time()))
        tracker, began = self.tracker, time.time()
        assert self.refusal() is None
        assert self.state() == ("valid", 1)
        assert abs(self.date() - began) < NEAR
        key = api(tracker, f"/api/v2/keys/{self.key_ref}")
        account = api(tracker, f"/api/v2/accounts/{key['account']}")
        (peer, *_) = api(tracker, f"/api/v1/torrent/{torrent(1).hex()}")["peers"][-1:]
        for shown in (key["last_used"], key["account_last_seen"], account["last_seen"]):
            assert abs(seconds(shown) - began) < NEAR
        assert abs(peer["updated"] / 1000 - began) < NEAR
        self.check_log(rfc3339(began - 2))

    def check_log(self, since: str) -> None:
        """Checks `from`, `to` and `at`, by the API and by commands, and the ledger."""
        tracker = self.tracker
        command = "--from", since, "--type", "key_issued"
        found = tracker.events_until(lambda events: bool(events), *command)
        last = found[-1]
        assert last["time"] >= since
        earlier = tracker.events("--type", "key_issued", "--to", since)
        assert self.key_ref in [one["key_ref"] for one in earlier]
        assert last["seq"] not in [one["seq"] for one in earlier]
        read, _ = all_pages(tracker, f"/api/v2/events?type=key_issued&from={since}", "events")
        assert [one["seq"] for one in read] == [one["seq"] for one in found]
        keys, _ = all_pages(tracker, f"/api/v2/keys?at={last['time']}", "keys")
        assert max(one["key_ref"] for one in keys) == last["key_ref"]
        before, _ = all_pages(tracker, f"/api/v2/keys?at={since}", "keys")
        assert max(one["key_ref"] for one in before) < last["key_ref"]
        replayed = tracker.command("replay", "--at", last["time"], "--json")
        assert (replayed.returncode, replayed.stderr) == (0, "")
        assert json.loads(replayed.stdout)["time"] == last["time"]
        ledger = tracker.command("ledger", "--json", str(self.key_ref))
        entries = [json.loads(line) for line in ledger.stdout.splitlines()]
        announces = [one for one in entries if one["type"] == "announce"]
        assert announces[-1]["time"] >= since

    def check_log_time(self) -> None:
        """Checks that log time never goes back, and that replay gives the live state."""
        events = self.tracker.events()
        times = [one.get("log_time", one["time"]) for one in events]
        assert times == sorted(times)
        verified = self.tracker.command("verify")
        assert verified.returncode == 0, verified.stdout + verified.stderr


def rfc3339(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}"


def seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


@pytest.fixture
def site(new_tracker: Callable[..., Tracker]) -> Site:
    tracker = new_tracker(extra=QUICK)
    tracker.switch_on("private")
    return Site(tracker)


def test_at_a_start(site: Site) -> None:
    """Ahead by a month, behind by hours, 1970 after a kill, ahead by years: each at one start, and
    right at the next."""
    site.start()
    site.issue()
    for wrong, expired in (("+30d", True), ("-3h", False), ("@1970-01-01 00:00:05", False)):
        site.clock.set(wrong)
        site.restart()
        assert site.state() == (("expired", 0) if expired else ("valid", 1)), wrong
        assert ("expired" in (site.refusal() or "")) == expired
        if wrong.startswith("@"):
            site.tracker.kill()
        else:
            assert site.tracker.stop() == 0
        site.clock.set("+0")
        site.start()
        site.check_dates()
    assert site.tracker.stop() == 0
    site.check_log_time()


def test_a_log_that_begins_in_1970(site: Site) -> None:
    """It leaps to the right date. The addresses of 1970 are shredded a day later; its events stay,
    because the segment after them is new.
    """
    tracker = site.tracker
    site.clock.set("@1970-01-01 00:00:05")
    site.start()
    site.issue()
    for event in "started", "stopped":
        target = announce_target(torrent(2), 1, 6881, event=event)
        get(tracker.http[0], target.replace("?", f"/{site.key}?"))
    assert site.state() == ("valid", 1)
    site.clock.set("+0")
    site.restart()
    site.check_dates()
    times = [one["time"] for one in tracker.events("--type", "announced")]
    assert [text[:4] for text in times[:2]] == ["1970", "1970"]
    keys = tracker.folder / "secrets" / "privacy"
    assert (keys / "1970-01-01.key").exists()
    assert tracker.stop() == 0
    site.clock.set("+25h")
    site.start()
    (shredded, *_) = tracker.events_until(bool, "--type", "addresses_shredded")
    assert shredded["days"][0] == "1970-01-01"
    assert tracker.stop() == 0
    assert not (keys / "1970-01-01.key").exists()
    old = tracker.events("--type", "announced")[:2]
    assert [(one["time"][:4], one["address"]) for one in old] == [("1970", None)] * 2
    site.check_log_time()


def test_while_running(site: Site) -> None:
    """Ahead by years and behind by a day while the tracker runs, and set right again."""
    site.start()
    site.issue()
    for wrong, days, expired in (("+3y", 3 * 365, True), ("-1d", -1, False)):
        site.clock.set(wrong)
        site.until_ahead(days * DAY)
        assert site.state() == (("expired", 0) if expired else ("valid", 1)), wrong
        assert ("expired" in (site.refusal() or "")) == expired
        site.clock.set("+0")
        site.until_ahead(0)
        site.check_dates()
    assert site.tracker.stop() == 0
    site.check_log_time()


def test_off_by_seconds(site: Site) -> None:
    """Ahead and behind by eight seconds, while the tracker runs: dates follow to a second."""
    site.start()
    site.issue()
    for wrong, by in (("+8s", 8), ("-8s", -8), ("+0", 0)):
        site.clock.set(wrong)
        site.until_ahead(by, 2)
        assert (site.state(), site.refusal()) == (("valid", 1), None)
    site.check_dates()
    assert site.tracker.stop() == 0
    site.check_log_time()
