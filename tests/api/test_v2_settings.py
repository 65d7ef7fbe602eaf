"""Settings in version 2: where each comes from, changes, previews, history."""

from __future__ import annotations

import json

import pytest

from tests.api.asking import JSON, ask, problem


async def test_settings_and_their_origins(app):
    """Each key has its value, the file's, and the change that it comes from."""
    answer = json.loads((await ask(app, "GET", "/api/v2/settings")).body)
    keys = {one["key"]: one for one in answer["keys"]}
    assert (answer["seq"], answer["settings"]["private"]) == (5, True)
    assert keys["core.private"]["by"] is None
    changed = keys["policy.max_peers"]
    assert [changed[name] for name in ("value", "file", "seq", "by", "reason")] == [
        0, 7, 5, "anna", "full",
    ]  # fmt: skip
    assert (keys["policy.ip_parameter"]["seq"], keys["policy.ip_parameter"]["time"]) == (None, None)


async def test_history(app):
    """The oldest change comes first, in pages."""
    first = json.loads((await ask(app, "GET", "/api/v2/settings/history?limit=1")).body)
    assert ([one["seq"] for one in first["changes"]], first["next"]) == ([1], 1)
    rest = json.loads((await ask(app, "GET", "/api/v2/settings/history?after=1")).body)
    assert [(one["by"], one["settings"]) for one in rest["changes"]] == [
        ("anna", {"policy.max_peers": 0})
    ]


async def test_the_last_changes(app):
    """They ascend, and `previous` leads to older ones."""
    last = json.loads((await ask(app, "GET", "/api/v2/settings/history?last=1")).body)
    assert ([one["seq"] for one in last["changes"]], last["previous"]) == ([5], 5)
    path = "/api/v2/settings/history?last=7&before=5"
    rest = json.loads((await ask(app, "GET", path)).body)
    assert ([one["seq"] for one in rest["changes"]], rest["previous"]) == ([1], None)
    answer = await ask(app, "GET", "/api/v2/settings/history?last=7&limit=5")
    assert (answer.status, "limit: does not go" in problem(answer)["detail"]) == (400, True)


@pytest.mark.parametrize("dry_run", [True, False])
async def test_a_change(app, commands, dry_run):
    """The reply says what changed; a preview has no event."""
    body = json.dumps({"settings": {"policy.max_peers": 9}, "dry_run": dry_run}).encode()
    answer = await ask(
        app, "PATCH", "/api/v2/settings", body=body, content_type=JSON, x_reason="why"
    )
    assert json.loads(answer.body) == {
        "seq": None if dry_run else 7,
        "changed": [{"key": "policy.max_peers", "value": 9, "before": 0}],
    }
    assert commands.actors[-1].reason == "why"


@pytest.mark.parametrize(
    ("body", "text"),
    [
        ({}, "settings: expected an object"),
        ({"settings": [1]}, "settings: expected an object"),
        ({"settings": {}}, "no setting is given"),
        ({"settings": {"policy.max_peers": 9}, "dry_run": 1}, "dry_run: expected true or false"),
        ({"policy.max_peers": 9}, "unknown member"),
    ],
)
async def test_refusals(app, body, text):
    """Each says what was wrong."""
    answer = await ask(
        app, "PATCH", "/api/v2/settings", body=json.dumps(body).encode(), content_type=JSON
    )
    assert answer.status == 422
    assert text in problem(answer)["detail"]
