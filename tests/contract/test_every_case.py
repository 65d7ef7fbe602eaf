"""Checks that every numbered edge case has a test in this folder."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from tests.contract.cases import CASES, numbers_in


def test_every_number_has_a_test() -> None:
    """Every number from 1 to `CASES` is in the name of a test or of a row."""
    names = (path.stem for path in Path(__file__).parent.glob("test_*.py"))
    modules = (import_module(f"tests.contract.{name}") for name in names)
    shown = {number for module in modules for number in numbers_in(module)}
    assert sorted(shown) == list(range(1, CASES + 1))
