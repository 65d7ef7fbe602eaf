"""Freeleech tokens and groups: the worked examples of docs/credit.md, and when a token is over."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support import SECOND
from tests.tracker.domain.test_credit_2 import HASH, Site, moment_us
from tracker.domain import image
from tracker.domain.events.admin import (
    AccountGrouped,
    CreditFactorSet,
    FreeleechGiven,
    FreeleechWithdrawn,
)
from tracker.domain.freeleech import KEPT_US, Freeleech
from tracker.ledger.account import Ledger

if TYPE_CHECKING:
    from collections.abc import Sequence


@pytest.fixture
def site() -> Site:
    return Site.begun().at("12:00")


def give(site: Site, **terms: Any) -> int:
    """Gives the first member a token for the torrent; returns its number."""
    number = site.state.freeleech.next_number
    terms = {"until_completed": False, "label": "", **terms}
    site.service.append(FreeleechGiven(number, 1, HASH, **terms))
    return number


def factor(site: Site, **terms: Any) -> None:
    number = site.state.factors.next_number
    site.service.append(CreditFactorSet(number, "any", site.service.date_us(), None, "", **terms))


def charged(site: Site, moved: Sequence[int]) -> int:
    """Announces at the beginning and after these amounts; returns the bytes that counted."""
    site.says(down=0, left=9)
    for total in moved:
        site.says(down=total, left=9)
    return site.credited()[3]


def state_of(site: Site, number: int = 1) -> str:
    return site.state.freeleech.tokens[number].state(site.service.now_us())


@pytest.mark.parametrize(
    ("percent", "moved", "counted", "state"),
    [
        (100, [700, 1200], 200, "used_up"),  # the first example
        (50, [700, 1200], 100, "used_up"),
        (0, [700, 1200], 0, "unused"),
        (100, [700], 0, "in_use"),
        (100, [1000], 0, "used_up"),
        (100, [], 0, "unused"),
    ],
)
def test_bytes(site: Site, percent: int, moved: list[int], counted: int, state: str) -> None:
    """At most `max_bytes` are free, the rest counts by the factors."""
    give(site, max_bytes=1000)
    factor(site, download_percent=percent)
    assert charged(site, moved) == counted
    assert state_of(site) == state


@pytest.mark.parametrize(("listed", "counted"), [(True, 0), (False, 500)])
def test_end_by_time(site: Site, listed: bool, counted: int) -> None:
    """A gap in which the token ends is free while the peer is listed, and else charged."""
    give(site, until_us=moment_us("18:00"))
    site.at("17:50").says(left=9)
    site.at("18:20" if listed else "19:30").says(down=500, left=9)
    assert site.credited()[3] == counted
    assert state_of(site) == "expired"
    site.says(down=800, left=9)
    assert site.credited()[3] == counted + 300


def test_given_in_a_gap(site: Site) -> None:
    """A token given between two announces frees the later one, but not what a base gains."""
    site.says(left=9)
    site.at("12:10")
    give(site)
    site.at("12:30").says(down=500, left=9)
    assert site.credited()[3] == 0
    site.at("14:00").says(down=600, left=9)  # resumed, and given before the base's announce
    assert site.credited()[3] == 0
    site.service.append(FreeleechWithdrawn(1))
    site.at("15:30")
    give(site)
    assert site.says(down=900, left=9) == "resumed"
    assert site.credited()[3] == 300


def test_until_completed(site: Site) -> None:
    """The announce with `left` 0 is free, and the token is over."""
    give(site, until_completed=True)
    site.says(left=9)
    site.says(down=500, left=0)
    site.says(down=700, left=0)
    assert site.credited()[3] == 200
    assert state_of(site) == "completed"


def test_ledger_says_what_was_free(site: Site) -> None:
    """An entry names the token and its bytes."""
    give(site, max_bytes=300)
    charged(site, [500])
    entries = [*Ledger(1).entries(site.log.frames())]
    assert entries[-1].rule == "continued, 300 bytes free by freeleech token 1"  # type: ignore[union-attr]


def test_withdrawn_and_another(site: Site) -> None:
    """What was free stays free, and a later token for the torrent has bytes of its own."""
    number = give(site)
    assert charged(site, [500]) == 0
    site.service.append(FreeleechWithdrawn(number))
    give(site, max_bytes=50)
    site.says(down=600, left=9)
    assert site.credited()[3] == 50
    assert [state_of(site, each) for each in (1, 2)] == ["withdrawn", "used_up"]


def test_forgotten_after_a_while(site: Site) -> None:
    """A token that was over for 30 days is removed by a tick, with the same state in an image."""
    give(site, until_us=moment_us("13:00"))
    for days in (29, 31):
        site.at(f"13:00 +{days}", quiet=True).service.tick()
        assert bool(site.state.freeleech.tokens) is (days == 29)
        loaded = image.load(image.dump(site.state).plain, image.dump(site.state).private)
        assert loaded.digest() == site.state.digest()
    assert site.state.freeleech.next_number == 2
    assert site.state.freeleech.counts[1] == 0


@pytest.mark.parametrize(("group", "counted"), [("vip", 250), ("other", 500), (None, 500)])
def test_groups(site: Site, group: str | None, counted: int) -> None:
    """The best of all factors counts, and a group's only for its accounts."""
    factor(site, download_percent=75)
    factor(site, download_percent=50, group="vip")
    factor(site, download_percent=150, group="other")
    site.service.append(AccountGrouped(1, group))
    expected = {250: 250, 500: 375}[counted]
    assert charged(site, [500]) == expected


def test_bad_tokens_in_an_image() -> None:
    """Other values than a token has are refused."""
    good = [2, [1, 5, 1, "ab" * 20, SECOND, KEPT_US, None, False, "", 0, 0, 0, 0, ""]]
    Freeleech().set_data(good)
    for at, bad in ((0, "1"), (1, -1), (3, "x"), (8, 3), (13, None), (6, "many")):
        row = [*good[1]]  # type: ignore[misc]
        row[at] = bad
        with pytest.raises((ValueError, TypeError)):
            Freeleech().set_data([2, row])
