"""Limits how many HTTP connections may wait and how long, over all listeners together, and says
what they begin with.

A plain connection whose request has arrived before it is accepted is answered at once and never
counted.
"""

from __future__ import annotations

from ipaddress import ip_address
from typing import TYPE_CHECKING

from attrs import field, frozen

from tracker.places import Places
from tracker.wire import proxy_protocol
from tracker.wire.request import BAD

if TYPE_CHECKING:
    from tracker.forwarding import Proxies


@frozen
class ConnectionLimits:
    """The places of waiting connections, and their time limits in seconds."""

    places: Places = field(factory=lambda: Places(8_192))
    request_seconds: float = 10.0  # for one request and its reply, and for an idle connection
    handshake_seconds: float = 10.0  # for a TLS handshake


@frozen
class Greeting:
    """The PROXY header with which every connection of a listener has to begin.

    Only the `proxies` may name another address than their own in it.
    """

    proxies: Proxies
    unix: bool = False  # the listener is a Unix socket

    def read(self, data: bytearray, end: int, address: bytes) -> tuple[int, bytes]:
        """Reads the header in `data[:end]`, from a connection whose other end is `address`.

        Returns as `proxy_protocol.read`, with `address` where the header names no other.
        """
        taken, named = proxy_protocol.read(data, end)
        if taken > 0 and named and not self.is_proxy(address):
            return BAD, address
        return taken, named or address

    def is_proxy(self, address: bytes) -> bool:
        """Tells whether a connection from there carries other clients."""
        return self.proxies.trusts(None if self.unix else ip_address(address))
