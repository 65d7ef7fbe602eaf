"""The pure build in a process of its own, whatever is compiled in the checkout:
`python -m tests.fuzz.pure` answers each line of datagrams with what came of them.
"""

from __future__ import annotations

import sys
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, ModuleSpec, SourceFileLoader
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence


class Sources:
    """Finds the modules of the tracker by their sources alone."""

    @staticmethod
    def find_spec(name: str, path: Sequence[str] | None, _target: object = None) -> ModuleSpec | None:  # fmt: skip
        if not name.startswith("tracker.") or not path:
            return None
        return FileFinder(path[0], (SourceFileLoader, SOURCE_SUFFIXES)).find_spec(name)


def main() -> None:
    sys.meta_path.insert(0, Sources)  # type: ignore[arg-type]
    from tests.fuzz.wire import lived
    from tracker.build import build

    assert build() == "pure Python"
    for line in sys.stdin:
        sys.stdout.write(f"{lived(bytes.fromhex(line))}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
