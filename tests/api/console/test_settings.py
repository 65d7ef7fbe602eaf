"""Tests the page Settings over a fake API: origins, history, and what its forms send."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.api.console.fakes import Browser, FakeApi
from tests.api.console.test_member import HASH, HOSTILE, LATER, WHEN

PATH = "/api/v2/settings"
FACTOR = {"factor": 3, "seq": 9, "account": 7, "owner": HOSTILE, "group": None, "info_hash": HASH,
          "upload_percent": 200, "download_percent": 0, "from": WHEN, "until": None,
          "label": HOSTILE}  # fmt: skip


def setting(key: str, value: Any, file: Any, by: str | None, seq: int | None) -> dict[str, Any]:
    return {"key": key, "value": value, "file": file, "seq": seq, "time": seq and WHEN, "by": by,
            "reason": HOSTILE}  # fmt: skip


def answers(changes: int = 2) -> dict[str, Any]:
    keys = [
        setting("policy.max_peers", 7, 5, HOSTILE, 8),
        setting("core.listed", True, True, None, 2),
        setting("policy.words", [HOSTILE], [], None, None),
    ]
    history = [
        {"seq": seq, "time": WHEN, "by": None if seq == 2 else HOSTILE, "reason": HOSTILE,
         "settings": {"policy.max_peers": seq, "core.listed": True}}
        for seq in range(2, 2 + changes)
    ]  # fmt: skip
    return {
        PATH: {"seq": 8, "settings": {}, "keys": keys},
        f"{PATH}/history": {"changes": history, "next": None},
        "/api/v2/factors": {"factors": [FACTOR], "next": None},
    }


async def data(query: str = "", changes: int = 2) -> dict[str, Any]:
    browser = Browser(FakeApi(answers(changes)))
    await browser.sign_in()
    assert "<script>alert" not in await browser.text(f"/settings?{query}")
    found: dict[str, Any] = json.loads(await browser.text(f"/settings.json?{query}"))
    return found


async def test_where_each_value_comes_from() -> None:
    shown = await data()
    rows = [(one["by"], one["differs"]) for one in shown["settings"]]
    assert rows == [
        (HOSTILE, "unlike the file"),
        ("the file", ""),
        ("not known", "unlike the file"),
    ]
    assert [(one["seq"], one["by"]) for one in shown["changes"]] == [
        (3, HOSTILE), (3, HOSTILE), (2, "the file"), (2, "the file"),
    ]  # fmt: skip
    assert shown["factors"][0]["torrent"] == f"/torrents/{HASH}"


async def test_one_setting() -> None:
    """Its form is filled with its value, and its changes come alone."""
    shown = await data("key=policy.max_peers")
    assert (shown["value"], len(shown["settings"])) == ("7", 1)
    assert [one["value"] for one in shown["changes"]] == ["3", "2"]
    browser = Browser(FakeApi(answers()))
    await browser.sign_in()
    assert (await browser.get("/settings?key=nothing")).status_code == 404
    page = await browser.text("/settings?key=policy.max_peers")
    assert "tracker settings show policy.max_peers; tracker settings history" in page


async def test_the_history_goes_on_before_an_event() -> None:
    """A page has whole events: 75 of them have two settings each."""
    first = await data(changes=75)
    assert (len(first["changes"]), first["next"]) == (100, 27)
    rest = await data("before=27", changes=75)
    assert (rest["changes"][0]["seq"], len(rest["changes"]), rest["next"]) == (26, 50, None)


@pytest.mark.parametrize(
    ("path", "form", "asked", "sent"),
    [
        ("change", {"key": "policy.max_peers", "value": "400"}, ("PATCH", PATH),
         {"settings": {"policy.max_peers": 400}}),
        ("change", {"key": "policy.word", "value": "a word"}, ("PATCH", PATH),
         {"settings": {"policy.word": "a word"}}),
        ("factors", {"account": "7", "download_percent": "0", "until": "2027-01-15 09:00",
                     "info_hash": HASH, "label": HOSTILE}, ("POST", "/api/v2/factors"),
         {"account": 7, "download_percent": 0, "until": LATER, "info_hash": HASH,
          "label": HOSTILE}),
        ("factors", {"account": "owner:anna", "upload_percent": "200"}, ("POST", "/api/v2/factors"),
         {"account": "owner:anna", "upload_percent": 200}),
        ("factors/end", {"factor": "3"}, ("DELETE", "/api/v2/factors/3"), None),
    ],
)  # fmt: skip
async def test_a_change(
    path: str, form: dict[str, str], asked: tuple[str, str], sent: object
) -> None:
    changed = [{"key": "policy.max_peers", "value": HOSTILE, "before": 5}]
    api = FakeApi({**answers(), PATH: {**answers()[PATH], "seq": 9, "changed": changed},
                   "/api/v2/factors": FACTOR | {"factors": [], "next": None}})  # fmt: skip
    browser = Browser(api)
    await browser.sign_in()
    form = {**form, "reason": "ticket 7", "back": "/settings"}
    answer = await browser.ask("POST", f"/settings/{path}", form)
    assert answer.status_code == 303
    assert [one[:3] for one in api.asked if one[0] != "GET"] == [(*asked, "ticket 7")]
    assert api.sent == [sent]
    assert 'class="notice good"' in (page := await browser.text("/settings"))
    assert "<script>alert" not in page


async def test_who_may() -> None:
    browser = Browser(FakeApi(answers()))
    await browser.sign_in("staff")
    assert 'action="/settings/change"' not in await browser.text("/settings")
    form = {"reason": "ticket 7", "key": "core.listed", "value": "true"}
    assert (await browser.ask("POST", "/settings/change", form)).status_code == 403
