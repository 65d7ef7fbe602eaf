"""Tests the page Settings over a fake API: origins, history, and what its forms send."""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from typing import Any
from urllib.parse import urlencode

import pytest

from api.console.api import ProblemError
from tests.api.console.fakes import Browser, FakeApi
from tests.api.console.test_member import HASH, HOSTILE, LATER, WHEN

PATH = "/api/v2/settings"
FACTOR = {"factor": 3, "seq": 9, "account": 7, "owner": HOSTILE, "group": None, "info_hash": HASH,
          "upload_percent": 200, "download_percent": 0, "from": WHEN, "until": None,
          "label": HOSTILE}  # fmt: skip


def setting(key: str, value: Any, file: Any, by: str | None, seq: int | None) -> dict[str, Any]:
    return {"key": key, "value": value, "file": file, "seq": seq, "time": seq and WHEN, "by": by,
            "reason": HOSTILE}  # fmt: skip


def change(seq: int) -> dict[str, Any]:
    return {"seq": seq, "time": WHEN, "by": None if seq == 2 else HOSTILE, "reason": HOSTILE,
            "settings": {"policy.max_peers": seq, "core.listed": True}}  # fmt: skip


def answers(changes: int = 2) -> dict[str, Any]:
    keys = [
        setting("policy.max_peers", 7, 5, HOSTILE, 8),
        setting("core.listed", True, True, None, 2),
        setting("policy.words", [HOSTILE], [], None, None),
    ]
    history = [change(seq) for seq in range(2, 2 + changes)]
    return {
        PATH: {"seq": 8, "settings": {}, "keys": keys},
        f"{PATH}/history": {"changes": history, "previous": None},
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


class _Long(FakeApi):
    """Has two settings in each of many changes, and tells them as the API does."""

    seqs: Any = range(2, 77)

    async def get(self, path: str, query: Any = None, **names: object) -> Any:
        if path == PATH:
            return answers()[PATH] | {"seq": self.seqs[-1]}
        if path != f"{PATH}/history":
            return await super().get(path, query, **names)
        before = self.seqs[-1] + 1 if query["before"] is None else query["before"]
        earlier = self.seqs[: bisect_left(self.seqs, before)]
        shown = [change(seq) for seq in earlier[-query["last"] :]]
        more = len(earlier) > len(shown)
        return {"changes": shown, "previous": shown[0]["seq"] if more else None}


async def pages(seqs: Any, query: str = "") -> list[tuple[int, int, int | None]]:
    """Reads the history to its end; returns first event, rows and `next` of each page."""
    api = _Long(answers())
    _Long.seqs = seqs
    browser = Browser(api)
    await browser.sign_in()
    found: list[tuple[int, int, int | None]] = []
    before = ""
    while True:
        shown = json.loads(await browser.text(f"/settings.json?{query}{before}"))
        rows = shown["changes"]
        found.append((rows[0]["seq"], len(rows), shown["next"]))
        if shown["next"] is None:
            return found
        before = f"&before={shown['next']}"


async def test_the_history_goes_on_before_an_event() -> None:
    """A page has whole events: 75 of them have two settings each."""
    assert await pages(range(2, 77)) == [(76, 100, 27), (26, 50, None)]


async def test_a_long_history() -> None:
    """Each change comes once."""
    seqs = [*range(2, 900), *range(100_000, 40_000_000, 4_000_000)]
    found = await pages(seqs)
    assert sum(count for _, count, _ in found) == 2 * len(seqs)
    found = await pages([*range(2, 400), 30_000_000], "key=core.listed")
    assert sum(count for _, count, _ in found) == 399


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


def gain(count: int) -> dict[str, Any]:
    return dict.fromkeys(
        ("uploaded", "downloaded", "credited_uploaded", "credited_downloaded"), count
    ) | {"seeding_seconds": 1.5}


def load_of(count: int) -> dict[str, int]:
    return dict.fromkeys(("replies", "peers", "body_bytes", "expected", "expected_bytes"), count)


WHAT_IF = {
    "first": 2, "last": 9, "settings": {}, "announces": 7, "refused": {"account_full": 2},
    "recorded": load_of(7), "now": load_of(5), "credit": {"recorded": gain(9), "change": gain(-4)},
    "accounts": [{"account": 7, "owner": HOSTILE, **gain(-4)}], "left_out": [HOSTILE],
    "not_recorded": {"key_revoked": 3},
}  # fmt: skip


async def test_a_dry_run_changes_nothing() -> None:
    """It tells what changes at once, and what the part would have been: refused, load, credit."""
    changed = [{"key": "policy.max_peers", "value": 7, "before": 5}]
    api = FakeApi({**answers(), PATH: {**answers()[PATH], "changed": changed},
                   "/api/v2/what-if": WHAT_IF})  # fmt: skip
    browser = Browser(api)
    await browser.sign_in()
    assert "Choose a setting" in await browser.text("/settings/dry-run")
    assert api.sent == []
    query = "key=policy.max_peers&value=7&from=2027-01-15+08:00&until=2027-01-15+09:00"
    page = await browser.text(f"/settings/dry-run?{query}")
    assert "<script>alert" not in page
    assert api.sent == [{"settings": {"policy.max_peers": 7}, "dry_run": True}]
    asked = next(one for _, one, _, _ in api.asked if "what-if" in one)
    assert (
        asked
        == f"/api/v2/what-if?from={LATER.replace('09:', '08:').replace(':', '%3A')}&to={LATER.replace(':', '%3A')}&set=policy.max_peers%3D7"
    )
    assert "was left out" in await browser.text(f"/settings/dry-run?{query}&wait=0")
    shown = json.loads(await browser.text(f"/settings/dry-run.json?{query}"))
    assert shown["changed"] == [{"key": "policy.max_peers", "before": "5", "value": "7"}]
    assert (shown["refused"], shown["not_recorded"]) == (
        [{"reason": "account_full", "count": 2}],
        3,
    )
    assert shown["load"][0] == {
        "kind": "number",
        "what": "announces that are served", "recorded": 7, "now": 5, "change": -2,
    }  # fmt: skip
    assert shown["credit"][0] == {
        "what": "uploaded", "kind": "bytes", "recorded": 9, "now": 5, "change": -4,
    }  # fmt: skip
    assert 'name="value" value="7"' in page


async def test_a_dry_run_that_the_api_refuses_says_why() -> None:
    """A setting that announces do not ask about has no past; what changes at once is told."""
    changed = [{"key": "policy.max_peers", "value": 7, "before": 5}]
    api = FakeApi({**answers(), PATH: {**answers()[PATH], "changed": changed},
                   "/api/v2/what-if": ProblemError(400, "Bad Request", HOSTILE)})  # fmt: skip
    browser = Browser(api)
    await browser.sign_in()
    shown = json.loads(await browser.text("/settings/dry-run.json?key=policy.max_peers&value=7"))
    assert (shown["troubles"], len(shown["changed"])) == ({"over_the_log": HOSTILE}, 1)
    await browser.sign_in("staff")
    assert (await browser.get("/settings/dry-run")).status_code == 403


RULE_PATH = "/api/v2/hit-and-run/rule"
RULE = {"number": 1, "seq": 4, "set_at": WHEN, "in_force": True, "buffer": 0.1,
        "seed_seconds": 259_200, "seed_by_size": [{"size": 5, "seconds": 90}], "ratio": 1.0,
        "warn_absent": 86_400, "grace_absent": 259_200, "window": None,
        "freeleech_exempts": False, "partial_counts": True}  # fmt: skip
RULE_SET = {"seq": 4, "by": {"token": HOSTILE, "reason": HOSTILE}}


def of_rule() -> FakeApi:
    return FakeApi({RULE_PATH: {"rule": RULE, "rules": [RULE], "seq": 9},
                    "/api/v2/events": {"events": [RULE_SET], "next": None}})  # fmt: skip


async def test_a_rule_is_compared_before_it_is_set() -> None:
    """The form has the rule in force; what it sends is compared, and then set as it was shown."""
    api = of_rule()
    browser = Browser(api)
    await browser.sign_in()
    shown = json.loads(await browser.text("/hit-and-run/rule.json"))
    form = {name: str(each) for name, each in shown["form"].items()}
    assert (form["seed_seconds"], form["seed_by_size"], form["window"]) == ("259200s", "5:90s", "")
    assert (shown["rules"][0]["by"], shown["compared"]) == (HOSTILE, [])
    form |= {"seed_seconds": "5d", "ratio": ""}
    query = urlencode({**form, "compare": "1"})
    page = await browser.text(f"/hit-and-run/rule?{query}")
    assert "<script>alert" not in page
    told = json.loads(await browser.text(f"/hit-and-run/rule.json?{query}"))["compared"]
    differ = [(one["what"], one["now"], one["then"]) for one in told if one["now"] != one["then"]]
    assert differ == [("To seed", "3 d", "5 d"), ("Or ratio", "1.0", "none")]
    assert api.sent == []
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page))
    answer = await browser.ask("POST", "/hit-and-run/rule/set", {**hidden, "reason": "as voted"})
    assert answer.status_code == 303
    sent = {name: each for name, each in RULE.items() if name in shown["form"]}
    assert api.sent == [sent | {"seed_seconds": 432_000, "ratio": None}]
    await browser.ask("POST", "/hit-and-run/rule/end", {"reason": "holidays"})
    changes = [one[:3] for one in api.asked if one[0] != "GET"]
    assert changes == [("PUT", RULE_PATH, "as voted"), ("DELETE", RULE_PATH, "holidays")]


@pytest.mark.parametrize(
    ("field", "text"),
    [("seed_seconds", "soon"), ("ratio", "much"), ("ratio", "nan"), ("buffer", "1e999"),
     ("seed_by_size", "big"), ("seed_by_size", "5:x"), ("seed_by_size", "9" * 59)],
)  # fmt: skip
async def test_a_rule_that_cannot_be_read(field: str, text: str) -> None:
    browser = Browser(of_rule())
    await browser.sign_in()
    answer = await browser.get(f"/hit-and-run/rule?compare=1&{field}={text}")
    assert (answer.status_code, text in await answer.get_data(as_text=True)) == (422, True)


async def test_who_may() -> None:
    browser = Browser(FakeApi(answers()))
    await browser.sign_in("staff")
    assert 'action="/settings/change"' not in await browser.text("/settings")
    form = {"reason": "ticket 7", "key": "core.listed", "value": "true"}
    assert (await browser.ask("POST", "/settings/change", form)).status_code == 403
