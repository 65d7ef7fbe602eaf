"""Takes the pictures of the console in docs/console/, of a site that lived for eight days."""

from __future__ import annotations

import base64
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

from tests.console import lived
from tests.console.conftest import ARGUMENTS, CHROMIUM
from tests.console.site import Site, key_of
from tests.console.using import go
from tests.e2e.clients import torrent

if TYPE_CHECKING:
    from playwright.sync_api import Page

PICTURES = Path(__file__).parents[2] / "docs" / "console"
WIDTH, LOWEST, HIGHEST = 1280, 500, 800  # CSS pixels
BOUND = 42_000  # bytes of a picture
README_BOUND = 55_000  # of those that README.md shows
SIZES = ((1, 60), (1, 40), (0.8, 40), (0.7, 30), (0.6, 20), (0.5, 10))
"""Scales and qualities of WebP: the first one that stays below the bound is taken."""
CORE = "announce_policy.interval = 1800\ntracker_policy.max_peer_timeout = 2700"
DEBIAN = f"/torrents/{torrent(1).hex()}"
SHOWN = {
    "today": "/today", "cases": "/cases", "hit-and-run": "/hit-and-run",
    "log": "/log", "kinds": "/log/kinds?from=24h+ago", "changes": "/changes", "health": "/health",
    "stays": "/stays", "keys": "/keys", "whitelist": "/whitelist", "bulk": "/bulk", "settings": "/settings",
    "member": "/members/2",
    "ledger": "/members/2/ledger", "member-torrents": "/members/2/torrents",
    "member-hit-and-run": "/members/3/hit-and-run", "notes": "/members/3/notes",
    "torrent": DEBIAN, "snatches": f"{DEBIAN}/snatches", "handed": f"{DEBIAN}/handed?account=7&from=16000&wait=1",
    "time": f"{DEBIAN}/time?span=all&with=now",
}  # fmt: skip
"""File names and paths. `event` is the last announce of the ledger, `case` the first of cases."""
VIOLATED = "hit-and-run?state=violated"
PATIENCE = 120  # seconds
DARK = ("today", "torrent")


def change(site: Site) -> None:
    """Makes a morning's changes by staff, and some refusals."""
    for number, (label, size) in lived.LABELS.items():
        facts = {"label": label, "size": size, "uploader": "anna", "tags": ["free"]}
        site.ask("PUT", f"torrents/{torrent(number).hex()}/facts", facts, "from the site")
        site.ask("PUT", f"whitelist/{torrent(number).hex()}", None, "from the site")
    site.ask("POST", "tokens", {"label": "maria", "scope": "full"}, "joined staff")
    number, owner = len(lived.OWNERS) + 1, "karl"
    site.ask("POST", "keys", {"key": key_of(number), "owner": owner}, "invited by anna")
    site.ask("DELETE", f"keys/{number}", None, "sold the key")
    for known in lived.LABELS:
        site.announce(number, known)


def until_followed(site: Site) -> None:
    """Waits until downloads are judged by the whole log, and the tables have all of it."""
    give_up, end = time.monotonic() + PATIENCE, site.ask("GET", "events?last=1")["end"]
    while site.ask("GET", VIOLATED)["seq"] < end - 1:
        if time.monotonic() > give_up:
            raise SystemExit(f"the follower is behind after {PATIENCE} seconds")
        time.sleep(0.5)


def shoot(page: Page, name: str) -> None:
    """Writes a picture of the page as it stands."""
    high: int = page.evaluate("document.documentElement.scrollHeight")
    clip = {"x": 0, "y": 0, "width": WIDTH, "height": max(LOWEST, min(HIGHEST, high))}
    session = page.context.new_cdp_session(page)
    for scale, quality in SIZES:
        how = {
            "format": "webp", "quality": quality, "clip": {**clip, "scale": scale},
            "captureBeyondViewport": True,
        }  # fmt: skip
        picture = base64.b64decode(session.send("Page.captureScreenshot", how)["data"])
        if len(picture) <= (README_BOUND if name in ("today", "member") else BOUND):
            break
    if len(sys.argv) > 1:  # for a viewer that knows no WebP
        page.screenshot(path=Path(sys.argv[1]) / f"{name}.png", full_page=True)
    (PICTURES / f"{name}.webp").write_bytes(picture)
    sys.stdout.write(f"{name}: {len(picture)} bytes, scale {scale}, quality {quality}\n")


def shoot_all(page: Page) -> None:
    """Goes to each page once, and to some again in the dark."""
    for name, path in SHOWN.items():
        go(page, path)
        shoot(page, name)
        if name == "ledger":
            lines = page.locator("main tbody a[href^='/events/']")
            go(page, f"{lines.last.get_attribute('href')}?wait=1")
            shoot(page, "event")
        if name == "cases":
            go(page, str(page.locator("main tbody a[href^='/cases/']").first.get_attribute("href")))
            shoot(page, "case")
    page.emulate_media(color_scheme="dark")
    for name in DARK:
        go(page, SHOWN[name])
        shoot(page, f"{name}-dark")


def main() -> None:
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        site = Site.prepared(Path(folder), CORE)
        lived.write(Path(folder))
        site.tracker.start()
        try:
            change(site)
            until_followed(site)
            with sync_playwright() as started:
                browser = started.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
                context = browser.new_context(
                    base_url=site.console, viewport={"width": WIDTH, "height": LOWEST},
                    timezone_id="Europe/Berlin", reduced_motion="reduce",
                )  # fmt: skip
                page = context.new_page()
                page.goto("/sign-in")
                page.get_by_label("Access token").fill(site.tokens["admin"])
                page.get_by_role("button", name="Sign in").click()
                page.wait_for_url("**/today")
                shoot_all(page)
                browser.close()
        finally:
            site.close()


if __name__ == "__main__":
    main()
