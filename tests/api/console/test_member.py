"""Tests the screen Member over a fake API: what it shows to whom, and what its forms change."""

from __future__ import annotations

import json
from typing import Any

import pytest

from api.console import refused
from api.console.member import entry
from api.console.member_changes import ACTIONS
from tests.api.console.fakes import Browser, FakeApi
from tracker.domain.refusals import REFUSALS

HOSTILE = "<script>alert(1)</script>\"'&"
HASH = "ab" * 20
WHEN = "2027-01-15T08:00:00.000000Z"
LATER = "2027-01-15T09:00:00.000000Z"
ACCOUNT = {
    "account": 7, "owner": HOSTILE, "group": HOSTILE, "uploaded": 5 << 30, "downloaded": 9 << 30,
    "credited_uploaded": 4 << 30, "credited_downloaded": 8 << 30, "ratio": 0.5, "snatched": 1,
    "seeding_seconds": 60, "first_seen": WHEN, "last_seen": WHEN, "merged_into": 12,
    "merged_at": WHEN,
}  # fmt: skip
PAGE = {
    "account": ACCOUNT, "missing_to_ratio_1": 4 << 30, "seeding": 2, "leeching": 1,
    "slots": {"used": 1, "limit": 5}, "immune": False,
    "hit_and_run": {"states": {"liable": 1, "violated": 3}, "open": []},
    "last_announce": {"info_hash": HASH, "label": HOSTILE, "time": WHEN, "words": HOSTILE},
    "refusals": [{"time": WHEN, "seq": 4, "reason": "key_expired", "info_hash": HASH,
                  "label": HOSTILE, "key_ref": 3}],
    "networks": [{"network": None, "pseudonym": "aa", "stays": 2, "present": True,
                  "last_joined": WHEN}],
    "open_cases": [],
}  # fmt: skip
STAY = {
    "info_hash": HASH, "label": HOSTILE, "client": HOSTILE, "user_agent": HOSTILE,
    "peer_id_prefix": "-qB4630-", "account": 7, "owner": HOSTILE, "key_ref": 3, "joined": WHEN,
    "left": LATER, "why": "stopped", "seq": 5, "left_seq": 6, "pseudonym": "aa",
}  # fmt: skip
SANCTION = {"seq": 9, "since": WHEN, "until": None, "by": HOSTILE, "reason": HOSTILE}
KEY = {"key_ref": 3, "label": HOSTILE, "state": "valid", "valid_until": None, "last_used": WHEN}
EVENTS: dict[str, Any] = {
    "events": [{"seq": 0, "time": WHEN, "type": "tracker_started"}],
    "end": 9,
    "next": None,
    "previous": None,
}


def answers(**more: Any) -> dict[str, Any]:
    """What the API says of member 7, with more answers by path."""
    return {
        "/api/v2/accounts/7": ACCOUNT,
        "/api/v2/accounts/7/page": PAGE,
        "/api/v2/accounts/7/limits": {
            "own": {"slots": 5, "locations": None, "started_per_day": None}
        },
        "/api/v2/sanctions": {"sanctions": [{"account": 7, "leech_off": SANCTION, "hidden": None}]},
        "/api/v2/stays": {
            "stays": [STAY, STAY | {"left": None, "why": None}],
            "next": None,
            "previous": None,
        },
        "/api/v2/keys": {"keys": [KEY], "next": None},
        "/api/v2/events": EVENTS,
        **more,
    }


async def shown(token: str, path: str = "/members/7", **more: Any) -> tuple[str, FakeApi]:
    api = FakeApi(answers(**more))
    browser = Browser(api)
    await browser.sign_in(token)
    return await browser.text(path), api


async def test_what_stands_above_the_fold() -> None:
    page, api = await shown("full")
    for text in ("0.500", "Missing to 1.0", "4,294,967,296 bytes", "1 of 5 slots", "leech off",
                 "the key has expired", ">5.00 GiB</span>", 'href="/members/7/hit-and-run?state=violated"',
                 "in use", "/members/7/ledger", "<svg", 'href="/members/12"'):  # fmt: skip
        assert text in page
    assert "<script>alert" not in page
    assert {reason for _, _, reason, _ in api.asked} == {""}  # no look at an address
    api = FakeApi(answers())
    browser = Browser(api)
    await browser.sign_in()
    answer = await browser.ask("POST", "/members/7", {"reason": "ticket 7"})
    assert "<script>alert" not in await answer.get_data(as_text=True)
    assert [target for _, target, reason, _ in api.asked if reason == "ticket 7"] == [
        "/api/v2/accounts/7/page"
    ]


NEVER = ACCOUNT | {"last_seen": None}
VERDICTS: list[tuple[dict[str, Any], str, str]] = [
    ({}, "valid", "refused in the last day"),
    ({"refusals": []}, "valid", "serves this member, and refused nothing"),
    ({"refusals": [PAGE["refusals"][0] | {"time": LATER}]}, "valid", "refused: the key has expired"),
    ({"account": NEVER, "last_announce": None}, "valid", "refused: the key has expired"),
    ({"last_announce": None}, "valid", "serves this member now"),  # the follower is behind
    ({"account": NEVER, "last_announce": None, "refusals": [], "seeding": 0, "leeching": 0}, "valid",
     "another URL"),
    ({}, "revoked", "No key of this member is in force"),
]  # fmt: skip
"""What is unlike `PAGE`, the state of the newest key, and what the page says then."""


@pytest.mark.parametrize(("unlike", "state", "said"), VERDICTS)
async def test_it_says_whether_the_member_is_served(
    unlike: dict[str, Any], state: str, said: str
) -> None:
    more = {
        "/api/v2/accounts/7/page": PAGE | unlike,
        "/api/v2/keys": {"keys": [KEY | {"state": state}], "next": None},
    }
    page = json.loads((await shown("full", "/members/7.json", **more))[0])
    assert said in page["verdict"]["text"]


@pytest.mark.parametrize(
    ("account", "said"), [(ACCOUNT, "has come to it"), (NEVER, "never announced")]
)
async def test_the_follower_is_behind(account: dict[str, Any], said: str) -> None:
    """What the tracker itself knows is not taken back, because tables are behind."""
    more = {"/api/v2/accounts/7/page": PAGE | {"account": account, "last_announce": None}}
    assert said in (await shown("full", "/members/7", **more))[0]


async def test_keys_that_were_not_read_may_be_in_force() -> None:
    keys = {"keys": [KEY | {"state": "revoked"}], "next": "3"}
    page = json.loads((await shown("full", "/members/7.json", **{"/api/v2/keys": keys}))[0])
    assert "serves this member" in page["verdict"]["text"]


async def test_buttons_are_for_those_who_may() -> None:
    """A token that reads has none, a moderator those of keys."""
    full, moderator, read = [(await shown(token))[0] for token in ("full", "staff", "watch")]
    assert "Lift leech off" in full
    assert "Correct" in full
    assert 'action="/members/7/keys/revoke"' in moderator
    assert "/leech-off" not in moderator
    assert 'method="post" action="/members' not in read
    assert "Show networks" in full
    assert "Show networks" not in read


CHANGES: list[tuple[str, dict[str, str], tuple[str, str, Any]]] = [
    ("leech-off", {"until": "2030-03-02 20:00"},
     ("PUT", "/leech-off", {"until": "2030-03-02T20:00:00.000000Z"})),
    ("leech-off/lift", {}, ("DELETE", "/leech-off", None)),
    ("hidden", {}, ("PUT", "/hidden", {"until": None})),
    ("hidden/lift", {}, ("DELETE", "/hidden", None)),
    ("immunity", {"from": ""}, ("PUT", "/immunity", {"from": None})),
    ("immunity/end", {}, ("DELETE", "/immunity", None)),
    ("limits", {"slots": "0"}, ("PUT", "/limits", {"slots": 0, "locations": None})),
    ("corrections", {"uploaded": "-1.5 GiB", "downloaded": "9,007,199,254,740,993", "corrects": "12"},
     ("POST", "/corrections", {"uploaded": -1610612736, "downloaded": 2**53 + 1, "corrects": 12})),
]  # fmt: skip


async def change(path: str, form: dict[str, str]) -> tuple[int, FakeApi]:
    done = {
        "seq": 70,
        "key": "K" * 32,
        "key_ref": 9,
        "revoked": 2,
        "account": 7,
        "own": {"slots": 1, "locations": 2},
    }
    account = "/api/v2/accounts/7"
    api = FakeApi({
        account: ACCOUNT,
        **{account + each[1]: done for _, _, each in CHANGES},
        **dict.fromkeys(("/api/v2/hit-and-run/pardons", "/api/v2/keys/3/rotate",
                         "/api/v2/keys/3", "/api/v2/keys/revoke"), done),
        "/api/v2/keys/4": {**done, "account": 8},
    })  # fmt: skip
    browser = Browser(api)
    await browser.sign_in("full")
    answer = await browser.ask(
        "POST",
        f"/members/7/{path}",
        {"reason": "ticket 7", "once": "x", "back": "/members/7", **form},
    )
    return answer.status_code, api


@pytest.mark.parametrize(("path", "form", "sent"), CHANGES, ids=[path for path, _, _ in CHANGES])
async def test_a_change(path: str, form: dict[str, str], sent: tuple[str, str, Any]) -> None:
    status, api = await change(path, form)
    assert status == 303
    method, tail, body = sent
    assert api.asked[-1] == (method, f"/api/v2/accounts/7{tail}", "ticket 7", "x")
    assert api.sent == [body]


async def test_changes_of_keys_and_violations() -> None:
    for path, form, target in (
        ("keys/rotate", {"key_ref": "3"}, "/api/v2/keys/3/rotate"),
        ("keys/revoke", {"key_ref": "3"}, "/api/v2/keys/3"),
        ("keys/revoke-all", {}, "/api/v2/keys/revoke"),
        ("pardons", {"until": "2027-01-15 08:00"}, "/api/v2/hit-and-run/pardons"),
    ):
        status, api = await change(path, form)
        assert (status, api.asked[-1][1]) == (303, target)
    assert api.sent == [{"account": 7, "until": "2027-01-15T08:00:00.000000Z"}]


@pytest.mark.parametrize(
    ("path", "form"),
    [("leech-off", {"until": "someday"}), ("corrections", {"uploaded": "many", "corrects": "1"}),
     ("corrections", {"uploaded": "9" * 400, "corrects": "1"}),
     ("corrections", {"uploaded": "1,5 GiB", "corrects": "1"}),
     ("corrections", {"uploaded": "1,500 GiB", "corrects": "1"}),
     ("limits", {"slots": "-1"}), ("keys/revoke", {}), ("keys/revoke", {"key_ref": "4"}),
     ("keys/rotate", {"key_ref": "4"}), ("leech-off", {"reason": " "})],
)  # fmt: skip
async def test_what_cannot_be_read_changes_nothing(path: str, form: dict[str, str]) -> None:
    status, api = await change(path, form)
    assert status == 422
    assert api.sent == []


def test_every_form_of_the_page_is_an_action() -> None:
    assert len({one.path for one in ACTIONS}) == len(ACTIONS) == 12


LINE = {
    "type": "announce", "seq": 5, "time": WHEN, "info_hash": HASH, "event": "none",
    "uploaded": 3 << 30, "downloaded": 7, "base_uploaded": 1 << 30, "base_downloaded": 7,
    "delta_uploaded": 2 << 30, "delta_downloaded": 0, "credited_uploaded": 4 << 30,
    "credited_downloaded": 0, "rule": "continued", "factors": [3],
}  # fmt: skip


def test_a_line_says_how_it_was_counted() -> None:
    row = entry(LINE, {HASH: "Debian"})
    assert (row["label"], row["uploaded"], row["credited_uploaded"]) == ("Debian", 2 << 30, 4 << 30)
    assert row["provenance"] == (
        "the difference to the announce before; up 3.00 GiB less 1.00 GiB; factors 3"
    )
    correction = {"type": "correction", "seq": 6, "time": WHEN, "info_hash": None,
                  "credited_uploaded": -5, "credited_downloaded": 0, "corrects": 5, "reason": "twice"}  # fmt: skip
    assert entry(correction, {})["provenance"] == "correction of event 5: twice"


async def test_the_pages_behind_the_numbers() -> None:
    """Each is a table, also as JSON and CSV, and leads to its next page."""
    row = {"info_hash": HASH, "label": HOSTILE, "client": None, "uploaded": 1, "downloaded": 2,
           "credited_uploaded": 1, "credited_downloaded": 2, "seeding_seconds": 3, "snatched": 1,
           "last_seen": WHEN}  # fmt: skip
    download = {"info_hash": HASH, "label": HOSTILE, "state": "violated", "since": WHEN,
                "position": {"seq": 8}, "facts": None}  # fmt: skip
    note = {"seq": 9, "time": WHEN, "type": "leech_off_changed", "account": 7,
            "by": {"token": HOSTILE, "reason": HOSTILE}}  # fmt: skip
    api = FakeApi(answers(**{
        "/api/v2/accounts/7/ledger": {"entries": [LINE], "next": 5, "totals": None},
        "/api/v2/accounts/7/torrents": {"torrents": [row], "next": HASH},
        "/api/v2/accounts/7/hit-and-run": {"downloads": [download], "next": None},
    }))  # fmt: skip
    browser = Browser(api)
    await browser.sign_in()
    for tab, wanted in (
        ("ledger?from=7+days+ago", "after=5"),
        ("torrents?sort=uploaded", f"/members/7/ledger?info_hash={HASH}"),
        ("hit-and-run?state=violated", "violated"),
    ):
        page = await browser.text(f"/members/7/{tab}")
        assert wanted in page
        assert "<script>alert" not in page
        path = tab.partition("?")[0]
        assert json.loads(await browser.text(f"/members/7/{path}.json"))["number"] == 7
        assert len((await browser.text(f"/members/7/{path}.csv")).splitlines()) == 2
    assert 'aria-sort="ascending"' in await browser.text("/members/7/torrents?sort=uploaded")
    api.answers["/api/v2/events"] = {"events": [note], "end": 9, "next": None, "previous": None}
    assert "<script>alert" not in await browser.text("/members/7/notes")


def test_every_refusal_has_a_sentence() -> None:
    assert refused.WORDS.keys() == {refusal.name for refusal in REFUSALS.values()}
    assert refused.in_words("of_tomorrow") == "of tomorrow"


async def test_sessions_of_a_day_where_a_week_has_too_many() -> None:
    """A note says so where even a day has more than are shown."""
    page, api = await shown("full", **{"/api/v2/stays": {"stays": [STAY], "next": 5}})
    asked = [target for _, target, _, _ in api.asked if target.startswith("/api/v2/stays")]
    assert len(asked) == 2
    assert "tracker stays --account 7" in page
