"""Gives tests a site with a console, and pages of Debian's chromium that fail on what no page of
the console may do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import Browser, Page, Playwright, sync_playwright

from tests.console.site import Site

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CHROMIUM = "/usr/bin/chromium"
ARGUMENTS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip
VIOLATED = "document.addEventListener('securitypolicyviolation', e => console.error(`policy: ${e.violatedDirective} ${e.blockedURI}`))"

Open = "Callable[..., Page]"


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One site for all tests of a process: they add to it, and count on nothing that others add."""
    site = Site.start(tmp_path_factory.mktemp("site"))
    yield site
    site.close()


@pytest.fixture(scope="session")
def playwright() -> Iterator[Playwright]:
    with sync_playwright() as started:
        yield started


@pytest.fixture(scope="session")
def chromium(playwright: Playwright) -> Iterator[Browser]:
    browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
    yield browser
    browser.close()


@pytest.fixture
def new_page(chromium: Browser, site: Site) -> Iterator[Callable[..., Page]]:
    """`new_page(label="admin", scheme="light", width=1280, scripts=True)` returns a page that is
    signed in with that token; with "" as its label nobody is.

    The test fails if a page logs an error, asks another origin, or breaks its policy.
    """
    troubles: list[str] = []
    contexts = []

    def make(
        label: str = "admin", *, scheme: str = "light", width: int = 1280, scripts: bool = True
    ) -> Page:
        context = chromium.new_context(
            base_url=site.console,
            viewport={"width": width, "height": 900},
            java_script_enabled=scripts,
            timezone_id="Asia/Tokyo",
            reduced_motion="reduce",
        )
        contexts.append(context)
        context.set_default_timeout(30_000)
        page = context.new_page()
        page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
        if scripts:
            page.add_init_script(VIOLATED)
        page.on("console", lambda said: said.type == "error" and troubles.append(said.text))
        page.on("pageerror", lambda error: troubles.append(str(error)))
        page.on("dialog", lambda asked: troubles.append(f"a dialog: {asked.message}"))
        page.on(
            "request",
            lambda sent: sent.url.startswith(site.console) or troubles.append(f"asked {sent.url}"),
        )
        if label:
            page.goto("/sign-in")
            page.get_by_label("Access token").fill(site.tokens[label])
            page.get_by_role("button", name="Sign in").click()
            page.wait_for_url("**/today")
        return page

    # A test that expects an error of the console takes it off the list.
    make.troubles = troubles  # type: ignore[attr-defined]
    yield make
    for context in contexts:
        context.close()
    assert troubles == []
