"""Tests sanctions in version 2 over fakes: the calls, and the form of the answers."""

from __future__ import annotations

import json

import pytest

from tests.api.asking import ask, problem
from tests.api.fakes import NOW_US
from tracker.ports import InvalidSanctionError, UnknownSanctionError

HASH = "5452869be36f9f3350ccee6b4544e7e76caaadab"
RAW = bytes.fromhex(HASH)
TIME = "2023-03-28T12:25:00.058085Z"
WHY = {"X_Reason": "as told"}
ROW = {"seq": 40, "since": TIME, "until": None, "by": "admin", "reason": "ä", "public": False}

SAID = [
    ("PUT", "/accounts/7/leech-off", {"until": TIME}, ("leech_off", 7, NOW_US)),
    ("PUT", "/accounts/7/leech-off", None, ("leech_off", 7, None)),
    ("DELETE", "/accounts/7/leech-off", None, ("leech_off", 7)),
    ("PUT", "/accounts/7/hidden", {}, ("hidden", 7, None)),
    ("DELETE", "/accounts/7/hidden", None, ("hidden", 7)),
    ("PUT", f"/blacklist/{HASH}", {"public": True}, (RAW, True)),
    ("PUT", f"/blacklist/{HASH}", None, (RAW, False)),
    ("DELETE", f"/blacklist/{HASH}", None, RAW),
    ("PUT", "/blocks/198.51.100.0/24", {"until": TIME}, ("198.51.100.0/24", NOW_US, False)),
    ("PUT", "/blocks/2001:db8::/48", {"public": True}, ("2001:db8::/48", None, True)),
    ("DELETE", "/blocks/198.51.100.0/24", None, "198.51.100.0/24"),
]


@pytest.mark.parametrize(("method", "path", "body", "said"), SAID)
async def test_changes(app, commands, method, path, body, said):
    """Each reaches the tracker with its reason, and the answer names the event."""
    options = dict(WHY)
    if body is not None:
        options |= {"body": json.dumps(body).encode(), "Content_Type": "application/json"}
    answer = await ask(app, method, f"/api/v2{path}", **options)
    assert (answer.status, json.loads(answer.body)["seq"]) == (200, 2001)
    assert commands.judging == [said]
    assert commands.actors[0].reason == "as told"
    for failure, status in ((InvalidSanctionError("no"), 422), (UnknownSanctionError("no"), 404)):
        commands.failure = failure
        document = problem(await ask(app, method, f"/api/v2{path}", **options))
        assert (document["status"], document["detail"]) == (status, "no")


LISTS = {
    "/sanctions": ("sanctions", [
        {"account": 7, "owner": "anna", "leech_off": ROW, "hidden": None},
        {"account": 9, "owner": None, "leech_off": ROW, "hidden": {**ROW, "until": TIME}},
    ], "account"),
    "/blacklist": ("blacklist", [
        {"info_hash": "01" * 20, "label": None, **ROW},
        {"info_hash": "02" * 20, "label": None, **ROW},
    ], "info_hash"),
    "/blocks": ("blocks", [
        {"network": "198.51.100.0/24", **ROW, "until": TIME, "public": True},
        {"network": "2001:db8::/48", **ROW},
    ], "network"),
}  # fmt: skip


@pytest.mark.parametrize("path", LISTS)
async def test_lists(app, path):
    """Each comes in pages."""
    name, rows, cursor = LISTS[path]
    whole = json.loads((await ask(app, "GET", f"/api/v2{path}")).body)
    assert whole == {name: rows, "next": None}
    first = json.loads((await ask(app, "GET", f"/api/v2{path}?limit=1")).body)
    assert first == {name: rows[:1], "next": rows[0][cursor]}
    rest = json.loads((await ask(app, "GET", f"/api/v2{path}?after={first['next']}")).body)
    assert rest == {name: rows[1:], "next": None}


async def test_one_blacklisted_torrent(app):
    answer = await ask(app, "GET", f"/api/v2/blacklist/{'01' * 20}")
    assert json.loads(answer.body) == {"info_hash": "01" * 20, "label": None, **ROW}
    assert problem(await ask(app, "GET", f"/api/v2/blacklist/{HASH}"))["status"] == 404


async def test_all_keys_of_an_owner(app):
    """The answer has their count; an owner without an account is unknown."""
    form = {"body": b'{"owner": "carl"}', "Content_Type": "application/json", **WHY}
    await ask(app, "POST", "/api/v2/keys", **form)
    answer = await ask(app, "POST", "/api/v2/keys/revoke", **form)
    assert json.loads(answer.body) == {"revoked": 1}
    for body in (b"{}", b'{"owner": 7}'):
        assert problem(await ask(app, "POST", "/api/v2/keys/revoke", **{**form, "body": body}))["status"] == 422  # fmt: skip
    missing = await ask(app, "POST", "/api/v2/keys/revoke", **{**form, "body": b'{"owner": "x"}'})
    assert problem(missing)["detail"] == "no account has the owner x"
