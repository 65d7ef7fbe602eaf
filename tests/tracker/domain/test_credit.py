"""Credited totals stand beside the raw totals. A factor applies at the moment of the announce, and
a correction applies in full."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from attrs import evolve

from tests.support import SECOND, Announce, Rig, endpoint4, hash_of, replayed
from tracker.domain import factors
from tracker.domain.accounts import MOST
from tracker.domain.events.admin import CreditCorrected, CreditFactorEnded
from tracker.domain.state import ReplayError

if TYPE_CHECKING:
    from tracker.domain.events.registry import AdminEvent

HASH = hash_of(1)
HUGE = 2**63 - 1


def private() -> tuple[Rig, Announce]:
    """A private tracker with one member who has announced once."""
    rig = Rig.with_settings(private=True)
    one = Announce(HASH, endpoint4(1), key=rig.issue(1))
    rig.announce(one)
    return rig, one


def credit(rig: Rig) -> tuple[int, int, int, int]:
    """Returns the member's raw and credited bytes, after a replay gave the same state."""
    assert replayed(rig.log.frames()).digest() == rig.state.digest()
    totals = rig.totals(1)
    return totals[:4]


def test_without_factors() -> None:
    """Without a factor the credited bytes equal the raw bytes, and the state keeps no separate
    column."""
    rig, one = private()
    rig.announce(evolve(one, uploaded=5, downloaded=7))
    assert credit(rig) == (5, 7, 5, 7)
    assert not rig.state.accounts.credited_uploaded


def test_the_moment_of_the_announce_counts() -> None:
    """A factor applies to the whole difference of each announce within its time, and to no other
    announce."""
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
    """Each announce credits the whole bytes of its share, and drops the fraction."""
    rig, one = private()
    rig.set_factor(download_percent=33)
    for moved in (1, 2, 3, 103):
        rig.announce(evolve(one, downloaded=moved))
    assert credit(rig) == (0, 103, 0, 33)


def test_credit_of_an_ended_factor_stays() -> None:
    """The end of a factor keeps the bytes that the factor credited."""
    rig, one = private()
    number = rig.set_factor(upload_percent=300)
    rig.announce(evolve(one, uploaded=1))
    rig.service.append(CreditFactorEnded(number))
    rig.announce(evolve(one, uploaded=2))
    assert credit(rig) == (2, 0, 4, 0)


def test_ticks_remove_expired_factors(monkeypatch: pytest.MonkeyPatch) -> None:
    """A factor that is over stays until ticks have found it over for a day, here for one tick."""
    monkeypatch.setattr(factors, "KEPT_MS", 10_000)
    rig, _ = private()
    rig.set_factor(upload_percent=300, until_us=rig.service.now_us() + SECOND)
    rig.time.advance(SECOND)
    rig.service.tick()
    assert rig.state.factors.current
    assert replayed(rig.log.frames()).digest() == rig.state.digest()
    rig.service.tick()
    assert not rig.state.factors.current
    assert replayed(rig.log.frames()).digest() == rig.state.digest()


def test_corrections() -> None:
    """A correction changes exactly the credited totals, up or down. It also works for an account
    that never announced."""
    rig, one = private()
    rig.announce(evolve(one, uploaded=100, downloaded=50))
    rig.correct(1, -100, 7, corrects=2)
    assert credit(rig) == (100, 50, 0, 57)
    rig.announce(evolve(one, uploaded=101, downloaded=50))
    assert credit(rig) == (101, 50, 1, 57)
    rig.issue(2)
    rig.correct(2, MOST, 0, corrects=2)
    assert rig.totals(2) == (0, 0, MOST, 0, 0, 0, 0, 0, 0, 0)
    assert replayed(rig.log.frames()).digest() == rig.state.digest()


def test_totals_stop_at_64_bits() -> None:
    """No total passes 64 bits, and the log still replays."""
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
    "the end of an unknown factor": CreditFactorEnded(1),
}


@pytest.mark.parametrize("name", IMPOSSIBLE)
def test_impossible_events_are_refused(name: str) -> None:
    """The state refuses an event that contradicts it."""
    rig, _ = private()
    with pytest.raises(ReplayError):
        rig.service.append(IMPOSSIBLE[name])
