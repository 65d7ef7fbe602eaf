"""Tests repeated SIGKILLs under load: the log is whole and has every acknowledged write."""

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
    """Kills the tracker after some acknowledgements, in the middle of other writes; then checks."""
    chance, writes = random.Random(seed), Writes()
    for _ in range(rounds):
        tracker.start()
        writes.begin(tracker)
        assert writes.wait(chance.randrange(1, 30))
        tracker.kill()
        writes.end()
    writes.check(tracker)
    return writes


def test_two_kills(new_tracker: Callable[..., Tracker]) -> None:
    """A few rounds keep every acknowledged write."""
    assert len(kills(new_tracker(), 2, 1).acknowledged) >= 2


@pytest.mark.faults
def test_two_hundred_kills(new_tracker: Callable[..., Tracker]) -> None:
    """Many rounds keep every acknowledged write: eight logs, two at a time."""
    failures: list[BaseException] = []

    def lane(trackers: list[Tracker], seed: int) -> None:
        try:
            for tracker in trackers:
                kills(tracker, 25, seed)
        except BaseException as error:
            failures.append(error)

    lanes = [Thread(target=lane, args=[[new_tracker() for _ in range(4)], seed]) for seed in (2, 3)]
    for each in lanes:
        each.start()
    for each in lanes:
        each.join()
    assert failures == []
