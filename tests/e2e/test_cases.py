"""Tests cases over real sockets and with the commands: a false upload, and what staff says."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any

import pytest

from tests.e2e.clients import announce_target, ask, get, torrent
from tests.e2e.process import DEADLINE, lasting_listeners

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.process import Tracker

TORRENT = torrent(1)
GIB = 1 << 30
NAME = "anna", "upload_beyond_received"


@pytest.mark.faults  # it waits for the follower, again and again
def test_a_false_upload_becomes_a_case(new_tracker: Callable[..., Tracker]) -> None:
    """It is taken, closed as harmless, and opened by what is found later, also over a kill."""
    tracker = new_tracker(lasting_listeners())
    tracker.switch_on("private")
    text = tracker.config.read_text()
    tracker.config.write_text(text.replace("[event_log]\n", "[event_log]\ncases = true\n"))
    tracker.start()
    key = ask(tracker, "POST", "/api/v2/keys", {"owner": "anna"}).json["key"]
    done(tracker, "torrent", "describe", TORRENT.hex(), "--size", str(10 * GIB))
    for number in range(5):
        claim(tracker, key, 10 * GIB * number)
    found = waited(tracker, lambda told: len(told["findings"]) == 4)
    assert (found["case"]["state"], found["case"]["grade"]) == ("open", "case")
    announces = {
        one["seq"]: one["uploaded"] for one in tracker.events() if one["type"] == "announced"
    }
    last = found["findings"][-1]
    assert [announces[seq] for seq in last["evidence"]] == [10 * GIB * each for each in range(1, 5)]
    listed = done(tracker, "cases", "list")
    assert "upload_beyond_received\tcase\topen" in listed

    done(tracker, "cases", "take", *NAME)
    done(tracker, "cases", "note", *NAME, "she seeds from a cache")
    assert "--reason" in tracker.command("cases", "close", *NAME, "confirmed").stderr
    assert waited(tracker, lambda told: told["history"])["case"]["holder"] == "admin"
    done(tracker, "cases", "harmless", *NAME, "--reason", "asked her")
    tracker.kill()
    tracker.start()
    assert (
        waited(tracker, lambda told: told["case"]["state"] == "harmless")["case"]["findings"] == 4
    )
    claim(tracker, key, 50 * GIB)
    found = waited(tracker, lambda told: told["case"]["findings"] == 5)
    assert (found["case"]["state"], found["case"]["outcome"]) == ("open", "harmless")
    assert [one["type"] for one in found["history"]] == ["case_taken", "case_noted", "case_closed"]
    shown = done(tracker, "cases", "show", *NAME)
    assert "case_noted" in shown
    assert "she seeds from a cache" in shown
    lines = done(tracker, "cases", "detectors", "--json").splitlines()
    counted = {one["name"]: one for one in map(json.loads, lines)}[NAME[1]]
    assert (counted["cases"], counted["harmless"], counted["mistaken"]) == (1, 1, 0)
    refused = tracker.command("cases", "take", "anna", "nothing")
    assert "no such case" in refused.stderr


def claim(tracker: Tracker, key: str, uploaded: int) -> None:
    target = announce_target(TORRENT, 1, 6001, uploaded=uploaded, left=0)
    assert b"8:interval" in get(tracker.http[0], f"/announce/{key}?{target[10:]}")


def done(tracker: Tracker, *arguments: str) -> str:
    ran = tracker.command(*arguments)
    assert (ran.returncode, ran.stderr) == (0, "")
    return ran.stdout


def waited(tracker: Tracker, wanted: Callable[[Any], Any]) -> Any:
    """Waits until anna's case is as wanted."""
    told: Any = None
    give_up = time.monotonic() + 2 * DEADLINE
    while time.monotonic() < give_up:
        told = ask(tracker, "GET", f"/api/v2/cases/1/{NAME[1]}").json
        if "case" in told and wanted(told):
            return told
        time.sleep(0.2)
    raise AssertionError(told)
