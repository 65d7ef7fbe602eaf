"""Tests in Debian's chromium the live log and an event's explanation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from tests.console.site import HOSTILE

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from tests.console.site import Site

pytestmark = pytest.mark.console

KEYS = "/log?type=key_issued"


def seqs(page: Page) -> list[int]:
    """Returns the numbers of the events in the list, from the top."""
    return [int(text) for text in page.locator("#events > li > a").all_inner_texts()]


def issue(site: Site) -> int:
    """Issues a key; returns the number of its event."""
    site.ask("POST", "keys", {"label": "for the log"})
    return max(event["seq"] for event in site.tracker.events("--type", "key_issued"))


def test_live_pause_and_go_on(new_page: Callable[..., Page], site: Site) -> None:
    """Events come by themselves; a pause and going on loses and repeats none."""
    page = new_page()
    page.goto(KEYS)
    before = seqs(page)
    first = issue(site)
    expect(page.locator(f"#e{first}")).to_be_visible(timeout=20_000)
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Go on")).to_be_visible()
    second = issue(site)
    third = issue(site)
    page.get_by_role("button", name="Go on").click()
    expect(page.locator(f"#e{third}")).to_be_visible(timeout=20_000)
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    fourth = issue(site)
    expect(page.locator(f"#e{fourth}")).to_be_visible(timeout=20_000)
    assert seqs(page) == [fourth, third, second, first, *before]


def test_goes_on_after_a_restart(new_page: Callable[..., Page], site: Site) -> None:
    """After a restart and a new sign-in the tail goes on after the event that it had, when one asks
    for what came after that.
    """
    page = new_page()
    page.goto(KEYS)
    onward = page.get_by_role("link", name="Only what comes after event").get_attribute("href")
    site.tracker.stop()
    site.tracker.start()
    issued = issue(site)
    new_page.troubles.clear()  # type: ignore[attr-defined]  # the poll that found nobody
    again = new_page()
    again.goto(str(onward))
    assert seqs(again) == [issued]
    page.wait_for_url("**/sign-in*", timeout=60_000)
    page.get_by_label("Access token").fill(site.tokens["admin"])
    page.get_by_role("button", name="Sign in").click()
    page.locator(f"#e{issue(site)}").wait_for()  # the first page goes on by itself, too
    assert issued in seqs(page)
    new_page.troubles.clear()  # type: ignore[attr-defined]  # the polls of the first page


def test_filters_by_a_form(new_page: Callable[..., Page]) -> None:
    page = new_page(scripts=False)
    page.goto("/log")
    page.get_by_label("Kind").select_option("key_revoked")
    page.get_by_role("button", name="Show").click()
    shown = page.locator("#events > li")
    assert set(shown.locator(".mark-word").all_inner_texts()) == {"key revoked"}
    assert HOSTILE in shown.first.inner_text()


def test_a_bar_leads_to_its_events(new_page: Callable[..., Page]) -> None:
    page = new_page()
    page.goto("/log/kinds?from=1h+ago")
    page.locator("svg a").last.click()
    page.wait_for_url("**/log?from=*")
    assert seqs(page)


def test_an_announce_and_its_peers(new_page: Callable[..., Page], site: Site) -> None:
    """From an announce to the previous and the next of its peer; a look at addresses needs a reason
    and is an event.
    """
    announced = [
        event
        for event in site.tracker.events("--type", "announced", "--account", "2")
        if event["info_hash"] == "01" * 20
    ]
    first, second = (event["seq"] for event in announced[:2])
    page = new_page()
    page.goto(f"/events/{first}")
    page.get_by_role("link", name="Next of this peer").click()
    page.wait_for_url(f"**/events/{second}")
    expect(page.get_by_role("link", name="Previous of this peer")).to_have_attribute(
        "href", f"/events/{first}"
    )
    peers = page.locator("#peers")
    expect(peers).not_to_contain_text("127.0.0.1")
    page.get_by_text("Show addresses").first.click()
    page.get_by_label("Reason").fill("ticket 7")
    page.get_by_role("button", name="Show addresses").click()
    expect(peers).to_contain_text("127.0.0.1")
    looks = site.tracker.events("--type", "addresses_seen")
    assert "ticket 7" in {look["by"]["reason"] for look in looks}
    staff = new_page("staff")
    staff.goto(f"/events/{second}")
    expect(staff.get_by_text("Show addresses")).to_have_count(0)
