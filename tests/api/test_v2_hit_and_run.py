"""Tests hit and run in version 2 over fakes: the calls, and the form of the answers."""

from __future__ import annotations

import json

import pytest

from tests.api.asking import TOKEN, ask, problem
from tests.api.fakes import NOW_US
from tests.api.sockets import running
from tracker.ports import (
    InvalidJudgingError,
    JudgedQuery,
    JudgingRule,
    Moment,
    Pardon,
    TransitionPlace,
)

HASH = "5452869be36f9f3350ccee6b4544e7e76caaadab"
RAW = bytes.fromhex(HASH)
TIME = "2023-03-28T12:25:00.058085Z"
WHY = {"X_Reason": "as voted"}


def sent(body: object) -> dict[str, object]:
    return {"body": json.dumps(body).encode(), "Content_Type": "application/json", **WHY}


RULE = {
    "buffer": 0.125, "seed_seconds": 60, "seed_by_size": [{"size": 5, "seconds": 90}], "ratio": None,
    "warn_absent": 1, "grace_absent": 2, "window": 3, "freeleech_exempts": True, "partial_counts": True,
}  # fmt: skip
SAID = [
    ("PUT", "/hit-and-run/rule", RULE,
     JudgingRule(buffer_permille=125, seed_seconds=60, seed_by_size=((5, 90),), ratio_permille=None,
                 warn_absent=1, grace_absent=2, window=3, freeleech_exempts=True, partial_counts=True)),
    ("PUT", "/hit-and-run/rule", {"ratio": 1.5, "window": None}, JudgingRule(ratio_permille=1500)),
    ("DELETE", "/hit-and-run/rule", None, None),
    ("POST", "/hit-and-run/pardons", {"account": 7, "info_hash": HASH}, Pardon(account=7, info_hash=RAW)),
    ("POST", "/hit-and-run/pardons", {"from": TIME, "until": TIME}, Pardon(from_us=NOW_US, until_us=NOW_US)),
    ("POST", "/hit-and-run/voids", {"info_hash": HASH}, (RAW, None)),
    ("POST", "/hit-and-run/voids", {"info_hash": HASH, "account": 7}, (RAW, 7)),
    ("PUT", "/accounts/7/immunity", {"from": TIME}, (7, True, NOW_US)),
    ("PUT", "/accounts/7/immunity", {}, (7, True, None)),
    ("DELETE", "/accounts/7/immunity", None, (7, False, None)),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "said"), SAID)
async def test_changes(app, commands, method, path, body, said):
    """Each reaches the tracker with its reason, and the answer names the event."""
    options = WHY if body is None else sent(body)
    answer = await ask(app, method, f"/api/v2{path}", **options)
    assert (answer.status, json.loads(answer.body)["seq"]) == (200, 2001)
    assert commands.judging == [said]
    assert commands.actors[0].reason == "as voted"
    commands.failure = InvalidJudgingError("not like that")
    document = problem(await ask(app, method, f"/api/v2{path}", **options))
    assert (document["status"], document["detail"]) == (422, "not like that")


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({"buffer": 1.5}, "buffer"),
        ({"buffer": 0.0001}, "buffer"),
        ({"ratio": "1"}, "ratio"),
        ({"ratio": True}, "ratio"),
        ({"seed_seconds": None}, "seed_seconds"),
        ({"seed_seconds": -1}, "seed_seconds"),
        ({"seed_by_size": 7}, "seed_by_size"),
        ({"seed_by_size": [{"size": 1}]}, "seed_by_size[0].size"),
        ({"seed_by_size": [{"size": 1, "more": 2}]}, "seed_by_size[0].more"),
        ({"partial_counts": 1}, "partial_counts"),
        ({"seed": 1}, "seed"),
    ],
)
async def test_rules_that_are_none(app, commands, body, named):
    """The refusal names the member."""
    document = problem(await ask(app, "PUT", "/api/v2/hit-and-run/rule", **sent(body)))
    assert document["status"] == 422
    assert document["detail"].startswith(named)
    assert commands.judging == []


MINE, ALL = "/accounts/7/hit-and-run", "/hit-and-run"
ASKED = [
    (ALL, (JudgedQuery(limit=100), None)),
    (
        f"{ALL}?state=violated,at_risk&info_hash={HASH}&after=7:{HASH}&limit=3&at=9",
        (JudgedQuery(states=("violated", "at_risk"), info_hash=RAW, after=(7, RAW), limit=3), Moment(seq=9)),
    ),
    (MINE, (JudgedQuery(account=7, limit=100), None)),
    (
        f"{ALL}?violated_from={TIME}",
        (JudgedQuery(violated_from_us=NOW_US, limit=100), None),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("target", "asked"), ASKED)
async def test_lists(app, live, log, target, asked):
    live.commands.accounts[7] = object()
    answer = await ask(app, "GET", f"/api/v2{target}")
    assert answer.status == 200
    assert log.ledgers == [asked]
    body = json.loads(answer.body)
    first, past = body["downloads"]
    assert (body["next"], body["seq"], past["facts"]) == (f"7:{'00' * 20}", 99, None)
    assert first["state"] == "at_risk"
    assert first["position"] == {"log_id": "ab" * 16, "epoch": 3, "seq": 40, "n": 1}
    facts = first["facts"]
    assert (facts["seed_seconds_left"], facts["seconds_left"]) == (1, 2)  # rounded up
    assert (facts["violated_at"], facts["at_risk_at"]) == (TIME, None)


@pytest.mark.parametrize(
    "target",
    [
        f"{ALL}?state=begun",
        f"{ALL}?after=7",
        f"{ALL}?after=9999999999:{HASH}",
        f"{ALL}?x=1",
        f"{ALL}?violated_from=7",
        f"{ALL}?violated_from={TIME}&at=7",
    ],
)
async def test_lists_that_cannot_be(app, target):
    assert problem(await ask(app, "GET", f"/api/v2{target}"))["status"] == 400


async def test_a_history_a_preview_and_the_rules(app, live, log, commands):
    live.commands.accounts[7] = object()
    answer = await ask(app, "GET", f"/api/v2{MINE}/{HASH}")
    body = json.loads(answer.body)
    assert (len(body["history"]), body["download"]["state"]) == (1, "at_risk")
    assert (await ask(app, "GET", f"/api/v2/accounts/8/hit-and-run/{HASH}")).status == 404
    asked = {"from": TIME, "preview": True}
    answer = await ask(app, "POST", "/api/v2/hit-and-run/pardons", **sent(asked))
    assert len(json.loads(answer.body)["downloads"]) == 2
    for wrong in ({"preview": True}, {**asked, "until": TIME}):
        answer = await ask(app, "POST", "/api/v2/hit-and-run/pardons", **sent(wrong))
        assert problem(answer)["status"] == 422
    assert commands.judging == []
    (query, _) = log.ledgers[-1]
    assert (query.states, query.violated_from_us) == (("violated",), NOW_US)
    rules = json.loads((await ask(app, "GET", "/api/v2/hit-and-run/rule")).body)
    assert rules["rule"]["number"] == 2
    assert [one["in_force"] for one in rules["rules"]] == [False, True]
    assert rules["rule"]["seed_by_size"] == [{"size": 0, "seconds": 60}, {"size": 5, "seconds": 90}]


NEWS = "/api/v2/hit-and-run/transitions"
ID = f"{'ab' * 16}:3:40:1"
SHOWN = {
    "id": ID, "account": 7, "owner": "anna", "info_hash": "00" * 20, "label": None,
    "state": "at_risk", "time": TIME,
    "position": {"log_id": "ab" * 16, "epoch": 3, "seq": 40, "n": 1},
}  # fmt: skip


async def test_transitions(app, log):
    """A page goes on behind an `id`, and says where the next one does."""
    for target, asked in (
        (NEWS, (None, 100)),
        (f"{NEWS}?after={ID}&limit=3", (TransitionPlace(3, 40, 1), 3)),
    ):
        answer = await ask(app, "GET", target)
        assert json.loads(answer.body) == {"transitions": [SHOWN], "next": ID, "seq": 99}
        assert log.ledgers[-1] == asked


@pytest.mark.parametrize(
    ("query", "status"),
    [
        (f"after={'cd' * 16}:3:40:1", 409),  # another log
        ("after=40", 400),
        (f"after={'ab' * 16}:3:40:{2**32}", 400),
        ("state=violated", 400),
    ],
)
@pytest.mark.parametrize("path", [NEWS, f"{NEWS}/stream"])
async def test_transitions_that_cannot_be(app, path, query, status):
    assert problem(await ask(app, "GET", f"{path}?{query}"))["status"] == status


@pytest.mark.parametrize(
    ("header", "begin"),
    [("", TransitionPlace(3, 50, 0)), (f"Last-Event-ID: {ID}\r\n", TransitionPlace(3, 40, 1))],
)
async def test_a_stream_of_transitions(app, log, header, begin):
    """It begins with what is new, or behind the client's last `id`."""
    head = f"GET {NEWS}/stream?{TOKEN} HTTP/1.1\r\nHost: x\r\n{header}\r\n"
    async with running(app) as server, await server.connect() as stream:
        await stream.send_all(head.encode())
        got = b""
        while b"\ndata: " not in got:
            got += await stream.receive_some()
    assert log.ledgers[-1] == ("followed", begin)
    text = got.decode().partition("retry: 1000\n\n")[2]
    assert f"id: {ID}\nevent: at_risk\ndata: " in text
    assert json.loads(text.partition("data: ")[2].partition("\n")[0]) == SHOWN
