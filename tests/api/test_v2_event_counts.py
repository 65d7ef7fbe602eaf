"""Counts of events in version 2, over a fake log: the calls, and the form of the answers."""

from __future__ import annotations

import json

import pytest

from tests.api.asking import ask, problem
from tracker.ports import LogPart

PATH = "/api/v2/events/counts"
TIMES = "from=1970-01-01T00:00:01Z&to=1970-01-01T00:00:05.5Z"


async def test_counts_of_a_part(app, log):
    answer = await ask(app, "GET", f"{PATH}?from=3&to=9&after=4")
    assert json.loads(answer.body) == {
        "counts": [{"from": None, "until": None, "types": {"announced": 7, "tick": 2}}],
        "next": None, "end": 0,
    }  # fmt: skip
    assert log.asked == [(LogPart(first=5, last=9), "None")]


async def test_counts_by_piece(app, log):
    """Each piece has its times; the last one may be shorter, and one may have nothing."""
    answer = json.loads((await ask(app, "GET", f"{PATH}?{TIMES}&step=2")).body)
    assert [(one["from"][17:], one["until"][17:], one["types"]) for one in answer["counts"]] == [
        ("01.000000Z", "03.000000Z", {"announced": 7, "tick": 2}),
        ("03.000000Z", "05.000000Z", {}),
        ("05.000000Z", "05.500001Z", {"tick": 1}),
    ]
    assert log.asked == [(LogPart(from_us=1_000_000, to_us=5_500_000), "2000000")]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("step=2", "step: expected a number of seconds, with two times"),
        ("step=0&" + TIMES, "step: expected a number of seconds, with two times"),
        ("step=2&from=1&to=9", "step: expected a number of seconds, with two times"),
        ("step=1&from=1970-01-01T00:00:01Z&to=1970-01-01T01:00:01Z", "more than 1000 pieces"),
        ("type=tick", "type: unknown parameter"),
    ],
)
async def test_refused_questions(app, query, said):
    answer = await ask(app, "GET", f"{PATH}?{query}")
    assert (answer.status, said in problem(answer)["detail"]) == (400, True), answer.body
