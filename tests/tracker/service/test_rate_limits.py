"""Tests how many requests a sender may make, with the limit of the shipped configuration."""

from __future__ import annotations

from pathlib import Path

import tracker.config
from tracker.config import load
from tracker.service.announce import ACCOUNT_BURST
from tracker.service.rate_limits import MOST, Rate

SHIPPED = Path(tracker.config.__file__).with_name("default.toml")
MINUTE_US = 60_000_000
NOW_US = 1_800_000_000_000_000


def account(number: int) -> bytes:
    return number.to_bytes(4, "big")


def admitted(rate: Rate, sender: bytes, now_us: int, requests: int) -> int:
    return sum(rate.admits(sender, now_us) for _ in range(requests))


def test_a_seedbox_after_an_outage_and_a_flood() -> None:
    """Thirty members announce 150,000 torrents at once, one of them 60,000. Beyond that one key is
    refused, and gets its share of a minute each minute.
    """
    most = load(str(SHIPPED), environ={}).config.policy.requests_per_minute
    rate = Rate(most, ACCOUNT_BURST)
    for member in range(1, 30):
        assert admitted(rate, account(member), NOW_US, 3100) == 3100
    assert admitted(rate, account(30), NOW_US, 60_100) == 60_000
    assert admitted(rate, account(1), NOW_US, 100_000) == 60_000 - 3100
    for minute in range(1, 4):
        assert admitted(rate, account(30), NOW_US + minute * MINUTE_US, 10_000) == most


def test_a_minute_of_an_address() -> None:
    """All requests of a minute may come at once, and then as many as time passes."""
    rate = Rate(60)
    assert admitted(rate, bytes(4), NOW_US, 100) == 60
    assert admitted(rate, bytes(4), NOW_US + 10_000_000, 100) == 10
    assert admitted(rate, bytes(4), NOW_US + 2 * MINUTE_US, 100) == 60
    assert admitted(rate, bytes(16), NOW_US, 100) == 60
    assert admitted(rate, bytes(8) + b"12345678", NOW_US, 100) == 0, "the same /64"


def test_the_table_is_bounded() -> None:
    """Very many senders empty the table, so that it does not grow."""
    rate = Rate(1)
    for number in range(MOST + 1):
        assert rate.admits(account(number), NOW_US)
    assert len(rate._spread_us) == 1
