"""Reads and writes the rows and records of the announce path. Offsets are in bytes.

In compiled code these names are the functions of the .pxd beside this file. They handle the same
bytes without making objects.
"""

from __future__ import annotations

from array import array
from operator import eq, getitem, setitem
from struct import Struct
from typing import TYPE_CHECKING

from tracker.domain.events import announce

if TYPE_CHECKING:
    from collections.abc import Callable

COMPILED = False
"""Compiled code reads 1 here. Where it makes a difference, the pure build has the simpler way."""

# An entry of a column.
u32 = u64 = getitem
put_u32 = put_u64 = setitem


def count_one(column: array[int], at: int) -> None:
    """Adds 1 to an entry of 64 bits."""
    column[at] += 1


def plus(column: array[int], at: int, amount: int) -> None:
    """Adds an amount to an entry of 64 bits, up to the largest number that it can hold."""
    column[at] = min(column[at] + amount, 2**64 - 1)


# Rows of torrents.
_run = Struct("=IIII").unpack_from


def run(runs: array[int], at: int) -> tuple[int, ...]:
    """Reads a run at a word: start, size, seeders, log2 of the room; zeros beyond the end."""
    return _run(runs, at * 4) if at + 4 <= len(runs) else (0, 0, 0, 0)


counts: Callable[[array[int], int], tuple[int, int]] = Struct("=II").unpack_from
"""Reads the seeders and leechers of a torrent, at a byte."""


def place(places: array[int], peer: int) -> int:
    """Reads the place of a peer; `directory.NOWHERE` beyond the end."""
    return places[peer] if peer < len(places) else 0xFFFFFFFF


# The pool of a directory.
def find(addresses: bytearray, endpoint: bytes, start: int, end: int, width: int) -> int:
    """Returns the byte at which an endpoint of this width begins in a run; -1 = nowhere."""
    at = addresses.find(endpoint, start, end)
    while at >= 0 and (at - start) % width:  # these bytes lie across two endpoints
        at = addresses.find(endpoint, at + 1, end)
    return at


def beginning(addresses: bytearray, number: int, start: int, end: int, width: int) -> int:
    """Returns the byte at which an endpoint of this width begins that begins with a number of 32
    bits; -1 = there is none.
    """
    return find(addresses, number.to_bytes(4, "little"), start, end, width)


def has_endpoint(addresses: bytearray, endpoint: bytes, at: int, width: int) -> bool:
    return addresses[at : at + width] == endpoint


def put_endpoint(addresses: bytearray, endpoint: bytes, at: int, width: int) -> None:
    addresses[at : at + width] = endpoint


def endpoint(scratch: bytearray, address: bytes, port: bytes, v6: bool) -> bytes:
    """Joins an address and a port, which lie apart in a request. `scratch`: 18 bytes for it."""
    del scratch, v6
    return address + port


has = bytearray.startswith  # addresses, endpoint, at


def put(addresses: bytearray, endpoint: bytes, at: int) -> None:
    addresses[at : at + len(endpoint)] = endpoint


def copy(addresses: bytearray, source: int, target: int, size: int) -> None:
    addresses[target : target + size] = addresses[source : source + size]


def swap(addresses: bytearray, one: int, other: int, size: int) -> None:
    """Swaps two pieces of a pool."""
    piece = addresses[one : one + size]
    addresses[one : one + size] = addresses[other : other + size]
    addresses[other : other + size] = piece


def put_run(out: bytearray, to: int, addresses: bytearray, start: int, size: int) -> int:
    """Copies a run of addresses into a reply. Returns its size."""
    out[to : to + size] = addresses[start : start + size]
    return size


def put_around(
    out: bytearray, to: int, addresses: bytearray, start: int, own: int, width: int, end: int
) -> int:
    """Copies a run into a reply, without the address that begins at `own`. Returns the size.

    An address has `width` bytes.
    """
    run = addresses[start:end]
    own -= start
    del run[own : own + width]
    out[to : to + len(run)] = run
    return len(run)


# A peer's row. Its bytes from 32 on: uploaded, downloaded, left, last seen us, last seq.
same_id = eq  # the first value of `numbers`, and a peer_id
_of_key = Struct("<20s8xI").unpack_from


def is_of_key(rows: bytearray, peer: int, peer_id: bytes, key_ref: int) -> bool:
    """Tells whether a peer, by its number, has this peer_id and came with this key."""
    return bool(_of_key(rows, peer * 72) == (peer_id, key_ref))


put_totals = Struct("<QQQQQ").pack_into  # at byte 32: all five
put_identity = Struct("<20s4xI").pack_into  # at byte 0: peer_id, four zeros, torrent
put_peer_id = Struct("<20s").pack_into  # at byte 0
session = Struct("<20xB11xQQ8xQQ").unpack_from
"""Reads a row at byte 0: mark, uploaded, downloaded, last seen us, last seq."""


def seen_us(rows: bytearray, at: int) -> int:
    """Reads the last seen us of a row at byte 0."""
    return int.from_bytes(rows[at + 56 : at + 64], "little")


standing = Struct("<24xI36xQ").unpack_from  # at byte 0: torrent, last seq


numbers = Struct("<20s12xQQ16xQ").unpack_from
"""Reads a row at byte 0: peer_id, uploaded, downloaded, last seq."""


# A row of a base, at a byte.


_base = Struct("<48xQQQ8xI8xI8x").unpack_from


def base_session(rows: bytearray, at: int) -> tuple[int, int, int, int, int]:
    """Reads the row of a base: mark, uploaded, downloaded, last seen us, and the percentages."""
    uploaded, downloaded, seen_us, percents, mark = _base(rows, at)
    return mark, uploaded, downloaded, seen_us, percents


def word(rows: bytearray, at: int) -> int:
    return int.from_bytes(rows[at : at + 4], "little")


def put_word(rows: bytearray, at: int, value: int) -> None:
    rows[at : at + 4] = value.to_bytes(4, "little")


def wide(rows: bytearray, at: int) -> int:
    return int.from_bytes(rows[at : at + 8], "little")


def piece(rows: bytearray, at: int, size: int) -> bytes:
    return bytes(rows[at : at + size])


view = piece
"""Reads bytes where they lie: compiled code gets no object, but a pointer."""


identity = Struct("<I20s").pack  # account, peer_id
# Names in the daily series: see `Daily`.
account_day = Struct(">xI16xI").pack  # account, day
torrent_day = Struct(">B20sI").pack  # 1, info hash, day
_hashed_identity = Struct("<II").pack


def hashed_identity(scratch: bytearray, secret: array[int], account: int, peer_id: bytes) -> bytes:
    """Joins an account and a hash of the peer_id. `scratch`: 8 bytes for it, so that compiled code
    makes no object.
    """
    del scratch
    return _hashed_identity(account, hashed(secret, peer_id, 20, account))


def scope_name(scratch: bytearray, account: int, torrent: int, info_hash: bytes) -> bytes:
    """Joins what a scope of factors is found by. `scratch`: 28 bytes for it."""
    del scratch
    return account.to_bytes(4, "little") + info_hash + torrent.to_bytes(4, "little")


def base_name(scratch: bytearray, info_hash: bytes, peer_id: bytes, account: int) -> bytes:
    """Joins the beginning of a base's row. `scratch`: 44 bytes for it."""
    del scratch
    return info_hash + peer_id + account.to_bytes(4, "little")


# Keys of an `Index`.


def hashed(secret: array[int], name: bytes, width: int, number: int) -> int:
    """Hashes a name of `width` bytes (20, or one of a directory) and a number to 32 bits.

    Python's own hash has a secret too.
    """
    del secret, width
    return (hash(name) + number) & 0xFFFFFFFF


def number_hash(secret: array[int], number: int) -> int:
    """Hashes a number of 64 bits to 32."""
    del secret
    return hash(number.to_bytes(8, "little")) & 0xFFFFFFFF  # that of a number has no secret


def text_hash(secret: array[int], text: bytes, size: int) -> int:
    """Hashes a text of `size` bytes, 4 or more."""
    del secret, size
    return hash(text) & 0xFFFFFFFF


def is_text(known: bytes, text: bytes, size: int) -> bool:
    del size
    return known == text


# What the site's rules look at.


def port(port: bytes) -> int:
    """Reads a port of 2 bytes."""
    return int.from_bytes(port, "big")


begins = bytes.startswith  # a peer_id of 20 bytes, the text


# The table of `Clients`.
_ALL = 2**64 - 1


def prefix(peer_id: bytes) -> int:
    """Reads the first 8 bytes of a peer_id as a number; 0 if they do not end in a dash."""
    return int.from_bytes(peer_id[:8], "little") if peer_id[7] == 0x2D else 0


def slot(secret: array[int], prefix: int, which: int) -> int:
    """Returns the slot of 8192 in which the search for a pair begins. `secret`: four numbers of 64
    bits, because strangers choose prefixes.
    """
    total = secret[0] * (prefix & 0xFFFFFFFF) + secret[1] * (prefix >> 32) + secret[2] * which
    total &= _ALL
    return ((total ^ total >> 32) * (secret[3] | 1) & _ALL) >> 51


# Many peers, for images of the state.
seen = Struct("<21xBB33xQ").unpack_from  # in a row, at byte 0: two days, last seen us
append = array.append
pop = array.pop


def add_words(column: array[int], count: int, filling: int) -> None:
    """Adds words to a column, each byte of them `filling`."""
    column.frombytes(bytes([filling]) * (4 * count))


def add_wide(column: array[int]) -> None:
    """Adds a zero to a column of numbers of 64 bits."""
    column.append(0)


def add_bytes(pool: bytearray, count: int) -> None:
    """Adds zeros."""
    pool += bytes(count)


_AT_ONCE = 1 << 14  # pieces joined at a time, because each is an object and takes memory


def gather(pool: bytearray, entries: array[int], stride: int, first: int, size: int) -> bytes:
    """Joins `size` bytes of each entry, from its byte `first` on. An entry has `stride` bytes."""
    found = bytearray()
    for number in range(0, len(entries), _AT_ONCE):
        starts = [entry * stride + first for entry in entries[number : number + _AT_ONCE]]
        found += b"".join([pool[at : at + size] for at in starts])
    return bytes(found)


def scatter(
    pool: bytearray, entries: array[int], stride: int, first: int, size: int, pieces: bytes
) -> None:
    """Undoes `gather`. Raises `ValueError` or `struct.error` unless each entry has a piece."""
    for entry, (piece,) in zip(entries, Struct(f"{size}s").iter_unpack(pieces), strict=True):
        at = entry * stride + first
        pool[at : at + size] = piece


# Records.


def add_plain(
    records: bytearray,
    now_us: int,
    info_hash: bytes,
    peer_id: bytes,
    uploaded: int,
    downloaded: int,
    left: int,
    key_ref: int,
    prev_seq: int,
    numwant: int,
    flags: int,
    listener: int,
    what: int,
    rule: int,
    client: int,
) -> None:
    """Adds a record's plain part. Of the whole peer_id it has the first 8 bytes."""
    records += _PLAIN(
        now_us, info_hash, peer_id, uploaded, downloaded, left, key_ref, prev_seq, numwant, flags,
        listener, what, rule, client,
    )  # fmt: skip


def add_protected(
    records: bytearray, address: bytes, peer_id: bytes, port: bytes, key_hash: int, v6: bool
) -> None:
    """Adds a record's protected part: the address as IPv6, and the rest of the peer_id."""
    if v6:
        records += _PACKED(address, peer_id[8:], port, key_hash)
    else:
        records += _PACKED4(_MAPPED, address, peer_id[8:], port, key_hash)


_PLAIN = announce.PLAIN.pack
_PACKED, _PACKED4 = announce.PROTECTED.pack, announce.PROTECTED4.pack
_MAPPED = announce.V4_MAPPED

announced = Struct("<Q28xQQQIQ4xBB2x").unpack_from
"""Reads a record's plain part: time us, uploaded, downloaded, left, key_ref, prev_seq, the byte of
event and protocol, rule.
"""


def client(plain: bytes, number: int) -> int:
    """Reads the number of the client in a frame's record, by the record's number."""
    return int.from_bytes(plain[number * 80 + 78 : number * 80 + 80], "little")


_asked = Struct("<72xHB").unpack_from


def asked(plain: bytes, number: int) -> tuple[int, int]:
    """Reads numwant and flags in a frame's record, by the record's number."""
    return _asked(plain, number * 80)


def fetch_ahead(
    plain: bytes, ring: array[int], rows: bytearray, v4: array[int], v6: array[int]
) -> None:
    """Fetches the rows and places of the peers that these announces continue into the processor's
    cache.

    So compiled code need not wait for one row after the other. `ring`: see `peer_by_seq`. This pure
    build does nothing.
    """


def fetch(pool: bytearray, at: int, size: int) -> None:
    """Fetches bytes into the processor's cache; this build does nothing."""


def fetch_words(column: array[int], at: int, count: int) -> None:
    """Fetches entries of a column, as far as it has them."""


def reaches(amount: int, times: int, other: int, other_times: int) -> bool:
    """Tells whether one product is at least the other. Each factor has 64 bits."""
    return amount * times >= other * other_times


def concerns(plain: bytes, number: int, hashes: bytearray, torrent: int) -> bool:
    """Tells whether a frame's record, by its number, is about this torrent."""
    return plain[number * 80 + 8 : number * 80 + 28] == hashes[torrent * 20 : torrent * 20 + 20]


_NAMES = Struct("<8x20s8s").unpack_from
_PROTECTED = announce.PROTECTED.unpack_from


def announcer(plain: bytes, protected: bytes, number: int) -> tuple[bytes, bytes, bytes]:
    """Reads info hash, peer_id and endpoint (6 or 18 bytes) of a frame's record by its number."""
    info_hash, id_head = _NAMES(plain, number * 80)
    address, id_tail, port, _ = _PROTECTED(protected, number * 32)
    v6 = plain[number * 80 + 76] & 0x10  # odd high nibbles are IPv6
    return info_hash, id_head + id_tail, (address if v6 else address[12:]) + port


def announcer_in(
    scratch: bytearray, plain: bytes, protected: bytes, number: int
) -> tuple[bytes, bytes, bytes]:
    """Does it in 38 bytes of scratch, so that compiled code makes no object."""
    del scratch
    return announcer(plain, protected, number)
