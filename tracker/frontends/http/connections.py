"""How many HTTP connections may wait, and how long: one for all listeners that share it.

A connection whose request is there when it is accepted is answered on the spot and never counted.
"""

from __future__ import annotations

from tracker.service.rate_limits import network


class Waiting:
    __slots__ = ("_by_source", "_free", "_per_address", "handshake_seconds", "request_seconds")

    def __init__(
        self,
        connections: int,
        per_address: int = 0,
        request_seconds: float = 10.0,
        handshake_seconds: float = 10.0,
    ) -> None:
        """`per_address`: of one IPv4 address or IPv6 /64; 0 = no limit but `connections`.

        `request_seconds`: for one request and its answer; also how long an idle connection is kept.
        """
        self._free = connections
        self._per_address = per_address
        self._by_source: dict[bytes, int] = {}
        self.request_seconds = request_seconds
        self.handshake_seconds = handshake_seconds

    def take(self, address: bytes, *, proxied: bool = False) -> bool:
        """Whether one more may wait; `give_back` when it is over.

        `proxied`: it comes through a proxy, as all from that address do: the limit of one address is not for it.
        """
        source = network(address)
        waiting = self._by_source.get(source, 0)
        if not self._free or (not proxied and 0 < self._per_address <= waiting):
            return False
        self._free -= 1
        self._by_source[source] = waiting + 1
        return True

    def give_back(self, address: bytes) -> None:
        source = network(address)
        self._free += 1
        self._by_source[source] -= 1
        if not self._by_source[source]:
            del self._by_source[source]
