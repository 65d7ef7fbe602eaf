"""Tests Keys, Whitelist and Many at once in Debian's chromium: search, preview and every form."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from tests.console.site import HOSTILE, Site
from tests.console.test_screens import violations
from tests.console.using import change, go
from tests.e2e.process import DEADLINE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from playwright.sync_api import Page

pytestmark = pytest.mark.console

HASHES = ["e0" * 20, "e1" * 20]


def test_keys_are_found_by_words(new_page: Callable[..., Page]) -> None:
    page = new_page("watch", scripts=False)
    go(page, "/keys")
    page.fill("[name=search]", "bert")
    page.click("button:text-is('Show')")
    assert page.locator("#keys tbody tr").count() == 1
    assert "bert" in page.inner_text("#keys tbody")


@pytest.mark.parametrize("scripts", [True, False])
def test_every_form(
    site: Site, new_page: Callable[..., Page], tmp_path: Path, *, scripts: bool
) -> None:
    """Each list comes from a file, with a line that cannot be read, and is previewed first."""
    page = new_page(width=320, scripts=scripts)
    key = f"bulk{scripts:d}".ljust(32, "0")
    imported = f"{key},{HOSTILE},seat"
    for what, lines, kind in (
        ("whitelist", HASHES, "torrent_whitelisted"),
        ("delist", HASHES, "torrent_delisted"),
        ("import", [imported], "key_issued"),
        ("revoke", ["{key_ref}"], "key_revoked"),
    ):
        number = site.ask("GET", "keys?sort=-key_ref&limit=1")["keys"][0]["key_ref"]
        file = tmp_path / "list.txt"
        file.write_text("\n".join([*lines, "<b>"]).format(key_ref=number))
        go(page, "/bulk")
        page.select_option("[name=what]", what)
        page.set_input_files("[name=file]", file)
        page.click("button:text-is('Preview')")
        page.locator("#lines").wait_for()
        assert page.locator("#lines tbody tr").count() == len(lines) + 1
        assert f"{len(lines)} of {len(lines) + 1} lines" in page.inner_text(".notice")
        if scripts:
            assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= 320
        page.fill("details[open] [name=reason]", f"{what} {HOSTILE}")
        page.click("details[open] button")
        until_over(page)
        assert page.inner_text(".notice.good") == "Over: done."
        assert f"{len(lines)} of {len(lines)} lines" in page.inner_text("#work")
        if scripts:
            assert violations(page) == []
        newest = site.ask("GET", f"events?type={kind}")["events"][-1]
        assert newest["by"]["reason"] == f"{what} {HOSTILE}"


def until_over(page: Page) -> None:
    """Waits until a list is done: its page says so by itself, or, without scripts, when it is
    loaded again.
    """
    page.wait_for_url("**/bulk/lists/*")
    give_up = time.monotonic() + DEADLINE
    while not page.locator("#work .notice").count():
        assert time.monotonic() < give_up
        time.sleep(0.1)
        page.click("a:text-is('Look again')")


def test_a_long_list_is_cancelled(new_page: Callable[..., Page], tmp_path: Path) -> None:
    """The preview of one, whose page counts by itself, and says what was not looked up."""
    page = new_page()
    file = tmp_path / "list.txt"
    file.write_text("\n".join(f"{number:040x}" for number in range(9000)))
    go(page, "/bulk")
    page.select_option("[name=what]", "delist")
    page.set_input_files("[name=file]", file)
    page.click("button:text-is('Preview')")
    page.wait_for_url("**/bulk/lists/*")
    page.click("button:text-is('Cancel')")
    page.locator("#work .notice").wait_for()
    assert page.inner_text("#work .notice") == "Over: cancelled."
    found = page.request.get(f"{page.url}.json").json()
    assert found["lines"][-1]["state"] == "not done"
    assert found["tried"] < found["all"] == 9000


def test_a_key_is_rotated_and_revoked(site: Site, new_page: Callable[..., Page]) -> None:
    """The page of each key leads to the other one, and says who ended it and why."""
    page = new_page(width=320, scripts=False)
    old = site.ask("POST", "keys", {"owner": "karl"})["key_ref"]
    go(page, f"/keys/{old}")
    said = change(page, "Rotate key", {}, f"rotated {HOSTILE}")
    new = site.ask("GET", "keys?sort=-key_ref&limit=1")["keys"][0]["key_ref"]
    assert f"is replaced by key {new}" in said
    go(page, f"/keys/{old}?wait=1")
    assert f"rotated {HOSTILE}" in page.inner_text(".facts")
    page.click(f".facts a:text-is('key {new}')")
    page.wait_for_url(f"**/keys/{new}")
    change(page, "Revoke key", {}, f"revoked {HOSTILE}")
    go(page, f"/keys/{new}?wait=1")
    assert f"revoked {HOSTILE}" in page.inner_text(".facts")
    assert page.locator("#changes tbody tr").count() == 2
