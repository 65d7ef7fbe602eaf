"""Tests the screen Member in Debian's chromium: every form without scripts on a narrow window, and
the way from a number to its evidence.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.console.site import HOSTILE, Site, key_of
from tests.console.using import change, go
from tests.e2e.clients import torrent
from tests.e2e.process import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

pytestmark = pytest.mark.console

ERNA, FRITZ, TORRENT = 11, 12, 11
GIB = 1 << 30


@pytest.fixture(scope="module")
def accounts(site: Site) -> tuple[int, int]:
    """Erna took a torrent and left it; Fritz seeds another one. Returns their accounts."""
    made = [
        site.ask("POST", "keys", {"key": key_of(who), "owner": owner})["account"]
        for who, owner in ((ERNA, f"erna {HOSTILE}"), (FRITZ, "fritz"))
    ]
    facts = {"label": f"Arch {HOSTILE}", "size": 4 * GIB}
    site.ask("PUT", f"torrents/{torrent(TORRENT).hex()}/facts", facts)
    rule = {"warn_absent": 1, "grace_absent": 2, "seed_seconds": 259_200}
    site.ask("PUT", "hit-and-run/rule", rule)
    site.announce(ERNA, TORRENT, left=4 * GIB, event="started")
    site.announce(ERNA, TORRENT, left=GIB, downloaded=3 * GIB, event="stopped")
    site.announce(FRITZ, TORRENT + 1, event="started")
    until(lambda: bool(violated(site, made[0])))
    return made[0], made[1]


def until(wanted: Callable[[], bool]) -> None:
    """Waits until something is so: the book is some seconds behind the log."""
    give_up = time.monotonic() + DEADLINE
    while not wanted():
        assert time.monotonic() < give_up
        time.sleep(0.1)


def violated(site: Site, account: int) -> list[object]:
    found: list[object] = site.ask("GET", f"accounts/{account}/hit-and-run?state=violated")[
        "downloads"
    ]
    return found


def test_from_a_ratio_to_its_evidence(
    new_page: Callable[..., Page], accounts: tuple[int, int]
) -> None:
    """From the ratio to the ledger, and from its line to the event: two clicks."""
    page = new_page()
    go(page, f"/members/{accounts[0]}")
    assert page.inner_text("h1") == f"erna {HOSTILE}"
    assert page.locator("#ledger tbody tr").count() == 2  # came by itself
    page.click(".figure:has-text('Ratio') dd a")
    page.wait_for_url("**/ledger")
    line = page.locator("tbody tr", has_text="3.00 GiB")
    assert "the difference to the announce before; down 3.00 GiB less 0 B" in line.inner_text()
    assert str(line.locator("a.number").get_attribute("href")).startswith("/events/")
    for tab in ("Torrents", "Hit and run", "Notes", "Overview"):
        page.click(f".tabs a:text-is('{tab}')")
        assert "erna" in page.inner_text("h1")


def test_the_record_on_paper(new_page: Callable[..., Page], accounts: tuple[int, int]) -> None:
    """A print has the numbers and tables, in dark ink, and nothing to click on."""
    page = new_page(scheme="dark")
    go(page, f"/members/{accounts[0]}")
    page.emulate_media(media="print")
    for shown in (".figures", "#ledger", "#keys", "h1"):
        assert page.locator(shown).first.is_visible()
    for hidden in ("nav", ".actions", "form"):
        seen = [one.inner_text() for one in page.locator(hidden).all() if one.is_visible()]
        assert seen == []
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"


def test_every_form_without_scripts(
    site: Site, new_page: Callable[..., Page], accounts: tuple[int, int]
) -> None:
    """Each change is made, says so, and has its reason in the log."""
    page, account = new_page(width=320, scripts=False), accounts[1]
    line = site.ask("GET", f"accounts/{account}/ledger")["entries"][-1]["seq"]
    for button, form, kind in (
        ("Leech off", {"until": "+14d"}, "leech_off_changed"),
        ("Lift leech off", {}, "leech_off_changed"),
        ("Hide", {}, "hiding_changed"),
        ("Show in swarms again", {}, "hiding_changed"),
        ("Limits", {"slots": "3", "locations": "2"}, "limits_set"),
        ("Correct", {"uploaded": "1.5 GiB", "corrects": str(line)}, "credit_corrected"),
        ("Make immune", {}, "immunity_changed"),
        ("Rotate key", {}, "key_rotated"),
        ("Revoke key", {}, "key_revoked"),
    ):
        go(page, f"/members/{account}")
        assert "event" in change(page, button, form, f"{button} {HOSTILE}") or "key" in kind
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
        newest = site.ask("GET", f"events?type={kind}&account={account}")["events"][-1]
        assert newest["by"]["reason"] == f"{button} {HOSTILE}"
    until(lambda: bool(site.ask("GET", f"accounts/{account}/page")["immune"]))
    go(page, f"/members/{account}")
    assert "judged again" in change(page, "End immunity", {}, "left staff")
    totals = site.ask("GET", f"accounts/{account}")
    assert totals["credited_uploaded"] == 3 * GIB // 2


def test_pardon_and_revoke_all(
    site: Site, new_page: Callable[..., Page], accounts: tuple[int, int]
) -> None:
    page, account = new_page(), accounts[0]
    go(page, f"/members/{account}")
    said = change(page, "Pardon", {"info_hash": torrent(TORRENT).hex()}, "our outage")
    assert "pardoned" in said
    until(lambda: not violated(site, account))
    assert "revoked: 1" in change(page, "Revoke all keys", {}, "sold")
    keys = site.ask("GET", f"keys?account={account}")["keys"]
    assert [one["state"] for one in keys] == ["revoked"]


def test_what_a_form_cannot_read(new_page: Callable[..., Page], accounts: tuple[int, int]) -> None:
    """The page says which field it is, and what it takes."""
    page = new_page("admin", scripts=False)
    go(page, f"/members/{accounts[1]}")
    page.click("summary:text-is('Leech off')")
    form = page.locator("details[open] form")
    form.locator("[name=until]").fill("someday")
    form.locator("[name=reason]").fill("x")
    form.locator("button").click()
    assert "until: 'someday' is not a time" in page.inner_text("[role=alert]")
    new_page.troubles.clear()  # type: ignore[attr-defined]  # chromium reports the status 422
