"""Says how long a thread may hold a core while others wait for one: its slice.

A thread that wakes does not wait for the end of the slice of one whose slice is longer. It gets no
more of the processor by that. So the tracker asks for short slices, and its helper processes for
long ones. Linux heeds this from version 6.12 on.
"""

from __future__ import annotations

import ctypes
import os
import platform
from contextlib import suppress
from struct import Struct
from typing import Final

SHORT_NS: Final = 100_000
"""The shortest slice that Linux has, in nanoseconds."""
LONG_NS: Final = 10_000_000
"""A slice that is longer than any usual one, in nanoseconds."""
_ATTR: Final = Struct("=IIQiIQQQ")  # struct sched_attr, of version 0
_SCHED_SETATTR: Final = {"x86_64": 314, "aarch64": 274, "riscv64": 274}
"""The number of the system call by processor, because not every C library has a name for it."""


def ask_for(slice_ns: int) -> None:
    """Sets the slice of this thread, and of the threads and processes that it starts from now on.

    Does nothing where the system has no such call, or somebody gave the process another policy.
    """
    number = _SCHED_SETATTR.get(platform.machine())
    with suppress(OSError, AttributeError):
        if number is None or os.sched_getscheduler(0) != os.SCHED_OTHER:
            return
        nice = os.getpriority(os.PRIO_PROCESS, 0)
        attr = _ATTR.pack(_ATTR.size, os.SCHED_OTHER, 0, nice, 0, slice_ns, 0, 0)
        ctypes.CDLL(None).syscall(number, 0, attr, 0)
