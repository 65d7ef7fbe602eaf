"""What is remembered of the addresses that requests come from: how many lately, and how many false ones.

None of it is in the log or in the state. Tables have an entry for each address (IPv6: each /64, which is what one
customer gets), are forgotten as a whole after a time, and earlier when they grow too large: then a flood from very many
addresses gains some requests, and nobody loses any.
"""

from __future__ import annotations

MOST = 1 << 16
"""Addresses in one table; about 8 MB."""


def network(address: bytes) -> bytes:
    """An address of 4 bytes; of 16 the first 8."""
    return address if len(address) == 4 else address[:8]


class Table:
    """Counts by network, for a period."""

    __slots__ = ("_counts", "_period_us", "_until_us")

    def __init__(self, seconds: int) -> None:
        self._counts: dict[bytes, int] = {}
        self._period_us = seconds * 1_000_000
        self._until_us = 0

    def __len__(self) -> int:
        return len(self._counts)

    def above(self, limit: int, now_us: int) -> int:
        """How many networks have a higher count; looks at all of them."""
        if now_us >= self._until_us:
            return 0
        return sum(count > limit for count in self._counts.values())

    def count(self, address: bytes, now_us: int) -> int:
        """How many were added in this period; `now_us` never goes back."""
        if now_us >= self._until_us:
            self._counts.clear()
            self._until_us = now_us + self._period_us
        return self._counts.get(network(address), 0)

    def add(self, address: bytes, now_us: int) -> int:
        """Add one; how many there were before."""
        before = self.count(address, now_us)
        if not before and len(self._counts) >= MOST:
            self._counts.clear()
        self._counts[network(address)] = before + 1
        return before


class Rate:
    """At most so many requests of an address a minute."""

    __slots__ = ("_most", "_table")

    def __init__(self, most: int) -> None:
        self._most = most
        self._table = Table(60)

    def admits(self, address: bytes, now_us: int) -> bool:
        """Count a request, and say whether it may be served."""
        if self._table.count(address, now_us) >= self._most:
            return False
        self._table.add(address, now_us)
        return True


class Bans:
    """Addresses that keep sending wrong UDP connection ids get no more answers until the period ends."""

    __slots__ = ("_most", "_table")

    def __init__(self, most: int, seconds: int) -> None:
        """`most`: errors that are still answered, but for one; 0 = nobody is banned."""
        self._most = most
        self._table = Table(seconds)

    def banned(self, address: bytes, now_us: int) -> bool:
        return 0 < self._most < self._table.count(address, now_us)

    def total(self, now_us: int) -> int:
        """Networks that are banned."""
        return self._table.above(self._most, now_us) if self._most else 0

    def add_error(self, address: bytes, now_us: int) -> None:
        if self._most:
            self._table.add(address, now_us)
