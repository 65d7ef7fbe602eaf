"""Makes UDP connection ids: 7 bytes of BLAKE2s under a key, over a time slot and an address, and
the slot's low byte.

In compiled code these names are the functions of the .pxd beside this file, which need no
interpreter's lock.
"""

from __future__ import annotations

from hashlib import blake2s


def started(key: bytes) -> bytes:
    """Returns what `connection_id` needs of a key of 1 to 32 bytes."""
    return key


def connection_id(state: bytes, slot: int, address: bytes, v6: bool) -> int:
    """Returns the id of an address of 4 or, if `v6`, 16 bytes, as a number of 64 bits."""
    del v6
    text = slot.to_bytes(8, "big", signed=True) + address
    digest = blake2s(text, key=state, digest_size=7).digest()
    return int.from_bytes(digest, "big") << 8 | slot & 0xFF
