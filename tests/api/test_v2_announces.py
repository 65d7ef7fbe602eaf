"""Explanations of announces in version 2."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.api.asking import JSON, ask, problem
from tests.api.fakes import EXPLANATION, REPLY, FakePast
from tracker.ports import HandedQuery, LogPart, Moment, NoAnnounceError, PrunedMomentError

if TYPE_CHECKING:
    from quart_trio import QuartTrio

TARGET = "/api/v2/announces/7/explain"


async def test_an_explanation(app: QuartTrio, past: FakePast) -> None:
    """The endpoint gives what the past says of that event."""
    answer = await ask(app, "GET", TARGET, x_reason="ticket 7")
    assert (answer.status, answer.content_type) == (200, JSON)
    assert json.loads(answer.body) == EXPLANATION
    assert past.moments == [Moment(seq=7)]


async def test_no_announce(app: QuartTrio, past: FakePast) -> None:
    """Another event, one that is pruned, and a text that is no number get clear errors."""
    past.failure = NoAnnounceError("event 7 is no announce, its type is tick")
    refused = problem(await ask(app, "GET", TARGET))
    assert (refused["status"], refused["detail"]) == (404, "event 7 is no announce, its type is tick")  # fmt: skip
    past.failure = PrunedMomentError(9)
    refused = problem(await ask(app, "GET", TARGET))
    assert (refused["status"], refused["first_seq"]) == (410, 9)
    refused = problem(await ask(app, "GET", "/api/v2/announces/seven/explain"))
    assert (refused["status"], refused["detail"][:29]) == (400, "seq: expected a whole number,")


async def test_replies(app: QuartTrio, past: FakePast, live: Any) -> None:
    """Both lists take a part of the log and a page. An address has one form, whichever is given."""
    answer = await ask(
        app,
        "GET",
        "/api/v2/handed?address=2001:DB8:0::1&port=7&from=3&to=8&limit=2",
        x_reason="ticket 7",
    )
    expected = {"replies": [REPLY], "next": 8, "unread": ["2027-01-15"]}
    assert (answer.status, json.loads(answer.body)) == (200, expected)
    live.commands.accounts[1] = object()
    answer = await ask(app, "GET", "/api/v2/accounts/1/received?after=8", x_reason="why")
    assert (answer.status, json.loads(answer.body)) == (200, expected)
    assert past.handed_queries == [
        (HandedQuery(LogPart(first=3, last=8), address="2001:db8::1", port=7), 2),
        (HandedQuery(LogPart(first=9), account=1), 100),
    ]


@pytest.mark.parametrize(
    ("target", "status", "detail"),
    [
        ("handed", 400, "address: expected an IPv4 or IPv6 address"),
        ("handed?address=nobody", 400, "address: expected an IPv4 or IPv6 address"),
        ("handed?address=fe80::1%25eth0", 400, "address: expected an IPv4 or IPv6 address"),
        ("handed?address=::1&port=65536", 400, "port: expected a whole number, at most 65535"),
        ("accounts/9/received", 404, "there is no such account"),
        ("accounts/1/received?address=::1", 400, "address: unknown parameter"),
    ],
)
async def test_bad_questions(app: QuartTrio, target: str, status: int, detail: str) -> None:
    """What is wrong with a question is named."""
    refused = problem(await ask(app, "GET", f"/api/v2/{target}"))
    assert refused["status"] == status
    assert refused["detail"].startswith(detail)
