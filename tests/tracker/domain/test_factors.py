"""Credit factors apply by scope and time, and leave the state once they are over."""

from __future__ import annotations

from random import Random

import pytest

from tests.support import hash_of
from tracker.domain.dates import Dates
from tracker.domain.factors import (
    ANY_TORRENT,
    ANYBODY,
    DROPPED_AT_ONCE,
    EVEN,
    KEPT_MS,
    Applied,
    Factor,
    Factors,
)

HASH, OTHER = hash_of(1), hash_of(2)
NOW = 1000


def factor(
    number: int,
    up: int | None = None,
    down: int | None = None,
    account: int = ANYBODY,
    info_hash: bytes = ANY_TORRENT,
    from_us: int = 0,
    until_us: int | None = None,
) -> Factor:
    return Factor(number, 5, account, info_hash, up, down, from_us, until_us, "")


# Factors, and the percentages of an announce of account 7 in HASH at NOW.
APPLIED: dict[str, tuple[list[Factor], Applied]] = {
    "none": ([], EVEN),
    "freeleech for everybody": ([factor(1, down=0)], Applied(100, 0, 0, 1)),
    "of the torrent": ([factor(1, down=50, info_hash=HASH)], Applied(100, 50, 0, 1)),
    "of another torrent": ([factor(1, down=50, info_hash=OTHER)], EVEN),
    "of the account": ([factor(1, 200, account=7)], Applied(200, 100, 1, 0)),
    "of another account": ([factor(1, 200, account=8)], EVEN),
    "of the account in the torrent": (
        [factor(1, 200, 0, account=7, info_hash=HASH)],
        Applied(200, 0, 1, 1),
    ),
    "of the account in another torrent": ([factor(1, 200, account=7, info_hash=OTHER)], EVEN),
    "of another account in the torrent": ([factor(1, 200, account=8, info_hash=HASH)], EVEN),
    "neutral": ([factor(1, 0, 0)], Applied(0, 0, 1, 1)),
    "a single unfavourable factor applies": ([factor(1, 50, 150)], Applied(50, 150, 1, 1)),
    "the best for the member in each direction": (
        [factor(1, 200, 50), factor(2, 150, 0, info_hash=HASH), factor(3, 100, 100, account=7)],
        Applied(200, 0, 1, 2),
    ),
    "no factor for uploads": (
        [factor(1, None, 50), factor(2, None, 70)],
        Applied(100, 50, 0, 1),
    ),
    "the first of equal factors is named": (
        [factor(1, 200), factor(2, 200)],
        Applied(200, 100, 1, 0),
    ),
    "from this moment": ([factor(1, 200, from_us=NOW)], Applied(200, 100, 1, 0)),
    "before its time": ([factor(1, 200, from_us=NOW + 1)], EVEN),
    "until this moment": ([factor(1, 200, until_us=NOW + 1)], Applied(200, 100, 1, 0)),
    "just over": ([factor(1, 200, until_us=NOW)], EVEN),
    "one over, another in force": (
        [factor(1, 300, until_us=NOW), factor(2, 200)],
        Applied(200, 100, 2, 0),
    ),
}


@pytest.mark.parametrize(("factors", "expected"), APPLIED.values(), ids=APPLIED)
def test_applied(factors: list[Factor], expected: Applied) -> None:
    """For each direction the best factor in force applies, and the result names it."""
    assert factors_of(*factors).applied(7, HASH, NOW) == expected


def factors_of(*factors: Factor) -> Factors:
    found = Factors(Dates())
    for each in factors:
        found.set(each)
    return found


def test_an_ended_factor_is_removed() -> None:
    """An ended factor no longer applies, the others of its scope still do, and no number is used
    twice."""
    factors = factors_of(factor(1, 300), factor(2, 200))
    factors.end(1)
    assert factors.applied(7, HASH, NOW) == Applied(200, 100, 2, 0)
    with pytest.raises(KeyError):
        factors.end(1)
    factors.end(2)
    assert factors.applied(7, HASH, NOW) is EVEN
    assert factors.next_number == 3
    assert factors.in_scope(ANYBODY, ANY_TORRENT) == ()


def test_an_expired_factor_stays_for_a_day() -> None:
    """A factor goes once ticks have found it over for a day; until then it is in force again where
    the clock is set right."""
    dates = Dates()
    factors = Factors(dates)
    factors.set(factor(1, 200, until_us=2 * NOW))
    factors.set(factor(2, 300, until_us=9 * NOW))
    for time_us, lead_us, ran_ms, up, over in (
        (NOW, 0, 10, 300, []),
        (3 * NOW, 0, KEPT_MS, 300, [1]),
        (10 * NOW, 0, KEPT_MS - 1, 100, [1, 2]),  # the clock went ahead
        (10 * NOW, 9 * NOW, 10, 300, []),  # and was set right
        (12 * NOW, 9 * NOW, 10, 300, [1]),
        (13 * NOW, 9 * NOW, KEPT_MS - 1, 300, [1]),
    ):
        dates.go_on_with(time_us, lead_us)
        factors.expire(time_us, ran_ms)
        assert factors.applied(7, HASH, time_us).upload_percent == up
        assert (list(factors.over), list(factors.current)) == (over, [1, 2])
    factors.expire(14 * NOW, 1)
    assert list(factors.current) == [2]


def test_expired_factors_are_dropped() -> None:
    """Ticks that do not say what the clock showed drop a limited number of factors at once."""
    factors = factors_of(
        *(
            factor(number, 200, info_hash=hash_of(number), until_us=number)
            for number in range(1, DROPPED_AT_ONCE + 6)
        )
    )
    factors.end(2)  # ended early, so expiry does not count it
    last = DROPPED_AT_ONCE + 5
    factors.drop_expired(0)
    assert len(factors.current) == last - 1
    factors.drop_expired(3)
    assert min(factors.current) == 4
    factors.drop_expired(10**9)
    assert list(factors.current) == [last - 1, last]
    factors.drop_expired(10**9)
    assert factors.applied(7, HASH, 0) is EVEN
    assert factors.digest() != Factors(Dates()).digest()


def test_the_digest_covers_every_field_of_a_factor() -> None:
    same = factors_of(factor(1, 200)).digest()
    assert factors_of(factor(1, 200)).digest() == same
    others = [
        factor(1, 201),
        factor(1, 200, 0),
        factor(1, 200, until_us=9),
        factor(1, 200, account=1),
    ]
    assert len({same, *(factors_of(one).digest() for one in others)}) == 5


def test_what_a_scope_keeps_is_what_its_factors_say() -> None:
    """Whatever factors come and end, and whichever way the date goes, the best ones in force
    apply."""
    draw = Random(7)
    factors = Factors(Dates())
    for number in range(1, 400):
        low, high = sorted(draw.sample(range(NOW, NOW + 50), 2))
        scope = draw.choice([(0, b""), (0, HASH), (7, b""), (7, HASH), (0, OTHER), (8, HASH)])
        up, down = draw.choice([None, 0, 100, 200]), draw.choice([None, 0, 50, 100])
        until = draw.choice([None, high])
        factors.set(Factor(number, 0, *scope, up, down, low, until, ""))
        if draw.random() < 0.8:
            factors.end(draw.choice(list(factors.current)))
        for _ in range(5):
            now = NOW + draw.randrange(-1, 52)
            applying = [
                each
                for scope in ((0, b""), (0, HASH), (7, b""), (7, HASH))
                for each in factors.in_scope(*scope)
                if each.from_us <= now and not each.is_over(now)
            ]
            expected = [100, 100, 0, 0]
            for each in applying:
                up, down = each.upload_percent, each.download_percent
                if up is not None and (not expected[2] or up > expected[0]):
                    expected[0], expected[2] = up, each.number
                if down is not None and (not expected[3] or down < expected[1]):
                    expected[1], expected[3] = down, each.number
            assert factors.applied(7, HASH, now) == tuple(expected)
