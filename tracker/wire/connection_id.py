"""Issues and checks UDP connection ids (BEP 15): a keyed MAC over address and time slot, so nothing
is stored.

An id is 7 bytes of BLAKE2s over slot and address, and the slot's low byte. It is valid for a
lifetime (BEP 15: two minutes), and at most a quarter and a second longer, for the address that it
was issued to. The port does not count, because clients share sockets and open new ones. The key
comes from the server's secret, so ids outlive a restart.
"""

from __future__ import annotations

from array import array

from tracker.domain import packed
from tracker.wire import id_mac, udp

LIFETIME_SECONDS = 120
_SLOTS = 4  # time slots in a lifetime
_PLACES = 1 << 14
"""Ids that are remembered at most. An id has one place, so that a later one may take it."""


class ConnectionIds:
    """Issues and checks ids.

    It remembers the latest good ids with their addresses, so that one look-up recognises an
    announce with a good id and spares its MAC.
    """

    __slots__ = ("_good", "_known", "_slot_seconds", "accepted", "checked", "slot", "state")

    def __init__(
        self, key: bytes, lifetime: int = LIFETIME_SECONDS, *, checked: bool = True
    ) -> None:
        """`key`: 1 to 32 secret bytes. `lifetime`: seconds, 1 or more. `checked`: false for a
        tracker that also serves clients without a valid id; `valid` does not depend on it.
        """
        self.state = id_mac.started(key)
        self.checked = checked
        self._slot_seconds = -(-lifetime // _SLOTS)
        self.accepted = -(-lifetime // self._slot_seconds) + 1  # this slot and the ones before
        self.slot = 0
        # Three words for each place: the id, and the two halves of the address. The place is a part
        # of the MAC, so that nobody can choose it.
        self._known = array("Q", bytes(24 * _PLACES))
        self._good: dict[int, bytes] = {}  # the pure build's table of the same

    def set_time(self, seconds: int) -> None:
        """Sets the time, in seconds of log time, which never goes back. Call it once a batch."""
        slot = seconds // self._slot_seconds
        if slot != self.slot:
            self.slot = slot
            self.forget()

    def forget(self) -> None:
        """Forgets the ids that it remembers."""
        self._known[:] = array("Q", bytes(24 * _PLACES))
        self._good.clear()

    def knows(self, connection_id: int, address: bytes, v6: bool) -> bool:
        """Tells whether it remembers that this id is good for this address."""
        if not packed.COMPILED:
            return self._good.get(connection_id) == address
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
        connection_id = id_mac.connection_id(self.state, self.slot, address, len(address) == 16)
        self._remember(connection_id, address)
        return connection_id.to_bytes(8, "big")

    def valid(self, connection_id: bytes, address: bytes) -> bool:
        """Tells whether an id of 8 bytes was issued to this address and has not expired."""
        number, v6 = int.from_bytes(connection_id, "big"), len(address) == 16
        if self.knows(number, address, v6):
            return True
        if not holds(self.state, self.slot, self.accepted, number, address, v6):
            return False
        self._remember(number, address)
        return True

    def _remember(self, number: int, address: bytes) -> None:
        if not packed.COMPILED:
            if len(self._good) == _PLACES:
                self._good.clear()
            self._good[number] = address
            return
        at = (number >> 8 & _PLACES - 1) * 3
        high, low = udp.halves(address, len(address) == 16)
        self._known[at : at + 3] = array("Q", (number, high, low))


def holds(
    state: bytes, slot: int, accepted: int, connection_id: int, address: bytes, v6: bool
) -> bool:
    """Tells whether an id was issued to this address and has not expired; the receivers ask too.

    `state`, `slot`, `accepted`: those of `ConnectionIds`. A plain comparison is enough, because
    nanoseconds do not show through a network, and an attacker could gain one address's id for one
    lifetime only.
    """
    age = (slot - connection_id) & 0xFF
    if age >= accepted:
        return False
    return id_mac.connection_id(state, slot - age, address, v6) == connection_id


# Fails when this constant changes, because `knows` has a literal in its place.
if _PLACES != 16384:
    raise AssertionError("ConnectionIds spells this number out")
