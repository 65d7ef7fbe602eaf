"""Looks at every screen in Debian's chromium: it is accessible (WCAG 2.2 AA), fits 320 px, works
without scripts, and loads nothing from elsewhere.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.console.screens import FULL_SCREENS, SCREENS
from tests.console.site import TOKENS

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

pytestmark = pytest.mark.console

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
NARROW = 320  # CSS pixels


def violations(page: Page) -> list[str]:
    """Returns what axe-core finds, a line for each place."""
    page.evaluate(AXE)
    found: dict[str, Any] = page.evaluate(
        "tags => axe.run(document, {runOnly: {type: 'tag', values: tags}})", TAGS
    )
    return [
        f"{rule['id']}: {node['html'][:200]}"
        for rule in found["violations"]
        for node in rule["nodes"]
    ]


UNSEEN = """() => [...document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']")]
  .filter((one) => !one.disabled && one.checkVisibility())
  .filter((one) => { one.focus(); const style = getComputedStyle(one);
    return one === document.activeElement && (style.outlineStyle === "none" || style.outlineWidth === "0px"); })
  .map((one) => one.outerHTML.slice(0, 200))"""
"""Returns what shows no ring when the keyboard comes to it."""
SCHEMES = ["light", "dark"]


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize(("path", "said"), [*SCREENS, *FULL_SCREENS])
def test_is_accessible_and_narrow(
    new_page: Callable[..., Page], path: str, said: str, scheme: str
) -> None:
    look_at(new_page(scheme=scheme, width=NARROW), path, said)


def look_at(page: Page, path: str, said: str) -> None:
    """Checks that axe-core finds nothing, and that the page needs no scrolling sideways."""
    page.goto(path)
    assert said in page.inner_text("main")
    assert violations(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= NARROW
    page.set_viewport_size({"width": 1280, "height": 900})
    assert violations(page) == []
    page.keyboard.press("Tab")
    assert page.evaluate(UNSEEN) == []


@pytest.mark.parametrize("label", ["admin", *TOKENS])
@pytest.mark.parametrize(("path", "said"), SCREENS)
def test_works_without_scripts(
    new_page: Callable[..., Page], path: str, said: str, label: str
) -> None:
    """A page says the same to who runs no scripts, whichever token he has."""
    page = new_page(label, scripts=False)
    answer = page.goto(path)
    assert answer is not None
    assert answer.status == 200
    assert said in page.inner_text("main")
