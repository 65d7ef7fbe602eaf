"""Tests that `tracker outages` finds when nobody was served, and why."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from eventlog import list_segments, open_log
from tests.support import SECOND, START_US, Announce, Rig, endpoint4, own_keys
from tests.tracker.logged import HASH, write_log
from tracker.cli import main, tables
from tracker.domain.events import codec
from tracker.domain.events.admin import (
    ClockStepped,
    TorrentWhitelisted,
    TrackerStarted,
    TrackerStopped,
)
from tracker.history import past_worker
from tracker.history.past_worker import PastWorker
from tracker.ports import Moment, OutagesPage
from tracker.store.moments import ForwardReplay
from tracker.store.outages import Outages, until_now
from tracker.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tracker.domain.events.registry import AdminEvent
    from tracker.ports import Outage

RUNS: list[list[tuple[int, AdminEvent | None]]] = [  # of each run: seconds, and what happens then
    [
        (0, TrackerStarted("test", 1)),
        (5, None),  # an announce, which is the last event before a crash
    ],
    [(8, TrackerStarted("test", 2)), (9, TrackerStopped("signal"))],
    [(60, TorrentWhitelisted(HASH))],  # by a command, while no tracker runs
    [
        (69, TrackerStarted("test", 4)),
        (70, None),
        (170, None),  # nothing was written for 100 seconds
        (200, ClockStepped(25_000_000)),
        (201, TrackerStopped("signal")),
    ],
]
FOUND = [
    ("killed", None, 5, 8, 1, 2),
    ("stopped", "signal", 9, 69, 3, 5),
    ("silent", None, 70, 170, 6, 7),
    ("clock_stepped", None, 175, 200, 7, 8),
]


def test_outages(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each kind, with exact times and numbers; the first start and the end of the log are none."""
    for events in RUNS:
        write_log(tmp_path / "log", partial(live, events))
    assert printed(tmp_path, capsys) == FOUND
    assert printed(tmp_path, capsys, "--from", "2", "--to", "3") == FOUND[1:2]
    after = rfc3339(START_US + 100 * SECOND)
    assert printed(tmp_path, capsys, "--from", after) == FOUND[2:]
    assert main(["outages", "--log", str(tmp_path / "log")]) == 4
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].endswith("\t5\tstopped\tsignal")
    assert len(lines) == 4
    monkeypatch.setattr(tables, "on_terminal", lambda: True)
    main(["outages", "--log", str(tmp_path / "log")])
    assert "\n4 outages, 188.000 seconds together\n" in capsys.readouterr().out
    assert main(["outages", "--log", str(tmp_path / "log"), "--from", "3", "--to", "1"]) == 1


def test_moments_within(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A moment lies in an outage exactly where the list has one: in the middle of it, and not at
    its ends. A page reads on where the one before ended.
    """
    log = tmp_path / "log"
    for events in RUNS:
        write_log(log, partial(live, events), segment_bytes=400)
    assert len(list_segments(log / "seg")) > 3
    found = Outages(log, None)
    assert list(found.read())[-1] == found.seq == 10
    replay = ForwardReplay(log, lambda _done, _total: None)
    ends = {each for one in found.found for each in (one.from_us, one.to_us)}
    near = {each + by for each in ends for by in (-SECOND // 2, -1, 0, 1, SECOND // 2)}
    for date_us in sorted(near | {START_US + 60 * SECOND}):  # then a command wrote
        replay.resolve(Moment(time_us=date_us))
        inside = [one for one in found.found if one.from_us < date_us < one.to_us]
        assert [replay.outage or None] == (inside or [None]), date_us
    write_log(log, partial(live, [(300, TrackerStarted("test", 5))]))
    assert list(found.read()) == [11]
    assert (len(found.found), found.found[-1].from_seq, found.found[-1].to_seq) == (5, 9, 10)
    worker = PastWorker(log, log / "secrets")
    assert worker.outages(None, None, -1, 2) == OutagesPage(found.found[:2], 5)
    assert worker.outages(None, None, 5, 9) == OutagesPage(found.found[2:], None)
    assert worker.outages(Moment(seq=2), Moment(seq=3), -1, 9).outages == found.found[1:2]
    monkeypatch.setattr(past_worker, "WORK_SECONDS", 0.0)
    worker.forget()
    told: list[Outage] = []
    after: int | None = -1
    pages = 0
    while after is not None:
        page = worker.outages(None, None, after, 9)
        told, after, pages = [*told, *page.outages], page.following, pages + 1
    assert told == found.found
    assert pages > len(told)


@pytest.mark.parametrize("segment_bytes", [400, 1 << 20])
def test_until_now(tmp_path: Path, segment_bytes: int) -> None:
    """A start finds the outage that it ends as the list has it afterwards, also behind what a
    command wrote, and without a last frame at hand. An empty log has none.
    """
    log, found = tmp_path / "log", []
    for events in RUNS:
        opened = open_log(log, codec.RECORD_SIZES, own_keys(log).tags, segment_bytes=segment_bytes)
        opened.release()
        now_us, seq = START_US + events[0][0] * SECOND, opened.next_seq
        outage = until_now(log, opened.recovery.last, seq, now_us)
        assert outage == until_now(log, None, seq, now_us)
        found.append(outage)
        write_log(log, partial(live, events), segment_bytes=segment_bytes)
    listed = Outages(log, None)
    list(listed.read())
    killed, stopped = listed.found[:2]
    by_command = evolve(stopped, to_us=START_US + 60 * SECOND, to_seq=4)
    assert found == [None, killed, by_command, stopped]


def live(events: list[tuple[int, AdminEvent | None]], rig: Rig) -> Iterator[None]:
    for seconds, event in events:
        rig.time.advance(START_US + seconds * SECOND - rig.time.wall)
        if event:
            rig.service.append(event)
        else:
            rig.announce(Announce(HASH, endpoint4(seconds)))
        yield


def printed(
    folder: Path, capsys: pytest.CaptureFixture[str], *options: str
) -> list[tuple[str, str | None, int, int, int, int]]:
    """Returns what --json prints, with times in seconds since the start."""
    assert main(["outages", "--log", str(folder / "log"), "--json", *options]) == 4  # no secrets
    *found, _note = map(json.loads, capsys.readouterr().out.splitlines())
    seconds = {rfc3339(START_US + at * SECOND): at for at in range(300)}
    for one in found:
        assert one["seconds"] == seconds[one["to"]] - seconds[one["from"]]
    return [
        (one["why"], one["reason"], seconds[one["from"]], seconds[one["to"]], one["from_seq"], one["to_seq"])
        for one in found
    ]  # fmt: skip
