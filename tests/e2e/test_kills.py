"""SIGKILL under load, round after round: what was acknowledged outside is in the log, and the log is whole."""

from __future__ import annotations

import random
from threading import Thread
from typing import TYPE_CHECKING

import pytest

from tests.e2e.load import Writes

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.e2e.process import Tracker


def kills(tracker: Tracker, rounds: int, seed: int) -> Writes:
    """Kill it after a number of acknowledgements, while others are being worked for; check now and then."""
    chance, writes = random.Random(seed), Writes()
    for number in range(1, rounds + 1):
        tracker.start()
        writes.begin(tracker)
        assert writes.wait(chance.randrange(1, 30))
        tracker.kill()
        writes.end()
        if number % 50 == 0 or number == rounds:
            writes.check(tracker)
    return writes


def test_five_kills(new_tracker: Callable[..., Tracker]) -> None:
    """A few rounds, as a sample."""
    assert len(kills(new_tracker(), 5, 1).acknowledged) >= 5


@pytest.mark.faults
def test_two_hundred_kills(new_tracker: Callable[..., Tracker]) -> None:
    """The same at length: two trackers at a time, a hundred kills each."""
    failures: list[BaseException] = []

    def lane(tracker: Tracker, seed: int) -> None:
        try:
            kills(tracker, 100, seed)
        except BaseException as error:
            failures.append(error)

    lanes = [Thread(target=lane, args=[new_tracker(), seed]) for seed in (2, 3)]
    for each in lanes:
        each.start()
    for each in lanes:
        each.join()
    assert failures == []
