"""The kernel's buffers of a UDP socket: makes them large, and reads what did not fit."""

from __future__ import annotations

import socket
import struct
from contextlib import suppress
from typing import NamedTuple

BUFFER_BYTES = 16 << 20
"""Asked of the kernel for each direction of a socket, so that 40,000 announces can wait."""
# Constants of Linux that the module `socket` does not have.
_SO_SNDBUFFORCE, _SO_RCVBUFFORCE, _SO_MEMINFO = 32, 33, 55
_MEMINFO = struct.Struct("=9I")  # socket(7); the second is the receive buffer, the last the drops


class Received(NamedTuple):
    """What the kernel tells of the receiving side of a listener's sockets together."""

    buffer_bytes: int  # with the kernel's own overhead, which it counts too
    dropped: int  # datagrams that found the buffer full, since the sockets were opened


def enlarge(sock: socket.socket) -> None:
    """Makes both buffers as large as the system gives, because bursts wait there while the loop
    does something else.

    The system's limits are `net.core.rmem_max` and `wmem_max`; CAP_NET_ADMIN goes beyond them.
    """
    for plain, forced in (
        (socket.SO_RCVBUF, _SO_RCVBUFFORCE),
        (socket.SO_SNDBUF, _SO_SNDBUFFORCE),
    ):
        sock.setsockopt(socket.SOL_SOCKET, plain, BUFFER_BYTES)
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, forced, BUFFER_BYTES)


def received(*sockets: socket.socket) -> Received | None:
    """Returns None where the system does not tell, and for a closed socket."""
    buffer_bytes = dropped = 0
    for sock in sockets:
        try:
            found = sock.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
        except OSError:
            return None
        if len(found) < _MEMINFO.size:
            return None
        numbers = _MEMINFO.unpack(found)
        buffer_bytes += numbers[1]
        dropped += numbers[8]
    return Received(buffer_bytes, dropped)
