"""Tests the pages Cases and Case over a fake API."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.api.console.fakes import Browser, FakeApi
from tests.api.console.test_member import HASH, HOSTILE, WHEN

ONE = "/api/v2/cases/7/ghost_leech"
CASE = {
    "account": 7, "owner": HOSTILE, "detector": "ghost_leech", "state": "taken", "since": WHEN,
    "grade": "case", "holder": HOSTILE, "outcome": None, "until": None, "findings": 1,
    "first": WHEN, "last": WHEN,
}  # fmt: skip
FINDING = {
    "seq": 9, "time": WHEN, "grade": "case", "info_hash": HASH, "label": HOSTILE, "begin": WHEN,
    "end": WHEN, "amount": 3 << 30, "unit": "bytes", "evidence": list(range(1, 16)),
    "facts": {"announced_by": HOSTILE, "received": 12345},
}  # fmt: skip
SAID = {"seq": 10, "time": WHEN, "type": "case_noted", "by": HOSTILE, "reason": HOSTILE,
        "note": HOSTILE, "outcome": None, "until": None}  # fmt: skip


def answers() -> dict[str, Any]:
    young = CASE | {"account": 3, "first": "2030-01-01T00:00:00.000000Z"}
    return {
        "/api/v2/cases": {"cases": [young, CASE], "next": None, "seq": 5},
        ONE: {"case": CASE, "findings": [FINDING], "history": [SAID], "seq": 5},
        **{f"{ONE}/{what}": {"seq": 77} for what in ("take", "wait", "close", "notes")},
    }


async def test_the_oldest_case_is_first() -> None:
    api = FakeApi(answers())
    browser = Browser(api)
    await browser.sign_in()
    page = await browser.text("/cases?state=open&grade=lead")
    assert "<script>alert" not in page
    assert "tracker cases list --state open --grade lead" in page
    assert ("GET", "/api/v2/cases?state=open&grade=lead&limit=1000", "", "") in api.asked
    found = json.loads(await browser.text("/cases.json"))
    assert [one["account"] for one in found["cases"]] == [7, 3]
    found = json.loads(await browser.text("/cases.json?skip=1"))
    assert [one["account"] for one in found["cases"]] == [3]


async def test_evidence_leads_to_its_announces() -> None:
    browser = Browser(FakeApi(answers()))
    await browser.sign_in()
    page = await browser.text("/cases/7/ghost_leech")
    assert "<script>alert" not in page
    assert 'href="/events/12"' in page
    assert "and 3 more" in page
    assert "3.00 GiB" in page
    many = [FINDING | {"seq": number} for number in range(60)]
    browser = Browser(FakeApi(answers() | {ONE: {"case": CASE, "findings": many, "history": []}}))
    await browser.sign_in()
    assert 'href="/cases/7/ghost_leech?skip=50"' in await browser.text("/cases/7/ghost_leech")
    shown = json.loads(await browser.text("/cases/7/ghost_leech.json?skip=50"))["findings"]
    assert [one["seq"] for one in shown] == list(range(9, -1, -1))
    watch = Browser(FakeApi(answers()))
    await watch.sign_in("watch")
    assert "<form method" not in (await watch.text("/cases/7/ghost_leech")).partition("<main")[2]


@pytest.mark.parametrize(
    ("what", "form", "sent"),
    [
        ("take", {}, None),
        ("wait", {}, None),
        ("notes", {"note": "asked\n her"}, {"note": "asked her"}),
        ("close", {"outcome": "confirmed"}, {"outcome": "confirmed"}),
        ("close", {"outcome": "harmless", "until": "2031-02-01 10:00"},
         {"outcome": "harmless", "until": "2031-02-01T10:00:00.000000Z"}),
    ],
)  # fmt: skip
async def test_what_staff_says(what: str, form: dict[str, str], sent: Any) -> None:
    api = FakeApi(answers())
    browser = Browser(api)
    await browser.sign_in()
    path = f"/cases/7/ghost_leech/{what}"
    again = {**form, "reason": "ticket 7", "back": "/cases/7/ghost_leech", "once": "a"}
    assert (await browser.ask("POST", path, again)).status_code == 303
    assert api.asked[-1] == ("POST", f"{ONE}/{what}", "ticket 7", "a")
    assert api.sent == [sent]
    assert "event 77" in await browser.text("/cases/7/ghost_leech")
    assert (await browser.ask("POST", path, form)).status_code == 422


async def test_only_harmless_has_an_end() -> None:
    browser = Browser(FakeApi(answers()))
    await browser.sign_in()
    form = {"outcome": "mistaken", "until": "+1d", "reason": "ticket 7"}
    assert (await browser.ask("POST", "/cases/7/ghost_leech/close", form)).status_code == 422
