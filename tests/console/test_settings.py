"""Tests the page Settings in Debian's chromium: every form, with and without scripts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.console.site import HOSTILE, Site
from tests.console.test_member import until
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


@pytest.mark.parametrize("scripts", [True, False])
def test_a_dry_run_and_then_the_change(
    site: Site, new_page: Callable[..., Page], *, scripts: bool
) -> None:
    """What one peer of an account at a time would have refused is told, and nothing is changed."""
    page = new_page(width=320, scripts=scripts)
    key = "policy.leeching_slots"
    before = len(site.ask("GET", "settings/history")["changes"])
    go(page, f"/settings?key={key}")
    page.click("a:text-is('Dry run')")
    page.fill("form.filters [name=value]", str(50 + scripts))
    page.click("button:text-is('Try')")
    if not scripts:
        page.goto(f"{page.url}&wait=1")  # where it comes late, a link leads there
    page.locator("#credit").wait_for()
    assert str(50 + scripts) in page.inner_text("#changed")
    assert page.locator("#load tbody tr").count() == 5
    if scripts:
        assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    assert len(site.ask("GET", "settings/history")["changes"]) == before
    page.fill("details[open] [name=reason]", f"tried {HOSTILE}")
    page.click("details[open] button")
    assert f"{key} is {50 + scripts}, it was" in page.locator(".notice.good").inner_text()


@pytest.mark.parametrize("scripts", [True, False])
def test_a_rule(site: Site, new_page: Callable[..., Page], *, scripts: bool) -> None:
    """Another rule is compared with the one in force and set; its author and reason show."""
    page = new_page(width=320, scripts=scripts)
    hours = 80 + scripts
    go(page, "/hit-and-run/rule")
    page.fill("[name=seed_seconds]", f"{hours}h")
    page.click("button:text-is('Compare')")
    page.locator("#compared").wait_for()
    assert f"3 d {hours - 72} h" in page.inner_text("#compared")
    if scripts:
        assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= 320
    page.fill("details[open] [name=reason]", f"voted {HOSTILE}")
    page.click("details[open] button")
    assert "The rule is set" in page.locator(".notice.good").inner_text()
    until(lambda: site.ask("GET", "hit-and-run/rule")["rule"]["seed_seconds"] == hours * 3600)
    go(page, "/hit-and-run/rule")
    newest = page.locator("#rules tbody tr").first.inner_text()
    assert "admin" in newest
    assert f"voted {HOSTILE}" in newest
    assert f"{hours * 3600}s" == page.input_value("form.filters [name=seed_seconds]")
