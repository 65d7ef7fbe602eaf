"""Tests in Debian's chromium what staff says about a case, and where that shows then."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.console.site import HOSTILE, Site, key_of
from tests.console.test_member import until
from tests.console.test_screens import NARROW, SCHEMES, look_at
from tests.console.using import change, go
from tests.e2e.clients import torrent

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

pytestmark = pytest.mark.console

INGE, TORRENT = 31, 31
GIB = 1 << 30


@pytest.fixture(scope="module")
def case(site: Site) -> str:
    """Inge claims upload that nobody can have received. Returns the path of her case."""
    made = site.ask("POST", "keys", {"key": key_of(INGE), "owner": f"inge {HOSTILE}"})
    facts = {"label": f"Suse {HOSTILE}", "size": 4 * GIB}
    site.ask("PUT", f"torrents/{torrent(TORRENT).hex()}/facts", facts)
    for number in range(5):
        site.announce(INGE, TORRENT, uploaded=number * 4 * GIB)
    account = made["account"]
    until(lambda: bool(site.ask("GET", f"cases?account={account}")["cases"]))
    return f"/cases/{account}/{site.ask('GET', f'cases?account={account}')['cases'][0]['detector']}"


def test_evidence(new_page: Callable[..., Page], case: str) -> None:
    """From Today's list to the case, and to an announce that shows it."""
    page = new_page()
    go(page, "/cases")
    page.locator(f"a[href='{case}']").click()
    page.wait_for_url(f"**{case}")
    assert HOSTILE in page.inner_text("h1")
    page.locator("#findings a[href^='/events/']").first.click()
    page.wait_for_url("**/events/*")
    assert "announced" in page.inner_text(".title")


@pytest.mark.parametrize("scheme", SCHEMES)
def test_is_accessible_and_narrow(new_page: Callable[..., Page], case: str, scheme: str) -> None:
    look_at(new_page(scheme=scheme, width=NARROW), case, "What staff said")


def test_every_form(site: Site, new_page: Callable[..., Page], case: str) -> None:
    """Each becomes an event with the reason; the case is closed at last."""
    for button, form, kind in (
        ("Take", {}, "case_taken"),
        ("Wait for the member", {}, "case_waiting"),
        ("Add a note", {"note": f"asked {HOSTILE}"}, "case_noted"),
        ("Close", {"outcome": "harmless", "until": "+30d"}, "case_closed"),
    ):
        page = new_page(width=320, scripts=False)
        go(page, case)
        change(page, button, form, f"{button} {HOSTILE}")
        newest = site.ask("GET", f"events?type={kind}")["events"][-1]
        assert newest["by"]["reason"] == f"{button} {HOSTILE}"
    page = new_page("watch")
    go(page, "/changes?type=case_closed&who=admin")
    assert HOSTILE in page.locator("#changes tbody tr").first.inner_text()
    assert "127.0.0.1" not in page.inner_text("#changes")
    until(lambda: site.ask("GET", f"{case[1:]}")["case"]["state"] == "harmless")
    go(page, case)
    assert page.locator("details.action").count() == 0
    assert "harmless" in page.inner_text(".title")
