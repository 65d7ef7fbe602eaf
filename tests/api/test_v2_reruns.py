"""Outages, and re-runs of a part of the log, in version 2."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.api.asking import JSON, ask, problem
from tests.api.fakes import CHECK, NOW_US, OUTAGE, WHAT_IF, FakePast, FakeReruns
from tracker.ports import BusyError, InvalidPartError, Moment, NoMomentError, PrunedMomentError

if TYPE_CHECKING:
    from quart_trio import QuartTrio

TIME = "2023-03-28T12:25:00.058085Z"
SETTING = "policy.max_peers=7"
ASKED = [
    ("replay/check", CHECK, (None, None, False)),
    ("replay/check?trace=false&to=9", CHECK, (None, Moment(seq=9), False)),
    (f"replay/check?trace=true&from={TIME}", CHECK, (Moment(time_us=NOW_US), None, True)),
    (f"what-if?set={SETTING}", WHAT_IF, (None, None, SETTING)),
    (f"what-if?from=3&set={SETTING}&set=a=b", WHAT_IF, (Moment(seq=3), None, SETTING, "a=b")),
]


@pytest.mark.parametrize(("target", "told", "asked"), ASKED, ids=[each[0] for each in ASKED])
async def test_questions(
    app: QuartTrio, reruns: FakeReruns, target: str, told: object, asked: tuple[object, ...]
) -> None:
    """Each parameter reaches the re-run, and each failure has a status of its own."""
    answer = await ask(app, "GET", f"/api/v2/{target}")
    assert (answer.status, answer.content_type, json.loads(answer.body)) == (200, JSON, told)
    assert reruns.asked == [asked]
    for failure, status in (
        (InvalidPartError("too large"), 400),
        (BusyError("ask again"), 503),
        (NoMomentError("not there"), 404),
        (PrunedMomentError(77), 410),
    ):
        reruns.failure = failure
        refused = await ask(app, "GET", f"/api/v2/{target}")
        assert (problem(refused)["status"], problem(refused)["detail"]) == (status, str(failure))
        assert ("retry-after" in refused.headers) == (status == 503)


async def test_outages(app: QuartTrio, past: FakePast) -> None:
    """The list takes a part of the log and a page, and shows what the command prints."""
    answer = await ask(app, "GET", f"/api/v2/outages?from=3&to={TIME}&after=8&limit=2")
    assert (answer.status, json.loads(answer.body)) == (
        200, {"outages": [OUTAGE.shown()], "next": 7},
    )  # fmt: skip
    assert (await ask(app, "GET", "/api/v2/outages")).status == 200
    assert past.outages_queries == [
        (Moment(seq=3), Moment(time_us=NOW_US), 8, 2),
        (None, None, -1, 100),
    ]


@pytest.mark.parametrize(
    ("target", "detail"),
    [
        ("what-if", "set: expected a setting, such as policy.max_peers=7"),
        ("replay/check?trace=yes", "trace: expected true or false"),
        ("replay/check?from=now", "from: expected a seq, or a time"),
        ("replay/check?against=http://127.0.0.1/", "against: unknown parameter"),
        ("outages?at=3", "at: unknown parameter"),
    ],
)
async def test_bad_questions(app: QuartTrio, target: str, detail: str) -> None:
    """What is wrong with a question is named."""
    refused = problem(await ask(app, "GET", f"/api/v2/{target}"))
    assert refused["status"] == 400
    assert refused["detail"].startswith(detail)
