"""Explanations of announces in version 2."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from tests.api.asking import JSON, ask, problem
from tests.api.fakes import EXPLANATION, FakePast
from tracker.ports import Moment, NoAnnounceError, PrunedMomentError

if TYPE_CHECKING:
    from quart_trio import QuartTrio

TARGET = "/api/v2/announces/7/explain"


async def test_an_explanation(app: QuartTrio, past: FakePast) -> None:
    """The endpoint gives what the past says of that event."""
    answer = await ask(app, "GET", TARGET)
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
