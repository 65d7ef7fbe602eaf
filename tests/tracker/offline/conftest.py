"""Gives tests of imports a place to import into."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.tracker.offline.imports import Site

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)
