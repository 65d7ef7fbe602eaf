"""Tests starts that must fail: one line for each reason, exit code 1, and no event."""

from __future__ import annotations

import socket
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.e2e.clients import announce, torrent
from tests.e2e.process import COMMAND, DEADLINE, Listeners, Tracker, clean_environment, run

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


BY_THEMSELVES = ("tick", "counted")  # events that may come at any time


def test_second_tracker_on_one_log(tracker: Tracker) -> None:
    """A second tracker on one log is refused, names the first, and does not disturb it."""
    before = tracker.events_until(
        lambda found: any(one["type"] == "settings_changed" for one in found)
    )
    line = tracker.start_refused()
    assert "is in use by another process" in line
    (pid,) = (int(word.strip("();")) for word in line.split() if word.strip("();").isdigit())
    assert pid == int((tracker.folder / "log" / "LOCK").read_text().split()[1])
    announce(tracker.http[0], torrent(1), 1, 1)
    after = tracker.events_until(
        lambda found: any(one["type"] == "announced" for one in found[len(before) :])
    )
    assert after[: len(before)] == before
    # Under load the first tracker may log ticks and counts between and after the two reads.
    later = [one["type"] for one in after[len(before) :] if one["type"] not in BY_THEMSELVES]
    assert later == ["announced"]
    assert tracker.stop() == 0


TAKEN = [  # the transport, the listeners with a taken address, and the service that the line names
    (socket.SOCK_DGRAM, lambda taken: Listeners(udp=("127.0.0.1:0", taken)), "UDP"),
    (socket.SOCK_STREAM, lambda taken: Listeners(http=("127.0.0.1:0", taken)), "HTTP"),
    (socket.SOCK_STREAM, lambda taken: Listeners(api=taken), "the API"),
    (socket.SOCK_STREAM, lambda taken: Listeners(health=taken), "the health check"),
]


def test_port_in_use(tmp_path: Path) -> None:
    """A taken port of any service stops the start, and the log stays as it was, empty or not."""
    folder = tmp_path / "tracker"
    tracker = Tracker(folder)
    for transport, listeners, service in TAKEN:
        _check_taken(folder, transport, listeners, service)
    assert tracker.events() == []
    with closing(Tracker(folder)) as tracker:
        tracker.start()
        assert tracker.stop() == 0
        before = tracker.events()
        types = [one["type"] for one in before if one["type"] not in BY_THEMSELVES]
        assert types == [
            "format_begun", "tracker_started", "settings_changed", "tracker_stopped",
        ]  # fmt: skip
        assert before[1]["epoch"] == 1
        _check_taken(folder, *TAKEN[2])
        assert tracker.events() == before


def _check_taken(
    folder: Path, transport: int, listeners: Callable[[str], Listeners], service: str
) -> None:
    """Takes a port and checks that a tracker in this folder cannot start with it."""
    with socket.socket(socket.AF_INET, transport) as taken:
        taken.bind(("127.0.0.1", 0))
        if transport == socket.SOCK_STREAM:
            taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        line = Tracker(folder, listeners(address)).start_refused()
    assert f"cannot listen on {address} for {service}: Address already in use" in line


def test_foreign_address(new_tracker: Callable[..., Tracker]) -> None:
    """An address that this machine does not have is refused."""
    tracker = new_tracker(Listeners(http=("192.0.2.1:0",)))
    assert "cannot listen on 192.0.2.1:0 for HTTP" in tracker.start_refused()
    assert tracker.events() == []


BROKEN = """
metadata.schema_version = "2.0.0"
logging.threshold = "loud"
core.listed = "yes"
core.private = false
core.announce_policy.interval = 0
http_api.bind_address = "nowhere"
event_log.linger_ms = -1
"""
PROBLEMS = (
    "logging.threshold",
    "core.listed",
    "core.announce_policy.interval",
    "http_api.bind_address",
    "event_log.linger_ms",
)


@pytest.mark.parametrize("command", ["serve", "events"])
def test_broken_configuration(tracker: Tracker, command: str) -> None:
    """All problems of a file are printed at once, each with its key; no log folder is made."""
    config = tracker.folder / "broken.toml"
    config.write_text(BROKEN)
    done = run(command, "--config", str(config), folder=tracker.folder)
    assert done.returncode == 1
    assert done.stdout == ""
    for key in PROBLEMS:
        assert sum(key in line for line in done.stderr.splitlines()) == 1, key
    assert "Traceback" not in done.stderr
    assert not (tracker.folder / "storage").exists()


def test_unreadable_configuration(new_tracker: Callable[..., Tracker]) -> None:
    """A missing file, or one that is not TOML, gives one line that names it."""
    tracker = new_tracker()
    tracker.config.unlink()
    assert str(tracker.config) in tracker.start_refused()
    tracker.config.write_text("[core\n")
    line = tracker.start_refused()
    assert str(tracker.config) in line
    assert "not valid TOML" in line


@pytest.mark.parametrize("name", ["log", "secrets"])
def test_something_else_in_the_place_of_a_folder(
    new_tracker: Callable[..., Tracker], name: str
) -> None:
    """A link to nowhere, and a file, are called what they are."""
    tracker = new_tracker()
    place = tracker.folder / name
    place.symlink_to("/nowhere/disk")
    line = tracker.start_refused()
    assert f"{place} is a link to /nowhere/disk, which is not there: is its disk mounted?" in line
    place.unlink()
    place.touch()
    done = run("--config", str(tracker.config), folder=tracker.folder)
    assert done.returncode == 1
    assert f"{place} is a file, and should be a folder" in done.stderr


def test_working_folder_that_was_removed(new_tracker: Callable[..., Tracker]) -> None:
    """Every command says so, in one line."""
    tracker = new_tracker()
    left = 'mkdir gone && cd gone && rmdir ../gone && exec "$0" "$@"'
    for command in (["verify"], ["--config", str(tracker.config)]):
        done = subprocess.run(
            ["sh", "-c", left, *COMMAND, *command],
            cwd=tracker.folder,
            env=clean_environment(),
            capture_output=True,
            encoding="utf-8",
            timeout=DEADLINE,
            check=False,
        )
        line = "tracker: the working folder was removed: change to one that is there\n"
        assert (done.returncode, done.stderr) == (1, line)
