"""Retention chooses the leading segments that are too old or too many."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from eventlog import FRAME_BYTES
from tests.support import Rig
from tracker.upkeep import retention
from tracker.upkeep.retention import Due, Pruner, Segment, days_left, due

THERE = [Segment(0, 10, 100), Segment(5, 20, 100), Segment(5, 20, 100), Segment(9, 30, 50)]


@pytest.mark.parametrize(
    ("keep_from_us", "keep_bytes", "expected"),
    [
        (0, 1000, None),
        (19, 350, None),
        (20, 350, Due(5, "keep_days")),
        (30, 350, Due(9, "keep_days")),
        (999, 350, Due(9, "keep_days")),
        (0, 349, Due(5, "keep_bytes")),
        (0, 159, Due(5, "keep_bytes")),
        (0, 158, Due(9, "keep_bytes")),
        (0, 0, Due(9, "keep_bytes")),
    ],
)
def test_due(keep_from_us: int, keep_bytes: int, expected: Due | None) -> None:
    """`due` names whole leading segments that are too old or too many, never the newest. A log that
    is too large is shortened by a sixteenth more.
    """
    assert due(THERE, keep_from_us, keep_bytes) == expected


@pytest.mark.parametrize(
    ("keep_bytes", "needed", "wait_from_us", "expected"),
    [
        (350, 4, 0, None),  # somebody needs the first segment
        (350, 5, 0, Due(5, "keep_days")),
        (350, 8, 0, Due(5, "keep_days")),
        (350, 9, 0, Due(9, "keep_days")),
        (350, 4, 20, Due(5, "keep_days")),  # but not for ever
        (350, 4, 30, Due(9, "keep_days")),
        (349, 4, 0, Due(5, "keep_bytes")),  # and not beyond the bound of the disk
    ],
)
def test_due_while_somebody_reads(
    keep_bytes: int, needed: int, wait_from_us: int, expected: Due | None
) -> None:
    """What is too old stays for one who has not read it, within both bounds."""
    assert due(THERE, 999, keep_bytes, needed, wait_from_us) == expected


def test_due_of_short_and_long_logs() -> None:
    """Nothing is due in a log with at most one segment. Of a long one some go at a time."""
    assert due([], 999, 0) is None
    assert due(THERE[:1], 999, 0) is None
    many = [Segment(number, number, 100) for number in range(100)]
    assert due(many, 999, 0) == Due(retention.MOST_AT_ONCE, "keep_days")


def test_days_left() -> None:
    """`days_left` divides the space by the growth of a day. It is infinite where retention comes
    first or nothing grows.
    """
    assert days_left(24_000, 0, 30, 10**9, 2400.0) == 10
    assert days_left(24_000, 0, 9, 10**9, 2400.0) == float("inf")
    assert days_left(24_000, 1000, 30, 25_000, 2400.0) == float("inf")
    assert days_left(24_000, 1000, 30, 25_001, 2400.0) == 10
    assert days_left(5, 0, 30, 10**9, 0.0) == float("inf")


def test_the_bound_of_growth() -> None:
    """A log may grow to three segments and a frame above `keep_bytes`, or above what it had at its
    start and is not removed yet.
    """
    written = [0]
    log: Any = SimpleNamespace(
        path=Path(),
        segment_bytes=100,
        statistics=lambda: SimpleNamespace(written_bytes=written[0]),
        grow_until=0,
    )
    pruner = Pruner(Rig().service, log, 30, 1000, Path())

    def grows_to(log_bytes: int) -> int:
        pruner.log_bytes, pruner._written = log_bytes, written[0]
        pruner.bound()
        return log_bytes + log.grow_until - written[0] - FRAME_BYTES

    assert grows_to(5000) == 5300
    written[0] = 250
    assert grows_to(5250) == 5300
    assert grows_to(3000) == 3300
    assert grows_to(900) == 1300
    assert grows_to(1200) == 1300
    written[0] += 70
    assert pruner.size() == 1270
