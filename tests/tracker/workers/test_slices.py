"""A slice is what was asked for, and nothing else about the thread changes."""

from __future__ import annotations

import ctypes
import os
import platform
from threading import Thread

from tracker.workers import slices

_SCHED_GETATTR = {"x86_64": 315, "aarch64": 275, "riscv64": 275}


def _policy_nice_slice() -> tuple[int, int, int]:
    data = ctypes.create_string_buffer(slices._ATTR.size)
    number = _SCHED_GETATTR[platform.machine()]
    assert ctypes.CDLL(None).syscall(number, 0, data, len(data), 0) == 0
    _, policy, _, nice, _, slice_ns, _, _ = slices._ATTR.unpack(data.raw)
    return policy, nice, slice_ns


def test_slices() -> None:
    found = []

    def ask() -> None:  # in a thread of its own, because a slice stays
        found.append(_policy_nice_slice())
        for slice_ns in (slices.SHORT_NS, slices.LONG_NS):
            slices.ask_for(slice_ns)
            found.append(_policy_nice_slice())

    thread = Thread(target=ask)
    thread.start()
    thread.join()
    (policy, nice, before), *asked = found
    assert (policy, nice) == (os.SCHED_OTHER, os.getpriority(os.PRIO_PROCESS, 0))
    known = before > 0  # Linux 6.12 and later
    assert asked == [
        (policy, nice, known * slice_ns) for slice_ns in (slices.SHORT_NS, slices.LONG_NS)
    ]
