"""What the processes beside the tracker have in common."""

from __future__ import annotations

import ctypes
import os
import signal
from contextlib import suppress
from pathlib import Path

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
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
