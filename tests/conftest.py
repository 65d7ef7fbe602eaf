"""Fixtures for every test."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session", autouse=True)
def without_syncs() -> Iterator[None]:
    """Makes syncs in the test process do nothing, because no test cuts the power of a real disk.

    Some tests sync thousands of small files, which took most of their time. The processes that a
    test starts still sync, and `tests.simulation.disk` models what a disk keeps.
    """

    def nothing(_descriptor: int) -> None:
        pass

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "fsync", nothing)
        patch.setattr(os, "fdatasync", nothing)
        yield
