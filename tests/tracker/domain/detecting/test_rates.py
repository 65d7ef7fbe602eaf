"""Rates that no line carries are found, over at least five minutes."""

from __future__ import annotations

import pytest
from attrs import evolve

from tests.tracker.domain.detecting.said import interval
from tracker.config import Config, Core, Detectors, EventLog, Logging, Metadata
from tracker.domain.detecting.intervals import CASE, Finding, Interval
from tracker.domain.detecting.rates import ImpossibleRate, RateParameters
from tracker.process import runtime
from tracker.upkeep import follower_process


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


def test_declared_rates() -> None:
    """The highest limit of an account and its networks holds, in the place of the usual one."""
    limits = (("1", 2000), ("192.0.2.0/24", 3000), ("2001:db8::/32", 5000), ("2", 1))

    def limit(address: bytes | None, account: int) -> int | None:
        detector = ImpossibleRate(RateParameters(limits=limits, limit=1000))
        heard = interval(1, 0, account=account, address=address), interval(
            2, 300, 0, up=300 * 10**6, account=account, address=address
        )  # fmt: skip
        (one,) = [finding for each in heard for finding in detector.heard(each)]
        return one.facts["limit"]

    assert limit(bytes([192, 0, 2, 9]), 1) == 3000
    assert limit(bytes([192, 0, 3, 9]), 1) == 2000
    assert limit(bytes.fromhex("20010db8") + bytes(12), 3) == 5000
    assert limit(None, 3) == 1000
    assert limit(None, 2) == 1


def test_the_follower_is_told_what_was_declared() -> None:
    declared = Detectors(("100.64.0.0/10",), ("7=1000", "192.0.2.0/24=2000"))
    core = Core(listed=False, private=True)
    config = Config(
        Metadata("2.0.0"), Logging("info"), core, event_log=EventLog(cases=True), detectors=declared
    )
    options = follower_process._options(["log", "secrets", *runtime._case_options(config)])
    assert (options.cases, options.shared) == (True, ["100.64.0.0/10"])
    assert list(map(follower_process._rate, options.rate)) == [("7", 1000), ("192.0.2.0/24", 2000)]
    assert not runtime._case_options(evolve(config, event_log=EventLog()))
