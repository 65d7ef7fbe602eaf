"""Limits how many HTTP connections may wait, and how long, over all listeners together.

A connection whose request has arrived before it is accepted is answered at once and never counted.
"""

from __future__ import annotations

from tracker.service.rate_limits import network


class ConnectionLimits:
    """Counts waiting connections, and holds their time limits in seconds."""

    __slots__ = ("_by_source", "_free", "_per_address", "handshake_seconds", "request_seconds")

    def __init__(
        self,
        connections: int,
        per_address: int = 0,
        request_seconds: float = 10.0,
        handshake_seconds: float = 10.0,
    ) -> None:
        """Starts with no connection waiting.

        Args:
            connections: the most that may wait.
            per_address: the most from one IPv4 address or IPv6 /64; 0 = no limit but `connections`.
            request_seconds: for one request and its reply, and for an idle connection.
            handshake_seconds: for a TLS handshake.
        """
        self._free = connections
        self._per_address = per_address
        self._by_source: dict[bytes, int] = {}
        self.request_seconds = request_seconds
        self.handshake_seconds = handshake_seconds

    def take(self, address: bytes, *, proxied: bool = False) -> bool:
        """Counts one more connection if there is room; tells whether it may wait.

        Call `give_back` when it ends. A `proxied` connection has no limit per address, because all
        clients behind the proxy share its address.
        """
        source = network(address)
        waiting = self._by_source.get(source, 0)
        if not self._free or (not proxied and 0 < self._per_address <= waiting):
            return False
        self._free -= 1
        self._by_source[source] = waiting + 1
        return True

    def give_back(self, address: bytes) -> None:
        """Ends what `take` began."""
        source = network(address)
        self._free += 1
        self._by_source[source] -= 1
        if not self._by_source[source]:
            del self._by_source[source]
