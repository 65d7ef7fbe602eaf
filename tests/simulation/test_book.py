"""The power goes at any moment while the follower writes the book: the next one makes it whole."""

from __future__ import annotations

import random
import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

import eventlog.log
from tests.simulation.disk import Disk, PowerCut
from tests.tracker.upkeep.book.site import Site
from tracker.store import book_files

if TYPE_CHECKING:
    from pathlib import Path

CALLS = 175
"""System calls of a follower that writes a part and its list, more than it makes."""
SEEDS = [*range(16), *(pytest.param(seed, marks=pytest.mark.faults) for seed in range(16, 300))]


@pytest.mark.parametrize("seed", SEEDS)
def test_a_cut_while_the_book_is_written(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first list, one more part, or all parts merged: whatever survives, no list that is read
    has a part with other bytes, and the book is the ledger again."""
    monkeypatch.setattr(eventlog.log, "WATERMARK_SECONDS", 0.001)
    chance = random.Random(seed)
    root = tmp_path / "disk"
    root.mkdir()
    disk = Disk(root, chance)
    site = Site(root / "log", dice=chance)
    with disk.attached():
        site.go_on(6)
        if seed % 3:
            site.follow()
            site.go_on(6)
        monkeypatch.setattr(book_files, "GROWTH", 0 if seed % 3 == 1 else 10**9)
        disk.cut_in = chance.randrange(CALLS)
        with suppress(PowerCut):
            site.follow()
    disk.power_up()
    with disk.attached():
        site.said.clear()
        site.follow()
        site.check()
        damaged = [one for one in site.said if "does not match" in one.get("refused", "")]
        assert not damaged
    shutil.rmtree(tmp_path)
