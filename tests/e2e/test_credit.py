"""Tests credit over real sockets: a factor, a correction, a kill, and the ledger."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

from tests.e2e.clients import announce_target, api, ask, get, torrent
from tests.e2e.process import lasting_listeners

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.process import Tracker

FREE, PAID = torrent(1), torrent(2)


def test_freeleech_and_a_correction(new_tracker: Callable[..., Tracker]) -> None:
    """Freeleech data is not charged, nor is what began in it; a correction counts once, and both
    survive a kill."""
    tracker = new_tracker(lasting_listeners())
    tracker.switch_on("private")
    tracker.start()
    issued = ask(tracker, "POST", "/api/v2/keys", {"owner": "anna"})
    assert (issued.status, issued.json["account"]) == (201, 1)
    terms = {"info_hash": FREE.hex(), "download_percent": 0, "label": "freeleech"}
    factor = ask(tracker, "POST", "/api/v2/factors", terms)
    assert (factor.status, factor.json["factor"]) == (201, 1)

    def announce_totals(info_hash: bytes, moved: int) -> None:
        fields = {"uploaded": moved, "downloaded": moved, "left": 9}
        target = announce_target(info_hash, 1, 6001, **fields)
        assert b"8:interval" in get(
            tracker.http[0], f"/announce/{issued.json['key']}?{target[10:]}"
        )

    for moved in (0, 100):
        announce_totals(FREE, moved)
        announce_totals(PAID, moved)
    assert ask(tracker, "DELETE", "/api/v2/factors/1").status == 204
    announce_totals(FREE, 150)

    disputed = tracker.events_until(lambda events: len(events) == 5, "--type", "announced")[3]
    correction = {"downloaded": -60, "corrects": disputed["seq"]}
    path, once = (
        "/api/v2/accounts/1/corrections",
        {"X_Reason": "a bad piece", "Idempotency_Key": "t-7"},
    )
    assert ask(tracker, "POST", path, correction).status == 422  # without a reason
    answers = [ask(tracker, "POST", path, correction, **once) for _ in range(2)]
    assert answers[0] == answers[1]
    assert answers[0].status == 201
    totals = answers[0].json["account"]
    names = ("uploaded", "downloaded", "credited_uploaded", "credited_downloaded")
    assert [totals[name] for name in names] == [250, 250, 250, 40]

    with ThreadPoolExecutor(10) as threads:  # all at once, and each gets its answer
        path_of_sums = ["/api/v2/accounts/1/totals"] * 10
        sums = list(threads.map(partial(ask, tracker, "GET"), path_of_sums))
    assert [one.status for one in sums] == [200] * 10
    assert all(one.json == sums[0].json for one in sums)

    tracker.kill()
    tracker.restart()
    assert api(tracker, "/api/v2/accounts/1") == totals
    assert ask(tracker, "POST", path, correction, **once) == answers[0]
    assert api(tracker, "/api/v2/factors")["factors"] == []

    tracker.events_until(bool, "--type", "credit_corrected")
    done = tracker.command("ledger", "--json", "anna")
    assert (done.returncode, done.stderr) == (0, "")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    entries = [one for one in lines if one["type"] in ("announce", "correction")]
    for name in names:
        column = name if name.startswith("credited") else f"delta_{name}"
        assert sum(one.get(column, 0) for one in entries) == totals[name] == lines[-1][name]
    assert [one["rule"] for one in entries[:-1]] == [
        "first", "first", "continued, download 0% by factor 1", "continued",
        "continued, download 0% (0% by factor 1 at its beginning, 100% at its end)",
    ]  # fmt: skip
    assert (entries[-1]["corrects"], entries[-1]["info_hash"]) == (disputed["seq"], PAID.hex())
    assert tracker.stop() == 0


def test_tokens_and_groups_by_commands(new_tracker: Callable[..., Tracker]) -> None:
    """A token frees what its member loads, and a group's factor counts for its members; both
    survive a kill."""
    tracker = new_tracker(lasting_listeners())
    tracker.switch_on("private")
    tracker.start()
    key = tracker.command("key", "add", "--owner", "anna").stdout.strip()

    def moves(info_hash: bytes, moved: int, left: int = 9) -> None:
        target = announce_target(info_hash, 1, 6001, downloaded=moved, left=left)
        assert b"8:interval" in get(tracker.http[0], f"/announce/{key}?{target[10:]}")

    def credited() -> int:
        return int(api(tracker, "/api/v2/accounts/1")["credited_downloaded"])

    give = ("freeleech", "give", "anna", FREE.hex(), "--max-bytes", "700", "--reason", "she won")
    assert [tracker.command(*give).stdout for _ in range(2)] == ["1\n", "1\n"]
    again = tracker.command("freeleech", "give", "anna", FREE.hex(), "--until", "+1d")
    assert (again.returncode, "token 1 of that account" in again.stderr) == (1, True)
    for moved in (0, 500):
        moves(FREE, moved)
    assert credited() == 0
    tracker.events_until(lambda events: len(events) == 2, "--type", "announced")  # they are durable
    tracker.kill()
    tracker.start()
    moves(FREE, 1000)
    assert credited() == 300
    listed = tracker.command("freeleech", "list", "--account", "anna", "--json").stdout
    assert json.loads(listed)["state"] == "used_up"
    half = ("factor", "set", "--group", "vip", "--download", "50")
    assert tracker.command(*half).stdout == "1\n"
    assert tracker.command("account", "group", "anna", "--name", "vip").returncode == 0
    moves(FREE, 1200)
    assert credited() == 400
    tracker.events_until(lambda events: len(events) == 4, "--type", "announced")
    ledger = tracker.command("ledger", "anna", "--json").stdout.splitlines()
    rules = [entry["rule"] for entry in map(json.loads, ledger) if entry.get("rule")]
    assert rules[1:3] == [
        "continued, 500 bytes free by freeleech token 1",
        "continued, 200 bytes free by freeleech token 1",
    ]
    assert rules[3].startswith("continued, download 50%")
    assert tracker.command("verify").returncode == 0
