"""Rows and records of the announce path, as bytes and back.

Compiled, these names are the functions of the .pxd beside this file: the same bytes, with no objects in between.
Offsets are in bytes.
"""

from __future__ import annotations

from array import array
from operator import eq, getitem, setitem
from struct import Struct
from typing import Any

from tracker.domain.events import announce

# Of a column.
u32 = u64 = getitem
put_u32 = put_u64 = setitem

# Of the table of torrents, at a byte.
run = Struct("=IIII").unpack_from  # start, size, seeders, log2 of the room
_counts = Struct("=II").unpack_from


def counts(torrents: array[int], torrent: int) -> tuple[int, ...]:
    """Reads the seeders and leechers of a torrent, by its number."""
    return _counts(torrents, torrent * 64)


# Of the pool of a directory.
find = bytearray.find
has = bytearray.startswith  # addresses, endpoint, at


def put(addresses: bytearray, endpoint: bytes, at: int) -> None:
    addresses[at : at + len(endpoint)] = endpoint


def copy(addresses: bytearray, source: int, target: int, size: int) -> None:
    addresses[target : target + size] = addresses[source : source + size]


def around(
    prefix: bytes, addresses: bytearray, start: int, own: int, width: int, end: int
) -> bytes:
    """`prefix` and a run of addresses, without the one of that width that begins at `own`."""
    run = addresses[start:end]
    own -= start
    del run[own : own + width]
    return prefix + run


# Of a peer's row. From its byte 32 on: uploaded, downloaded, left, last seen us, last seq.
_numbers = Struct("<20s12xQQ16xQ").unpack_from
same_id = eq  # what `numbers` gave, a peer_id
put_totals = Struct("<QQQQQ").pack_into  # at byte 32: all five
put_identity = Struct("<20s4xI").pack_into  # at byte 0: peer_id, four zeros, torrent
put_peer_id = Struct("<20s").pack_into  # at byte 0
session = Struct("<20xB11xQQ8xQ").unpack_from  # at byte 0: mark, uploaded, downloaded, last seen us

standing = Struct("<24xI36xQ").unpack_from  # at byte 0: torrent, last seq


def numbers(rows: bytearray, peer: int) -> tuple[Any, ...]:
    """Reads peer_id, uploaded, downloaded and last seq of a peer, by its number."""
    return _numbers(rows, peer * 72)


identity = Struct("<I20s").pack  # account, peer_id

# Of many peers, for images of the state.
places = Struct("=III").unpack_from  # of the table of peers, at a byte: in each directory
seen = Struct("<21xBB33xQ").unpack_from  # of a row, at byte 0: two days, last seen us
append = array.append
_AT_ONCE = 1 << 14  # an object for each of all pieces would be more than an image takes


def gather(pool: bytearray, entries: array[int], stride: int, first: int, size: int) -> bytes:
    """Of each of these entries of `stride` bytes the `size` bytes from its byte `first` on."""
    found = bytearray()
    for number in range(0, len(entries), _AT_ONCE):
        starts = [entry * stride + first for entry in entries[number : number + _AT_ONCE]]
        found += b"".join([pool[at : at + size] for at in starts])
    return bytes(found)


def scatter(
    pool: bytearray, entries: array[int], stride: int, first: int, size: int, pieces: bytes
) -> None:
    """The other way round. Raises `ValueError` or `struct.error` where the pieces are not as many."""
    for entry, (piece,) in zip(entries, Struct(f"{size}s").iter_unpack(pieces), strict=True):
        at = entry * stride + first
        pool[at : at + size] = piece


def carry(pool: bytearray, source: int, other: bytearray, target: int, size: int) -> None:
    """From one to another."""
    other[target : target + size] = pool[source : source + size]


# Records. Of the peer_id that `plain` is given it takes the first 8 bytes.
plain = announce.PLAIN.pack
protected = announce.PROTECTED.pack
protected4 = announce.PROTECTED4.pack

announced = Struct("<Q28xQQQIQ5xBH").unpack_from
"""Of a record's plain part: time us, uploaded, downloaded, left, key_ref, prev_seq, what (`codec`), rule."""


def fetch_ahead(plain: bytes, ring: array[int], rows: bytearray, places: array[int]) -> None:
    """Have both rows of each peer that these announces go on fetched from memory, so that compiled code need not wait for one after
    the other. `ring`: peers by number of event, see `recent`."""


_NAMES = Struct("<8x20s8s").unpack_from
_PROTECTED = announce.PROTECTED.unpack_from


def announcer(plain: bytes, protected: bytes, number: int) -> tuple[bytes, bytes, bytes]:
    """Info hash, peer_id and endpoint (6 or 18 bytes) of the record with this number in a frame."""
    info_hash, id_head = _NAMES(plain, number * 80)
    address, id_tail, port, _ = _PROTECTED(protected, number * 32)
    v6 = plain[number * 80 + 77] & 0x10  # odd high nibbles are IPv6
    return info_hash, id_head + id_tail, (address if v6 else address[12:]) + port
