"""Fixtures for logs on disk."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.eventlog.logs import Gate

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    return Gate(monkeypatch)
