"""Credit over real sockets: a factor, a correction, a kill, and a ledger that adds up to the
totals.
"""

from __future__ import annotations

import json
from http.client import HTTPConnection
from typing import TYPE_CHECKING, Any

from tests.e2e.clients import announce_target, get, torrent
from tests.e2e.process import DEADLINE, lasting_listeners

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.process import Tracker

FREE, PAID = torrent(1), torrent(2)


def ask(
    tracker: Tracker, method: str, path: str, body: object = None, **headers: str
) -> tuple[int, Any]:
    """Returns status and document of a request to `/api/v2`."""
    connection = HTTPConnection(*tracker.api, timeout=DEADLINE)
    given = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        connection.request(
            method,
            f"/api/v2{path}",
            json.dumps(body) if body is not None else None,
            {"Authorization": "Bearer MyAccessToken", "Content-Type": "application/json", **given},
        )
        response = connection.getresponse()
        text = response.read()
        return response.status, json.loads(text) if text else None
    finally:
        connection.close()


def test_freeleech_and_a_correction(new_tracker: Callable[..., Tracker]) -> None:
    """Free data is not charged, a correction counts once, and a kill changes neither."""
    tracker = new_tracker(lasting_listeners())
    tracker.config.write_text(
        tracker.config.read_text().replace("private = false", "private = true")
    )
    tracker.start()
    status, key = ask(tracker, "POST", "/keys", {"owner": "anna"})
    assert (status, key["account"]) == (201, 1)
    asked = {"info_hash": FREE.hex(), "download_percent": 0, "label": "freeleech"}
    status, factor = ask(tracker, "POST", "/factors", asked)
    assert (status, factor["factor"]) == (201, 1)

    def says(info_hash: bytes, moved: int) -> None:
        fields = {"uploaded": moved, "downloaded": moved, "left": 9}
        target = announce_target(info_hash, 1, 6001, **fields)
        assert b"8:interval" in get(tracker.http[0], f"/announce/{key['key']}?{target[10:]}")

    for moved in (0, 100):
        says(FREE, moved)
        says(PAID, moved)
    assert ask(tracker, "DELETE", "/factors/1") == (204, None)
    says(FREE, 150)

    disputed = tracker.events_until(lambda events: len(events) == 5, "--type", "announced")[3]
    correction = {"downloaded": -60, "corrects": disputed["seq"]}
    path, once = "/accounts/1/corrections", {"X_Reason": "a bad piece", "Idempotency_Key": "t-7"}
    assert ask(tracker, "POST", path, correction)[0] == 422  # without a reason
    answers = [ask(tracker, "POST", path, correction, **once) for _ in range(2)]
    assert answers[0] == answers[1]
    assert answers[0][0] == 201
    totals = answers[0][1]["account"]
    names = ("uploaded", "downloaded", "credited_uploaded", "credited_downloaded")
    assert [totals[name] for name in names] == [250, 250, 250, 90]

    tracker.kill()
    tracker.restart()
    assert ask(tracker, "GET", "/accounts/1") == (200, totals)
    assert ask(tracker, "POST", path, correction, **once) == answers[0]
    assert ask(tracker, "GET", "/factors")[1]["factors"] == []

    done = tracker.command("ledger", "--json", "anna")
    assert (done.returncode, done.stderr) == (0, "")
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    entries = [one for one in lines if one["type"] in ("announce", "correction")]
    for name in names:
        column = name if name.startswith("credited") else f"delta_{name}"
        assert sum(one.get(column, 0) for one in entries) == totals[name] == lines[-1][name]
    assert [one["rule"] for one in entries[:-1]] == [
        "first", "first", "continued, download 0% by factor 1", "continued", "continued",
    ]  # fmt: skip
    assert (entries[-1]["corrects"], entries[-1]["info_hash"]) == (disputed["seq"], PAID.hex())
    assert tracker.stop() == 0
