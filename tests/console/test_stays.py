"""Tests the page Stays in Debian's chromium: from the search bar to a look with a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.console.using import go

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

    from tests.console.site import Site

pytestmark = pytest.mark.console


def test_who_was_at_an_address(site: Site, new_page: Callable[..., Page]) -> None:
    """Nobody is looked for before a reason is given; then the log has it, and networks show."""
    page = new_page(width=320, scripts=False)
    go(page, "/search?q=127.0.0.1")
    assert "Nobody was looked for" in page.inner_text("main")
    page.fill("[name=reason]", "ticket 9")
    page.click("button:text-is('Look')")
    assert "127.0.0.0/24" in page.inner_text("#stays")
    assert page.locator("svg.lanes .stay").count() > 0
    seen = site.ask("GET", "events?type=addresses_seen")["events"]
    assert "ticket 9" in [one["by"]["reason"] for one in seen]
    go(page, "/stays?user_agent=qBittorrent")
    assert "127.0.0" not in page.inner_text("#stays")
