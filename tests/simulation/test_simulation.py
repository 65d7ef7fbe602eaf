"""The whole tracker in virtual time, on a disk that fails and loses power: promises always hold.

A failure names its seed. The same seed gives the same runs again.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.simulation.site import Site

if TYPE_CHECKING:
    from pathlib import Path

LIVES = 6
SEEDS = [*range(10), *(pytest.param(seed, marks=pytest.mark.faults) for seed in range(10, 160))]


def lived(folder: Path, seed: int) -> Site:
    site = Site(folder, seed)
    for _ in range(LIVES):
        site.live()
    return site


@pytest.mark.parametrize("seed", SEEDS)
def test_lives(tmp_path: Path, seed: int) -> None:
    """After crashes, failures and orderly ends the log is an exact prefix with every promise."""
    lived(tmp_path, seed)
    shutil.rmtree(tmp_path)  # pytest keeps the folders of hundreds of tests otherwise


def test_a_seed_is_reproducible(tmp_path: Path) -> None:
    """The same seed gives the same calls, failures, events and digests."""
    sites = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        sites.append(lived(tmp_path / name, 8))
    assert sites[0].trace == sites[1].trace
    assert len({how for how, *_ in sites[0].trace}) > 1
