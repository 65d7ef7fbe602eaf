"""Credited totals beside the raw ones: factors at the moment of the announce, corrections in
full.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from tests.support import SECOND, Announce, Rig, endpoint4, hash_of, replayed
from tracker.domain.accounts import MOST
from tracker.domain.events.admin import CreditCorrected, CreditFactorEnded
from tracker.domain.state import ReplayError

if TYPE_CHECKING:
    from tracker.domain.events.registry import AdminEvent

HASH = hash_of(1)
HUGE = 2**63 - 1


def private() -> tuple[Rig, Announce]:
    """A tracker with one member, who has announced once."""
    rig = Rig.with_settings(private=True)
    one = Announce(HASH, endpoint4(1), key=rig.issue(1))
    rig.announce(one)
    return rig, one


def credit(rig: Rig) -> tuple[int, int, int, int]:
    """Raw and credited bytes of the member, after a look at what a replay says."""
    assert replayed(rig.log.frames()).digest() == rig.state.digest()
    totals = rig.totals(1)
    return totals[:4]


def test_without_factors() -> None:
    """Credited is what was moved, and takes no room of its own."""
    rig, one = private()
    rig.announce(evolve(one, uploaded=5, downloaded=7))
    assert credit(rig) == (5, 7, 5, 7)
    assert not rig.state.accounts.credited_uploaded


def test_the_moment_of_the_announce_counts() -> None:
    """A factor applies to the whole difference of an announce in its time, and to none before or
    after.
    """
    rig, one = private()
    rig.announce(evolve(one, uploaded=10, downloaded=10))
    now = rig.service.now_us()
    rig.set_factor(
        upload_percent=200, download_percent=0, from_us=now + SECOND, until_us=now + 2 * SECOND
    )
    seen = [credit(rig)]
    for moved in (20, 31, 40):
        rig.announce(evolve(one, uploaded=moved, downloaded=moved))
        seen.append(credit(rig))
        rig.time.advance(SECOND)
    assert seen == [(10, 10, 10, 10), (20, 20, 20, 20), (31, 31, 42, 20), (40, 40, 51, 29)]


def test_parts_of_a_byte_are_left_out() -> None:
    """Of each announce's difference, the whole bytes of its share."""
    rig, one = private()
    rig.set_factor(download_percent=33)
    for moved in (1, 2, 3, 103):
        rig.announce(evolve(one, downloaded=moved))
    assert credit(rig) == (0, 103, 0, 33)


def test_ended() -> None:
    """What was credited while a factor was in force stays."""
    rig, one = private()
    number = rig.set_factor(upload_percent=300)
    rig.announce(evolve(one, uploaded=1))
    rig.service.append(CreditFactorEnded(number))
    rig.announce(evolve(one, uploaded=2))
    assert credit(rig) == (2, 0, 4, 0)


def test_expired_factors_go_with_a_tick() -> None:
    """After the tick an announce has nothing to look at any more."""
    rig, _ = private()
    rig.set_factor(upload_percent=300, until_us=rig.service.now_us() + SECOND)
    rig.time.advance(SECOND)
    assert rig.state.factors.current
    rig.service.tick()
    assert not rig.state.factors.current
    assert replayed(rig.log.frames()).digest() == rig.state.digest()


def test_corrections() -> None:
    """Signed, exact, of credited totals only; also of an account that never announced."""
    rig, one = private()
    rig.announce(evolve(one, uploaded=100, downloaded=50))
    rig.correct(1, -100, 7, corrects=2)
    assert credit(rig) == (100, 50, 0, 57)
    rig.announce(evolve(one, uploaded=101, downloaded=50))
    assert credit(rig) == (101, 50, 1, 57)
    rig.issue(2)
    rig.correct(2, MOST, 0, corrects=2)
    assert rig.totals(2) == (0, 0, MOST, 0, 0, 0, 0, 0, 0)
    assert replayed(rig.log.frames()).digest() == rig.state.digest()


def test_totals_stay_where_they_cannot_go_on() -> None:
    """Whatever clients state and factors multiply, no total passes 64 bits, and the log replays."""
    rig, one = private()
    rig.set_factor(upload_percent=10_000)
    for _ in range(3):
        rig.announce(one, evolve(one, uploaded=HUGE, downloaded=HUGE))
    assert credit(rig) == (MOST, MOST, MOST, MOST)
    rig.correct(1, -10, -MOST, corrects=1)
    rig.announce(one, evolve(one, uploaded=4, downloaded=4))
    assert credit(rig) == (MOST, MOST, MOST - 10, 0)


IMPOSSIBLE: dict[str, AdminEvent] = {
    "below zero": CreditCorrected(1, -1, 0, corrects=0),
    "past the range": CreditCorrected(1, 0, 2**64, corrects=0),
    "ending what is over": CreditFactorEnded(1),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_what_cannot_have_happened(name: str) -> None:
    """A log that says it is not this tracker's."""
    rig, _ = private()
    with pytest.raises(ReplayError):
        rig.service.append(IMPOSSIBLE[name])
