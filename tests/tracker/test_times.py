"""Times as people type them are what this table says."""

from __future__ import annotations

import pytest

from tracker.times import parse, parse_loosely, parse_typed, seconds_of

NOW = "2027-01-15T08:00:00"
TYPED = [
    # what is typed, the time that it means when it has come, and when it is to come
    ("now", NOW, NOW),
    ("+3m", "2027-01-15T08:03:00", "2027-01-15T08:03:00"),
    ("+3d", "2027-01-18T08:00:00", "2027-01-18T08:00:00"),
    ("-1h30m", "2027-01-15T06:30:00", "2027-01-15T06:30:00"),
    ("10m ago", "2027-01-15T07:50:00", "2027-01-15T07:50:00"),
    ("1h30m ago", "2027-01-15T06:30:00", "2027-01-15T06:30:00"),
    ("2 hours ago", "2027-01-15T06:00:00", "2027-01-15T06:00:00"),
    ("1 day 2 min ago", "2027-01-14T07:58:00", "2027-01-14T07:58:00"),
    ("1 week ago", "2027-01-08T08:00:00", "2027-01-08T08:00:00"),
    ("07:02", "2027-01-15T07:02:00", "2027-01-16T07:02:00"),
    ("7:02", "2027-01-15T07:02:00", "2027-01-16T07:02:00"),
    ("08:00", NOW, "2027-01-16T08:00:00"),
    ("20:15", "2027-01-14T20:15:00", "2027-01-15T20:15:00"),
    ("23:59:59", "2027-01-14T23:59:59", "2027-01-15T23:59:59"),
    ("yesterday", "2027-01-14T00:00:00", "2027-01-14T00:00:00"),
    ("yesterday 20:15", "2027-01-14T20:15:00", "2027-01-14T20:15:00"),
    ("yesterday 07:02 UTC", "2027-01-14T07:02:00", "2027-01-14T07:02:00"),
    ("today 07:02", "2027-01-15T07:02:00", "2027-01-15T07:02:00"),
    ("today", "2027-01-15T00:00:00", "2027-01-15T00:00:00"),
    ("tomorrow 12:00", "2027-01-16T12:00:00", "2027-01-16T12:00:00"),
    ("2026-11-21", "2026-11-21T00:00:00", "2026-11-21T00:00:00"),
    ("2026-11-21 20:24", "2026-11-21T20:24:00", "2026-11-21T20:24:00"),
    ("2026-11-21T20:24:00Z", "2026-11-21T20:24:00", "2026-11-21T20:24:00"),
    ("2026-11-21T20:24:00+02:00", "2026-11-21T18:24:00", "2026-11-21T18:24:00"),
    ("2026-11-21 19:30 UTC", "2026-11-21T19:30:00", "2026-11-21T19:30:00"),
]
WRONG = (
    "", "ago", "10m", "-10m ago", "+10m ago", "+3", "+3y", "3months ago", "m ago", "24:00", "7",
    "yesterday noon", "yesterday 25:00", "last week", "tomorrow yesterday", "+999999999d", "+",
    "999999999d ago", "2026-13-01", "9999-12-31T23:59:59-10:00",
)  # fmt: skip
NOW_US, _ = parse_loosely(NOW)


@pytest.mark.parametrize(("typed", "past", "ahead"), TYPED)
def test_typed(typed: str, past: str, ahead: str) -> None:
    assert parse_typed(typed, NOW_US, ahead=False) == parse(f"{past}Z")
    assert parse_typed(typed, NOW_US, ahead=True) == parse(f"{ahead}Z")


@pytest.mark.parametrize("typed", WRONG)
def test_what_is_no_time(typed: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_typed(typed, NOW_US, ahead=False)


@pytest.mark.parametrize(
    ("typed", "seconds"),
    [("72h", 259_200), ("1h30m", 5400), ("2 days", 172_800), ("1w", 604_800), ("90 s", 90)],
)
def test_lengths(typed: str, seconds: int) -> None:
    assert seconds_of(typed) == seconds
