"""Loads modules a second time from their sources, so that a compiled build has the pure one too."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from importlib.abc import MetaPathFinder
from importlib.util import spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import define, field

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

ROOT = Path(__file__).parents[1]
_OURS = ("tracker", "tests")


@define
class Sources(MetaPathFinder):
    """Finds a module's .py, where Python itself prefers the compiled one beside it."""

    _loaded: dict[str, ModuleType] = field(factory=dict)

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        del path, target
        if not _ours(name):
            return None
        place = ROOT.joinpath(*name.split("."))
        if place.is_dir():
            return spec_from_file_location(
                name, place / "__init__.py", submodule_search_locations=[str(place)]
            )
        return spec_from_file_location(name, place.with_suffix(".py"))

    @contextmanager
    def in_force(self) -> Iterator[None]:
        """Lets imports in the block, and look-ups of types by name, find modules from sources."""
        before = _taken_out()
        sys.modules.update(self._loaded)
        sys.meta_path.insert(0, self)
        try:
            yield
        finally:
            sys.meta_path.remove(self)
            self._loaded = _taken_out()
            sys.modules.update(before)


def _ours(name: str) -> bool:
    return name.partition(".")[0] in _OURS


def _taken_out() -> dict[str, ModuleType]:
    return {name: sys.modules.pop(name) for name in list(filter(_ours, sys.modules))}
