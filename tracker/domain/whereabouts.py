"""Where peers are, apart from all else in an image of the state, by the day that they said so: endpoints and the ends of peer_ids.

Which peers are of which day follows from the rows, so it need not be written down.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from tracker.domain.directory import NOWHERE
from tracker.domain.events import DAY_US
from tracker.domain.hidden import stand_in, unknown_tail
from tracker.domain.swarms import ROW_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tracker.domain.directory import Directory
    from tracker.domain.swarms import Swarms

    Buffer = bytes | bytearray | memoryview

TAILS, V4, V6 = "tails", "v4.addresses", "v6.addresses"
"""The columns of a day: 12, 6 and 18 bytes a peer, in the order of peers' numbers."""

_HEAD, _TAIL = 8, 12  # bytes of a peer_id
_PIECE = 1 << 14  # peers
_WHEN = Struct("<21xBB33xQ8x")  # of a row: the low bytes of two days, last seen


class Where(NamedTuple):
    """Peers, ascending, of whom something was announced on a day: their peer_id, an IPv4, an IPv6 endpoint."""

    tails: list[int]
    v4: list[int]
    v6: list[int]


def by_day(swarms: Swarms) -> dict[int, Where]:
    """Which peer's what is of which day; it follows from the plain columns.

    A peer of a public mode announces all it has each time. In private modes the two endpoints have days of their
    own, of which the row keeps the low byte.
    """
    found: dict[int, Where] = {}
    identities = swarms.identities.positions()
    places = zip(
        _WHEN.iter_unpack(swarms.rows), swarms.v4.positions(), swarms.v6.positions(), strict=True
    )
    day_us, day, here = -DAY_US, -1, Where([], [], [])
    for peer, ((day4, day6, seen), place4, place6) in enumerate(places):
        if place4 == NOWHERE == place6:
            continue
        if not day_us <= seen < day_us + DAY_US:
            day = seen // DAY_US
            day_us = day * DAY_US
            here = found.setdefault(day, Where([], [], []))
        here.tails.append(peer)
        keyed = identities[peer] != NOWHERE
        if place4 != NOWHERE:
            of4 = _of_day(found, day - (day - day4 & 0xFF)) if keyed else here
            of4.v4.append(peer)
        if place6 != NOWHERE:
            of6 = _of_day(found, day - (day - day6 & 0xFF)) if keyed else here
            of6.v6.append(peer)
    return found


def _of_day(found: dict[int, Where], day: int) -> Where:
    return found.setdefault(day, Where([], [], []))


def dump(swarms: Swarms) -> dict[tuple[int, str], bytes]:
    """Columns by day (since 1970-01-01) and name."""
    private: dict[tuple[int, str], bytes] = {}
    for day, where in by_day(swarms).items():
        private[day, TAILS] = _tails(swarms.rows, where.tails)
        private[day, V4] = _endpoints(swarms.v4, where.v4)
        private[day, V6] = _endpoints(swarms.v6, where.v6)
    return {which: data for which, data in private.items() if data}


def _endpoints(directory: Directory, peers: list[int]) -> bytes:
    width, position = directory.width, directory.positions()
    addresses = bytes(directory.addresses)
    found = bytearray()
    for some in _pieces(peers):
        starts = [position[peer] * width for peer in some]
        found += b"".join([addresses[at : at + width] for at in starts])
    return bytes(found)


def _tails(rows: bytearray, peers: list[int]) -> bytes:
    found = bytearray()
    for some in _pieces(peers):
        first = some[0] * ROW_SIZE
        here = bytes(rows[first : (some[-1] + 1) * ROW_SIZE])
        starts = [peer * ROW_SIZE + _HEAD - first for peer in some]
        found += b"".join([here[at : at + _TAIL] for at in starts])
    return bytes(found)


def _pieces(peers: list[int]) -> Iterator[list[int]]:
    """An object for each of all peers at once would be more than all else that an image takes."""
    for first in range(0, len(peers), _PIECE):
        yield peers[first : first + _PIECE]


def load(swarms: Swarms, private: Mapping[tuple[int, str], Buffer]) -> bool:
    """Put everybody where he is; directories have their places already. Returns whether some are not known and have stand-ins."""
    lost = False
    for day, where in by_day(swarms).items():
        for name, directory, peers in (V4, swarms.v4, where.v4), (V6, swarms.v6, where.v6):
            data = private.get((day, name))
            lost = lost or (data is None and bool(peers))
            if data is None:
                wide = directory.width == 18
                data = b"".join(stand_in(swarms.peer(peer).last_seq, wide) for peer in peers)
            _put_endpoints(directory, peers, data)
        tails = private.get((day, TAILS))
        if tails is None:
            tails = b"".join(unknown_tail(swarms.peer(peer).last_seq) for peer in where.tails)
        rows = swarms.rows
        pieces = Struct(f"{_TAIL}s").iter_unpack(tails)
        for peer, (tail,) in zip(where.tails, pieces, strict=True):
            at = peer * ROW_SIZE + _HEAD
            rows[at : at + _TAIL] = tail
    return lost


def _put_endpoints(directory: Directory, peers: list[int], data: Buffer) -> None:
    width, position, addresses = directory.width, directory.positions(), directory.addresses
    pieces = Struct(f"{width}s").iter_unpack(data)
    for peer, (endpoint,) in zip(peers, pieces, strict=True):
        at = position[peer] * width
        addresses[at : at + width] = endpoint
