"""UDP connection ids (BEP 15): a keyed MAC over client address and time slot, nothing stored.

An id is 7 bytes of BLAKE2s over slot and address, and the slot's low byte. It is good for a lifetime (BEP 15: two minutes),
and at most a quarter and a second longer, for the address it was given to, whatever the port: clients share sockets and
open new ones. The key comes from the server's secret, so ids outlive a restart.
"""

from __future__ import annotations

from hashlib import blake2s

from tracker.wire import udp

LIFETIME_SECONDS = 120
_SLOTS = 4  # of a lifetime
_ANNOUNCE = udp.ANNOUNCE.to_bytes(4, "big")
_KNOWN_SIZE = 16_384


class ConnectionIds:
    """Issues and checks ids. `known` spares a client that announces often the MAC; it is bounded.

    It has the first 12 bytes of announces, id and action: one look tells what a datagram is, and whether its id is good.
    """

    __slots__ = ("_accepted", "_checked", "_key", "_slot", "_slot_seconds", "known")

    def __init__(
        self, key: bytes, lifetime: int = LIFETIME_SECONDS, *, checked: bool = True
    ) -> None:
        """`key`: up to 32 secret bytes; `lifetime`: seconds, 1 or more; `checked`: false takes every id for good."""
        self._key = key
        self._checked = checked
        self._slot_seconds = -(-lifetime // _SLOTS)
        self._accepted = -(-lifetime // self._slot_seconds) + 1  # the slot it is, and those before
        self._slot = 0
        self.known: dict[bytes, bytes] = {}  # addresses, by what announces begin with now

    def set_time(self, seconds: int) -> None:
        """Tell the time, once a batch. Seconds of log time, so that it never goes back."""
        slot = seconds // self._slot_seconds
        if slot != self._slot:
            self._slot = slot
            self.known.clear()

    def issue(self, address: bytes) -> bytes:
        """8 bytes for a client address of 4 or 16 bytes."""
        connection_id = self._mac(self._slot, address)
        self._remember(connection_id, address)
        return connection_id

    def valid(self, connection_id: bytes, address: bytes) -> bool:
        if self.known.get(connection_id + _ANNOUNCE) == address:
            return True
        if not self._checked:
            return True
        # A plain comparison: nanoseconds of memcmp do not show through a network, and what could
        # be won is one address's id for a lifetime.
        age = (self._slot - connection_id[7]) & 0xFF
        if age >= self._accepted or self._mac(self._slot - age, address) != connection_id:
            return False
        self._remember(connection_id, address)
        return True

    def _mac(self, slot: int, address: bytes) -> bytes:
        text = slot.to_bytes(8, "big", signed=True) + address
        return blake2s(text, key=self._key, digest_size=7).digest() + _BYTES[slot & 0xFF]

    def _remember(self, connection_id: bytes, address: bytes) -> None:
        if len(self.known) >= _KNOWN_SIZE:
            self.known.clear()
        self.known[connection_id + _ANNOUNCE] = address


_BYTES = [bytes([value]) for value in range(256)]
