"""Tests in Debian's chromium the list of hit and run, and a pardon with its preview."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.console.site import HOSTILE, Site, key_of
from tests.console.test_member import until, violated
from tests.console.test_screens import violations
from tests.console.using import go
from tests.e2e.clients import torrent

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

pytestmark = pytest.mark.console

JUTTA, TORRENT = 41, 41
GIB = 1 << 30


@pytest.fixture(scope="module")
def jutta(site: Site) -> int:
    """Jutta took a torrent and left it. Returns her account."""
    made = site.ask("POST", "keys", {"key": key_of(JUTTA), "owner": f"jutta {HOSTILE}"})
    facts = {"label": f"Mint {HOSTILE}", "size": 4 * GIB}
    site.ask("PUT", f"torrents/{torrent(TORRENT).hex()}/facts", facts)
    rule = {"warn_absent": 1, "grace_absent": 2, "seed_seconds": 259_200}
    site.ask("PUT", "hit-and-run/rule", rule)
    site.announce(JUTTA, TORRENT, left=4 * GIB, event="started")
    site.announce(JUTTA, TORRENT, left=GIB, downloaded=3 * GIB, event="stopped")
    account = int(made["account"])
    until(lambda: bool(violated(site, account)))
    return account


def test_a_pardon_with_its_preview(site: Site, new_page: Callable[..., Page], jutta: int) -> None:
    page = new_page(width=320, scripts=False)
    go(page, f"/hit-and-run?state=violated&info_hash={torrent(TORRENT).hex()}")
    assert page.locator("#downloads tbody tr").count() == 1
    page.get_by_role("link", name="Pardon violations").click()
    page.get_by_label("Member").fill(str(jutta))
    page.get_by_role("button", name="Preview").click()
    assert HOSTILE in page.inner_text("#downloads")
    assert not site.ask("GET", f"events?type=hit_and_run_pardoned&account={jutta}")["events"]
    shown = new_page(width=320, scheme="dark")
    go(shown, page.url)
    assert violations(shown) == []
    assert shown.evaluate("document.documentElement.scrollWidth") <= 320
    page.locator("details.action [name=reason]").fill(f"ticket 7 {HOSTILE}")
    page.locator("details.action button").click()
    assert "pardoned" in page.locator(".notice.good").inner_text()
    newest = site.ask("GET", "events?type=hit_and_run_pardoned")["events"][-1]
    assert newest["by"]["reason"] == f"ticket 7 {HOSTILE}"
    until(lambda: not violated(site, jutta))
