"""Names the edge cases of the contract: each has a number, by which a reader finds its tests."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from _pytest.mark import ParameterSet

_NUMBER = re.compile(r"case[-_](\d+)")

CASES = 84


def case(number: int, words: str, *values: object) -> ParameterSet:
    """Returns a row of a parametrised test, named `case-NN: words`."""
    return pytest.param(*values, id=f"case-{number:02}: {words}")


def numbers_in(module: ModuleType) -> Iterator[int]:
    """Yields the case numbers in a module's test names and in the names of their rows."""
    for name, test in vars(module).items():
        if name.startswith("test_"):
            for named in (name, *_rows(test)):
                if found := _NUMBER.match(named.removeprefix("test_")):
                    yield int(found[1])


def _rows(test: object) -> Iterator[str]:
    for mark in getattr(test, "pytestmark", ()):
        if mark.name == "parametrize":
            yield from (str(getattr(row, "id", "")) for row in mark.args[1])
