"""Dumps and loads the addresses in an image of the state, by the day of their announce.

The addresses are the endpoints, and the last 12 bytes of the peer_ids. They are apart from the rest
of the image, so that each day's part is encrypted under that day's key. The day of a peer follows
from its row, so that no column holds it.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, NamedTuple

from tracker.domain import packed
from tracker.domain.directory import NOWHERE
from tracker.domain.events import DAY_US
from tracker.domain.hidden_peers import stand_in, unknown_tail
from tracker.domain.swarms import ROW_SIZE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tracker.domain.bases import Bases
    from tracker.domain.swarms import Swarms

    Buffer = bytes | bytearray | memoryview

TAILS, V4, V6 = "tails", "v4.addresses", "v6.addresses"
"""The columns of a day: 12, 6 and 18 bytes for each peer, in the order of peers' numbers."""
BASES = "bases.tails"
"""The column of a day with the last 12 bytes of the peer_ids of bases, in the order of numbers."""

_HEAD, _TAIL = 8, 12  # bytes of a peer_id


class Where(NamedTuple):
    """The parts of peers that were announced on one day, in the order of the peers' numbers.

    `tails`: numbers of the peers whose peer_id belongs to the day. `v4` and `v6`: places of the
    day's endpoints in the two directories.
    """

    tails: array[int]
    v4: array[int]
    v6: array[int]


def by_day(swarms: Swarms) -> dict[int, Where]:
    """Sorts the parts of all peers by day, from the plain columns alone.

    In a public mode a peer announces all its parts each time. In private modes each of the two
    endpoints has its own day, and the row keeps the low byte of that day.
    """
    found: dict[int, Where] = {}
    rows, four, six = swarms.rows, swarms.v4, swarms.v6
    nowhere = NOWHERE  # has a type in the .pxd, as `_nowhere` in `directory.py`
    day = day_us = next_us = 0
    tails = v4 = v6 = array("I")
    for peer in range(swarms.peer_slots):
        place4, place6 = four.position(peer), six.position(peer)
        if place4 == nowhere == place6:
            continue
        day4, day6, seen_us = packed.seen(rows, peer * 72)  # ROW_SIZE
        if not day_us <= seen_us < next_us:
            day = seen_us // DAY_US
            day_us, next_us = day * DAY_US, (day + 1) * DAY_US
            tails, v4, v6 = _of_day(found, day)
        packed.append(tails, peer)
        keyed = swarms.identities.position(peer) != nowhere
        if place4 != nowhere:
            ago = (day - day4) & 0xFF if keyed else 0
            packed.append(_of_day(found, day - ago).v4 if ago else v4, place4)
        if place6 != nowhere:
            ago = (day - day6) & 0xFF if keyed else 0
            packed.append(_of_day(found, day - ago).v6 if ago else v6, place6)
    return found


def _of_day(found: dict[int, Where], day: int) -> Where:
    if day not in found:
        found[day] = Where(array("I"), array("I"), array("I"))
    return found[day]


def dump(swarms: Swarms, bases: Bases) -> dict[tuple[int, str], bytes]:
    """Returns the columns by day (since 1970-01-01) and name."""
    private = {(day, BASES): tails for day, tails in bases.tails().items()}
    for day, where in by_day(swarms).items():
        private[day, TAILS] = packed.gather(swarms.rows, where.tails, ROW_SIZE, _HEAD, _TAIL)
        private[day, V4] = packed.gather(swarms.v4.addresses, where.v4, 6, 0, 6)
        private[day, V6] = packed.gather(swarms.v6.addresses, where.v6, 18, 0, 18)
    return {which: data for which, data in private.items() if data}


def load(swarms: Swarms, private: Mapping[tuple[int, str], Buffer]) -> bool:
    """Fills in endpoints and peer_ids. The directories must have the peers' places already.

    Returns whether some endpoints were missing. Their peers have stand-ins now (`hidden_peers`).
    """
    lost = False
    for day, where in by_day(swarms).items():
        for name, directory, places in (V4, swarms.v4, where.v4), (V6, swarms.v6, where.v6):
            data = private.get((day, name))
            width, owners = directory.width, directory.owners
            if data is None:
                lost = lost or bool(places)
                seqs = (swarms.peer(owners[place]).last_seq for place in places)
                data = b"".join(stand_in(seq, width == 18) for seq in seqs)
            packed.scatter(directory.addresses, places, width, 0, width, bytes(data))
        tails = private.get((day, TAILS))
        if tails is None:
            tails = b"".join(unknown_tail(swarms.peer(peer).last_seq) for peer in where.tails)
        packed.scatter(swarms.rows, where.tails, ROW_SIZE, _HEAD, _TAIL, bytes(tails))
    return lost


def load_bases(bases: Bases, private: Mapping[tuple[int, str], Buffer]) -> None:
    """Fills in the peer_ids of bases. Raises `ValueError` for too few or too many."""
    bases.settle({day: bytes(data) for (day, name), data in private.items() if name == BASES})


# Fails when one of these constants changes, because the code above has literals in their place.
if ROW_SIZE != 72:
    raise AssertionError("addresses_by_day spells these numbers out")
