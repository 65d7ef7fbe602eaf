"""Where the peers of one address family are: packed endpoints per swarm, and an index over the large ones.

Endpoints (address and port as they go on the wire: 6 or 18 bytes) of a swarm lie side by side in one
pool that all swarms share: seeders at the front, leechers at the back. Insertion, removal and change of role move at
most two entries. A reply is therefore a slice of bytes. The order is part of the state.

Torrents and peers are small integers (1 and up; 0 is nobody) that `Swarms` hands out.
Nothing here is an object per peer: typed arrays and byte arrays only.
"""

from __future__ import annotations

from array import array
from struct import Struct

from tracker.domain import packed

NOWHERE = 0xFFFFFFFF

_SCANNED = 6
"""Runs of up to 2**6 places are searched from end to end, larger ones through the index: most swarms are
small, and their endpoints are about to be read for the reply anyway."""

_PARTITIONS = 256
_FIRST_TABLE = 8

_join = b"".join


class Directory:
    """Owner of all its columns."""

    __slots__ = (
        "_room",
        "_tables",
        "_used",
        "addresses",
        "count",
        "first",
        "free",
        "owners",
        "position",
        "seeds",
        "total",
        "width",
    )

    def __init__(self, width: int) -> None:
        """`width`: bytes of an endpoint, 6 or 18."""
        self.width = width
        self.total = 0  # endpoints
        # By place in the pool.
        self.addresses = bytearray()
        self.owners = array("I")
        # By torrent: start of its run, its size, how many of it are seeders; log2 of the run's room.
        self.first = array("I", [0])
        self.count = array("I", [0])
        self.seeds = array("I", [0])
        self._room = bytearray(1)
        # By peer.
        self.position = array("I", [NOWHERE])
        # Runs given back, by log2 of their room.
        self.free = [array("I") for _ in range(32)]
        # Open addressing in many small tables, so that growing one never takes long. An entry is the key (high
        # half) and the peer (low half); 0 = empty. A key is the endpoint's hash plus the torrent's number: its
        # low byte chooses the table, so that one client's many torrents spread over all of them.
        self._tables = [array("Q", bytes(8 * _FIRST_TABLE)) for _ in range(_PARTITIONS)]
        self._used = array("I", bytes(4 * _PARTITIONS))

    # Columns grow with the slots that Swarms hands out.

    def add_torrent_slot(self) -> None:
        self.first.append(0)
        self.count.append(0)
        self.seeds.append(0)
        self._room.append(0)

    def add_peer_slot(self) -> None:
        self.position.append(NOWHERE)

    def find(self, torrent: int, endpoint: bytes) -> int:
        """The peer of this torrent at this endpoint; 0 = none."""
        if self._room[torrent] > 6:  # _SCANNED
            return self._find_indexed(torrent, endpoint)
        width = self.width
        start = packed.u32(self.first, torrent) * width
        end = start + packed.u32(self.count, torrent) * width
        at = packed.find(self.addresses, endpoint, start, end)
        while at >= 0:
            if not (at - start) % width:
                return packed.u32(self.owners, at // width)
            # Those bytes lay across two endpoints.
            at = packed.find(self.addresses, endpoint, at + 1, end)
        return 0

    def _find_indexed(self, torrent: int, endpoint: bytes) -> int:
        key = (hash(endpoint) + torrent) & 0xFFFFFFFF
        table = self._tables[key & 255]
        mask = len(table) - 1
        at = (key >> 8) & mask
        first = packed.u32(self.first, torrent)
        while entry := packed.u64(table, at):
            if entry >> 32 == key:
                peer = entry & 0xFFFFFFFF
                place = packed.u32(self.position, peer)
                start = place * self.width
                if self.addresses[
                    start : start + self.width
                ] == endpoint and 0 <= place - first < packed.u32(self.count, torrent):
                    return peer
            at = (at + 1) & mask
        return 0

    def is_at(self, peer: int, endpoint: bytes) -> bool:
        """Whether that is a peer's endpoint."""
        place = packed.u32(self.position, peer)
        return place != 0xFFFFFFFF and packed.has(self.addresses, endpoint, place * self.width)

    def endpoint(self, peer: int) -> bytes:
        """The endpoint of a peer, b"" when it has none in this family."""
        start = self.position[peer] * self.width
        return bytes(self.addresses[start : start + self.width])

    def members(self, torrent: int) -> array[int]:
        """The peers of a torrent here, in order: a copy."""
        return self._run_owners(torrent)

    def __contains__(self, peer: int) -> bool:
        return self.position[peer] != NOWHERE

    def insert(self, torrent: int, peer: int, endpoint: bytes, seeder: bool) -> None:
        size = self.count[torrent]
        if not size or size == 1 << self._room[torrent]:
            self._grow(torrent, size)
        first = self.first[torrent]
        place = first + size
        if seeder:
            boundary = first + self.seeds[torrent]
            if boundary < place:
                self._move(boundary, place)
            place = boundary
            self.seeds[torrent] += 1
        start = place * self.width
        self.addresses[start : start + self.width] = endpoint
        self.owners[place] = peer
        self.position[peer] = place
        self.count[torrent] = size + 1
        self.total += 1
        if self._room[torrent] > _SCANNED:
            self._remember(torrent, peer, endpoint)

    def remove(self, torrent: int, peer: int) -> None:
        if self._room[torrent] > _SCANNED:
            self._forget(torrent, peer)
        first = self.first[torrent]
        place = self.position[peer]
        seeds = self.seeds[torrent]
        if place < first + seeds:
            last_seeder = first + seeds - 1
            if place != last_seeder:
                self._move(last_seeder, place)
            place = last_seeder
            self.seeds[torrent] = seeds - 1
        size = self.count[torrent] - 1
        if place != first + size:
            self._move(first + size, place)
        self.count[torrent] = size
        self.total -= 1
        self.position[peer] = NOWHERE
        self._shrink(torrent, size)

    def rename(self, torrent: int, peer: int, endpoint: bytes) -> None:
        """Give a peer another endpoint, at its place."""
        indexed = self._room[torrent] > _SCANNED
        if indexed:
            self._forget(torrent, peer)
        start = self.position[peer] * self.width
        self.addresses[start : start + self.width] = endpoint
        if indexed:
            self._remember(torrent, peer, endpoint)

    def set_role(self, torrent: int, peer: int, seeder: bool) -> None:
        """Move a peer over the boundary between seeders and leechers; it must be on the other side."""
        seeds = self.seeds[torrent]
        boundary = self.first[torrent] + (seeds if seeder else seeds - 1)
        place = self.position[peer]
        if place != boundary:
            self._swap(place, boundary)
        self.seeds[torrent] = seeds + 1 if seeder else seeds - 1

    def pick(
        self,
        prefix: bytes,
        torrent: int,
        want: int,
        peer: int,
        seeder: bool,
        draw: int,
    ) -> bytes:
        """`prefix` and up to `want` endpoints for `peer`, itself left out.

        Everybody, when that is few enough. Otherwise two runs that begin at places by `draw` (64 bits of
        chance; needed where `count` is more than `want`): a seeder gets leechers first, a leecher both kinds in equal
        parts as far as there are.
        """
        size = packed.u32(self.count, torrent)
        first = packed.u32(self.first, torrent)
        place = packed.u32(self.position, peer)
        width = self.width
        addresses = self.addresses
        if place == NOWHERE:
            if size <= want:
                return prefix + addresses[first * width : (first + size) * width]
        elif size <= want + 1:
            own = place * width
            return packed.around(
                prefix, addresses, first * width, own, own + width, (first + size) * width
            )
        boundary = first + self.seeds[torrent]
        seeders = boundary - first - (first <= place < boundary)
        leechers = first + size - boundary - (boundary <= place < first + size)
        of_leechers = min(leechers, want if seeder else max(want // 2, want - seeders))
        of_seeders = min(seeders, want - of_leechers)
        some = self._run(boundary, first + size, of_leechers, place, draw & 0xFFFFFFFF)
        return _join((prefix, some, self._run(first, boundary, of_seeders, place, draw >> 32)))

    def _run(self, start: int, end: int, want: int, place: int, chance: int) -> bytearray:
        """`want` endpoints of a ring, from a start by chance; `place` is left out if it lies there."""
        width = self.width
        size = end - start
        if not want:
            return bytearray()
        within = start <= place < end
        taken = want + 1 if within else want
        begin = start + chance % size
        stop = begin + taken
        found = self.addresses[begin * width : min(stop, end) * width]
        if stop > end:
            found += self.addresses[start * width : (start + stop - end) * width]
        if within:
            skipped = (place - begin) % size
            drop = skipped if skipped < taken else want
            del found[drop * width : (drop + 1) * width]
        return found

    # Moving entries.

    def _move(self, source: int, target: int) -> None:
        width = self.width
        peer = self.owners[source]
        self.owners[target] = peer
        self.addresses[target * width : target * width + width] = self.addresses[
            source * width : source * width + width
        ]
        self.position[peer] = target

    def _swap(self, one: int, other: int) -> None:
        width = self.width
        peer = self.owners[other]
        endpoint = self.addresses[other * width : other * width + width]
        self._move(one, other)
        self.owners[one] = peer
        self.addresses[one * width : one * width + width] = endpoint
        self.position[peer] = one

    # Runs: powers of two, given back by size.

    def _grow(self, torrent: int, size: int) -> None:
        room = self._room[torrent] + 1 if size else 0
        self._relocate(torrent, size, self._take_run(room))
        self._room[torrent] = room
        if room == _SCANNED + 1:
            for peer in self._run_owners(torrent):
                self._remember(torrent, peer, self.endpoint(peer))

    def _shrink(self, torrent: int, size: int) -> None:
        room = self._room[torrent]
        if not size:
            self.free[room].append(self.first[torrent])
        elif room >= 3 and size <= 1 << (room - 2):
            if room == _SCANNED + 1:
                for peer in self._run_owners(torrent):
                    self._forget(torrent, peer)
            self._relocate(torrent, size, self._take_run(room - 1))
            self._room[torrent] = room - 1

    def _run_owners(self, torrent: int) -> array[int]:
        first = self.first[torrent]
        return self.owners[first : first + self.count[torrent]]

    def _take_run(self, room: int) -> int:
        free = self.free[room]
        if free:
            return free.pop()
        start = len(self.owners)
        self.owners.frombytes(bytes(4 << room))
        self.addresses += bytes(self.width << room)
        return start

    def _relocate(self, torrent: int, size: int, start: int) -> None:
        """Copy a run of `size` entries to `start` and give its old place back."""
        old = self.first[torrent]
        self.first[torrent] = start
        if not size:
            return
        width = self.width
        self.addresses[start * width : (start + size) * width] = self.addresses[
            old * width : (old + size) * width
        ]
        self.owners[start : start + size] = self.owners[old : old + size]
        position = self.position
        for place in range(start, start + size):
            position[self.owners[place]] = place
        self.free[self._room[torrent]].append(old)

    # The index, for swarms that are too large to be scanned.

    def _remember(self, torrent: int, peer: int, endpoint: bytes) -> None:
        key = (hash(endpoint) + torrent) & 0xFFFFFFFF
        part = key & 255
        table = self._tables[part]
        used = self._used[part] + 1
        if used * 3 > len(table) * 2:
            table = self._tables[part] = _doubled(table)
        _put(table, key << 32 | peer)
        self._used[part] = used

    def index_all(self) -> None:
        """Build the index from the runs, hashes of endpoints being those of one process; and count them."""
        self.total = sum(self.count)
        parts: list[list[int]] = [[] for _ in range(_PARTITIONS)]
        endpoints = Struct(f"{self.width}s")
        for torrent, room in enumerate(self._room):
            if room > _SCANNED and self.count[torrent]:
                start = self.first[torrent] * self.width
                run = self.addresses[start : start + self.count[torrent] * self.width]
                owners = self._run_owners(torrent)
                for (endpoint,), peer in zip(endpoints.iter_unpack(run), owners, strict=True):
                    key = (hash(endpoint) + torrent) & 0xFFFFFFFF
                    parts[key & 255].append(key << 32 | peer)
        self._used = array("I", map(len, parts))
        self._tables = [_table(part) for part in parts]

    def _forget(self, torrent: int, peer: int) -> None:
        """Remove an entry and close the gap, so that no probe ends early."""
        key = (hash(self.endpoint(peer)) + torrent) & 0xFFFFFFFF
        table = self._tables[key & 255]
        mask = len(table) - 1
        gap = (key >> 8) & mask
        sought = key << 32 | peer
        while table[gap] != sought:
            gap = (gap + 1) & mask
        at = (gap + 1) & mask
        while entry := table[at]:
            home = (entry >> 40) & mask
            if (at - home) & mask >= (at - gap) & mask:
                table[gap] = entry
                gap = at
            at = (at + 1) & mask
        table[gap] = 0
        self._used[key & 255] -= 1


def _put(table: array[int], entry: int) -> None:
    mask = len(table) - 1
    at = (entry >> 40) & mask
    while table[at]:
        at = (at + 1) & mask
    table[at] = entry


def _table(entries: list[int]) -> array[int]:
    size = _FIRST_TABLE
    while len(entries) * 3 > size * 2:
        size *= 2
    table = array("Q", bytes(8 * size))
    for entry in entries:
        _put(table, entry)
    return table


def _doubled(table: array[int]) -> array[int]:
    larger = array("Q", bytes(16 * len(table)))
    for entry in table:
        if entry:
            _put(larger, entry)
    return larger
