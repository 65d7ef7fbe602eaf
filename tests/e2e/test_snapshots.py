"""Snapshots and the follower around a whole tracker: stop, start, kill."""

from __future__ import annotations

import os
import re
import select
import shutil
from typing import TYPE_CHECKING

from tests.e2e.clients import announce, api, torrent
from tests.e2e.process import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.process import Tracker

STARTED = re.compile(r"Follower started: process (\d+)")
FROM = re.compile(r"Starting from the snapshot before event (\d+)")


def found(tracker: Tracker, pattern: re.Pattern[str]) -> list[int]:
    assert tracker.lines is not None
    return tracker.lines.until(
        lambda lines: [int(each[1]) for line in lines if (each := pattern.search(line))]
    )


def test_a_stop_leaves_a_snapshot_and_a_start_takes_it(tracker: Tracker) -> None:
    """Everybody is still there; a damaged one is named and passed over; without any the state is the same."""
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


def test_the_follower_ends_with_a_tracker_that_is_killed(tracker: Tracker) -> None:
    """No process is left behind."""
    assert tracker.lines is not None
    process_id = tracker.lines.until(
        lambda lines: next((int(each[1]) for line in lines if (each := STARTED.search(line))), None)
    )
    descriptor = os.pidfd_open(process_id)
    tracker.kill()
    assert select.select([descriptor], [], [], DEADLINE)[0]
    os.close(descriptor)


def test_at_stop_too_a_snapshot_is_written(new_tracker: Callable[..., Tracker]) -> None:
    """Where no follower runs."""
    tracker = new_tracker()
    with tracker.config.open("a") as file:
        file.write('follower = "at_stop"\n')
    tracker.start()
    announce(tracker.http[0], torrent(1), 1, 7001)
    assert tracker.stop() == 0
    assert len(list((tracker.folder / "log" / "snap").iterdir())) == 1
