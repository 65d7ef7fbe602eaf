"""`tracker` and `python -m tracker`: handles signals and the standard streams before it imports
anything heavy.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

from tracker import streams
from tracker.workers import lifetime


def leave_working_folder() -> None:
    """Has nothing more imported from the working folder, by this process and its helpers, unless
    the tracker itself is there: a file of any name may appear in it.

    The folder is on the path where PYTHONPATH has an empty part (`PYTHONPATH=$PYTHONPATH:/lib` does
    when it was unset), and for `python -m tracker`.
    """
    here, home = os.path.realpath(os.curdir), Path(__file__).resolve().parent.parent
    if here == str(home):
        return
    sys.path[:] = [part for part in sys.path if os.path.realpath(part) != here]
    if parts := os.environ.get("PYTHONPATH"):
        kept = [part for part in parts.split(os.pathsep) if os.path.realpath(part) != here]
        os.environ["PYTHONPATH"] = os.pathsep.join(kept)


def main() -> int:
    gc.disable()  # it would walk what is imported, again and again; each command enables it
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    with suppress(OSError):  # the folder was removed, so nothing is found in it
        leave_working_folder()
    streams.prepare()
    lifetime.forbid_core_dumps()
    lifetime.keep_tables_apart()
    from tracker.cli import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
