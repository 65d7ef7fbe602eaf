"""Receives and sends datagrams in batches, in buffers made once.

Receiving fills one slot for each datagram: its bytes, its source address and, on a wildcard bind,
the local address it was sent to. The reply goes out from the same slot, so that neither address is
copied or parsed for sending. Linux only; `server` has the portable way.
"""

from __future__ import annotations

import errno
import socket
import sys

from tracker.frontends.udp import mmsg

BATCH = 256  # datagrams
SLOT = 2016  # bytes read of a datagram: a scrape of 100 whole info hashes
_NAME = 32  # bytes reserved for a socket address
_CONTROL = 64  # bytes reserved for control data
# Not on 32 bits, where that structure has another form.
available = mmsg.library() is not None and sys.maxsize > 2**32


class Batch:
    """Holds the buffers of one socket.

    `data` has the received datagrams, SLOT bytes each, and `replies` what is sent. `names` and
    `heads` have the sources and the structures that the kernel fills. `vectors` have the place and
    size of each slot's reply; `base` is where `replies` lie. If a slot has none, its size is 0 and
    `silent` is true. `verdicts` are those of a receiver (ring.py), else zeros.
    """

    __slots__ = (
        "_buffers", "_descriptor", "_out", "base", "count", "data", "first", "heads", "names", "replies", "silent", "v6",
        "vectors", "verdicts",
    )  # fmt: skip

    def __init__(self, sock: socket.socket, *, local_addresses: bool, slots: int = BATCH) -> None:
        """`local_addresses`: the socket reports them (IP_PKTINFO, IPV6_RECVPKTINFO). `slots`: more
        than BATCH only where a receiver uses them as a ring.

        Raises `OSError` where the system has no recvmmsg.
        """
        if mmsg.library() is None:
            raise OSError(errno.ENOSYS, "this system has no recvmmsg")
        self.silent = False
        self.first = self.count = 0
        self._descriptor = sock.fileno()
        self.v6 = sock.family == socket.AF_INET6
        self.data = bytearray(slots * SLOT)
        self.replies = bytearray(slots * SLOT)
        self.names = bytearray(slots * _NAME)
        self.verdicts = bytearray(slots)
        control, vectors = bytearray(slots * _CONTROL), bytearray(slots * mmsg.VECTOR.size)
        self.vectors = bytearray(slots * mmsg.VECTOR.size)
        self.base = mmsg.address(self.replies)
        self.heads, self._out = bytearray(), bytearray()
        # The kernel returns this many control bytes: one IP_PKTINFO or IPV6_PKTINFO, padded.
        control_size = (40 if self.v6 else 32) if local_addresses else 0
        control_at = mmsg.address(control) if local_addresses else 0
        for slot in range(slots):
            at = slot * mmsg.VECTOR.size
            mmsg.put_vector(vectors, at, mmsg.address(self.data) + slot * SLOT, SLOT)
            name = mmsg.address(self.names) + slot * _NAME
            where = control_at + slot * _CONTROL if local_addresses else 0
            for heads, of in ((self.heads, vectors), (self._out, self.vectors)):
                heads += mmsg.MESSAGE.pack(
                    name,
                    28 if self.v6 else 16,
                    mmsg.address(of) + at,
                    1,
                    where,
                    control_size,
                    0,
                    0,
                )
        # So that they stay, and where they are: nobody can change the size of a buffer in use.
        fixed = (
            self.data, self.replies, self.names, self.vectors, self.verdicts, self.heads, self._out, control, vectors,
        )  # fmt: skip
        self._buffers = tuple(memoryview(each) for each in fixed)

    def receive(self, most: int) -> int:
        """Receives what has arrived, `most` or fewer datagrams; returns their number.

        Raises `OSError`, but not for an empty socket.
        """
        self.first = self.count = 0
        self.count = mmsg.receive(self._descriptor, self.heads, most)
        return self.count

    def filled(self, most: int) -> bool:
        """Tells whether datagrams wait to be answered, in the slots from `first` on. Where none
        does, it receives what has arrived. Raises like `receive`.
        """
        return self.first < self.count or self.receive(most) > 0

    def send(self, count: int, first: int = 0) -> int:
        """Sends the replies of the slots from `first` to `count`; returns how many the kernel did
        not take.

        A reply that cannot be sent (full buffer, unreachable address) is dropped, because UDP
        clients ask again.
        """
        dropped = 0
        while first < count:
            last = first if self.silent else count
            while last < count and mmsg.vector_size(self.vectors, last):
                last += 1
            while first < last:
                sent = mmsg.send(self._descriptor, self._out, first, last)
                if not sent:
                    dropped += 1
                    sent = 1
                first += sent
            first = last + 1
        return dropped


def report_local_addresses(sock: socket.socket) -> None:
    """Makes the socket report the local address that each datagram was sent to."""
    if sock.family == socket.AF_INET6:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IP, _IP_PKTINFO, 1)


_IP_PKTINFO = 8  # <linux/in.h>; not every version of Python's socket module has it

# Fails when one of these constants changes, because the code above has literals in their place.
if (BATCH, SLOT, _NAME) != (256, 2016, 32):
    raise AssertionError("Batch and the handler spell these numbers out")
