"""Tests the page Stays over a fake API: what it asks for, and who may look for addresses."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from api.console.api import ProblemError
from tests.api.console.fakes import TOKENS, Browser, FakeApi
from tests.api.console.test_member import EVENTS, HASH, HOSTILE, LATER, STAY, WHEN

FULL = {**STAY, "network": None, "protocol": "http", "listener": 1, "how": "joined",
        "last_announce": LATER}  # fmt: skip
NAMES = ("from", "to", "info_hash", "address", "network", "peer_id", "client", "user_agent",
         "key_ref", "account", "listener")  # fmt: skip


def fake(**more: Any) -> FakeApi:
    events = [{"seq": 0, "time": WHEN}, {"seq": 8, "time": LATER}]
    page = {"stays": [FULL, FULL | {"account": None, "owner": None, "left": None}], "next": 9,
            "unread": ["2027-01-14"], **more}  # fmt: skip
    return FakeApi({"/api/v2/stays": page, "/api/v2/events": EVENTS | {"events": events}})


async def asked(
    path: str, token: str = next(iter(TOKENS)), form: dict[str, str] | None = None
) -> tuple[str, list[tuple[dict[str, str], str]]]:
    """Returns the page, and what the API was asked for, with the reasons. `form`: a look's."""
    api = fake()
    browser = Browser(api)
    await browser.sign_in(token)
    answer = await browser.ask("POST" if form else "GET", path, form)
    page = await answer.get_data(as_text=True)
    found = [(urlsplit(target), why) for _, target, why, _ in api.asked]
    queries = [
        ({name: texts[0] for name, texts in parse_qs(one.query).items()}, why)
        for one, why in found
        if one.path == "/api/v2/stays"
    ]
    return page, queries


async def test_every_filter_reaches_the_api() -> None:
    """The peer id as far as the index has it, times as the API has them, within the log."""
    given = dict.fromkeys(NAMES, "7") | {
        "from": "2027-01-15 08:30", "to": "2030-01-01", "peer_id": "-qB4630-abcdefghijkl",
        "info_hash": HASH, "address": "192.0.2.7", "network": "192.0.2.0/24", "reason": "ticket 7",
        "after": "3",
    }  # fmt: skip
    page, queries = await asked("/stays", form=given)
    expected = {name: given[name] for name in (*NAMES, "after")} | {
        "from": "2027-01-15T08:30:00.000000Z", "to": LATER, "peer_id": "-qB4630-", "limit": "100",
    }  # fmt: skip
    assert queries == [(expected, "ticket 7")]
    assert "<script>alert" not in page
    for name, text in {**given, "after": "9"}.items():  # the next page's form has them all
        assert f'name="{name}" value="{text}"' in page
    assert "2027-01-14" in page
    assert "tracker stays --info-hash " in page


async def test_lanes_of_members_or_of_torrents() -> None:
    browser = Browser(fake())
    await browser.sign_in()
    stays = json.loads(await browser.text("/stays.json"))["stays"]
    assert [one["path"] for one in stays] == ["/members/7", None]
    assert stays[0]["key"] == "/keys/3"
    stays = json.loads(await browser.text("/stays.json?key_ref=3"))["stays"]
    assert {one["path"] for one in stays} == {f"/torrents/{HASH}"}
    assert "aa" in await browser.text("/stays.csv")


@pytest.mark.parametrize("name", ["address", "network"])
@pytest.mark.parametrize(
    ("token", "said"), [("full", "Say why, in the form"), ("staff", "no right to addresses")]
)
async def test_no_look_without_a_reason(name: str, token: str, said: str) -> None:
    """What the search bar leads to asks for a reason first."""
    page, queries = await asked(f"/stays?{name}=192.0.2.7&reason=x", token)
    assert queries == []
    assert said in page
    assert ('name="reason"' in page) is (token == "full")


async def test_what_cannot_be_read_is_said() -> None:
    browser = Browser(fake())
    await browser.sign_in()
    answer = await browser.get(f"/stays?{urlencode({'from': HOSTILE})}")
    assert answer.status_code == 422


async def test_before_there_is_an_index() -> None:
    """The page stands and says why it is empty; data that would be empty are refused."""
    api, why = fake(), "there is no index of stays; the follower writes it"
    api.answers["/api/v2/stays"] = ProblemError(503, "Service Unavailable", why)
    browser = Browser(api)
    await browser.sign_in()
    answer = await browser.get("/stays")
    assert answer.status_code == 200
    assert why in await answer.get_data(as_text=True)
    assert (await browser.get("/stays.csv")).status_code == 503
