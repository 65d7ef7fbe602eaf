"""Tests `tracker events`: filters, following, broken pipes, wrong usage."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio

from eventlog import open_log
from tests.e2e.clients import announce, api, torrent, udp_client
from tests.e2e.process import COMMAND, DEADLINE, Follower, Tracker, clean_environment, run
from tests.eventlog.logs import places, running
from tests.support import own_keys
from tracker.cli import main
from tracker.domain import events
from tracker.domain.events import codec
from tracker.domain.events.admin import TorrentWhitelisted
from tracker.store.address_keys import Keyring

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tests.e2e.process import Event

HASH = torrent(0xAB)  # has letters in hexadecimal
OTHER = torrent(0x11)


def write(folder: Path, records: Sequence[bytes] = ()) -> None:
    """Opens the log, appends admin events, and closes it."""
    log = open_log(folder, codec.RECORD_SIZES, own_keys(folder).tags, linger_seconds=0)

    async def main() -> None:
        async with running(log):
            for record in records:
                await log.wait_durable(log.pool.append(events.ADMIN, 1, 10**15, record))

    trio.run(main)


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracker]:
    """A stopped tracker with some history. Its log no longer changes."""
    tracker = Tracker(tmp_path_factory.mktemp("tracker")).start()
    try:
        with udp_client(tracker.udp[0]) as client:
            for port in range(1, 6):
                client.announce(HASH, port, port, left=port)
                client.announce(OTHER, port, port)
        api(tracker, f"/api/v1/whitelist/{HASH.hex()}", "POST")
        announce(tracker.http[0], HASH, 9, 9, left=3, event="started", numwant=5, compact=0)
        assert tracker.stop() == 0
        yield tracker
    finally:
        tracker.close()


@pytest.fixture(scope="module")
def everything(stopped: Tracker) -> list[Event]:
    return stopped.events()


def test_the_last_change_before_a_crash(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It is shown, and called not yet vouched for; the next start vouches for it."""
    write(tmp_path, [codec.encode_event(TorrentWhitelisted(HASH), 10**15)])
    (path,) = (tmp_path / "seg").iterdir()
    *_, change, watermark = places(path.read_bytes())
    assert watermark.header.records == 0
    path.write_bytes(path.read_bytes()[: change.end])
    command = ["events", "--log", str(tmp_path)]
    assert main(command) == 4  # without the secrets
    output = capsys.readouterr()
    (event,) = map(json.loads, output.out.splitlines())
    assert (event["type"], event["vouched_for"]) == ("torrent_whitelisted", False)
    assert "Events 0 to 0 are not yet vouched for" in output.err
    assert main([*command, "--type", "tick"]) == 4
    assert capsys.readouterr().out == ""
    write(tmp_path)
    assert main(command) == 4  # without the secrets
    output = capsys.readouterr()
    assert "vouched" not in output.out + output.err
    assert json.loads(output.out)["info_hash"] == HASH.hex()


@pytest.fixture
def printed(stopped: Tracker, capsys: pytest.CaptureFixture[str]) -> Callable[..., list[Event]]:
    """`printed(*arguments)` returns the events that the command prints, run in this process."""

    def run_here(*arguments: str) -> list[Event]:
        assert main(["events", "--config", str(stopped.config), *arguments]) == 0
        output = capsys.readouterr()
        assert output.err == ""
        return [json.loads(line) for line in output.out.splitlines()]

    return run_here


def test_all(everything: list[Event]) -> None:
    """Every event is printed with seq, time and type, in order and without a gap."""
    assert [one["seq"] for one in everything] == list(range(len(everything)))
    times = [one["time"] for one in everything]
    assert times == sorted(times)
    assert [one["type"] for one in everything][:3] == [
        "format_begun",
        "tracker_started",
        "settings_changed",
    ]
    assert everything[-1]["type"] == "tracker_stopped"
    counted = [one for one in everything if one["type"] == "counted"]
    assert [(one["counter"], one["delta"]) for one in counted] == [("udp4_connects", 1)]


def test_from_now(printed: Callable[..., list[Event]]) -> None:
    """`--from now` leaves out every event that is in the log already."""
    assert printed("--from", "now") == []


def test_fields_of_an_announce(everything: list[Event]) -> None:
    """An announce is printed with all its fields, in words and plain numbers."""
    last = [one for one in everything if one["type"] == "announced"][-1]
    assert {name: value for name, value in last.items() if name not in {"seq", "time"}} == {
        "type": "announced",
        "info_hash": HASH.hex(),
        "peer_id": b"-QS0001.000000000009".hex(),
        "address": "127.0.0.1",
        "port": 9,
        "uploaded": 0,
        "downloaded": 0,
        "left": 3,
        "event": "started",
        "numwant": 5,
        "compact": False,
        "protocol": "http",
        "listener": 1,
        "key_ref": None,
        "client_key_hash": 0,
        "prev_seq": None,
        "rule": "first",
        "client": None,
    }


def test_an_admin_event_names_its_author(everything: list[Event]) -> None:
    """A change over the API has the token's label and the address, never the token."""
    (change,) = (one for one in everything if one["type"] == "torrent_whitelisted")
    assert change["info_hash"] == HASH.hex()
    assert (change["by"]["token"], change["by"]["address"]) == ("admin", "127.0.0.1")
    assert "MyAccessToken" not in str(everything)


@pytest.mark.parametrize("spelling", [HASH.hex(), HASH.hex().upper()], ids=["lower", "upper"])
def test_info_hash(
    printed: Callable[..., list[Event]], everything: list[Event], spelling: str
) -> None:
    """`--info-hash` gives all events of one torrent, in either case of letters."""
    found = printed("--info-hash", spelling)
    assert found == [one for one in everything if one.get("info_hash") == HASH.hex()]
    assert {one["type"] for one in found} == {"announced", "torrent_whitelisted"}


def test_unknown_info_hash(printed: Callable[..., list[Event]]) -> None:
    """An unknown torrent prints nothing and is no error."""
    assert printed("--info-hash", "00" * 20) == []


@pytest.mark.parametrize(
    "wanted",
    [("announced",), ("tracker_started", "tracker_stopped"), ("tick",), ("counted",)],
    ids=str,
)
def test_type(
    printed: Callable[..., list[Event]], everything: list[Event], wanted: tuple[str, ...]
) -> None:
    """`--type` gives only events of those types."""
    found = printed(*(part for one in wanted for part in ("--type", one)))
    assert found == [one for one in everything if one["type"] in wanted]


def test_other_types_are_passed_over(
    printed: Callable[..., list[Event]],
    everything: list[Event],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Announces are neither decoded nor decrypted when other types are asked for."""
    monkeypatch.delattr(codec, "decode_announces")
    monkeypatch.delattr(Keyring, "decrypt")
    found = printed("--type", "torrent_whitelisted")
    assert found == [one for one in everything if one["type"] == "torrent_whitelisted"]
    assert found


def test_filters_together(printed: Callable[..., list[Event]], everything: list[Event]) -> None:
    """Several filters must all match."""
    found = printed("--type", "announced", "--info-hash", OTHER.hex(), "--from", "6", "--to", "9")
    assert [one["seq"] for one in found] == [
        one["seq"] for one in everything[6:10] if one.get("info_hash") == OTHER.hex()
    ]
    assert found


@pytest.mark.parametrize("by", ["seq", "time"])
def test_range(printed: Callable[..., list[Event]], everything: list[Event], by: str) -> None:
    """`--from` and `--to` take a seq or a time, and include both ends."""
    first, last = everything[4], everything[8]
    found = printed("--from", str(first[by]), "--to", str(last[by]))
    assert found == [one for one in everything if first[by] <= one[by] <= last[by]]
    assert printed("--from", str(last[by])) == [one for one in everything if one[by] >= last[by]]
    assert printed("--to", str(first[by])) == [one for one in everything if one[by] <= first[by]]


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        (("--from", "2000-01-01"), None),
        (("--from", "2000-01-01T00:00:00+05:00"), None),
        (("--to", "9999-12-31T23:59:59Z"), None),
        (("--from", "9999-01-01T00:00:00"), 0),
        (("--to", "2000-01-01T00:00:00Z"), 0),
        (("--from", "99999999"), 0),
    ],
    ids=str,
)
def test_range_outside(
    printed: Callable[..., list[Event]],
    everything: list[Event],
    arguments: tuple[str, ...],
    count: int | None,
) -> None:
    """A part beyond the log is no error: it gives all events or none."""
    found = printed(*arguments)
    assert found == everything if count is None else len(found) == count


def test_time_in_another_zone(printed: Callable[..., list[Event]], everything: list[Event]) -> None:
    """A time may have any zone; without one it is UTC."""
    moment = str(everything[5]["time"])
    naive = moment.removesuffix("Z")
    hour = f"{(int(naive[11:13]) + 1) % 24:02}"
    found = printed("--from", naive)
    assert found[-1] == everything[-1]
    assert found[0]["time"] == moment
    if hour != "00":  # otherwise the date would change too
        shifted = f"{naive[:11]}{hour}{naive[13:]}+01:00"
        assert printed("--from", shifted) == found


def test_log_folder(stopped: Tracker, everything: list[Event], tmp_path: Path) -> None:
    """`--log` needs no configuration."""
    done = run("events", "--log", str(stopped.folder / "log"), folder=tmp_path)
    assert done.returncode == 4
    assert done.stderr.startswith("tags not checked: ")
    assert len(done.stdout.splitlines()) == len(everything)


def test_follow(tracker: Tracker) -> None:
    """`--follow` prints later announces; SIGINT ends it with code 0."""
    with (
        closing(Follower(tracker)) as all_of_it,
        closing(Follower(tracker, "--type", "announced")) as some,
    ):
        all_of_it.until(lambda events: any(one["type"] == "settings_changed" for one in events))
        for port in (1, 2):
            wanted = partial(up_to, last=port)
            announce(tracker.http[0], HASH, port, port)
            all_of_it.until(wanted)
            found = some.until(wanted)
            assert [one["type"] for one in found] == ["announced"] * port
        assert some.stop(signal.SIGINT) == 0
        tracker.stop()
        ended = all_of_it.until(lambda events: events[-1]["type"] == "tracker_stopped")
        assert [one["seq"] for one in ended] == list(range(len(ended)))


def test_follow_begins_with_what_comes(tracker: Tracker) -> None:
    """Without `--from`, `--follow` prints nothing of what was there before, and `--last` that many
    of it.
    """
    announce(tracker.http[0], HASH, 1, 1)
    before = tracker.events()
    with (
        closing(Follower(tracker, begin=())) as new,
        closing(Follower(tracker, "--last", "2", begin=())) as last,
    ):
        assert last.until(lambda events: len(events) >= 2)[:2] == before[-2:]
        give_up = time.monotonic() + DEADLINE
        while not new.so_far() and time.monotonic() < give_up:
            announce(tracker.http[0], HASH, 2, 2)
            time.sleep(0.05)
        assert new.so_far()[0]["seq"] >= len(before)


def up_to(events: list[Event], last: int) -> bool:
    return announced(events) == list(range(1, last + 1))


def announced(events: list[Event]) -> list[int]:
    return [one["port"] for one in events if one["type"] == "announced"]


def test_follow_across_a_restart(tracker: Tracker) -> None:
    """`--follow` continues with the next run of the tracker."""
    with closing(Follower(tracker)) as follower:
        assert tracker.stop() == 0
        tracker.start()
        announce(tracker.http[0], HASH, 1, 1)
        events = follower.until(lambda found: announced(found) == [1])
    starts = [one["type"] for one in events if one["type"].startswith("tracker_")]
    assert starts == ["tracker_started", "tracker_stopped", "tracker_started"]


def piped(stopped: Tracker, arguments: str, reader: str) -> subprocess.CompletedProcess[str]:
    """Runs `tracker events … | reader` in a shell; the exit code is the tracker's."""
    tracker = " ".join(COMMAND)
    line = f"set -o pipefail; {tracker} events --config {stopped.config} {arguments} | {reader}"
    return subprocess.run(
        ["bash", "-c", line], env=clean_environment(), cwd=stopped.folder, capture_output=True, encoding="utf-8", check=False,
    )  # fmt: skip


def test_head(stopped: Tracker) -> None:
    """A reader that leaves early causes no error."""
    done = piped(stopped, "", "head -1")
    assert (done.returncode, done.stderr, done.stdout.count("\n")) == (0, "", 1)


@pytest.mark.parametrize("arguments", [(), ("--to", "3")], ids=["all", "to"])
def test_reader_that_left_before(stopped: Tracker, arguments: tuple[str, ...]) -> None:
    """A reader that left before the first line causes no error."""
    read, write = os.pipe()
    os.close(read)
    try:
        done = run(
            "events",
            "--config",
            str(stopped.config),
            *arguments,
            folder=stopped.folder,
            stdout=write,
        )
    finally:
        os.close(write)
    assert (done.returncode, done.stderr) == (0, "")


USAGE = [
    ("events", "--from", "someday"),
    ("events", "--to", "2026-13-01"),
    ("events", "--to", "9999-12-31T23:59:59-10:00"),
    ("events", "--type", "nothing"),
    ("events", "extra"),
    ("events", "--log"),
    ("events", "--unknown"),
    ("events", "--from", "25:00"),
    ("unknown",),
    ("--unknown",),
]


@pytest.mark.parametrize("arguments", USAGE, ids=" ".join)
def test_wrong_usage(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...]) -> None:
    """Wrong usage gets exit code 2, the usage, and a last line with the error."""
    with pytest.raises(SystemExit) as ended:
        main([*arguments])
    assert ended.value.code == 2
    output = capsys.readouterr()
    assert output.out == ""
    command = f" {arguments[0]} " if arguments[0] == "events" else " "
    assert output.err.startswith(f"usage: tracker{command}")
    assert "error: " in output.err.splitlines()[-1]


def no_log(folder: Path) -> None:
    """Makes no folder."""


def empty(folder: Path) -> None:
    folder.mkdir()


def a_file(folder: Path) -> None:
    folder.write_text("not a folder")


@pytest.mark.parametrize("prepare", [no_log, empty, a_file])
def test_no_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], prepare: Callable[[Path], None]
) -> None:
    """Without a log, one line names the folder; nothing is created."""
    folder = tmp_path / "missing"
    prepare(folder)
    assert main(["events", "--log", str(folder)]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    (line,) = output.err.splitlines()
    assert line.startswith("tracker: ")
    assert str(folder) in line
    assert not folder.is_dir() or not any(folder.iterdir())


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    """Help and version need no configuration."""
    for arguments in (("--help",), ("events", "--help"), ("--version",)):
        with pytest.raises(SystemExit) as ended:
            main([*arguments])
        output = capsys.readouterr()
        assert (ended.value.code, output.err) == (0, "")
        assert output.out
