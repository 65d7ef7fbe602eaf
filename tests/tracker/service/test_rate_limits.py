"""Tests how many requests a sender may make, with the limit of the shipped configuration."""

from __future__ import annotations

from pathlib import Path
from random import Random

import tracker.config
from tracker.config import load
from tracker.service.announce import ACCOUNT_BURST
from tracker.service.rate_limits import MOST, Rate

SHIPPED = Path(tracker.config.__file__).with_name("default.toml")
MINUTE_US = 60_000_000
NOW_US = 1_800_000_000_000_000


def admitted(rate: Rate, sender: int | bytes, now_us: int, requests: int) -> int:
    if isinstance(sender, int):
        return sum(rate.spend(sender, now_us) for _ in range(requests))
    return sum(rate.allows(sender, now_us) for _ in range(requests))


def test_a_seedbox_after_an_outage_and_a_flood() -> None:
    """Thirty members announce 150,000 torrents at once, one of them 60,000. Beyond that one key is
    refused, and gets its share of a minute each minute.
    """
    most = load(str(SHIPPED), environ={}).config.policy.requests_per_minute
    rate = Rate(most, ACCOUNT_BURST)
    for member in range(1, 30):
        assert admitted(rate, member, NOW_US, 3100) == 3100
    assert admitted(rate, 30, NOW_US, 60_100) == 60_000
    assert admitted(rate, 1, NOW_US, 100_000) == 60_000 - 3100
    for minute in range(1, 4):
        assert admitted(rate, 30, NOW_US + minute * MINUTE_US, 10_000) == most


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
        assert rate.spend(number, NOW_US)
    assert len(rate) == 1


def test_a_rate_is_what_a_dictionary_would_say() -> None:
    """Senders that come and go, with those whose first half or last one is the same."""
    chance, rate, spread = Random(3), Rate(5, 2), dict[bytes, int]()
    senders = [bytes([10, 0, 0, number]) for number in range(40)]
    senders += [bytes([32, 1, number, 0]) + bytes(4) + chance.randbytes(8) for number in range(40)]
    senders += [bytes(12) + each for each in senders[:4]]
    for now_us in range(NOW_US, NOW_US + 3 * MINUTE_US, 40_000):
        sender = chance.choice(senders)
        name = sender if len(sender) == 4 else sender[:8]
        due = max(spread.get(name, 0), now_us)
        fits = due - now_us <= 9 * 12_000_000
        if fits:
            spread[name] = due + 12_000_000
        assert rate.allows(sender, now_us) == fits
    assert len(rate) == len(spread) == 81
