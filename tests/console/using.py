"""What a person does on every page: goes there, and makes a change with a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from playwright.sync_api import Page


def go(page: Page, path: str) -> None:
    """Goes to a page of the console, and waits until its fragments have come."""
    answer = page.goto(path)
    assert answer is not None
    assert answer.status == 200, page.inner_text("main")
    page.locator(".htmx-request").first.wait_for(state="detached")


def change(page: Page, button: str, form: Mapping[str, str], reason: str) -> str:
    """Opens a form by its button, fills it in and sends it; returns what the page says then."""
    action = page.locator("details.action", has=page.locator(f"summary:text-is('{button}')"))
    action.locator("summary").click()
    for name, given in {**form, "reason": reason}.items():
        entry = action.locator(f"[name={name}]")
        if entry.get_attribute("type") == "checkbox":
            entry.check()
        elif entry.evaluate("one => one.tagName") == "SELECT":
            entry.select_option(given)
        else:
            entry.fill(given)
    action.locator("button").click()
    return page.locator(".notice.good").inner_text()
