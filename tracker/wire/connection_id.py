"""Issues and checks UDP connection ids (BEP 15): a keyed MAC over address and time slot, so nothing
is stored.

An id is 7 bytes of BLAKE2s over slot and address, and the slot's low byte. It is valid for a
lifetime (BEP 15: two minutes), and at most a quarter and a second longer, for the address that it
was issued to. The port does not count, because clients share sockets and open new ones. The key
comes from the server's secret, so ids outlive a restart.
"""

from __future__ import annotations

from array import array
from hashlib import blake2s

from tracker.domain import packed
from tracker.wire import udp

LIFETIME_SECONDS = 120
_SLOTS = 4  # time slots in a lifetime
_PLACES = 1 << 14
"""Ids that are remembered at most. An id has one place, so that a later one may take it."""


class ConnectionIds:
    """Issues and checks ids.

    It remembers the latest good ids with their addresses, so that one look-up recognises an
    announce with a good id and spares its MAC.
    """

    __slots__ = ("_accepted", "_key", "_known", "_slot", "_slot_seconds", "checked")

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
        # Three words for each place: the id, and the two halves of the address. The place is a part
        # of the MAC, so that nobody can choose it.
        self._known = array("Q", bytes(24 * _PLACES))

    def set_time(self, seconds: int) -> None:
        """Sets the time, in seconds of log time, which never goes back. Call it once a batch."""
        slot = seconds // self._slot_seconds
        if slot != self._slot:
            self._slot = slot
            self.forget()

    def forget(self) -> None:
        """Forgets the ids that it remembers."""
        self._known[:] = array("Q", bytes(24 * _PLACES))

    def knows(self, connection_id: int, address: bytes, v6: bool) -> bool:
        """Tells whether it remembers that this id is good for this address."""
        known = self._known
        high, low = udp.halves(address, v6)
        at = ((connection_id >> 8) & 16383) * 3  # _PLACES - 1
        return (
            packed.u64(known, at) == connection_id != 0
            and packed.u64(known, at + 1) == high
            and packed.u64(known, at + 2) == low
        )

    def issue(self, address: bytes) -> bytes:
        """Returns an id of 8 bytes for a client's address of 4 or 16 bytes."""
        connection_id = self._mac(self._slot, address)
        self._remember(connection_id, address)
        return connection_id

    def valid(self, connection_id: bytes, address: bytes) -> bool:
        """Tells whether an id of 8 bytes was issued to this address and has not expired."""
        if self.knows(int.from_bytes(connection_id, "big"), address, len(address) == 16):
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
        number = int.from_bytes(connection_id, "big")
        at = (number >> 8 & _PLACES - 1) * 3
        high, low = udp.halves(address, len(address) == 16)
        self._known[at : at + 3] = array("Q", (number, high, low))


_BYTES = [bytes([value]) for value in range(256)]

# Fails when this constant changes, because `knows` has a literal in its place.
if _PLACES != 16384:
    raise AssertionError("ConnectionIds spells this number out")
