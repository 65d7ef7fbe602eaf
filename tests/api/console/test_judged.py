"""Tests the page Hit and run and the preview of pardons over a fake API."""

from __future__ import annotations

import json
from typing import Any

from tests.api.console.fakes import Browser, FakeApi
from tests.api.console.test_member import HASH, HOSTILE, WHEN

LIST = "/api/v2/hit-and-run"
DOWNLOAD = {
    "account": 7, "owner": HOSTILE, "info_hash": HASH, "label": HOSTILE, "state": "violated",
    "since": WHEN, "position": {"log_id": "a", "epoch": 1, "seq": 9, "n": 0},
    "facts": {"rule": 1, "size": 5, "seeding_seconds": 90},
}  # fmt: skip
RULE = {"seed_seconds": 90, "ratio": None, "warn_absent": 1, "grace_absent": 2, "seq": 4,
        "set_at": WHEN}  # fmt: skip


def answers() -> dict[str, Any]:
    return {
        LIST: {"downloads": [DOWNLOAD, DOWNLOAD | {"facts": None}], "next": f"7:{HASH}"},
        f"{LIST}/rule": {"rule": RULE, "rules": [RULE]},
        f"{LIST}/pardons": {"seq": 77, "downloads": [DOWNLOAD]},
    }


async def test_downloads_of_all_members() -> None:
    api = FakeApi(answers())
    browser = Browser(api)
    await browser.sign_in()
    page = await browser.text("/hit-and-run?state=violated&at=50")
    assert "<script>alert" not in page
    assert "tracker hit-and-run list --state violated --at 50" in page
    assert f"after=7%3A{HASH}" in page
    assert ("GET", f"{LIST}?state=violated&at=50&limit=100", "", "") in api.asked
    csv = await browser.text("/hit-and-run.csv")
    assert csv.count("violated") == 2


async def test_a_pardon_is_shown_before_it_is_made() -> None:
    """The form sends exactly what was shown, with the reason; without a choice nothing is asked."""
    api = FakeApi(answers())
    browser = Browser(api)
    await browser.sign_in()
    assert "What would be pardoned" not in await browser.text("/hit-and-run/pardon")
    assert not api.sent
    page = await browser.text("/hit-and-run/pardon?account=7&until=2026-11-30+20:00")
    assert "<script>alert" not in page
    what = {"account": 7, "until": "2026-11-30T20:00:00.000000Z"}
    assert api.sent == [{**what, "preview": True}]
    hidden = {"account": "7", "until": what["until"]}
    for name, given in hidden.items():
        assert f'<input type="hidden" name="{name}" value="{given}">' in page
    form = {**hidden, "reason": "ticket 7", "once": "a", "back": "/hit-and-run"}
    assert (await browser.ask("POST", "/hit-and-run/pardons", form)).status_code == 303
    assert api.sent[-1] == what
    assert api.asked[-1] == ("POST", f"{LIST}/pardons", "ticket 7", "a")
    assert "event 77" in await browser.text("/hit-and-run")
    assert json.loads(await browser.text("/hit-and-run/pardon.json?account=7"))["count"] == 1


async def test_only_a_full_token_pardons() -> None:
    browser = Browser(FakeApi(answers()))
    await browser.sign_in("staff")
    assert "/hit-and-run/pardon" not in await browser.text("/hit-and-run")
    assert (await browser.get("/hit-and-run/pardon")).status_code == 403
