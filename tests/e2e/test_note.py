"""Tests the note of a running tracker, and the change of the server's key."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests.e2e.clients import announce, api, ask, torrent
from tests.e2e.test_health import health

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.e2e.process import Tracker

SAID = "the change is in the log and not yet vouched for"
TORRENT = f"{1:040x}"


def noted(tracker: Tracker) -> dict[str, Any]:
    """Returns the newest note."""
    (path,) = (tracker.folder / "secrets" / "reached").iterdir()
    lines = [json.loads(line) for line in path.read_bytes().splitlines() if line.strip()]
    return max(lines, key=lambda one: one["number"])  # type: ignore[no-any-return]  # JSON


def failing(tracker: Tracker) -> str:
    text = ask(tracker, "GET", "/api/v1/metrics?format=prometheus").body
    return next(line for line in text.splitlines() if line.startswith("swarmlog_note_failing"))


def test_a_note_that_cannot_be_written(tracker: Tracker) -> None:
    """A change is made and gets 503, in every version of the API. The rest is served; health and
    metrics tell, until the note is written again.
    """
    reached = tracker.folder / "secrets" / "reached"
    reached.rename(reached.with_name("aside"))
    reached.touch()
    for version in ("", "/v1"):
        reply = ask(tracker, "POST", f"/api{version}/whitelist/{TORRENT}")
        assert (reply.status, SAID in reply.body) == (503, True), reply
    given = ask(tracker, "POST", "/api/v2/keys", {}, Idempotency_Key="once")
    assert (given.status, SAID in given.json["detail"]) == (503, True)
    assert ask(tracker, "POST", "/api/v2/keys", {}, Idempotency_Key="once").status == 503
    shredding = tracker.command("shred", "--before", "2020-01-01")
    assert shredding.returncode == 0  # there was nothing to shred, and so no change
    assert TORRENT in str(api(tracker, "/api/v2/whitelist"))
    announce(tracker.http[0], torrent(1), 1, 7001)
    found = health(tracker)
    wrong = [one for one in found["details"] if "Err" in one["result"]]
    assert (found["status"], len(wrong)) == ("Error", 1)
    assert wrong[0]["result"]["Err"] == ("Changes are not acknowledged: the note cannot be written")
    assert failing(tracker).endswith(" 1.0")

    reached.unlink()
    reached.with_name("aside").rename(reached)
    assert ask(tracker, "POST", "/api/v2/keys", {}, Idempotency_Key="once").status == 201
    keys = [one for one in tracker.events() if one["type"] == "key_issued"]
    assert len(keys) == 1
    assert noted(tracker)["seq"] > keys[0]["seq"]
    assert health(tracker)["status"] == "Ok"
    assert failing(tracker).endswith(" 0.0")
    assert tracker.stop() == 0
    assert tracker.command("verify").returncode == 0


def test_the_key_changes(new_tracker: Callable[..., Tracker], tmp_path: Path) -> None:
    """The command refuses beside a running tracker, and else keeps the old key and writes an event
    that names its reason. Imports and it leave a note of all that they wrote.
    """
    tracker = new_tracker().start()
    secrets = tracker.folder / "secrets"
    old = (secrets / "server.key").read_bytes()
    refused = tracker.command("change-server-key")
    assert (refused.returncode, "is in use by another process" in refused.stderr) == (1, True)
    assert tracker.stop() == 0
    listed = tmp_path / "listed.txt"
    listed.write_text(f"{TORRENT}\n")
    assert tracker.command("import", "whitelist", str(listed)).returncode == 0
    assert noted(tracker)["seq"] == len(tracker.events())
    changed = tracker.command("change-server-key", "--reason", "it leaked", "--json")
    assert changed.returncode == 0
    told = tracker.events()
    assert noted(tracker)["seq"] == len(told)
    assert (told[-1]["type"], told[-1]["by"]["reason"]) == ("server_key_changed", "it leaked")
    ids = json.loads(changed.stdout)
    assert ids == {name: told[-1][name] for name in ("before", "after")}
    assert (secrets / "retired" / f"{ids['before']}.key").read_bytes() == old
    assert (secrets / "server.key").read_bytes() != old
    assert tracker.command("verify").returncode == 0
    tracker.start()
    assert TORRENT in str(api(tracker, "/api/v2/whitelist"))
    assert tracker.stop() == 0
    changes = [one for one in tracker.events() if one["type"] == "server_key_changed"]
    assert len(changes) == 1
    assert tracker.command("verify").returncode == 0
