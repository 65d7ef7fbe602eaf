"""Fixtures for logs on disk."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.eventlog.logs import Gate

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "log"


@pytest.fixture
def unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes sync calls do nothing, for tests that open thousands of logs and cut no power."""

    def nothing(_descriptor: int) -> None:
        pass

    monkeypatch.setattr(os, "fsync", nothing)
    monkeypatch.setattr(os, "fdatasync", nothing)


@pytest.fixture
def gate(monkeypatch: pytest.MonkeyPatch) -> Gate:
    return Gate(monkeypatch)
