"""The pure build in a process of its own, whatever is compiled in the checkout:
`python -m tests.fuzz.pure` answers each line of datagrams with what came of them.
"""

from __future__ import annotations

import sys
from importlib import import_module

from tests.sources import Sources


def main() -> None:
    with Sources().in_force():
        assert import_module("tracker.build").build() == "pure Python"
        lived = import_module("tests.fuzz.wire").lived
        for line in sys.stdin:
            sys.stdout.write(f"{lived(bytes.fromhex(line))}\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
