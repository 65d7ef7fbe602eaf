"""Rates that no line carries are found, over at least five minutes."""

from __future__ import annotations

import pytest

from tests.tracker.domain.detecting.said import interval
from tracker.domain.detecting.intervals import CASE, Finding, Interval
from tracker.domain.detecting.rates import ImpossibleRate, RateParameters


def found(*heard: Interval) -> list[Finding]:
    detector = ImpossibleRate(RateParameters(limit=1000, least_seconds=300))
    return [finding for one in heard for finding in detector.heard(one)]


@pytest.mark.parametrize(
    ("up", "down", "seconds", "rate"),
    [
        (300_000, 0, 300, None),  # as much as is possible
        (300_300, 0, 300, 1001),
        (0, 900_900, 900, 1001),
        (10**12, 0, 299, None),  # too short to tell
    ],
)
def test_an_interval(up: int, down: int, seconds: int, rate: int | None) -> None:
    findings = found(interval(1, 0), interval(2, seconds, 0, up=up, down=down))
    assert [one.amount for one in findings] == ([] if rate is None else [rate])


def test_short_intervals_count_together() -> None:
    """Until they are long enough; then a new span begins."""
    heard = [interval(1, 0)]
    heard += [interval(n, n * 100 - 100, n * 100 - 200, up=200_000) for n in range(2, 6)]
    (one,) = found(*heard)
    assert one[1:8] == (CASE, 1, heard[0].info_hash, 0, 300_000_000, 2000, "bytes_per_second")
    assert one.evidence == (1, 2, 3, 4)
    assert one.facts == {"up": 600_000, "down": 0, "seconds": 300, "limit": 1000}


def test_peers_do_not_count_together() -> None:
    other = b"-TR4050-abcdefghijkl"
    heard = [
        interval(1, 0), interval(2, 0, peer_id=other),
        interval(3, 300, 0, up=250_000), interval(4, 300, 0, up=250_000, peer_id=other),
        interval(5, 300, 300, refused=True, up=10**9),
    ]  # fmt: skip
    assert found(*heard) == []
