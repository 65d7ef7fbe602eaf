"""Tests in Debian's chromium what all pages have: signing in and out, search, times, refreshing,
and what they say while the tracker is down.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.console.test_screens import violations

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from tests.console.site import Site

pytestmark = pytest.mark.console


def test_sign_in_and_out(new_page: Callable[..., Page]) -> None:
    """Who is not signed in is led to the sign-in, and then to the page that he wanted."""
    page = new_page("")
    page.goto("/today")
    assert "/sign-in?next=" in page.url
    assert violations(page) == []
    page.get_by_label("Access token").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("does not know this access token")
    assert violations(page) == []
    new_page.troubles.clear()  # type: ignore[attr-defined]  # chromium reports the status 403
    page.get_by_label("Access token").fill("MyAccessToken")
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/today")
    assert "httponly" in str(page.context.cookies()).lower()
    assert page.evaluate("document.cookie") == ""
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/sign-in")
    page.goto("/today")
    assert "/sign-in" in page.url


def test_names_the_instance_and_the_person(new_page: Callable[..., Page]) -> None:
    page = new_page("staff")
    assert page.title() == "Today – production"
    assert page.locator(".instance").inner_text() == "production"
    assert "staff" in page.locator("header").inner_text()


def test_times_are_in_the_zone_of_the_browser(new_page: Callable[..., Page]) -> None:
    """The time of a change is shown in Tokyo's zone, with UTC on hover; without scripts in UTC."""
    page = new_page()
    shown = page.locator("#changes time").first
    utc = str(shown.get_attribute("title"))
    hour = int(utc[11:13])
    expect(shown).to_have_text(re.compile(f" {(hour + 9) % 24:02d}:"))
    plain = new_page(scripts=False).locator("#changes time").first
    assert f" {hour:02d}:" in plain.inner_text()


def test_search_leads_there(new_page: Callable[..., Page]) -> None:
    """The search bar is reached by keyboard and leads to the one thing that is meant."""
    page = new_page()
    for sought, there in (
        ("bert", "/members/2"),
        ("Fedora 44", "/torrents/0303"),
        ("key 2", "/keys/2"),
    ):
        page.goto("/today")
        page.get_by_role("searchbox").fill(sought)
        page.keyboard.press("Enter")
        page.wait_for_url(f"**{there}*")
    new_page.troubles.clear()  # type: ignore[attr-defined]  # a page that is not there yet is a 404


def test_refreshes_itself(new_page: Callable[..., Page], site: Site) -> None:
    """A change shows without a reload, and what is open stays open."""
    page = new_page()
    site.ask("POST", "whitelist", {"info_hashes": ["ab" * 20]}, "for the refresh")
    expect(page.locator("#changes")).to_contain_text("for the refresh", timeout=40_000)


def test_the_focus_stays(new_page: Callable[..., Page]) -> None:
    """Somebody without a mouse stays where he is when a part of the page comes again."""
    page = new_page()
    page.goto("/log")
    page.get_by_role("button", name="Pause").focus()
    for _ in range(2):
        page.wait_for_event("requestfinished", lambda sent: "poll=1" in sent.url)
    expect(page.get_by_role("button", name="Pause")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Go on")).to_be_focused()


def test_hangs_and_comes_back(new_page: Callable[..., Page], site: Site) -> None:
    """While the tracker is stopped its console is gone; a page that is open goes on afterwards."""
    page = new_page()
    site.tracker.stop()
    page.wait_for_event("requestfailed", timeout=40_000)
    assert "Last changes" in page.inner_text("main")
    site.tracker.start()
    new_page.troubles.clear()  # type: ignore[attr-defined]  # chromium reports the failed request
    page.wait_for_url("**/sign-in*", timeout=60_000)  # sessions ended with the process
    new_page.troubles.clear()  # type: ignore[attr-defined]  # and the status 401
