"""Detectors that go on with what others remembered find what they would have found themselves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import evolve
from hypothesis import strategies as st

from tests.population.measure import feed_of
from tests.population.shares import Cheats
from tests.population.simulator import Population
from tests.support import few_or_many, try_examples
from tracker.domain.detecting import keeping
from tracker.domain.detecting.watch import Watch

if TYPE_CHECKING:
    from tracker.domain.detecting.intervals import Finding


@few_or_many(3, 60)
def test_a_run_with_restarts_finds_what_one_without_does(count: int) -> None:
    places = st.sets(st.integers(0, 3000), min_size=1, max_size=5)
    try_examples(count, _agree, seed=st.integers(0, 2**32), places=places)


def _agree(seed: int, places: set[int]) -> None:
    assert _found(seed, places) == _found(seed, set())


def _found(seed: int, places: set[int]) -> list[Finding]:
    """Finds what a site of cheats has; the watch begins anew at these announces."""
    population = Population(40, 4, seed, cheats=evolve(Cheats(), share=0.7))
    feed = feed_of(population, Watch())
    found: list[Finding] = []
    for number, one in enumerate(population.announces()):
        if number in places:
            data = keeping.pack(feed.watch.detectors)
            feed.watch = Watch()
            keeping.restore(feed.watch.detectors, bytes(data))
        found += feed.announced(one)
    found += feed.ticked(feed.ticked_us + 9 * 86_400_000_000)
    return found
