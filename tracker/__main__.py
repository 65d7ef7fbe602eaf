"""`tracker`, and `python -m tracker`: be stoppable before anything heavy is imported."""

from __future__ import annotations

import signal
import sys


def main() -> int:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    from tracker.cli import main as run  # a fifth of a second

    return run()


if __name__ == "__main__":
    sys.exit(main())
