"""Tests merges and splits of accounts in version 2 over fakes: the calls, and the answers."""

from __future__ import annotations

import json

import pytest

from tests.api.asking import ask, problem
from tracker.ports import InvalidMoveError, SplitTerms

MERGE, SPLIT = "/api/v2/accounts/7/merge", "/api/v2/accounts/7/split"


async def post(app, path, body):
    sent = json.dumps(body).encode()
    return await ask(app, "POST", path, body=sent, Content_Type="application/json", X_Reason="one")


@pytest.mark.parametrize(
    ("path", "body", "said", "account"),
    [
        (MERGE, {"into": 9}, (7, 9), 9),
        (MERGE, {"into": "owner:anna"}, (7, 7), 7),
        (SPLIT, {"keys": [3, 4], "owner": "c"}, (7, SplitTerms([3, 4], "c")), 8),
        (
            SPLIT, {"keys": [3], "owner": "c", "uploaded": 5, "credited_downloaded": 6},
            (7, SplitTerms([3], "c", 5, 0, None, 6)), 8,
        ),
    ],
)  # fmt: skip
async def test_changes(app, commands, path, body, said, account):
    answer = await post(app, path, body)
    assert answer.status == 200
    assert json.loads(answer.body) == {"seq": 2001, "account": account, "preview": None}
    assert commands.judging == [said]
    commands.failure = InvalidMoveError("no")
    assert problem(await post(app, path, body))["detail"] == "no"


async def test_previews(app, commands):
    """Nothing changes; both accounts as they are, with what the follower knows, and would be."""
    for path, body in ((MERGE, {"into": 9}), (SPLIT, {"keys": [3], "owner": "c"})):
        told = json.loads((await post(app, path, body | {"preview": True})).body)
        ours, theirs = told["preview"]["before"]
        assert (told["seq"], told["account"], ours["peers"]) == (None, 9, 2)
        assert (theirs["limits"], theirs["sanctions"]) == (
            {"slots": 3} | {name: None for name in theirs["limits"] if name != "slots"}, ["hidden"],
        )  # fmt: skip
        assert ours["hit_and_run"] is not None
        assert [one["uploaded"] for one in told["preview"]["after"]] == [0, 1]
    assert [said[0] for said in commands.judging] == ["preview", "preview"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (MERGE, {}), (MERGE, {"into": "anna"}), (SPLIT, {"keys": [], "owner": "c"}),
        (SPLIT, {"keys": ["3"], "owner": "c"}), (SPLIT, {"keys": [3]}),
        (SPLIT, {"keys": [3], "owner": "c", "uploaded": -1}),
    ],
)  # fmt: skip
async def test_bad_bodies(app, path, body):
    assert problem(await post(app, path, body))["status"] == 422
