"""Tests cases in version 2 over fakes: the calls, and the form of the answers."""

from __future__ import annotations

import json

import pytest

from tests.api.asking import ask, problem
from tests.api.fakes import NOW_US
from tracker.ports import (
    CASE_STATES,
    CaseClosing,
    CasesQuery,
    InvalidCaseError,
    UnknownAccountError,
)

TIME = "2023-03-28T12:25:00.058085Z"
NAME = 7, "impossible_rate"
PATH = "/api/v2/cases/7/impossible_rate"
WHY = {"X_Reason": "looked into it"}


def sent(body: object) -> dict[str, object]:
    return {"body": json.dumps(body).encode(), "Content_Type": "application/json", **WHY}


SAID = [
    ("take", WHY, ("take", *NAME)),
    ("wait", WHY, ("wait", *NAME)),
    ("close", sent({"outcome": "confirmed"}), (*NAME, CaseClosing("confirmed", 99))),
    (
        "close", sent({"outcome": "harmless", "until": TIME}),
        (*NAME, CaseClosing("harmless", 99, NOW_US)),
    ),
    ("notes", sent({"note": "asked her"}), (*NAME, "asked her")),
]  # fmt: skip


@pytest.mark.parametrize(("what", "options", "said"), SAID)
async def test_changes(app, commands, what, options, said):
    """Each reaches the tracker, a closing with how far the case was known."""
    answer = await ask(app, "POST", f"{PATH}/{what}", **options)
    assert (answer.status, json.loads(answer.body)) == (200, {"seq": 2001})
    assert commands.judging == [said]
    assert commands.actors[0].reason == "looked into it"
    missing = PATH.replace("7", "8")
    assert problem(await ask(app, "POST", f"{missing}/{what}", **options))["status"] == 404
    for failure, status in ((InvalidCaseError("not so"), 422), (UnknownAccountError(), 404)):
        commands.failure = failure
        document = problem(await ask(app, "POST", f"{PATH}/{what}", **options))
        assert document["status"] == status


@pytest.mark.parametrize(
    ("what", "body", "named"),
    [
        ("close", {}, "outcome"),
        ("close", {"outcome": "open"}, "outcome"),
        ("close", {"outcome": ["harmless"]}, "outcome"),
        ("close", {"outcome": "harmless", "until": "soon"}, "until"),
        ("notes", {"note": ""}, "note"),
        ("notes", {"note": "x" * 2001}, "note"),
        ("notes", {"text": "x"}, "text"),
    ],
)
async def test_changes_that_are_none(app, commands, what, body, named):
    """The refusal names the member."""
    document = problem(await ask(app, "POST", f"{PATH}/{what}", **sent(body)))
    assert document["status"] == 422
    assert document["detail"].startswith(named)
    assert commands.judging == []


ASKED = [
    ("", CasesQuery(states=CASE_STATES[:3], grades=("case", "proof"), limit=100)),
    (
        "?state=confirmed,open&grade=lead&account=7&detector=x&after=7:x&limit=3",
        CasesQuery(states=("confirmed", "open"), grades=("lead",), account=7, detector="x",
                   after=(7, "x"), limit=3),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("target", "asked"), ASKED)
async def test_lists(app, log, target, asked):
    answer = await ask(app, "GET", f"/api/v2/cases{target}")
    assert log.ledgers == [(asked,)]
    body = json.loads(answer.body)
    assert (body["next"], body["seq"]) == ("7:constant_rate", 99)
    first, bare = body["cases"]
    assert first == {
        "account": 7, "owner": "anna", "detector": "impossible_rate", "state": "open", "since": TIME, "grade": "case",
        "holder": "ops", "outcome": "harmless", "until": TIME, "findings": 1, "first": TIME,
        "last": TIME,
    }  # fmt: skip
    assert (bare["grade"], bare["first"], bare["findings"]) == (None, None, 0)


@pytest.mark.parametrize(
    "query", ["state=gone", "grade=", "after=7", "after=9999999999:x", "detector=X", "x=1"]
)
async def test_lists_that_cannot_be(app, query):
    assert problem(await ask(app, "GET", f"/api/v2/cases?{query}"))["status"] == 400


async def test_a_case_and_the_detectors(app):
    body = json.loads((await ask(app, "GET", PATH)).body)
    assert (body["seq"], body["case"]["findings"]) == (99, 1)
    (finding,), (change,) = body["findings"], body["history"]
    assert (finding["evidence"], finding["facts"], finding["begin"]) == ([3, 8], {"limit": 5}, TIME)
    assert (change["type"], change["by"], change["until"]) == ("case_closed", "ops", TIME)
    assert problem(await ask(app, "GET", "/api/v2/cases/8/impossible_rate"))["status"] == 404
    body = json.loads((await ask(app, "GET", "/api/v2/detectors")).body)
    assert body["detectors"] == [
        {"name": "impossible_rate", "parameters": {"limit": 7}, "cases": 5, "confirmed": 2,
         "harmless": 1, "mistaken": 0},
    ]  # fmt: skip
