"""Counts requests and errors by source address, to limit requests and to ban addresses.

The counts are neither in the log nor in the state. A table has one entry for each IPv4 address or
IPv6 /64, because a customer gets one of these. It is cleared as a whole after its period, and
earlier when it grows too large. A flood from very many addresses then gains some requests, but no
client loses any.
"""

from __future__ import annotations

from array import array

from tracker.domain import packed
from tracker.domain.index import Index
from tracker.places import network as network
from tracker.wire import udp

_low = 0xFFFFFFFF  # the number in an entry; has a type in the .pxd, as in `index.py`

MOST = 1 << 16
"""Largest number of senders in one table, which then takes about 8 MB (in a `Rate` 2 MB)."""


class Table:
    """Counts by network, for a period of some seconds."""

    __slots__ = ("_counts", "_period_us", "_until_us")

    def __init__(self, seconds: int) -> None:
        self._counts: dict[bytes, int] = {}
        self._period_us = seconds * 1_000_000
        self._until_us = 0

    def __len__(self) -> int:
        return len(self._counts)

    def above(self, limit: int, now_us: int) -> int:
        """Returns how many networks have a count above `limit`. Looks at every entry."""
        if now_us >= self._until_us:
            return 0
        return sum(count > limit for count in self._counts.values())

    def count(self, address: bytes, now_us: int) -> int:
        """Returns the count of an address's network in this period. `now_us` must never go back."""
        if now_us >= self._until_us:
            self._counts.clear()
            self._until_us = now_us + self._period_us
        return self._counts.get(network(address), 0)

    def add(self, address: bytes, now_us: int) -> int:
        """Adds one to the network's count; returns the count before."""
        before = self.count(address, now_us)
        if not before and len(self._counts) >= MOST:
            self._counts.clear()
        self._counts[network(address)] = before + 1
        return before


class Rate:
    """Limits the requests of each sender: of each network, or of each account.

    A sender may make `most` in a minute, and `most` times `burst` at once if it was quiet before:
    after an outage an account announces all its torrents. A number for each sender is enough: the
    time at which it would have made its latest requests if it had spread them evenly.
    """

    __slots__ = ("_ahead_us", "_cost_us", "_index", "_senders", "_spread_us")

    def __init__(self, most: int, burst: int = 1) -> None:
        self._cost_us = max(1, 60_000_000 // most)
        self._ahead_us = (most * burst - 1) * self._cost_us
        self._clear()

    def _clear(self) -> None:
        self._index = Index()
        # By number, from 1 on: the sender, and that time.
        self._senders = array("Q", [0])
        self._spread_us = array("Q", [0])

    def __len__(self) -> int:
        return len(self._senders) - 1

    def allows(self, address: bytes, now_us: int) -> bool:
        """Does `spend` for an address. Raises `ValueError` unless it has 4 or 16 bytes."""
        if len(address) not in (4, 16):
            raise ValueError("an address of another length")
        return self.admits(address, len(address) == 16, now_us)

    def admits(self, address: bytes, v6: bool, now_us: int) -> bool:
        """Does `spend` for an address of 4 or 16 bytes, which compiled code gives as a pointer."""
        high, low = udp.halves(address, v6)
        return self.spend(high if v6 else high - low, now_us)

    def spend(self, sender: int, now_us: int) -> bool:
        """Tells whether a request may be served, and counts it if so.

        `sender`: the number of an account, or of a network, which is the first half of an IPv6
        address. That of an IPv4 address begins with 32 ones, as no IPv6 address does that can send.
        """
        index, senders, spread_us = self._index, self._senders, self._spread_us
        key = packed.number_hash(index.secret, sender)
        table = index.tables[key & 255]
        mask = len(table) - 1
        at = (key >> 8) & mask
        number = packed.u64(table, at) & _low
        while number and packed.u64(senders, number) != sender:
            at = (at + 1) & mask
            number = packed.u64(table, at) & _low
        due = max(packed.u64(spread_us, number), now_us)
        if due - now_us > self._ahead_us:
            return False
        if not number:
            number = self._enter(key, sender)
        packed.put_u64(self._spread_us, number, due + self._cost_us)
        return True

    def _enter(self, key: int, sender: int) -> int:
        """Returns the number of a new sender. A full table is emptied."""
        if len(self._senders) > 65_536:  # MOST
            self._clear()
        number = len(self._senders)
        packed.add_wide(self._senders)
        packed.add_wide(self._spread_us)
        packed.put_u64(self._senders, number, sender)
        self._index.add(key, number)
        return number


class Bans:
    """Limits the errors for UDP datagrams without a valid connection id, by network.

    They are counted apart from requests, because their source addresses can be forged, and a forger
    must not use up the requests of others.
    """

    __slots__ = ("_most", "_rate", "_table")

    def __init__(self, most: int, seconds: int, per_minute: int = 0) -> None:
        """`most`: more errors than this ban a network until the period ends, 0 = none is banned.

        `seconds`: the period. `per_minute`: the errors that are sent in a minute, 0 = all.
        """
        self._most = most
        self._table = Table(seconds)
        self._rate = Rate(per_minute) if per_minute else None

    def banned(self, address: bytes, now_us: int) -> bool:
        """Tells whether an address gets no more errors."""
        return 0 < self._most < self._table.count(address, now_us)

    def total(self, now_us: int) -> int:
        """Returns how many networks are banned."""
        return self._table.above(self._most, now_us) if self._most else 0

    def add_error(self, address: bytes, now_us: int, *, bans: bool = True) -> bool:
        """Counts an error, towards a ban too if `bans`; tells whether it may be sent."""
        if self._most and bans:
            self._table.add(address, now_us)
        return self._rate is None or self._rate.allows(address, now_us)


# Fails when this constant changes, because the code above has a literal in its place.
if MOST != 65_536:
    raise AssertionError("Rate spells this number out")
