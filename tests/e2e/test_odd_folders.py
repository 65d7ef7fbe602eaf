"""Tests starts on a log of a newer version, from a backup, or of a wrong clock."""

from __future__ import annotations

import shutil
import time
from typing import TYPE_CHECKING
from zlib import crc32

import trio

from eventlog import open_log
from eventlog.seals import write_missing
from tests.e2e.clients import announce, api, torrent
from tests.eventlog.logs import running
from tests.support import SECOND
from tests.tracker.logged import write_log
from tracker.domain import events
from tracker.domain.events import codec
from tracker.domain.events.admin import TrackerStarted
from tracker.store.address_keys import Keyring
from tracker.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.e2e.process import Tracker
    from tests.support import Rig


def whitelist(tracker: Tracker, number: int) -> None:
    api(tracker, f"/api/v1/whitelist/{number:040x}", "POST")


def whitelisted(tracker: Tracker) -> list[int]:
    return [int(one["info_hash"], 16) for one in tracker.events("--type", "torrent_whitelisted")]


def newest(folder: Path) -> Path:
    return max((folder / "seg").glob("*.evl"))


def test_a_newer_format(tracker: Tracker) -> None:
    """A newer format gets exit code 3 and the file's name; nothing is changed."""
    whitelist(tracker, 1)
    assert tracker.stop() == 0
    path = newest(tracker.folder / "log")
    data = path.read_bytes()
    header = data[:8] + (3).to_bytes(2, "little") + data[10:188]
    newer = header + crc32(header).to_bytes(4, "little") + data[192:]
    path.write_bytes(newer)
    line = tracker.start_refused(3)
    assert path.name in line
    assert "is of format 3, and this version reads formats 1 to 2" in line
    verified = tracker.command("verify")
    assert verified.returncode == 3
    assert "    no tracker of this version starts with this log\n" in verified.stdout
    assert path.read_bytes() == newer


def test_an_event_of_a_newer_version(tracker: Tracker) -> None:
    """An unknown event gets exit code 3, its seq and its version; the log is unchanged."""
    whitelist(tracker, 1)
    assert tracker.stop() == 0
    log = tracker.folder / "log"
    event_log = open_log(
        log, {**codec.RECORD_SIZES, 77: 16}, Keyring(tracker.folder / "secrets").tags
    )

    async def write() -> None:
        async with running(event_log):
            started = codec.encode_admin(
                TrackerStarted.number, 2**57, {"version": "7.1", "epoch": 1}
            )
            event_log.pool.append(events.ADMIN, 1, 2**57, started)
            await event_log.wait_durable(event_log.pool.append(77, 3, 2**57, bytes(16)))

    trio.run(write)
    there = {path: path.read_bytes() for path in (log / "seg").iterdir()}
    line = tracker.start_refused(3)
    seq = event_log.durable_seq - 1
    assert (
        f"event {seq} is of kind 77, schema 3, unknown to this version; version 7.1 wrote it"
        in line
    )
    assert {path: path.read_bytes() for path in (log / "seg").iterdir()} == there


def test_an_older_copy_of_the_folder(tracker: Tracker, tmp_path: Path) -> None:
    """An older copy is served once the operator accepts it; a mix with newer files is refused.

    It then has everything up to the copy, nothing after it, and stays a whole log.
    """
    log, copy = tracker.folder / "log", tmp_path / "copy"
    whitelist(tracker, 1)
    shutil.copytree(log, copy)  # while the tracker runs
    whitelist(tracker, 2)
    assert tracker.stop() == 0
    later = tmp_path / "later"
    log.rename(later)
    shutil.copytree(copy, log)
    assert "--accept-older-log" in tracker.start_refused(3)
    tracker.start("serve", "--accept-older-log")
    assert whitelisted(tracker) == [1]
    whitelist(tracker, 3)
    assert tracker.stop() == 0
    assert whitelisted(tracker) == [1, 3]
    assert tracker.command("verify").returncode == 0
    # The newest file of one and the older files of the other are two histories.
    shutil.copy(newest(later), log / "seg")
    assert "damaged at byte" in tracker.start_refused(3)


def test_an_older_file_in_a_newer_folder(tracker: Tracker) -> None:
    """A segment from an older backup is refused, because its seal shows missing records."""
    whitelist(tracker, 1)
    path = newest(tracker.folder / "log")
    data = path.read_bytes()
    whitelist(tracker, 2)
    assert tracker.stop() == 0
    tracker.start()
    whitelist(tracker, 3)
    assert tracker.stop() == 0
    keys = Keyring(tracker.folder / "secrets").tags
    write_missing(tracker.folder / "log", keys)  # a tracker that serves for seconds does so too
    path.write_bytes(data)
    assert "when it was sealed" in tracker.start_refused(3)


def test_a_log_from_the_future(new_tracker: Callable[..., Tracker]) -> None:
    """After a log with future times the tracker warns, and log time goes on from there. Dates are
    those of the clock."""
    tracker = new_tracker()

    def tomorrow(rig: Rig) -> Iterator[None]:
        rig.time.wall = time.time_ns() // 1000 + 86_400 * SECOND
        rig.service.tick()
        yield

    write_log(tracker.folder / "log", tomorrow, secrets=tracker.folder / "secrets")
    last = tracker.events()[-1]["time"]
    # The lead of log time is recorded in whole seconds, so dates are exact to a second.
    now = rfc3339(time.time_ns() // 1000 - SECOND)
    tracker.start()
    assert tracker.lines is not None
    (warning,) = tracker.lines.until(
        lambda lines: [one for one in lines if "ahead of the clock" in one] or None
    )
    assert "it was wrong then, or is now" in warning
    announce(tracker.http[0], torrent(1), 1, 6001)
    assert tracker.stop() == 0
    events = tracker.events()
    times = [one.get("log_time", one["time"]) for one in events]
    assert times == sorted(times)
    assert times[-1] > last > events[-1]["time"] > now
    assert tracker.command("verify").returncode == 0
