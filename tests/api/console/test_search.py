"""Tests what the search bar makes of a text."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.console.search import where
from tests.api.console.fakes import Browser, FakeApi

NOW = 1_798_761_600_000_000  # 2027-01-01
HASH = "b6256c5f8e8f5c7c0f0b50a43d52ae7c5662dea5"

FORMS = [
    (HASH, ["/torrents/" + HASH]),
    (HASH.upper(), ["/torrents/" + HASH]),
    ("key 7", ["/keys/7"]),
    ("event:12", ["/events/12"]),
    ("account 7", ["/members/7"]),
    ("member anna", ["/members/owner:anna"]),
    ("7", ["/members/7", "/events/7", "/keys/7", "/members/owner:7"]),
    ("192.0.2.7", ["/stays?address=192.0.2.7"]),
    ("192.0.2.7/24", ["/stays?network=192.0.2.0%2F24"]),
    ("2001:DB8::1", ["/stays?address=2001%3Adb8%3A%3A1"]),
    ("-qB4630-", ["/stays?peer_id=-qB4630-"]),
    ("qBittorrent/4.6.3", ["/stays?user_agent=qBittorrent%2F4.6.3"]),
    ("Transmission 4.0.5", ["/stays?user_agent=Transmission+4.0.5"]),
    ("2026-11-30 20:15", ["/log?from=2026-11-30T20%3A15%3A00.000000Z"]),
    ("10m ago", ["/log?from=2026-12-31T23%3A50%3A00.000000Z"]),
    ("yesterday 20:15", ["/log?from=2026-12-31T20%3A15%3A00.000000Z"]),
    ("Debian 13", ["/members/owner:Debian%2013", "/torrents", "/torrents", "/members"]),
    ("Key 7", ["/keys/7"]),
    ("192.0.2.7:6881", ["/stays?address=192.0.2.7"]),
    ("[2001:db8::1]:6881", ["/stays?address=2001%3Adb8%3A%3A1"]),
    ("Yesterday 20:15", ["/log?from=2026-12-31T20%3A15%3A00.000000Z"]),
    ("QBITTORRENT", ["/members/owner:QBITTORRENT", "/torrents", "/torrents", "/members",
                     "/stays?user_agent=qBittorrent"]),
    ("label 7", ["/torrents"]),
    ("OWNER:7", ["/members/owner:7"]),
    ("a/b?c#d", ["/members/owner:a%2Fb%3Fc%23d", "/torrents", "/torrents", "/members"]),
    ("key seven", ["/members/owner:key%20seven", "/torrents", "/torrents", "/members"]),
    ("  ", []),
]  # fmt: skip


@pytest.mark.parametrize(("text", "paths"), FORMS)
def test_where(text: str, paths: list[str]) -> None:
    assert [one.path for one in where(text, NOW)] == paths


@given(st.text() | st.from_regex(r"(key|event|account|time|address)[ :].{1,20}"))
def test_any_text_leads_within_the_console(text: str) -> None:
    """Whatever is typed, candidates are paths of the console without the text's own slashes."""
    for one in where(text, NOW):
        path = one.path.partition("?")[0]
        assert re.fullmatch(r"/[a-z]+(/[^/\\?#]+)?", path)
        assert path.isprintable()
        assert path.isascii()


async def test_one_thing_is_led_to() -> None:
    """An owner leads to the member, by the account that the API names."""
    api = FakeApi({"/api/v2/keys": {"keys": [{"account": 7, "owner": "anna"}]}})
    browser = Browser(api)
    await browser.sign_in()
    answer = await browser.get("/search?q=anna")
    assert (answer.status_code, answer.headers["location"]) == (303, "/members/7")


async def test_several_things_are_listed() -> None:
    torrents = [{"info_hash": HASH, "label": "<b>anna</b>"}]
    api = FakeApi(
        {
            "/api/v2/accounts": {"accounts": [{"account": 7, "owner": "anna"}]},
            "/api/v2/torrents": {"torrents": torrents},
        }
    )
    browser = Browser(api)
    await browser.sign_in()
    text = await browser.text("/search?q=anna")
    assert text.count('href="/members/7"') == text.count(f'href="/torrents/{HASH}"') == 1
    assert "<b>anna" not in text


async def test_nothing_is_said_so() -> None:
    browser = Browser(FakeApi())
    await browser.sign_in()
    assert "Nothing is called like this" in await browser.text("/search?q=anna")
