"""Tests the page Changes by staff over a fake API."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from tests.api.console.fakes import Browser, FakeApi
from tests.api.console.test_member import HASH, HOSTILE, WHEN


def event(seq: int, who: str, address: str | None) -> dict[str, Any]:
    by = {"token": who, "reason": HOSTILE, "address": address}
    said = {"seq": seq, "time": WHEN, "type": "leech_off_changed", "account": 7, "by": by}
    return {**said, "note": HOSTILE, "info_hash": HASH}


EVENTS = [event(seq, f"mod{seq % 2} {HOSTILE}", "192.0.2.1") for seq in range(4)]


async def test_who_what_when_from_where_and_why() -> None:
    api = FakeApi({"/api/v2/events": {"events": EVENTS, "next": None, "previous": None, "end": 4}})
    browser = Browser(api)
    await browser.sign_in()
    page = await browser.text("/changes")
    assert "<script>alert" not in page
    rows = json.loads(await browser.text("/changes.json"))["changes"]
    assert [row["seq"] for row in rows] == [3, 2, 1, 0]
    assert rows[0]["where"] == "192.0.2.1"
    assert rows[0]["why"] == HOSTILE
    csv = await browser.text("/changes.csv")
    assert csv.count("192.0.2.1") == 4


async def test_filters() -> None:
    """Of one author; and of a kind, which the command and the call name."""
    browser = Browser(
        FakeApi({"/api/v2/events": {"events": EVENTS, "next": None, "previous": None, "end": 4}})
    )
    await browser.sign_in()
    found = json.loads(await browser.text(f"/changes.json?who={quote(f'mod1 {HOSTILE}')}"))
    assert [row["seq"] for row in found["changes"]] == [3, 1]
    page = await browser.text("/changes?type=leech_off_changed&account=7")
    assert "tracker events --type leech_off_changed --account 7 --last 100" in page
    assert (await browser.get("/changes?type=announced")).status_code == 400
