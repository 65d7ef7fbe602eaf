"""Tests the page Key over a fake API: who did what with a key, and its forms."""

from __future__ import annotations

import json
from typing import Any

import pytest

from api.console import kinds
from api.console.api import ProblemError
from tests.api.console.fakes import Browser, FakeApi
from tests.api.console.test_member import EVENTS, HOSTILE, LATER, STAY, WHEN

BY = {"token": HOSTILE, "reason": HOSTILE}
KEY = {"key_ref": 7, "key_hash": "aa" * 32, "state": "revoked", "account": 7, "owner": HOSTILE,
       "label": HOSTILE, "valid_until": None, "last_used": WHEN, "account_last_seen": LATER}  # fmt: skip
CHANGES = [
    {"seq": 1, "time": WHEN, "type": "key_rotated", "key_ref": 7, "old_key_ref": 3, "by": BY},
    {"seq": 2, "time": WHEN, "type": "key_changed", "key_ref": 7, "old_key_ref": None,
     "label": HOSTILE, "by": BY},
    {"seq": 3, "time": LATER, "type": "key_rotated", "key_ref": 9, "old_key_ref": 7, "by": BY},
]  # fmt: skip


def fake(changes: list[dict[str, Any]], **key: object) -> FakeApi:
    return FakeApi(
        {
            "/api/v2/keys/7": KEY | key,
            "/api/v2/events": EVENTS | {"events": changes},
            "/api/v2/stays": {"stays": [STAY], "next": None},
        }
    )


async def test_who_issued_and_replaced_it() -> None:
    """Of both rotations one made the key, the other ended it. Its hash is not shown."""
    api = fake(CHANGES)
    browser = Browser(api)
    await browser.sign_in("watch")
    page = await browser.text("/keys/7")
    assert "<script>alert" not in page
    assert 'action="/keys/7/' not in page
    shown = json.loads(await browser.text("/keys/7.json"))
    assert (shown["issued"]["seq"], shown["issued"]["other"]) == (1, 3)
    assert (shown["ended"]["seq"], shown["ended"]["other"]) == (3, 9)
    assert [one["does"] for one in shown["changes"]] == ["ended", "", "issued"]
    assert "key_hash" not in shown
    assert [one["seq"] for one in shown["sessions"]] == [5]
    asked = [target for _, target, _, _ in api.asked if target.startswith("/api/v2/stays")]
    assert asked[0].startswith("/api/v2/stays?key_ref=7&from=")


@pytest.mark.parametrize(
    ("kind", "change"),
    [
        ("key_revoked", {"key_ref": 7}),
        ("owner_keys_revoked", {"key_refs": [7, 8]}),
    ],
)
async def test_who_revoked_it(kind: str, change: dict[str, Any]) -> None:
    browser = Browser(
        fake([{"seq": 5, "time": WHEN, "type": kind, "old_key_ref": None, "by": BY, **change}])
    )
    await browser.sign_in()
    assert json.loads(await browser.text("/keys/7.json"))["ended"]["seq"] == 5


@pytest.mark.parametrize(("token", "forms"), [("watch", 0), ("staff", 1), ("full", 2)])
async def test_who_may(token: str, forms: int) -> None:
    browser = Browser(fake([], state="valid"))
    await browser.sign_in(token)
    page = await browser.text("/keys/7")
    assert page.count('action="/keys/7/') == forms


@pytest.mark.parametrize(
    ("action", "asked"),
    [("rotate", ("POST", "/api/v2/keys/7/rotate")), ("revoke", ("DELETE", "/api/v2/keys/7"))],
)
async def test_a_change(action: str, asked: tuple[str, str]) -> None:
    api = fake([])
    api.answers["/api/v2/keys/7/rotate"] = {"key_ref": 9, "key": "k" * 32}
    browser = Browser(api)
    await browser.sign_in()
    form = {"reason": "ticket 7", "back": "/keys/7"}
    answer = await browser.ask("POST", f"/keys/7/{action}", form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/keys/7")
    changes = [one[:3] for one in api.asked if one[0] != "GET"]
    assert changes == [(*asked, "ticket 7")]


async def test_no_such_key() -> None:
    api = FakeApi({"/api/v2/keys/7": ProblemError(410, "Gone", "issued again as key 9")})
    browser = Browser(api)
    await browser.sign_in()
    answer = await browser.get("/keys/7")
    assert answer.status_code == 410
    assert "issued again as key 9" in await answer.get_data(as_text=True)


def test_what_changes_a_key_is_a_change_by_staff() -> None:
    assert set(kinds.KEY) <= set(kinds.STAFF)
