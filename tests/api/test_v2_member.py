"""Tests a member's page: what it asks for, and what it shows with and without the right to look."""

from __future__ import annotations

import json

import pytest

from tests.api.asking import ask, problem
from tests.api.fakes import NOW_US, STAY
from tracker.ports import (
    Account,
    BookQuery,
    BusyError,
    CasesQuery,
    EventFilter,
    JudgedQuery,
    NewKey,
    NoMomentError,
    Peer,
)

PAGE = "/api/v2/accounts/owner:anna/page"
MINE, OTHER = bytes(20), b"\1" * 20


@pytest.fixture
def member(commands, live, log):
    """Account 7, in two swarms, with a refusal."""
    commands.accounts[7] = Account(7, 10, 20, 30, 5000, 0, 2, 1, NOW_US, None, owner="anna")
    commands.add(NewKey("A" * 32, owner="anna"))
    peer = Peer(bytes(20), None, "192.0.2.1:6881", 0, 0, 0, 0, "None")
    live.add(MINE, peer, peer)
    live.add(OTHER, peer)
    log.events = [
        {"type": "announce_refused", "seq": at, "time": f"t{at}", "key_ref": 1, "reason": "key_expired",
         "info_hash": OTHER.hex()}
        for at in range(1100)
    ]  # fmt: skip


@pytest.mark.usefixtures("member")
async def test_a_page(app, log, past, commands):
    """Each part comes from where the endpoint of its own has it. Networks need a reason."""
    answer = await ask(app, "GET", PAGE)
    assert answer.status == 200
    body = json.loads(answer.body)
    assert (body["account"]["account"], body["account"]["owner"]) == (7, "anna")
    assert body["missing_to_ratio_1"] == 4970
    assert (body["seeding"], body["leeching"]) == (2, 0)
    assert body["slots"] == {"used": 12, "limit": None}
    assert body["started_today"] == {"used": 0, "limit": None}
    assert body["handed_today"] == {"used": 40, "limit": 500}
    assert body["immune"] is True
    assert body["hit_and_run"]["states"] == {"at_risk": 2}
    assert [one["label"] for one in body["hit_and_run"]["open"]] == [None, None]
    assert body["last_announce"]["info_hash"] == MINE.hex()
    assert body["last_announce"]["words"] == f"{MINE.hex()}; the member is in its swarm"
    assert [one["seq"] for one in body["refusals"]] == list(range(1099, 1079, -1))
    assert body["refusals"][0]["info_hash"] == OTHER.hex()
    assert body["networks"] == [{
        "network": None, "pseudonym": STAY["pseudonym"], "stays": 1, "present": True,
        "last_joined": STAY["joined"],
    }]  # fmt: skip
    assert [one["detector"] for one in body["open_cases"]] == ["impossible_rate"] * 2
    assert commands.looks == []
    shown = json.loads((await ask(app, "GET", PAGE, x_reason="ticket 7")).body)
    assert shown["networks"][0]["network"] == STAY["network"]
    assert commands.looks == [(PAGE, 1)]
    queries = {type(one[-1] or one[0]): one for one in map(tuple, log.ledgers[:3])}
    assert queries.keys() <= {JudgedQuery, BookQuery, CasesQuery}
    assert log.asked[0][1] == EventFilter(types=frozenset({"announce_refused"}), account=7)
    assert past.stays_queries[0][0].account == 7


@pytest.mark.usefixtures("member")
async def test_a_young_log(app, past):
    """A log that is younger than a day is looked at as a whole. Without an index there are none."""
    for failure, asked in ((NoMomentError("before the log"), 2), (BusyError("no index"), 1)):
        past.failure = failure
        past.stays_queries.clear()
        answer = await ask(app, "GET", PAGE)
        assert (answer.status, json.loads(answer.body)["networks"]) == (200, None)
        assert len(past.stays_queries) == asked


async def test_nobody(app):
    assert problem(await ask(app, "GET", "/api/v2/accounts/8/page"))["status"] == 404
