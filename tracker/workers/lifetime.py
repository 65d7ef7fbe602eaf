"""Priority and end of the processes beside the tracker: they yield to it, and do not outlive it."""

from __future__ import annotations

import ctypes
import os
import select
import signal
import sys
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from tracker.workers import slices

if TYPE_CHECKING:
    from collections.abc import Callable

_NICE = 10
_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_M_MMAP_THRESHOLD = -3
_TABLE_BYTES = 1 << 20  # a table of this size or more is large


def step_back(nice: int = _NICE) -> None:
    """Lets the tracker go first: for the processor, and when the kernel has to kill a process for
    memory. Forbids core dumps as well.
    """
    os.nice(nice)
    slices.ask_for(slices.LONG_NS)
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("500", encoding="ascii")
    keep_tables_apart()
    forbid_core_dumps()  # last, because it takes the right to write that file


def forbid_core_dumps() -> None:
    """Keeps keys and tokens in memory off the disk, and out of reach of the user's other processes.

    Does nothing where the system has no such call.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def keep_tables_apart() -> None:
    """Gives each large table memory of its own, which grows without being copied.

    By itself the C library does so only until a large block is freed. Then it puts blocks of up to
    32 MB side by side: a table that grows is copied in one step, and its old place stays with the
    process. Does nothing where the system has no such call.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).mallopt(_M_MMAP_THRESHOLD, _TABLE_BYTES)


def end_with_parent() -> None:
    """Has the kernel kill this process when the thread that started it ends, also when this process
    is stopped or hangs.

    If the parent died before this call the kernel sends nothing, so it also checks that standard
    input still has a writer. Where the system has no such call, only that check is made.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    pipe = select.poll()
    pipe.register(0, 0)  # POLLHUP is reported without being asked for
    if any(event & select.POLLHUP for _, event in pipe.poll(0)):
        os._exit(0)


def end_with_input() -> None:
    """Ends this process when standard input ends: a pipe that the tracker holds and never writes
    to.

    It ends with the tracker, also when the tracker is killed.
    """
    start_thread(_end_with_input)


def start_thread(work: Callable[..., None], *arguments: object) -> None:
    """Runs `work` beside the process. Ends the process in a sentence where no thread can be had."""
    try:
        Thread(target=work, args=arguments, daemon=True).start()
    except RuntimeError:
        from eventlog import NO_THREAD

        sys.exit(NO_THREAD)


def _end_with_input() -> None:
    with suppress(OSError):
        while os.read(0, 4096):
            pass
    os._exit(0)
