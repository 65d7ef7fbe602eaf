"""Calls the system on plain descriptors, because a socket object costs more than an announce.

Compiled callers use the functions of the same names in calls.pxd. There a set is its descriptor.
"""

from __future__ import annotations

import ctypes
import errno
import os
import select
import socket
import sys
from functools import cache
from time import perf_counter_ns
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from array import array

AGAIN = -1  # nothing more now
GONE = -2  # the connection ended

LOOPBACK = bytes([127, 0, 0, 1])
"""The address of a client that connects over a Unix socket, because it is on this machine."""

_V4_MAPPED = bytes(10) + b"\xff\xff"
_NAME_SIZE = 28  # bytes of sockaddr_in6, the larger address
_NONE_NOW = (errno.EAGAIN, errno.EINTR, errno.ECONNABORTED)
_MORE = getattr(socket, "MSG_MORE", 0)

now_ns = perf_counter_ns
fileno = select.epoll.fileno
close_set = select.epoll.close


@cache
def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def open_set() -> select.epoll:
    """Returns an empty set of descriptors. Raises `OSError`, and so do `add`, `watch`, `remove`."""
    return select.epoll()


def add(epoll: select.epoll, descriptor: int) -> None:
    """Puts a descriptor into a set, which then shows it when there is something to read."""
    epoll.register(descriptor, select.EPOLLIN)


def watch(epoll: select.epoll, descriptor: int, what: int) -> None:
    """Makes a set show a descriptor for something else: EPOLLIN or EPOLLOUT."""
    epoll.modify(descriptor, what)


def remove(epoll: select.epoll, descriptor: int) -> None:
    epoll.unregister(descriptor)


def ready(epoll: select.epoll, found: array[int]) -> int:
    """Writes to `found` which descriptors a set shows now; returns how many. It does not wait."""
    shown = epoll.poll(0, len(found))
    for at, (descriptor, _what) in enumerate(shown):
        found[at] = descriptor
    return len(shown)


def accept(listener: int) -> tuple[int, bytes]:
    """Accepts a connection, non-blocking.

    Returns its descriptor and its client's address (4 or 16 bytes, v4-mapped ones as IPv4, LOOPBACK
    over a Unix socket), or AGAIN and b"". Raises `OSError`.
    """
    name, size = ctypes.create_string_buffer(_NAME_SIZE), ctypes.c_uint32(_NAME_SIZE)
    flags = socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    descriptor: int = _library().accept4(listener, name, ctypes.byref(size), flags)
    if descriptor < 0:
        number = ctypes.get_errno()
        if number in _NONE_NOW:
            return AGAIN, b""
        raise OSError(number, os.strerror(number))
    raw = name.raw
    family = int.from_bytes(raw[:2], sys.byteorder)
    if family == socket.AF_INET:
        return descriptor, raw[4:8]
    if family == socket.AF_UNIX:
        return descriptor, LOOPBACK
    address = raw[8:24]
    return descriptor, address[12:] if address.startswith(_V4_MAPPED) else address


def receive(descriptor: int, data: bytearray, at: int, most: int) -> int:
    """Reads up to `most` bytes to `data[at:]`; returns how many, AGAIN or GONE."""
    try:
        return os.readv(descriptor, [memoryview(data)[at : at + most]]) or GONE
    except (BlockingIOError, InterruptedError):
        return AGAIN
    except OSError:
        return GONE


def send(descriptor: int, data: bytes, last: bool) -> int:
    """Sends what the connection takes; returns how many bytes, AGAIN or GONE.

    If it is the `last`, it waits for `close`, so that one segment carries ACK, reply and FIN.
    """
    sent: int = _library().send(descriptor, data, len(data), _MORE if last else 0)
    if sent >= 0:
        return sent
    return AGAIN if ctypes.get_errno() in (errno.EAGAIN, errno.EINTR) else GONE


def shut(descriptor: int) -> None:
    """Ends our side of a connection."""
    _library().shutdown(descriptor, socket.SHUT_WR)


def close(descriptor: int) -> None:
    """Closes a descriptor; whatever a peer did, this raises nothing."""
    _library().close(descriptor)
