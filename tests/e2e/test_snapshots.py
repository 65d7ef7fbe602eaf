"""Tests snapshots and the follower process of a whole tracker: at a stop, a start and a kill."""

from __future__ import annotations

import os
import re
import select
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.e2e.clients import announce, api, torrent
from tests.e2e.process import DEADLINE, begin
from tests.e2e.test_metrics import exposed

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.process import Tracker

STARTED = re.compile(r"Follower started: process (\d+)")
CLOSED = "Stopped: the log is closed at event"
FROM = re.compile(r"Starting from the snapshot before event (\d+)")
ENDLESS = """
from threading import Event
from tracker.store import snapshot_file

snapshot_file.write = lambda *_: print("Writing", flush=True) or Event().wait()
"""
"""A module that Python loads at its start, so that a snapshot is begun and never done."""


def found(tracker: Tracker, pattern: re.Pattern[str]) -> list[int]:
    assert tracker.lines is not None
    return tracker.lines.until(
        lambda lines: [int(each[1]) for line in lines if (each := pattern.search(line))]
    )


def follower_of(tracker: Tracker) -> int:
    """Returns the follower's process id, once it has started."""
    assert tracker.lines is not None
    return tracker.lines.until(
        lambda lines: next((int(each[1]) for line in lines if (each := STARTED.search(line))), None)
    )


def test_a_stop_leaves_a_snapshot_and_a_start_takes_it(tracker: Tracker) -> None:
    """A start reads the newest whole snapshot, or replays the log to the same state."""
    for number in range(5):
        announce(tracker.http[0], torrent(1), number, 7000 + number)
    before = api(tracker, "/api/v1/torrents")
    folder = tracker.folder / "log" / "snap"
    assert tracker.stop() == 0
    (path,) = folder.iterdir()
    replayed = tracker.command("replay").stdout
    tracker.start()
    assert found(tracker, FROM) == [int(path.stem)]
    assert api(tracker, "/api/v1/torrents") == before
    assert tracker.stop() == 0
    assert tracker.command("verify").returncode == 0
    newest = max(folder.iterdir())
    newest.write_bytes(newest.read_bytes()[:-1])
    assert tracker.command("verify").returncode == 3
    tracker.start()
    assert tracker.lines is not None
    assert tracker.lines.until(lambda lines: [one for one in lines if newest.name in one] or None)
    assert found(tracker, FROM) == [int(path.stem)]
    assert tracker.stop() == 0
    shutil.rmtree(folder)
    tracker.start()
    assert found(tracker, FROM) == []
    assert api(tracker, "/api/v1/torrents") == before
    at = ("--at", str(int(path.stem) - 1))
    assert tracker.command("replay", *at).stdout == replayed


@pytest.mark.faults  # because it waits twice for a follower, which starts after five seconds
def test_the_follower_ends_with_a_tracker_that_is_killed(tracker: Tracker) -> None:
    """Also a follower that is stopped by a signal; the next start has its own."""
    seen = set()
    for stopped in (True, False):
        process_id = follower_of(tracker)
        seen.add(process_id)
        assert any(exposed(tracker)["swarmlog_follower_lag_events"] for _ in range(10_000))
        descriptor = os.pidfd_open(process_id)
        if stopped:
            os.kill(process_id, signal.SIGSTOP)
        tracker.kill()
        assert select.select([descriptor], [], [], DEADLINE)[0]
        os.close(descriptor)
        if stopped:
            tracker.start()
    assert len(seen) == 2


@pytest.fixture
def at_stop(new_tracker: Callable[..., Tracker]) -> Tracker:
    """A tracker, not started, without a follower and with a tick every second."""
    tracker = new_tracker(extra="inactive_peer_cleanup_interval = 1")
    with tracker.config.open("a") as file:
        file.write('follower = "at_stop"\n')
    return tracker


@pytest.mark.faults  # because it watches for seven seconds
def test_at_stop_no_follower_runs(at_stop: Tracker) -> None:
    """With `at_stop` no follower starts within seven ticks; the stop writes a snapshot."""
    at_stop.start()
    children = Path(f"/proc/{at_stop.pid}/task/{at_stop.pid}/children")
    seen = set()
    events = ["events", "--config", str(at_stop.config), "--follow", "--type", "tick"]
    process, lines = begin(events, at_stop.folder)
    for ticks in range(1, 8):
        lines.until(lambda output, ticks=ticks: output if len(output) >= ticks else None)
        seen.add(children.read_text())
    process.kill()
    process.wait(DEADLINE)
    assert seen == {""}
    announce(at_stop.http[0], torrent(1), 1, 7001)
    assert at_stop.stop() == 0
    assert len(list((at_stop.folder / "log" / "snap").iterdir())) == 1
    assert at_stop.lines is not None
    assert not any(STARTED.search(line) for line in at_stop.lines.all())


@pytest.mark.parametrize(
    ("first", "second"),
    [(signal.SIGTERM, signal.SIGTERM), (signal.SIGINT, signal.SIGINT)],
    ids=["terminate", "interrupt"],
)
def test_a_second_signal_ends_the_last_snapshot(
    at_stop: Tracker, first: signal.Signals, second: signal.Signals
) -> None:
    """A second signal ends the snapshot at once, with the log closed and nothing lost."""
    (at_stop.folder / "sitecustomize.py").write_text(ENDLESS)
    at_stop.environment["PYTHONPATH"] = str(at_stop.folder)
    at_stop.start()
    announce(at_stop.http[0], torrent(1), 1, 7001)
    before = api(at_stop, "/api/v1/torrents")
    at_stop.send(first)
    assert at_stop.lines is not None
    at_stop.lines.until(lambda lines: lines if "Writing" in lines else None)
    assert at_stop.running
    assert at_stop.stop(second) == 0
    output = at_stop.lines.all()
    assert CLOSED in output[-2]
    assert output[-1] == "Writing"
    snap = at_stop.folder / "log" / "snap"
    assert not snap.exists() or list(snap.iterdir()) == []
    assert at_stop.events()[-1]["type"] == "tracker_stopped"
    at_stop.environment.clear()
    at_stop.start()
    assert found(at_stop, FROM) == []
    assert api(at_stop, "/api/v1/torrents") == before
