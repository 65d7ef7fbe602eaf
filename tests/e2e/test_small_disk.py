"""Tests the tracker with its log on a full or a read-only file system."""

from __future__ import annotations

import json
import shutil
import time
from http.client import HTTPConnection
from typing import TYPE_CHECKING

import pytest

from tests.e2e.clients import announce, api, body, get, torrent, udp_client
from tests.e2e.load import Writes
from tests.e2e.mounts import Mount, mounted
from tests.e2e.process import DEADLINE, run

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.e2e.process import Tracker

pytestmark = pytest.mark.faults
SIZE = 12 << 20
LOG_FAILED = 3  # the exit code
TURNS = 300


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Mount]:
    """A file system of twelve megabytes."""
    with mounted(tmp_path / "disk", SIZE) as found:
        if isinstance(found, str):
            pytest.skip(found)
        yield found


@pytest.fixture
def tracker(new_tracker: Callable[..., Tracker], disk: Mount) -> Tracker:
    """A tracker with its log on that file system, not started."""
    tracker = new_tracker(extra="inactive_peer_cleanup_interval = 1")  # a tick every second
    text = tracker.config.read_text()
    tracker.config.write_text(text.replace(f'"{tracker.folder}/log"', f'"{disk.path}/log"'))
    return tracker


def until(tracker: Tracker, *, served: bool) -> str:
    """Announces until one is served, or refused; returns the refusal's reason.

    Each round commits an admin write, because the log checks for space when it commits.
    """
    for number in range(TURNS):
        api(tracker, f"/api/v1/whitelist/{number:040x}", "POST")
        answer = announce(tracker.http[0], torrent(1), 1, 6001)
        if ("failure reason" not in answer) == served:
            return str(answer.get("failure reason", ""))
    raise AssertionError("it never came to that")


def test_space_runs_out_and_returns(tracker: Tracker, disk: Mount) -> None:
    """Without space announces are refused, reads and admin writes go on; space restores all."""
    tracker.start()
    until(tracker, served=True)
    disk.fill(leaving=3 << 20)
    assert "cannot record announces now" in until(tracker, served=False)
    with udp_client(tracker.udp[0]) as client:
        assert client.scrape(torrent(1)) == [(1, 0, 0)]
    assert api(tracker, "/api/v1/stats")["seeders"] == 1
    before = api(tracker, "/api/v1/stats")["tcp4_announces_handled"]
    assert api(tracker, "/api/v1/key/60", "POST")["key"]
    assert "failure reason" in announce(tracker.http[0], torrent(2), 2, 6002)
    assert api(tracker, "/api/v1/stats")["tcp4_announces_handled"] == before
    assert health(tracker) == ("Error", 2)
    disk.empty()
    until(tracker, served=True)
    assert health(tracker) == ("Ok", 0)
    assert tracker.stop() == 0
    assert tracker.events()[-1]["type"] == "tracker_stopped"


def health(tracker: Tracker, why: str = "its disk is nearly full") -> tuple[str, int]:
    """Returns the status that the health check reports, and how many listeners refuse announces."""
    report = json.loads(body(get(tracker.health, "/health_check")))
    said = f"Announces are refused: the event log takes nothing in, because {why}"
    refusing = [one for one in report["details"] if one["result"].get("Err", "").startswith(said)]
    return report["status"], len(refusing)


def fill_up(tracker: Tracker, disk: Mount) -> None:
    """Takes all space, the log's reserve too, until the log reports that it cannot be written."""
    assert tracker.lines is not None
    end = time.monotonic() + DEADLINE
    while not any("event log cannot be written" in line for line in tracker.lines.so_far()):
        assert time.monotonic() < end, "the log was still written"
        disk.fill(leaving=0)
        time.sleep(0.05)


def test_no_byte_is_left(tracker: Tracker, disk: Mount) -> None:
    """Without a byte left writes are refused and reads go on; with space nothing is lost."""
    writes = Writes()
    tracker.start()
    writes.begin(tracker)
    assert writes.wait(20)
    fill_up(tracker, disk)
    answer = announce(tracker.http[0], torrent(1), 1, 6001)
    assert "cannot record announces now" in str(answer["failure reason"])
    assert health(tracker, "it cannot be written (") == ("Error", 2)
    connection = HTTPConnection(*tracker.api, timeout=DEADLINE)
    assert not writes.write(connection)
    connection.close()
    api(tracker, "/api/v1/stats")  # reads go on: it fails unless the status is 200
    disk.empty()
    assert any(
        writes.wait(20) for _ in range(100_000)
    )  # writes are refused until the log notices the space
    assert "failure reason" not in announce(tracker.http[0], torrent(1), 1, 6001)
    assert tracker.stop() == 0
    writes.end()
    writes.check(tracker)


def test_stopped_while_no_byte_is_left(tracker: Tracker, disk: Mount) -> None:
    """A stop on a full disk has its own exit code; the next run has every acknowledged write."""
    writes = Writes()
    tracker.start()
    writes.begin(tracker)
    assert writes.wait(20)
    fill_up(tracker, disk)
    assert tracker.stop() == LOG_FAILED
    writes.end()
    disk.empty()
    writes.check(tracker)


def test_a_read_only_folder(tracker: Tracker, disk: Mount) -> None:
    """Commands read a read-only log; a start fails with one line."""
    tracker.start()
    api(tracker, f"/api/v1/whitelist/{1:040x}", "POST")
    assert tracker.stop() == 0
    before = tracker.events()
    disk.make_read_only()
    done = run("--config", str(tracker.config), folder=tracker.folder)
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert f"the event log in {disk.path}/log cannot be used" in line
    assert "Read-only file system" in line
    assert tracker.events() == before
    assert tracker.command("verify").returncode == 0


def test_no_space_to_begin(tracker: Tracker, disk: Mount) -> None:
    """A first start on a full disk fails with one line and leaves nothing in the way."""
    disk.fill(leaving=0)
    done = run("--config", str(tracker.config), folder=tracker.folder)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "No space left on device" in done.stderr
    disk.empty()
    tracker.start()
    assert tracker.stop() == 0
    shutil.rmtree(disk.path / "log")
