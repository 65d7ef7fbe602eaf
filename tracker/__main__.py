"""`tracker` and `python -m tracker`: handles signals and the standard streams before it imports
anything heavy.
"""

from __future__ import annotations

import signal
import sys

from tracker import streams
from tracker.workers import lifetime


def main() -> int:
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    streams.prepare()
    lifetime.forbid_core_dumps()
    from tracker.cli import main as run  # takes a fifth of a second

    return run()


if __name__ == "__main__":
    sys.exit(main())
