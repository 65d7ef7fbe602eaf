"""Accepts connections as plain descriptors, through accept4 and ctypes, to save socket objects.

Making and dropping a socket object costs more than the announce it carries. Here a connection is a
non-blocking descriptor and the client's address as bytes; it becomes a socket only if it must wait.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
from collections.abc import Callable

_V4_MAPPED = bytes(10) + b"\xff\xff"
_NAME_SIZE = 28  # bytes of sockaddr_in6, the larger address
_GONE = (errno.EAGAIN, errno.EINTR, errno.ECONNABORTED)


Accept = Callable[[], tuple[int, bytes]]
"""Returns a descriptor and its client's address (4 or 16 bytes, v4-mapped ones as IPv4), or -1 and
b"" when none is waiting. Raises `OSError`.
"""


def open_acceptor(listener: socket.socket) -> Accept:
    """Returns a function that accepts on a listening, non-blocking socket; the caller keeps the
    socket.
    """
    library = ctypes.CDLL(None, use_errno=True)
    return _by_accept4(listener, library) if hasattr(library, "accept4") else _by_socket(listener)


def _by_accept4(listener: socket.socket, library: ctypes.CDLL) -> Accept:
    accept4 = library.accept4
    name = (ctypes.c_char * _NAME_SIZE)()
    size = ctypes.byref(ctypes.c_uint32(_NAME_SIZE))
    flags = socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
    descriptor = listener.fileno()
    v6 = listener.family == socket.AF_INET6

    def accept() -> tuple[int, bytes]:
        connection: int = accept4(descriptor, name, size, flags)
        if connection < 0:
            number = ctypes.get_errno()
            if number in _GONE:
                return -1, b""
            raise OSError(number, os.strerror(number))
        raw = name.raw
        return connection, _unmapped(raw[8:24]) if v6 else raw[4:8]

    return accept


def _by_socket(listener: socket.socket) -> Accept:
    """Accepts through the socket module, for systems without accept4."""

    def accept() -> tuple[int, bytes]:
        try:
            connection, source = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return -1, b""
        connection.setblocking(False)
        address = socket.inet_pton(listener.family, source[0].partition("%")[0])
        return connection.detach(), _unmapped(address)

    return accept


def _unmapped(address: bytes) -> bytes:
    return address[12:] if address.startswith(_V4_MAPPED) else address
