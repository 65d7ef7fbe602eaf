"""Retention chooses the leading segments that are too old or too many."""

from __future__ import annotations

import pytest

from tracker.upkeep.retention import Due, Segment, days_left, due

NEVER = 2**64 - 1
THERE = [Segment(0, 10, 100), Segment(5, 20, 100), Segment(5, 20, 100), Segment(9, 30, 50)]


@pytest.mark.parametrize(
    ("keep_from_us", "keep_bytes", "needed_seq", "needed_us", "expected"),
    [
        (0, 1000, 99, NEVER, None),
        (19, 350, 99, NEVER, None),
        (20, 350, 99, NEVER, Due(5, "keep_days", held=False)),
        (30, 350, 99, NEVER, Due(9, "keep_days", held=False)),
        (999, 350, 99, NEVER, Due(9, "keep_days", held=False)),
        (0, 349, 99, NEVER, Due(5, "keep_bytes", held=False)),
        (0, 0, 99, NEVER, Due(9, "keep_bytes", held=False)),
        (0, 0, 9, NEVER, Due(9, "keep_bytes", held=False)),
        (0, 0, 8, NEVER, Due(5, "keep_bytes", held=True)),
        (0, 0, 4, NEVER, Due(0, "keep_bytes", held=True)),
        (0, 0, 99, 31, Due(9, "keep_bytes", held=False)),
        (0, 0, 99, 30, Due(5, "keep_bytes", held=True)),
        (0, 0, 99, 20, Due(0, "keep_bytes", held=True)),
    ],
)
def test_due(
    keep_from_us: int, keep_bytes: int, needed_seq: int, needed_us: int, expected: Due | None
) -> None:
    """`due` names whole leading segments that are too old or too many, without the newest and those
    needed.
    """
    assert due(THERE, keep_from_us, keep_bytes, needed_seq, needed_us) == expected


def test_due_of_short_logs() -> None:
    """Nothing is due in a log with at most one segment."""
    assert due([], 999, 0, 99, NEVER) is None
    assert due(THERE[:1], 999, 0, 99, NEVER) is None


def test_days_left() -> None:
    """`days_left` divides the space by the growth of a day. It is infinite where retention comes
    first or nothing grows.
    """
    assert days_left(24_000, 0, 30, 10**9, 2400.0) == 10
    assert days_left(24_000, 0, 9, 10**9, 2400.0) == float("inf")
    assert days_left(24_000, 1000, 30, 25_000, 2400.0) == float("inf")
    assert days_left(24_000, 1000, 30, 25_001, 2400.0) == 10
    assert days_left(5, 0, 30, 10**9, 0.0) == float("inf")
