"""Issues and checks UDP connection ids (BEP 15): a keyed MAC over address and time slot, so nothing
is stored.

An id is 7 bytes of BLAKE2s over slot and address, and the slot's low byte. It is valid for a
lifetime (BEP 15: two minutes), and at most a quarter and a second longer, for the address that it
was issued to. The port does not count, because clients share sockets and open new ones. The key
comes from the server's secret, so ids outlive a restart.
"""

from __future__ import annotations

from hashlib import blake2s

from tracker.wire import udp

LIFETIME_SECONDS = 120
_SLOTS = 4  # time slots in a lifetime
_ANNOUNCE = udp.ANNOUNCE.to_bytes(4, "big")
_KNOWN_SIZE = 16_384  # entries of `known` at most


class ConnectionIds:
    """Issues and checks ids.

    `known` maps the first 12 bytes of an announce (id and action) to the address that may send
    them, so that one look-up recognises an announce with a valid id and spares its MAC. It is
    bounded.
    """

    __slots__ = ("_accepted", "_key", "_slot", "_slot_seconds", "checked", "known")

    def __init__(
        self, key: bytes, lifetime: int = LIFETIME_SECONDS, *, checked: bool = True
    ) -> None:
        """`key`: up to 32 secret bytes. `lifetime`: seconds, 1 or more. `checked`: false for a
        tracker that also serves clients without a valid id; `valid` does not depend on it.
        """
        self._key = key
        self.checked = checked
        self._slot_seconds = -(-lifetime // _SLOTS)
        self._accepted = -(-lifetime // self._slot_seconds) + 1  # this slot and the ones before
        self._slot = 0
        self.known: dict[bytes, bytes] = {}  # addresses by the first 12 bytes

    def set_time(self, seconds: int) -> None:
        """Sets the time, in seconds of log time, which never goes back. Call it once a batch."""
        slot = seconds // self._slot_seconds
        if slot != self._slot:
            self._slot = slot
            self.known.clear()

    def issue(self, address: bytes) -> bytes:
        """Returns an id of 8 bytes for a client's address of 4 or 16 bytes."""
        connection_id = self._mac(self._slot, address)
        self._remember(connection_id, address)
        return connection_id

    def valid(self, connection_id: bytes, address: bytes) -> bool:
        """Tells whether an id of 8 bytes was issued to this address and has not expired."""
        if self.known.get(connection_id + _ANNOUNCE) == address:
            return True
        # A plain comparison is enough, because nanoseconds of memcmp do not show through a network,
        # and an attacker could gain one address's id for one lifetime only.
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
