"""Tests an older copy in the place of the log: at a start, in `verify`, and accepted."""

from __future__ import annotations

import json
import shutil
import time
from typing import TYPE_CHECKING

from tests.e2e.clients import api
from tests.e2e.process import DEADLINE, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.process import Tracker


def test_a_restored_backup(new_tracker: Callable[..., Tracker]) -> None:
    """An accepted older copy is an event with `lost_seq`; later starts report nothing."""
    tracker = new_tracker()
    log, copy = tracker.folder / "log", tracker.folder / "copy"
    tracker.start()
    assert tracker.stop() == 0
    shutil.copytree(log, copy)
    before = tracker.events()
    tracker.start()
    api(tracker, f"/api/v1/whitelist/{1:040x}", "POST")
    assert tracker.stop() == 0
    newest = tracker.events()
    shutil.rmtree(log)
    shutil.copytree(copy, log)

    done = run("--config", str(tracker.config), folder=tracker.folder)
    assert done.returncode == 3
    (line,) = done.stderr.splitlines()
    assert f"served up to event {newest[-1]['seq']}" in line
    assert f"ends before event {len(before)}" in line
    assert "--accept-older-log" in line
    shredding = tracker.command("shred", "--before", "2020-01-01")
    assert (shredding.returncode, "--accept-older-log" in shredding.stderr) == (3, True)
    assert tracker.events() == before
    verified = tracker.command("verify", "--json")
    assert verified.returncode == 3
    finding, summary = map(json.loads, verified.stdout.splitlines())
    assert (finding["file"], finding["seq"], summary["findings"]) == ("seg", len(before), 1)
    assert tracker.command("verify", "--log", str(log)).returncode == 4

    tracker.start("serve", "--accept-older-log")
    started = tracker.events_until(lambda found: len(found) > len(before))[len(before)]
    assert (started["type"], started["lost_seq"]) == ("tracker_started", len(newest))
    assert tracker.stop() == 0
    assert tracker.command("verify").returncode == 0
    tracker.start()
    starts = tracker.events_until(lambda found: len(found) == 3, "--type", "tracker_started")
    assert "lost_seq" not in starts[-1]


def test_a_missing_beginning_is_no_older_copy(tracker: Tracker) -> None:
    """A start says that events are missing. It does not advise to go on without them."""
    reached, copy = tracker.folder / "secrets" / "reached", tracker.folder / "copy"
    tracker.events_until(lambda found: len(found) >= 2)
    until(lambda: list(reached.glob("*.json")))
    shutil.copytree(reached, copy)
    api(tracker, f"/api/v1/whitelist/{1:040x}", "POST")
    assert tracker.stop() == 0
    tracker.start()
    assert tracker.stop() == 0
    shutil.rmtree(reached)
    copy.rename(reached)
    shutil.rmtree(tracker.folder / "log" / "snap")
    for path in (tracker.folder / "log").glob(f"*/{0:020}.*"):
        path.unlink()
    line = tracker.start_refused(3)
    assert "are missing before this file" in line
    assert "--accept-older-log" not in line


def until(wanted: Callable[[], object]) -> None:
    give_up = time.monotonic() + DEADLINE
    while not wanted():
        assert time.monotonic() < give_up
        time.sleep(0.02)


def test_a_torn_end(tracker: Tracker) -> None:
    """A log that does not reach its note is refused with a torn end too, and may be accepted."""
    api(tracker, f"/api/v1/whitelist/{1:040x}", "POST")
    assert tracker.stop() == 0
    before = tracker.events()
    newest = max((tracker.folder / "log" / "seg").iterdir())
    with newest.open("r+b") as file:
        stopped = newest.read_bytes().rindex(b"EVF2\x02")  # the last frame of an admin event
        file.truncate(stopped + 150)
    cut = newest.read_bytes()
    assert f"served up to event {len(before) - 1}" in tracker.start_refused(3)
    assert newest.read_bytes() == cut
    tracker.start("serve", "--accept-older-log")
    started = tracker.events_until(lambda found: found[-1]["type"] == "tracker_started")[-1]
    assert started["lost_seq"] == len(before)
    assert tracker.stop() == 0
    tracker.start()
    starts = tracker.events_until(lambda found: len(found) == 3, "--type", "tracker_started")
    assert "lost_seq" not in starts[-1]
