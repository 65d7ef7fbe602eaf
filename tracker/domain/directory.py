"""Holds the endpoints of one address family, side by side for each swarm.

An endpoint is address and port as they go on the wire: 6 or 18 bytes. All swarms share one pool.
Each swarm has a run of endpoints in it, seeders first, so that a reply copies a run of bytes.
Insertion, removal and change of role move at most two entries. The order is part of the state. An
index finds the endpoints of large swarms.

Torrents and peers are small integers from `Swarms` (1 and up; 0 = none). A torrent's row in the
shared table holds its run of IPv4 endpoints too, so that most announces read one line of memory.
The other directories have tables of their own, as long as their highest number needs: where nobody
announces over IPv6, and in public modes, they take nothing. A peer is no object: there are only
typed arrays and byte arrays.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from tracker.domain import choice, packed
from tracker.domain.index import Index

if TYPE_CHECKING:
    from collections.abc import Iterator

NOWHERE = 0xFFFFFFFF  # the place of a peer that has no endpoint in a directory
# The same number with a type (see the .pxd), as a place and as a mask. It has a type because a
# literal this large would be an object in compiled code.
_nowhere = _low = NOWHERE

TORRENT_WORDS = 8
"""Number of 32-bit words in a torrent's row: seeders, leechers, partial seeds, concealed peers, and
its run in the first directory.
"""
CONCEALED = 3  # word of a torrent's row
FIRST, COUNT, SEEDS, ROOM = range(4)
"""The four words of a run: its start, its size, its seeders, and log2 of its room (which stays when
the run is given back).
"""
RUN_WORDS = 4
_NO_TORRENT = bytes(4 * TORRENT_WORDS)
_NOWHERE_BYTES = b"\xff\xff\xff\xff"

_SCANNED = 6
"""log2 of the largest run that `find` searches from end to end. Larger runs have the index.

The search is cheap, because most swarms are small and the reply reads their endpoints anyway.
"""


class Tables:
    """The rows of torrents, and the number of peers. Number 0 is unused.

    `concealed` has a byte for each peer: 1 = it is in no reply. It ends with the last peer that was
    ever concealed.
    """

    __slots__ = ("concealed", "concealing", "peers", "torrents")

    def __init__(self) -> None:
        self.torrents = array("I", _NO_TORRENT)
        self.peers = 1
        self.concealed = bytearray()
        self.concealing = 0  # peers that are concealed now

    def make_room(self, torrents: int, peers: int) -> None:
        """Makes rows for that many, and no others.

        Changes the array in place, because the first directory holds it too.
        """
        self.torrents[:] = array("I", _NO_TORRENT * torrents)
        self.peers = peers

    def add_torrent(self) -> None:
        packed.add_words(self.torrents, 8, 0)  # TORRENT_WORDS

    def add_peer(self) -> None:
        self.peers += 1


def fill_column(table: array[int], word: int, words: int, values: array[int]) -> None:
    """Sets one word of all rows, each of `words` words.

    Raises `ValueError` unless each row has a value.
    """
    if len(values) * words != len(table):  # an empty `values` would delete the words
        raise ValueError("a column of another length")
    table[word::words] = values


def _up_to(count: int, values: array[int], missing: bytes) -> array[int]:
    """Adds this value to a column until it has so many."""
    values.frombytes(missing * max(0, count - len(values)))
    return values


class Directory:
    """The endpoints of a family: columns by place, runs by torrent, and places by peer."""

    __slots__ = (
        "_found",
        "_found_at",
        "_found_end",
        "_found_start",
        "_index",
        "_runs",
        "_tables",
        "_word",
        "_words",
        "addresses",
        "free",
        "identities",
        "owners",
        "places",
        "total",
        "width",
    )

    def __init__(self, width: int, number: int, tables: Tables) -> None:
        """`width`: bytes of an endpoint. Number 0 has its runs in the table of torrents."""
        self.width = width
        self.total = 0  # endpoints
        self._tables = tables
        # By torrent: the runs, in rows of so many words, from that word on. What is beyond the end
        # has no run.
        self._runs = array("I") if number else tables.torrents
        self._words = RUN_WORDS if number else TORRENT_WORDS
        self._word = 0 if number else TORRENT_WORDS - RUN_WORDS
        # By peer: its place in the pool, or `NOWHERE`. What is beyond the end is nowhere.
        self.places = array("I")
        # By place in the pool.
        self.addresses = bytearray()
        self.owners = array("I")
        # The latest result of `find`: the peer, and the bytes of its endpoint and its swarm in the
        # pool. They hold until a peer moves.
        self._found = _nowhere
        self._found_at = self._found_start = self._found_end = 0
        # Runs given back, by log2 of their room.
        self.free = [array("I") for _ in range(32)]
        # By endpoint and torrent; of large swarms only.
        self._index = Index()
        # The directory of identities, for the endpoints of a family: its entries begin with the
        # account.
        self.identities: Directory | None = None

    # Columns, for readers of many rows; the announce path reads one row at a time.

    def column(self, word: int, first: int = 0, end: int | None = None) -> array[int]:
        """Copies FIRST, COUNT, SEEDS or ROOM of the torrents numbered first..end-1."""
        last = len(self._tables.torrents) // TORRENT_WORDS
        last = last if end is None else min(end, last)
        words = self._words
        found = self._runs[first * words + self._word + word : last * words : words]
        return _up_to(last - first, found, bytes(4))

    def positions(self, first: int = 0, end: int | None = None) -> array[int]:
        """Copies the places of the peers numbered first..end-1, `NOWHERE` for absent peers."""
        last = self._tables.peers if end is None else min(end, self._tables.peers)
        return _up_to(last - first, self.places[first:last], _NOWHERE_BYTES)

    def set_column(self, word: int, values: array[int]) -> None:
        """Sets a word of all torrents. Raises `ValueError` unless each torrent has a value."""
        torrents = len(self._tables.torrents) // TORRENT_WORDS
        if len(self._runs) < torrents * self._words:
            if len(values) == torrents and values.tobytes() == bytes(4 * torrents):
                return
            self._runs.frombytes(bytes(4 * (torrents * self._words - len(self._runs))))
        fill_column(self._runs, self._word + word, self._words, values)

    def set_positions(self, values: array[int]) -> None:
        """Sets the places of all peers. Raises `ValueError` unless each peer has a value."""
        self._found = _nowhere
        if len(values) != self._tables.peers:
            raise ValueError("a column of another length")
        none = values.tobytes() == _NOWHERE_BYTES * len(values)
        self.places = array("I") if none else values

    def run(self, torrent: int) -> tuple[int, int, int]:
        """Returns the start of a torrent's run, its size, and its number of seeders."""
        first, size, seeds, _ = packed.run(self._runs, torrent * self._words + self._word)
        return first, size, seeds

    def room(self, torrent: int) -> int:
        """Returns log2 of the room of a torrent's run."""
        _, _, _, room = packed.run(self._runs, torrent * self._words + self._word)
        return room

    def position(self, peer: int) -> int:
        """Returns the place of a peer, or `NOWHERE`."""
        return packed.place(self.places, peer)

    def lookup(self, torrent: int, endpoint: bytes) -> int:
        """Returns the peer of this torrent at this endpoint; 0 = none.

        Raises `ValueError` for an endpoint of another length.
        """
        self._check(endpoint)
        return self.find(torrent, endpoint)

    def add(self, torrent: int, peer: int, endpoint: bytes, seeder: bool) -> None:
        """Enters a peer without an endpoint. Raises `ValueError`, as `lookup` does."""
        self._check(endpoint)
        self.insert(torrent, peer, endpoint, seeder)

    def _check(self, endpoint: bytes) -> None:
        if len(endpoint) != self.width:
            raise ValueError(f"an endpoint of {len(endpoint)} bytes, not {self.width}")

    # In compiled code an endpoint is a pointer here. Only compiled code can call these, because a
    # pointer does not say how long the endpoint is.

    def find(self, torrent: int, endpoint: bytes) -> int:
        """Does what `lookup` does."""
        first, size, _, room = packed.run(self._runs, torrent * self._words + self._word)
        if room > 6:  # _SCANNED
            return self._find_indexed(torrent, endpoint, first, size)
        width = self.width
        start = first * width
        end = start + size * width
        at = packed.find(self.addresses, endpoint, start, end, width)
        if at < 0:
            return 0
        self._found_start = start
        self._found_at = at
        self._found_end = end
        self._found = peer = packed.u32(self.owners, at // width)
        return peer

    def _find_indexed(self, torrent: int, endpoint: bytes, first: int, size: int) -> int:
        index, width = self._index, self.width
        key = packed.hashed(index.secret, endpoint, width, torrent)
        table = index.tables[key & 255]
        mask = len(table) - 1
        at = (key >> 8) & mask
        entry = packed.u64(table, at)
        while entry:
            if entry >> 32 == key:
                peer = entry & _low
                place = packed.place(self.places, peer)
                if 0 <= place - first < size and packed.has_endpoint(
                    self.addresses, endpoint, place * width, width
                ):
                    return peer
            at = (at + 1) & mask
            entry = packed.u64(table, at)
        return 0

    def beginning_with(self, torrent: int, prefix: bytes) -> list[int]:
        """Returns the peers of this torrent whose endpoints begin with these bytes."""
        first, size, _, _ = packed.run(self._runs, torrent * self._words + self._word)
        addresses, width = self.addresses, self.width
        found = []
        for at in range(first, first + size):  # `at` would have no type in a comprehension
            if packed.has(addresses, prefix, at * width):
                peer = packed.u32(self.owners, at)
                found.append(peer)
        return found

    def has_beginning(self, torrent: int, number: int, but: int) -> bool:
        """Tells whether an endpoint of this torrent, except that of peer `but`, begins with these
        four bytes.
        """
        first, size, _, _ = packed.run(self._runs, torrent * self._words + self._word)
        width = self.width
        at, end = first * width, (first + size) * width
        while True:
            at = packed.beginning(self.addresses, number, at, end, width)
            if at < 0 or packed.u32(self.owners, at // width) != but:
                return at >= 0
            at += width

    def is_at(self, peer: int, endpoint: bytes) -> bool:
        """Tells whether a peer has this endpoint."""
        place = packed.place(self.places, peer)
        width = self.width
        return place != _nowhere and packed.has_endpoint(
            self.addresses, endpoint, place * width, width
        )

    def has_port(self, peer: int, port: bytes) -> bool:
        """Tells whether the endpoint of a peer, if it has one, has this port."""
        place = packed.place(self.places, peer)
        return place != _nowhere and packed.has(
            self.addresses, port, (place + 1) * self.width - len(port)
        )

    def endpoint(self, peer: int) -> bytes:
        """Returns the endpoint of a peer; b"" = it has no endpoint in this family."""
        start = self.position(peer) * self.width
        return bytes(self.addresses[start : start + self.width])

    def members(self, torrent: int) -> array[int]:
        """Copies the numbers of a torrent's peers in this family, in order."""
        first, size, _ = self.run(torrent)
        return self.owners[first : first + size]

    def __contains__(self, peer: int) -> bool:
        return self.position(peer) != _nowhere

    def insert(self, torrent: int, peer: int, endpoint: bytes, seeder: bool) -> None:
        self._found = _nowhere
        runs = self._runs
        row = torrent * self._words + self._word
        if row + 4 > len(runs):
            packed.add_words(runs, row + 4 - len(runs), 0)
        if peer >= len(self.places):
            packed.add_words(self.places, peer + 1 - len(self.places), 0xFF)
        first, size, seeds, room = packed.run(runs, row)
        if not size or size == 1 << room:
            room = room + 1 if size else 0
            first = self._grow(torrent, size, room)
        place = first + size
        if seeder:
            boundary = first + seeds
            if boundary < place:
                self._move(boundary, place)
            place = boundary
            packed.put_u32(runs, row + 2, seeds + 1)  # SEEDS
        packed.put_endpoint(self.addresses, endpoint, place * self.width, self.width)
        packed.put_u32(self.owners, place, peer)
        packed.put_u32(self.places, peer, place)
        packed.put_u32(runs, row + 1, size + 1)  # COUNT
        self.total += 1
        if room > 6:  # _SCANNED
            self._remember(torrent, peer, place)

    def remove(self, torrent: int, peer: int) -> None:
        self._found = _nowhere
        runs = self._runs
        row = torrent * self._words + self._word
        first, size, seeds, room = packed.run(runs, row)
        place = packed.place(self.places, peer)
        if room > 6:  # _SCANNED
            self._forget(torrent, peer, place)
        if place < first + seeds:
            last_seeder = first + seeds - 1
            if place != last_seeder:
                self._move(last_seeder, place)
            place = last_seeder
            packed.put_u32(runs, row + 2, seeds - 1)
        size -= 1
        if place != first + size:
            self._move(first + size, place)
        packed.put_u32(runs, row + 1, size)
        packed.put_u32(self.places, peer, _nowhere)
        self.total -= 1
        self._shrink(torrent, first, size, room)

    def rename(self, torrent: int, peer: int, endpoint: bytes) -> None:
        """Gives a peer another endpoint at the same place."""
        room = self.room(torrent)
        place = packed.place(self.places, peer)
        if room > 6:  # _SCANNED
            self._forget(torrent, peer, place)
        packed.put_endpoint(self.addresses, endpoint, place * self.width, self.width)
        if room > 6:
            self._remember(torrent, peer, place)

    def set_role(self, torrent: int, peer: int, seeder: bool) -> None:
        """Moves a peer across the boundary of seeders and leechers. The peer must be on the other
        side.
        """
        self._found = _nowhere
        first, _, seeds, _ = packed.run(self._runs, torrent * self._words + self._word)
        boundary = first + (seeds if seeder else seeds - 1)
        place = self.position(peer)
        if place != boundary:
            self._swap(place, boundary)
        row = torrent * self._words + self._word
        packed.put_u32(self._runs, row + 2, seeds + 1 if seeder else seeds - 1)  # SEEDS

    def pick(
        self,
        prefix: bytes,
        torrent: int,
        want: int,
        peer: int,
        seeder: bool,
        secret: array[int],
        seq: int,
        apart: int = 0,
    ) -> bytes:
        """Returns `prefix` and the endpoints that `put_picked` chooses."""
        out = bytearray(prefix)
        start = len(out)
        packed.add_bytes(out, want * self.width)
        size = self.put_picked(out, start, torrent, want, peer, seeder, secret, seq, apart)
        return bytes(out[: start + size])

    def put_picked(
        self,
        out: bytearray,
        to: int,
        torrent: int,
        want: int,
        peer: int,
        seeder: bool,
        secret: array[int],
        seq: int,
        apart: int,
    ) -> int:
        """Writes up to `want` endpoints for `peer`, without its own, into `out` at `to`.

        Peers that are concealed are left out, and those of account `apart` (0 = nobody's).

        A small swarm is written whole. From a larger swarm the peer gets a run of leechers and a
        run of seeders. What `choice` draws for announce `seq` decides where each begins. A seeder
        gets leechers first; a leecher gets equal numbers of both, as far as there are enough.
        Returns the bytes written.
        """
        if apart or (
            self._tables.concealing
            and packed.u32(self._tables.torrents, torrent * 8 + 3)  # CONCEALED
        ):
            return self._put_shown(out, to, torrent, want, peer, seeder, secret, seq, apart)
        width = self.width
        addresses = self.addresses
        if self._found == peer:  # `find` has just found it
            start = self._found_start
            end = self._found_end
            if end - start <= (want + 1) * width:
                return packed.put_around(out, to, addresses, start, self._found_at, width, end)
        first, size, seeds, _ = packed.run(self._runs, torrent * self._words + self._word)
        place = packed.place(self.places, peer)
        if place == _nowhere:
            if size <= want:
                return packed.put_run(out, to, addresses, first * width, size * width)
        elif size <= want + 1:
            return packed.put_around(
                out, to, addresses, first * width, place * width, width, (first + size) * width
            )
        draw = choice.drawn(secret, 0, seq)  # choice.PEERS
        boundary = first + seeds
        seeders = boundary - first - (first <= place < boundary)
        leechers = first + size - boundary - (boundary <= place < first + size)
        of_leechers = min(leechers, want if seeder else max(want // 2, want - seeders))
        of_seeders = min(seeders, want - of_leechers)
        done = self._put_some(out, to, boundary, first + size, of_leechers, place, draw & _low)
        return done + self._put_some(out, to + done, first, boundary, of_seeders, place, draw >> 32)

    def listed(self, torrent: int, want: int, peer: int, apart: int) -> int:
        """Counts the endpoints that `put_picked` writes. Draws make no difference."""
        first, size, _, _ = packed.run(self._runs, torrent * self._words + self._word)
        if apart or (
            self._tables.concealing
            and packed.u32(self._tables.torrents, torrent * 8 + 3)  # CONCEALED
        ):
            count = 0
            for place in range(first, first + size):
                if count >= want:
                    break
                count += self._shows(place, peer, apart)
            return count
        others = size if packed.place(self.places, peer) == _nowhere else size - 1
        return min(others, want)

    def _put_shown(
        self,
        out: bytearray,
        to: int,
        torrent: int,
        want: int,
        peer: int,
        seeder: bool,
        secret: array[int],
        seq: int,
        apart: int,
    ) -> int:
        """Does what `put_picked` does where some peers are left out.

        Begins at the same places, and goes on until there are enough that may be shown.
        """
        first, size, seeds, _ = packed.run(self._runs, torrent * self._words + self._word)
        width, boundary, leechers = self.width, first + seeds, size - seeds
        draw = choice.drawn(secret, 0, seq)  # choice.PEERS
        seeders, count = 0, 0
        for place in range(first, boundary):
            if seeders >= want:
                break
            seeders += self._shows(place, peer, apart)
        of_leechers = want if seeder else max(want // 2, want - seeders)
        start = draw & _low
        for step in range(leechers):
            if count == of_leechers:
                break
            place = boundary + (start + step) % leechers
            if self._shows(place, peer, apart):
                packed.put_run(out, to + count * width, self.addresses, place * width, width)
                count += 1
        start = draw >> 32
        for step in range(seeds):
            if count == want:
                break
            place = first + (start + step) % seeds
            if self._shows(place, peer, apart):
                packed.put_run(out, to + count * width, self.addresses, place * width, width)
                count += 1
        return count * width

    def _shows(self, place: int, peer: int, apart: int) -> bool:
        """Tells whether what is at a place may be in a reply to `peer`."""
        concealed, one = self._tables.concealed, packed.u32(self.owners, place)
        if one == peer or (one < len(concealed) and concealed[one]):
            return False
        identities = self.identities
        if not apart or identities is None:
            return True
        at = packed.place(identities.places, one)
        return at == _nowhere or packed.word(identities.addresses, at * 8) != apart

    def _put_some(
        self, out: bytearray, to: int, start: int, end: int, want: int, place: int, chance: int
    ) -> int:
        """Writes `want` endpoints from a random start, without the endpoint at `place`.

        The places from `start` to `end` form a ring. Returns the bytes written.
        """
        size = end - start
        if not want:
            return 0
        offset = chance % size
        before = want
        if start <= place < end:
            before = min((place - start - offset) % size, want)
        done = self._put_ring(out, to, start, end, offset, before)
        if before < want:
            offset = (offset + before + 1) % size
            done += self._put_ring(out, to + done, start, end, offset, want - before)
        return done

    def _put_ring(
        self, out: bytearray, to: int, start: int, end: int, offset: int, count: int
    ) -> int:
        """Writes `count` endpoints of a ring, from this offset on."""
        width = self.width
        begin = start + offset
        straight = min(count, end - begin)
        done = packed.put_run(out, to, self.addresses, begin * width, straight * width)
        return done + packed.put_run(
            out, to + done, self.addresses, start * width, (count - straight) * width
        )

    # Moving entries.

    def _move(self, source: int, target: int) -> None:
        width = self.width
        peer = packed.u32(self.owners, source)
        packed.put_u32(self.owners, target, peer)
        packed.copy(self.addresses, source * width, target * width, width)
        packed.put_u32(self.places, peer, target)

    def _swap(self, one: int, other: int) -> None:
        owners, width = self.owners, self.width
        first, second = packed.u32(owners, one), packed.u32(owners, other)
        packed.put_u32(owners, one, second)
        packed.put_u32(owners, other, first)
        packed.swap(self.addresses, one * width, other * width, width)
        packed.put_u32(self.places, first, other)
        packed.put_u32(self.places, second, one)

    # Runs: their room is a power of two, and freed runs wait in a list for each size.

    def _grow(self, torrent: int, size: int, room: int) -> int:
        """Gives a torrent a run of 2**room places, and returns its start."""
        start = self._relocate(torrent, size, room)
        if room == 7:  # _SCANNED + 1
            for place in range(start, start + size):
                self._remember(torrent, packed.u32(self.owners, place), place)
        return start

    def _shrink(self, torrent: int, first: int, size: int, room: int) -> None:
        if not size:
            free = self.free[room]
            packed.append(free, first)
        elif room >= 3 and size <= 1 << (room - 2):
            if room == 7:  # _SCANNED + 1
                for place in range(first, first + size):
                    self._forget(torrent, packed.u32(self.owners, place), place)
            self._relocate(torrent, size, room - 1)

    def _take_run(self, room: int) -> int:
        free = self.free[room]
        if len(free):
            return packed.pop(free)
        start = len(self.owners)
        packed.add_words(self.owners, 1 << room, 0)
        packed.add_bytes(self.addresses, self.width << room)
        return start

    def _relocate(self, torrent: int, size: int, room: int) -> int:
        """Moves a run of `size` entries to a new run of 2**room places, and frees the old run."""
        runs, owners, places = self._runs, self.owners, self.places
        row = torrent * self._words + self._word
        old, _, _, old_room = packed.run(runs, row)
        start = self._take_run(room)
        packed.put_u32(runs, row, start)  # FIRST
        packed.put_u32(runs, row + 3, room)  # ROOM
        if not size:
            return start
        packed.copy(self.addresses, old * self.width, start * self.width, size * self.width)
        for step in range(size):
            peer = packed.u32(owners, old + step)
            packed.put_u32(owners, start + step, peer)
            packed.put_u32(places, peer, start + step)
        free = self.free[old_room]
        packed.append(free, old)
        return start

    # The index over swarms that are too large for a search from end to end.

    def _key(self, torrent: int, place: int) -> int:
        """Returns the key of the endpoint at a place, in the index."""
        width = self.width
        endpoint = packed.view(self.addresses, place * width, width)
        return packed.hashed(self._index.secret, endpoint, width, torrent)

    def _remember(self, torrent: int, peer: int, place: int) -> None:
        self._index.add(self._key(torrent, place), peer)

    def _forget(self, torrent: int, peer: int, place: int) -> None:
        self._index.drop(self._key(torrent, place), peer)

    def index_all(self) -> None:
        """Counts the endpoints and builds the index of a loaded directory."""
        self.total = sum(self.column(COUNT))
        self._index.fill(self._entries())

    def _entries(self) -> Iterator[tuple[int, int]]:
        for torrent, room in enumerate(self.column(ROOM)):
            if room > _SCANNED:
                first, size, _ = self.run(torrent)
                for place in range(first, first + size):
                    yield self._key(torrent, place), self.owners[place]


# Fails when one of these constants changes, because the code above has literals in their place.
if (TORRENT_WORDS, RUN_WORDS, FIRST, COUNT, SEEDS, ROOM, _SCANNED, choice.PEERS, CONCEALED) != (
    8, 4, 0, 1, 2, 3, 6, 0, 3
):  # fmt: skip
    raise AssertionError("Directory spells these numbers out")
