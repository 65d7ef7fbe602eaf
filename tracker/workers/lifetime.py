"""What the processes beside the tracker have in common."""

from __future__ import annotations

import ctypes
import os
import select
import signal
from contextlib import suppress
from pathlib import Path
from threading import Thread

_NICE = 10
_PR_SET_PDEATHSIG = 1


def step_back() -> None:
    """The tracker comes first: for the processor, and when memory runs out."""
    os.nice(_NICE)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")


def end_with_parent() -> None:
    """Have the system kill this process when the thread that started it is gone: for one that is stopped, or hangs, and does
    not see its input end. Where there is no such call, that is all there is.

    Of one that was gone before nothing is told; but the pipe that it held is without a writer then.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    pipe = select.poll()
    pipe.register(0, 0)  # that the other end is gone is always told
    if any(event & select.POLLHUP for _, event in pipe.poll(0)):
        os._exit(0)


def end_with_input() -> None:
    """End when standard input does: a pipe that the tracker holds and writes nothing to. It ends when the tracker does, even
    killed."""
    Thread(target=_end_with_input, daemon=True).start()


def _end_with_input() -> None:
    with suppress(OSError):
        while os.read(0, 4096):
            pass
    os._exit(0)
