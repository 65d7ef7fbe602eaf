"""Calls recvmmsg and sendmmsg, which take many datagrams at once. Linux only.

In compiled code these names are the functions of the .pxd beside this file.
"""

from __future__ import annotations

import ctypes
import errno
import os
from functools import cache
from struct import Struct
from typing import TYPE_CHECKING

from tracker.wire import udp

if TYPE_CHECKING:
    from collections.abc import Iterator

MESSAGE = Struct("=QI4xQQQQI4xI4x")
"""A struct mmsghdr on a system of 64 bits: name, its size, vectors, their number, control data, its
size, flags, and the size of the datagram."""
VECTOR = Struct("=QQ")
"""A struct iovec there: the address of bytes, and their number."""
_SIZE = Struct("=I")
_SIZE_AT = 56
_MSG_DONTWAIT = 0x40
_NOTHING_NOW = (errno.EAGAIN, errno.EINTR, errno.ECONNREFUSED, errno.ENOBUFS, errno.ENOMEM)


def _load() -> ctypes.CDLL | None:
    """Returns the C library with both calls; None without them."""
    try:
        library = ctypes.CDLL(None, use_errno=True)
        for call in (library.recvmmsg, library.sendmmsg):
            call.restype = ctypes.c_int
        library.recvmmsg.argtypes = [
            ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int, ctypes.c_void_p,
        ]  # fmt: skip
        library.sendmmsg.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int]
    except (OSError, AttributeError):
        return None
    return library


library = cache(_load)


def address(buffer: bytearray) -> int:
    """Returns where a buffer lies in memory. It must keep its size from now on."""
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer))


def receive(descriptor: int, messages: bytearray, count: int) -> int:
    """Receives up to `count` datagrams that have arrived; returns how many.

    Raises `OSError`, but not for an empty socket.
    """
    calls = library()
    assert calls is not None  # noqa: S101  # `Batch` has seen to it
    found: int = calls.recvmmsg(descriptor, address(messages), count, _MSG_DONTWAIT, None)
    if found < 0:
        number = ctypes.get_errno()
        if number not in _NOTHING_NOW:
            raise OSError(number, os.strerror(number))
    return max(found, 0)


def send(descriptor: int, messages: bytearray, first: int, last: int) -> int:
    """Sends the messages numbered first..last-1 until one fails; returns how many it sent."""
    calls = library()
    assert calls is not None  # noqa: S101  # `Batch` has seen to it
    start = address(messages) + first * MESSAGE.size
    sent: int = calls.sendmmsg(descriptor, start, last - first, _MSG_DONTWAIT)
    return max(sent, 0)


def size_of(messages: bytearray, slot: int) -> int:
    """Returns the bytes of a datagram that was received."""
    size: int = _SIZE.unpack_from(messages, slot * MESSAGE.size + _SIZE_AT)[0]
    return size


_names = {False: Struct("4x4s24x").iter_unpack, True: Struct("8x16s8x").iter_unpack}
"""Read the address in each of some sockaddr_in and sockaddr_in6, which have 32 bytes of room."""


def arrived(
    names: bytearray, messages: bytearray, first: int, last: int, v6: bool
) -> Iterator[tuple[bytes, int]]:
    """Returns source and size of the datagrams in some slots; an IPv4 address has 4 bytes."""
    words = MESSAGE.size // 4  # of 32 bits
    sizes = memoryview(messages).cast("I")[_SIZE_AT // 4 + first * words :: words]
    found = [address for (address,) in _names[v6](memoryview(names)[32 * first : 32 * last])]
    if v6:
        found = [address[12:] if udp.is_mapped(address) else address for address in found]
    return zip(found, sizes, strict=False)


put_vector = VECTOR.pack_into  # vectors, at this byte: the address and the number of bytes


def vector_size(vectors: bytearray, slot: int) -> int:
    size: int = VECTOR.unpack_from(vectors, slot * VECTOR.size)[1]
    return size
