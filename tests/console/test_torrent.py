"""Tests the screen Torrent in Debian's chromium: peers, looks, every form, and the slider by
keyboard and without scripts.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.console.site import HOSTILE, Site, key_of
from tests.console.test_member import until
from tests.console.using import change, go
from tests.e2e.clients import torrent

if TYPE_CHECKING:
    from collections.abc import Callable

    from playwright.sync_api import Page

pytestmark = pytest.mark.console

GUDRUN, HANS, TORRENT = 21, 22, 21
GIB = 1 << 30
AT = f"/torrents/{torrent(TORRENT).hex()}"


@pytest.fixture(scope="module")
def gudrun(site: Site) -> int:
    """Gudrun seeds to Hans, and claims more upload than he took. Returns her account."""
    owners = ((GUDRUN, "gudrun"), (HANS, f"hans {HOSTILE}"))
    made = [site.ask("POST", "keys", {"key": key_of(who), "owner": owner}) for who, owner in owners]
    site.ask("PUT", f"torrents/{torrent(TORRENT).hex()}/facts", {"label": HOSTILE, "size": 4 * GIB})
    site.announce(HANS, TORRENT, left=4 * GIB, event="started")
    site.announce(GUDRUN, TORRENT, event="started")
    site.until_later()
    site.announce(GUDRUN, TORRENT, uploaded=9 * GIB)
    site.announce(HANS, TORRENT, left=GIB, downloaded=3 * GIB)
    return int(made[0]["account"])


@pytest.mark.usefixtures("gudrun")
def test_a_swarm_as_staff_reads_it(site: Site, new_page: Callable[..., Page]) -> None:
    """Peers with rates and parts, and their addresses to who says why."""
    page = new_page()
    go(page, f"{AT}/peers")
    assert page.inner_text("h1") == HOSTILE
    seeder, leecher = page.locator("#peers tbody tr").all_inner_texts()
    assert "100 %" in seeder
    assert "qBittorrent 4.6.3" in seeder
    assert "iB/s" in seeder
    assert "75 %" in leecher
    assert "127.0.0.1" not in page.inner_text("main")
    page.click("summary:text-is('Show addresses')")
    page.fill("details[open] [name=reason]", "ticket 7")
    page.click("details[open] button")
    page.locator("#peers").get_by_text("127.0.0.1").first.wait_for()
    assert "ticket" not in page.url
    seen = site.ask("GET", "events?type=addresses_seen")["events"]
    assert "ticket 7" in [one["by"]["reason"] for one in seen]


def test_to_whom_a_peer_was_handed(new_page: Callable[..., Page], gudrun: int) -> None:
    page = new_page(scripts=False)
    go(page, f"{AT}/handed")
    page.fill("[name=account]", str(gudrun))
    page.click("button:text-is('Show the peers that it got')")
    page.goto(f"{page.url}&wait=1")  # where it comes late, a link leads there
    assert page.locator("#handed tbody tr").count() == 2
    page.click("summary:text-is('Who was handed an address?')")
    page.fill("[name=address]", "127.0.0.1")
    page.fill("details[open] [name=reason]", "ticket 8")
    page.click("button:text-is('Show who got it')")
    assert "gudrun" in page.inner_text("#handed")
    assert "address" not in page.url


@pytest.mark.usefixtures("gudrun")
def test_the_curve_of_days(site: Site, new_page: Callable[..., Page]) -> None:
    """A canvas in place of the server's picture: it tells a day's values, by keyboard too, and
    follows the window and the colour scheme. The picture stays for screen readers.
    """
    until(lambda: bool(site.ask("GET", f"{AT[1:]}/series")["days"]))
    page = new_page()
    go(page, AT)
    box = page.locator("[data-chart]")
    assert box.locator("canvas").count() == 1
    assert "seeders: at most" in str(box.locator("svg").text_content())
    box.focus()
    page.keyboard.press("ArrowLeft")
    assert time.strftime("%Y-%m-%d", time.gmtime()) in box.locator(".u-legend").inner_text()
    assert "seeders1leechers1" in "".join(box.locator(".u-legend").inner_text().split())
    page.set_viewport_size({"width": 320, "height": 900})
    page.wait_for_function("document.querySelector('canvas').clientWidth < 320")
    page.emulate_media(color_scheme="dark")
    assert box.locator("canvas").count() == 1
    page = new_page(scripts=False)
    go(page, AT)
    assert page.locator("[data-chart] svg").is_visible()


@pytest.mark.usefixtures("gudrun")
@pytest.mark.parametrize("scripts", [True, False])
def test_the_slider(new_page: Callable[..., Page], *, scripts: bool) -> None:
    """By keyboard to the log's beginning, when nobody was in the swarm; compared with now."""
    page = new_page(width=320, scripts=scripts)
    go(page, f"{AT}/time?span=all")
    slider = page.locator("[type=range]")
    slider.focus()
    slider.press("Home")
    page.fill("[name=with]", "now")
    page.press("[name=with]", "Enter")
    page.wait_for_url("**with=now**")
    query = parse_qs(urlsplit(page.url).query)
    assert query["at"] == [slider.get_attribute("min")]
    assert "Nobody was in the swarm then" in page.inner_text("main")
    assert page.locator("#changes tbody tr").count() == 2
    assert page.evaluate("document.documentElement.scrollWidth") <= 320


@pytest.mark.usefixtures("gudrun")
def test_the_slider_says_where_it_is(new_page: Callable[..., Page]) -> None:
    """The time beside it follows it, in the browser's zone; what it shows comes by itself."""
    page = new_page()
    go(page, f"{AT}/time?span=all&with=now")
    assert re.search(r"from \S+ \S+ \(\S+ \S+ UTC\)", str(page.locator(".stay").first.evaluate(
        "one => one.parentElement.textContent")))  # fmt: skip
    slider = page.locator("[type=range]")
    slider.focus()
    slider.press("Home")
    moment = time.gmtime(int(str(slider.get_attribute("min"))) + 9 * 3600)
    assert page.inner_text("label time") == time.strftime("%Y-%m-%d %H:%M:%S", moment)
    page.get_by_text("Nobody was in the swarm then").wait_for()
    assert f"at={slider.get_attribute('min')}" in page.url
    assert page.locator(".moment.other").count() == 1
    assert page.evaluate("document.activeElement.name") == "at"


@pytest.mark.usefixtures("gudrun")
def test_every_form(site: Site, new_page: Callable[..., Page]) -> None:
    """Of a moderator, and the one of a full token. The blacklist ends the swarm, so it is last."""
    for token, button, form, kind in (
        ("admin", "Void hit and run", {}, "hit_and_run_voided"),
        ("staff", "Whitelist", {}, "torrent_whitelisted"),
        ("staff", "Take off the whitelist", {}, "torrent_delisted"),
        ("staff", "Blacklist", {"public": "1"}, "torrent_blacklisted"),
        ("staff", "Take off the blacklist", {}, "torrent_unblacklisted"),
    ):
        page = new_page(token, width=320, scripts=False)
        go(page, AT)
        change(page, button, form, f"{button} {HOSTILE}")
        newest = site.ask("GET", f"events?type={kind}")["events"][-1]
        assert newest["by"]["reason"] == f"{button} {HOSTILE}"
