"""Isolates tests in a network namespace that has only loopback, so that no client leaves it.

It needs root (CAP_SYS_ADMIN). Without it the tests use the machine's loopback and check the same.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import socket
import struct
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.e2e import forked

if TYPE_CHECKING:
    from collections.abc import Iterator

_CLONE_NEWNET = 0x40000000
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1
_libc = ctypes.CDLL(None, use_errno=True)  # `os.unshare` and `os.setns` came with Python 3.12


@contextmanager
def own_network() -> Iterator[bool]:
    """Isolates this thread, and the threads and processes that it starts; yields whether it did."""
    forked.start()  # else the commands of later tests would run in this network
    with open("/proc/thread-self/ns/net") as usual:
        forked.elsewhere = allowed = _libc.unshare(_CLONE_NEWNET) == 0
        try:
            if allowed:
                _loopback_up()
            yield allowed
        finally:
            if allowed and _libc.setns(usual.fileno(), _CLONE_NEWNET):
                os._exit(1)  # every later test would run in the wrong network
            forked.elsewhere = False


def _loopback_up() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        fcntl.ioctl(sock, _SIOCSIFFLAGS, struct.pack("16sh22x", b"lo", _IFF_UP))
