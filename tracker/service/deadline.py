"""The moment after which this process answers no announce.

Whoever holds a lease sets it, and moves it on with the lease. When a process did not run for a
while (a suspended machine, SIGSTOP), another may have the lease: then it must not answer.
"""

from __future__ import annotations

import time

_CLOCK = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""A clock that also runs while the machine is suspended; macOS has none by this name."""


class Deadline:
    """Says whether the moment has passed.

    `ns`: the moment in nanoseconds of CLOCK_BOOTTIME, 0 = none. Front ends compare it before they
    decide a batch and before they send. The receivers read it without the interpreter's lock.
    """

    __slots__ = ("ns",)

    def __init__(self) -> None:
        self.ns = 0

    def passed(self) -> bool:
        return self.ns != 0 and time.clock_gettime_ns(_CLOCK) >= self.ns
