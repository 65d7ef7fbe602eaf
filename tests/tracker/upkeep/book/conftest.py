"""A new site for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import eventlog.log
from tests.tracker.upkeep.book.site import Site
from tracker.upkeep import retention

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(eventlog.log, "WATERMARK_SECONDS", 0.001)
    monkeypatch.setattr(retention, "MOST_AT_ONCE", 64)
    return Site(tmp_path / "log")
