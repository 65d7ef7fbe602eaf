"""Runs the page of a private site's first month, line by line."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.e2e.pages import run

PAGE = Path(__file__).parents[2] / "docs" / "private-site.md"


@pytest.mark.faults  # it takes 15 seconds, and waits for the follower
def test_every_line(tmp_path: Path) -> None:
    """Each command of the page succeeds, and its output is what the page shows."""
    for command, output in run(PAGE.read_text(), tmp_path):
        assert command.agrees(output), f"$ {command.line}\n" + "\n".join(output)
