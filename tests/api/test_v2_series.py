"""Tests daily series in version 2 over a fake log: the calls, and the form of the answers."""

from __future__ import annotations

import json

import pytest

from tests.api.asking import JSON, ask, problem
from tracker.ports import BusyError

HASH = "5452869be36f9f3350ccee6b4544e7e76caaadab"
MINE, OTHERS = "/api/v2/accounts/1/series", f"/api/v2/torrents/{HASH}/series"
LAST = 2**32 - 1
DAY = {
    "date": "2024-10-04", "uploaded": 5, "downloaded": 6, "credited_uploaded": -7,
    "credited_downloaded": 8, "seeding_seconds": 9, "completed": 1,
}  # fmt: skip
PEAKS = {"most_seeders": 3, "most_leechers": 2}


@pytest.mark.parametrize(
    ("target", "asked", "day"),
    [
        (MINE, (1, 0, LAST, 100), DAY),
        (f"{MINE}?from=1970-01-03&until=1970-01-05&limit=2", (1, 2, 4, 2), DAY),
        (f"{MINE}?from=1970-01-03&after=1970-01-05", (1, 5, LAST, 100), DAY),
        (OTHERS, (bytes.fromhex(HASH), 0, LAST, 100), DAY | PEAKS),
    ],
)
async def test_series(app, live, log, target, asked, day):
    live.commands.accounts[1] = object()
    answer = await ask(app, "GET", target)
    assert (answer.status, answer.content_type) == (200, JSON)
    assert json.loads(answer.body) == {"days": [day], "next": "2024-10-04", "since": 40, "seq": 99}
    assert log.ledgers == [asked]
    log.failure = BusyError("ask again")
    assert problem(await ask(app, "GET", target))["status"] == 503


@pytest.mark.parametrize(
    ("target", "status", "detail"),
    [
        ("/api/v2/accounts/2/series", 404, "no such account"),
        ("/api/v2/torrents/12/series", 400, "info_hash: expected 40 hexadecimal digits"),
        (f"{MINE}?from=2027-02-30", 400, "from: expected a date such as 2027-01-31"),
        (f"{MINE}?until=20270131", 400, "until: expected a date"),
        (f"{MINE}?from=2027-01-31&until=2027-01-30", 400, "until: it is before `from`"),
        (f"{MINE}?after=2027-01-31T00:00:00Z", 400, "after: expected a date"),
        (f"{MINE}?at=3", 400, "at: unknown parameter"),
    ],
)
async def test_wrong_questions(app, live, log, target, status, detail):
    live.commands.accounts[1] = object()
    document = problem(await ask(app, "GET", target))
    assert document["status"] == status
    assert detail in document["detail"]
    assert not log.ledgers
