"""A tracker that cannot start says why in one line for each reason, exits with 1, and leaves no trace in the log."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING

import pytest

from tests.e2e.clients import announce, torrent
from tests.e2e.process import Listeners, run

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.process import Tracker


def refused(tracker: Tracker) -> str:
    """Start a tracker that must refuse; returns its one line of complaint."""
    done = run("--config", str(tracker.config), folder=tracker.folder)
    assert done.returncode == 1
    assert "Started on" not in done.stdout
    (line,) = done.stderr.splitlines()
    assert line.startswith("tracker: ")
    return line


def test_second_tracker_on_one_log(tracker: Tracker) -> None:
    """The log has one writer: a second one is refused, names it, and does not disturb it."""
    before = tracker.events_until(lambda found: len(found) == 2)
    line = refused(tracker)
    assert "is in use by another process" in line
    (pid,) = (int(word.strip("();")) for word in line.split() if word.strip("();").isdigit())
    assert pid == int((tracker.folder / "log" / "LOCK").read_text().split()[1])
    announce(tracker.http[0], torrent(1), 1, 1)
    after = tracker.events_until(lambda found: found[-1]["type"] == "announced")
    assert after[:-1] == before
    assert tracker.stop() == 0


@pytest.mark.parametrize("kind", ["udp", "http", "api"])
def test_port_in_use(new_tracker: Callable[..., Tracker], kind: str) -> None:
    """A port that is taken: nothing is served, nothing is appended."""
    transport = socket.SOCK_DGRAM if kind == "udp" else socket.SOCK_STREAM
    with socket.socket(socket.AF_INET, transport) as taken:
        taken.bind(("127.0.0.1", 0))
        if transport == socket.SOCK_STREAM:
            taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        value = {"api": address} if kind == "api" else {kind: ("127.0.0.1:0", address)}
        tracker = new_tracker(Listeners(**value))
        line = refused(tracker)
        assert f"cannot listen on {address} for" in line
        assert "Address already in use" in line
        assert tracker.events() == []
    # The port is free again: the same configuration works, and the failures are no part of the record.
    tracker.start()
    events = tracker.events_until(lambda found: len(found) >= 2)
    assert [one["type"] for one in events] == ["tracker_started", "settings_changed"]
    assert events[0]["epoch"] == 1


def test_port_in_use_after_a_run(new_tracker: Callable[..., Tracker]) -> None:
    """The same on a log that holds something: it is left as it was."""
    tracker = new_tracker().start()
    assert tracker.stop() == 0
    before = tracker.events()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        text = tracker.config.read_text()
        tracker.config.write_text(
            text.replace(
                '[http_api]\nbind_address = "127.0.0.1:0"',
                f'[http_api]\nbind_address = "{address}"',
            )
        )
        assert address in refused(tracker)
    assert tracker.events() == before


def test_foreign_address(new_tracker: Callable[..., Tracker]) -> None:
    """An address that this machine does not have."""
    tracker = new_tracker(Listeners(http=("192.0.2.1:0",)))
    assert "cannot listen on 192.0.2.1:0 for HTTP" in refused(tracker)
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
    """All problems of a file at once, each by the name of its key; the log folder is not touched."""
    config = tracker.folder / "broken.toml"
    config.write_text(BROKEN)
    done = run(command, "--config", str(config), folder=tracker.folder)
    assert done.returncode == 1
    assert done.stdout == ""
    for key in PROBLEMS:
        assert sum(key in line for line in done.stderr.splitlines()) == 1, key
    assert "Traceback" not in done.stderr
    assert not (tracker.folder / "storage").exists()


def test_configuration_that_is_not_there(new_tracker: Callable[..., Tracker]) -> None:
    """A missing file and one that is not TOML: one line that names the file."""
    tracker = new_tracker()
    tracker.config.unlink()
    assert str(tracker.config) in refused(tracker)
    tracker.config.write_text("[core\n")
    line = refused(tracker)
    assert str(tracker.config) in line
    assert "not valid TOML" in line
