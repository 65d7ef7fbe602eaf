"""Tests the page Settings in Debian's chromium: every form, with and without scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.console.site import HOSTILE, Site
from tests.console.test_screens import violations
from tests.console.using import change, go

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

pytestmark = pytest.mark.console

KEY = "policy.max_peers"


@pytest.mark.parametrize("scripts", [True, False])
def test_every_form(site: Site, new_page: Callable[..., Page], *, scripts: bool) -> None:
    """A setting is changed where its link leads; a factor is set, shown and ended."""
    page = new_page(width=320, scripts=scripts)
    why = f"{scripts} {HOSTILE}"
    go(page, "/settings")
    page.locator("#settings a").get_by_text(KEY, exact=True).click()
    page.wait_for_url(f"**key={KEY}")
    value = 900_001 + scripts
    page.fill("details[open] [name=value]", str(value))
    page.fill("details[open] [name=reason]", why)
    page.click("details[open] button")
    assert f"{KEY} is {value}, it was" in page.locator(".notice.good").inner_text()
    newest = page.locator("#changes tbody tr").first.inner_text()
    assert str(value) in newest
    assert HOSTILE in newest
    in_force = next(one for one in site.ask("GET", "settings")["keys"] if one["key"] == KEY)
    assert (in_force["value"], in_force["by"], in_force["reason"]) == (value, "admin", why)

    go(page, "/settings")
    form = {"account": "owner:bert", "download_percent": "0", "until": "+2d", "label": HOSTILE}
    assert "is set" in change(page, "Set a credit factor", form, why)
    assert HOSTILE in page.inner_text("#factors")
    if scripts:
        assert violations(page) == []
    action = page.locator("details.action", has=page.locator("summary:text-is('End a factor')"))
    action.locator("summary").click()
    action.locator("[name=reason]").fill(why)
    action.locator("button").click()
    assert "is ended" in page.locator(".notice.good").inner_text()
    ended = site.ask("GET", "events?type=credit_factor_ended")["events"][-1]
    assert ended["by"]["reason"] == why
