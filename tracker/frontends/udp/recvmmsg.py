"""Receives and sends datagrams in batches: recvmmsg and sendmmsg through ctypes, into buffers made
once.

Receiving fills one slot for each datagram: its bytes, its source address and, on a wildcard bind,
the local address it was sent to. The reply goes out from the same slot, so that neither address is
copied or parsed for sending. Linux only; `server` has the portable way.
"""

from __future__ import annotations

import ctypes
import errno
import os
import socket
from array import array
from functools import cache
from itertools import accumulate
from struct import Struct
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

BATCH = 256  # datagrams
SLOT = 2016  # bytes read of a datagram: a scrape of 100 whole info hashes
_NAME = 32  # bytes reserved for a socket address
_CONTROL = 64  # bytes reserved for control data
_MSG_DONTWAIT = 0x40
_NOTHING_NOW = (errno.EAGAIN, errno.EINTR, errno.ECONNREFUSED, errno.ENOBUFS, errno.ENOMEM)


class _IoVector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("size", ctypes.c_size_t))


class _Message(ctypes.Structure):
    """struct mmsghdr."""

    _fields_ = (
        ("name", ctypes.c_void_p),
        ("name_size", ctypes.c_uint32),
        ("iov", ctypes.c_void_p),
        ("iov_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_size", ctypes.c_size_t),
        ("flags", ctypes.c_int),
        ("_end_of_msghdr", ctypes.c_int),
        ("size", ctypes.c_uint32),
    )


_MESSAGE_SIZE = ctypes.sizeof(_Message)


def _load() -> ctypes.CDLL | None:
    """Returns the C library with both calls; None without them, and then nothing else here is
    used."""
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


_library = _load()
available = _library is not None and _MESSAGE_SIZE == 64


class Batch:
    """Holds the buffers of one socket. `data` has the received datagrams, SLOT bytes each."""

    def __init__(self, sock: socket.socket, *, local_addresses: bool) -> None:
        """`local_addresses`: the socket reports them (IP_PKTINFO, IPV6_RECVPKTINFO).

        Raises `OSError` where the system has no recvmmsg.
        """
        if _library is None:
            raise OSError(errno.ENOSYS, "this system has no recvmmsg")
        self._receive, self._send = _library.recvmmsg, _library.sendmmsg
        self._descriptor = sock.fileno()
        self._v6 = sock.family == socket.AF_INET6
        self.data = bytearray(BATCH * SLOT)
        self._names = bytearray(BATCH * _NAME)
        self._control = bytearray(BATCH * _CONTROL)
        self._in = self._messages(self.data, local_addresses)
        self._replies = bytearray(BATCH * SLOT)
        self._out = self._messages(self._replies, local_addresses)
        words = memoryview(self._in[0]).cast("B").cast("I")
        self._sizes = words[_MESSAGE_SIZE // 4 - 2 :: _MESSAGE_SIZE // 4]
        vectors = memoryview(self._out[1]).cast("B").cast("Q")
        self._bases = vectors[::2]
        self._reply_sizes = vectors[1::2]
        self._base = _address(self._replies)
        self._in_address = ctypes.addressof(self._in[0])
        self._out_address = ctypes.addressof(self._out[0])

    def _messages(
        self, buffer: bytearray, local_addresses: bool
    ) -> tuple[ctypes.Array[_Message], ctypes.Array[_IoVector]]:
        messages = (_Message * BATCH)()
        vectors = (_IoVector * BATCH)()
        data, names, control = (_address(part) for part in (buffer, self._names, self._control))
        # The kernel returns this many control bytes: one IP_PKTINFO or IPV6_PKTINFO, padded.
        control_size = (40 if self._v6 else 32) if local_addresses else 0
        for slot, (message, vector) in enumerate(zip(messages, vectors, strict=True)):
            vector.base = data + slot * SLOT
            vector.size = SLOT
            message.name = names + slot * _NAME
            message.name_size = 28 if self._v6 else 16
            message.iov = ctypes.addressof(vectors) + slot * ctypes.sizeof(_IoVector)
            message.iov_count = 1
            if control_size:
                message.control = control + slot * _CONTROL
                message.control_size = control_size
        return messages, vectors

    def receive(self) -> list[int]:
        """Receives what has arrived; returns the size of each datagram, by slot.

        Raises `OSError`, but not for an empty socket.
        """
        count = self._receive(self._descriptor, self._in_address, BATCH, _MSG_DONTWAIT, None)
        if count < 0:
            number = ctypes.get_errno()
            if number in _NOTHING_NOW:
                return []
            raise OSError(number, os.strerror(number))
        sizes: list[int] = self._sizes[:count].tolist()
        return sizes

    def addresses(self, count: int) -> Sequence[bytes]:
        """Returns the sources of the first `count` datagrams: 4 or 16 bytes, v4-mapped ones as
        IPv4.
        """
        found = _names(self._v6, count).unpack_from(self._names)
        if self._v6:
            return [one[12:] if one.startswith(_V4_MAPPED) else one for one in found]
        return found

    def reply(self, replies: list[bytes]) -> None:
        """Lays out one reply for each slot, from slot 0 on; b"" = none."""
        joined = b"".join(replies)
        self._replies[: len(joined)] = joined
        sizes = list(map(len, replies))
        count = len(sizes)
        starts = list(
            accumulate(sizes[:-1], initial=self._base)
        )  # because an array grows slowly from an iterator
        self._bases[:count] = array("Q", starts)
        self._reply_sizes[:count] = array("Q", sizes)

    def send(self, first: int, last: int) -> int:
        """Sends the replies of slots first..last-1; returns how many the kernel did not take.

        A reply that cannot be sent (full buffer, unreachable address) is dropped, because UDP
        clients ask again.
        """
        dropped = 0
        while first < last:
            sent = self._send(
                self._descriptor,
                self._out_address + first * _MESSAGE_SIZE,
                last - first,
                _MSG_DONTWAIT,
            )
            if sent <= 0:
                dropped += 1
                sent = 1
            first += sent
        return dropped


@cache
def _names(v6: bool, count: int) -> Struct:
    """Returns what unpacks the IP addresses of `count` sockaddr_in or sockaddr_in6 at once."""
    return Struct(("8x16s8x" if v6 else "4x4s24x") * count)


_V4_MAPPED = bytes(10) + b"\xff\xff"


def _address(buffer: bytearray) -> int:
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer))


def report_local_addresses(sock: socket.socket) -> None:
    """Makes the socket report the local address that each datagram was sent to."""
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)


_IP_PKTINFO = 8  # <linux/in.h>; not every version of Python's socket module has it
