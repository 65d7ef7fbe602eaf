"""Tests limits of accounts in version 2 over fakes: the calls, and the form of the answers."""

from __future__ import annotations

import json

import pytest

from tests.api.asking import ask, problem
from tracker.ports import InvalidSanctionError, OwnLimits

TIME = "2023-03-28T12:25:00.058085Z"
PATH = "/api/v2/accounts/7/limits"
NONE = dict.fromkeys(("slots", "locations", "started_per_day", "handed_per_hour", "handed_per_day"))
ANNA = {
    "account": 7, "owner": "anna", "slots": 0, "slots_used": 12, "locations": 3,
    "started_per_day": 0, "started_today": 0, "handed_per_hour": 0, "handed_this_hour": 0,
    "handed_per_day": 500, "handed_today": 40, "own": NONE | {"slots": 0}, "seq": 41, "since": TIME, "by": "admin", "reason": "ä",
}  # fmt: skip
OTHER = {
    "account": 9, "owner": None, "slots": 10, "slots_used": 0, "locations": 5,
    "started_per_day": 20, "started_today": 6, "handed_per_hour": 0, "handed_this_hour": 0,
    "handed_per_day": 0, "handed_today": 0, "own": NONE | {"locations": 5}, "seq": 42, "since": TIME, "by": "admin", "reason": "",
}  # fmt: skip


async def get(app, path):
    return json.loads((await ask(app, "GET", f"/api/v2/{path}")).body)


async def test_reading(app):
    """Whole, and a page at a time; an account that was never made is none."""
    assert await get(app, "limits") == {"limits": [ANNA, OTHER], "next": None}
    assert await get(app, "limits?limit=1") == {"limits": [ANNA], "next": 7}
    assert await get(app, "limits?after=7") == {"limits": [OTHER], "next": None}
    assert await get(app, "accounts/7/limits") == ANNA
    assert problem(await ask(app, "GET", "/api/v2/accounts/8/limits"))["status"] == 404


@pytest.mark.parametrize(
    ("body", "own"),
    [
        ({"slots": 0, "locations": 4, "started_per_day": 5}, OwnLimits(0, 4, 5)),
        ({"handed_per_hour": 0, "handed_per_day": 9}, OwnLimits(None, None, None, 0, 9)),
        ({"slots": None}, OwnLimits()),
        (None, OwnLimits()),
    ],
)
async def test_setting(app, commands, body, own):
    options = {"X_Reason": "as told"}
    if body is not None:
        options |= {"body": json.dumps(body).encode(), "Content_Type": "application/json"}
    answer = await ask(app, "PUT", PATH, **options)
    assert (answer.status, json.loads(answer.body)) == (200, {"seq": 2001})
    assert commands.judging == [(7, own)]
    commands.failure = InvalidSanctionError("no")
    assert problem(await ask(app, "PUT", PATH, **options))["status"] == 422


async def test_bad_bodies(app):
    for body in ({"slots": -1}, {"slots": "5"}, {"peers": 5}):
        sent = json.dumps(body).encode()
        answer = await ask(
            app, "PUT", PATH, body=sent, Content_Type="application/json", X_Reason="x"
        )
        assert problem(answer)["status"] == 422
