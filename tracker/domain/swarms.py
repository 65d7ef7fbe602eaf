"""All swarms: torrents in buckets by info hash, peers as rows of packed columns.

A torrent and a peer are small integers into columns; 0 is nobody. Freed numbers are used again. Listing,
sweeping and digesting go bucket by bucket, never over everything at once. Only applying an event
changes anything here.
"""

from __future__ import annotations

from array import array
from hashlib import blake2b
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from tracker.domain import events
from tracker.domain.directory import NOWHERE, Directory

if TYPE_CHECKING:
    from collections.abc import Iterator

BUCKETS = 256

ROW = Struct("<20sB3xIIQQQQQ")
"""A peer: peer_id, mark, torrent, account, uploaded, downloaded, left, last seen us, last seq.

One row of 72 bytes rather than a column each: an announce touches all of it, and memory by the line.
"""
ROW_SIZE = ROW.size
_MARK = 20
_SEEN = 56
_TIME = Struct("<Q")

BEFORE = Struct("<8s12s12xQQ16xQ")
"""What deciding needs of a row: both parts of the peer_id, uploaded, downloaded, last seq."""
_IDENTITY = Struct("<8s12s4xI")  # peer_id in its two parts, torrent
_TOTALS = Struct("<QQQQQ")  # uploaded, downloaded, left, last seen us, last seq: bytes 32 to 71

# `mark` of a peer: its last event in the low nibble, and
MARK_EVENT = 0x0F
MARK_SEEDER = 0x10
MARK_COMPLETED = 0x20  # said `completed` in this session: not counted again


class Peer(NamedTuple):
    """A row, unpacked: for readers; the announce path does without."""

    peer_id: bytes
    mark: int
    torrent: int
    account: int
    uploaded: int
    downloaded: int
    left: int
    seen_us: int
    last_seq: int


class Swarms:
    """Owner of every column here and, through the directories, of the endpoints."""

    __slots__ = (
        "_free_peers",
        "_free_torrents",
        "announces",
        "buckets",
        "completed",
        "completed_total",
        "hashes",
        "leechers",
        "leechers_total",
        "retired",
        "rows",
        "seeders",
        "seeders_total",
        "torrents_total",
        "v4",
        "v6",
    )

    def __init__(self) -> None:
        self.buckets: list[dict[bytes, int]] = [{} for _ in range(BUCKETS)]
        self.retired: dict[bytes, int] = {}  # completed counts of torrents that have no peers now
        self.announces = array("Q", bytes(32))  # applied so far: http4, http6, udp4, udp6
        self.torrents_total = 0
        self.seeders_total = 0
        self.leechers_total = 0
        self.completed_total = 0  # of all torrents ever, also the retired ones
        # By torrent.
        self.hashes = bytearray(20)
        self.completed = array("I", [0])
        self.seeders = array("I", [0])
        self.leechers = array("I", [0])
        self._free_torrents = array("I")
        # By peer.
        self.rows = bytearray(ROW_SIZE)
        self._free_peers = array("I")
        self.v4 = Directory(6)
        self.v6 = Directory(18)

    def lookup(self, info_hash: bytes) -> int:
        """The torrent's number; 0 = not tracked now."""
        return self.buckets[info_hash[0]].get(info_hash, 0)

    def find(self, torrent: int, endpoint: bytes) -> int:
        """The peer at an endpoint of 6 or 18 bytes; 0 = none."""
        return (self.v4 if len(endpoint) == 6 else self.v6).find(torrent, endpoint)

    def announce(
        self,
        seq: int,
        time_us: int,
        torrent: int,
        peer: int,
        info_hash: bytes,
        id_head: bytes,
        id_tail: bytes,
        endpoint: bytes,
        uploaded: int,
        downloaded: int,
        left: int,
        what: int,
        rule: int,
    ) -> int:
        """Apply an announce of `peer` (0 = a new one) in `torrent` (0 = a new one). Cannot fail.

        `torrent` and `peer` are what `lookup` and `find` give; the peer_id comes as 8 and 12 bytes; `what` is
        the record's byte of event and protocol; `rule` says how this relates to the peer's previous
        announce. Returns the peer's number, 0 after `stopped`.
        """
        self.announces[what >> 4] += 1
        event = what & 0x0F
        if event == 3:  # events.STOPPED
            if peer:
                self.remove(torrent, peer)
            return 0
        rows = self.rows
        if peer:
            row = peer * 72
            mark = rows[row + 20]
            if event or rule == 3 or (left == 0) != (mark & 0x10 != 0):
                mark = self._changed(torrent, peer, mark, event, rule, left == 0)
                if rule == 3:  # events.RULE_RESTARTED
                    _PACK_IDENTITY(rows, row, id_head, id_tail, torrent)
        else:
            if not torrent:
                torrent = self._add_torrent(info_hash)
            peer = self._add_peer(torrent, endpoint, left == 0)
            row = peer * 72
            mark = (0x10 if left == 0 else 0) | (0x20 if event == 1 else 0)
            _PACK_IDENTITY(rows, row, id_head, id_tail, torrent)
        rows[row + 20] = mark & 0xF0 | event
        _PACK_TOTALS(rows, row + 32, uploaded, downloaded, left, time_us, seq)
        return peer

    def _changed(
        self, torrent: int, peer: int, mark: int, event: int, rule: int, seeder: bool
    ) -> int:
        """The mark of a known peer after an announce that may change its session or role."""
        if rule == events.RULE_RESTARTED:
            mark &= MARK_SEEDER
        if event == events.COMPLETED:
            if rule != events.RULE_RESTARTED and not mark & MARK_COMPLETED:
                self.completed[torrent] += 1
                self.completed_total += 1
            mark |= MARK_COMPLETED
        if seeder != (mark & MARK_SEEDER != 0):
            mark ^= MARK_SEEDER
            self._set_role(torrent, peer, seeder)
        return mark

    def peer(self, peer: int) -> Peer:
        return Peer._make(ROW.unpack_from(self.rows, peer * ROW_SIZE))

    def remove(self, torrent: int, peer: int) -> None:
        """Take a peer out. Its torrent stays until `drop_if_empty`."""
        for directory in (self.v4, self.v6):
            if directory.position[peer] != NOWHERE:
                directory.remove(torrent, peer)
        if self.rows[peer * ROW_SIZE + _MARK] & MARK_SEEDER:
            self.seeders[torrent] -= 1
            self.seeders_total -= 1
        else:
            self.leechers[torrent] -= 1
            self.leechers_total -= 1
        self._free_peers.append(peer)

    def drop_if_empty(self, torrent: int) -> None:
        """Forget a torrent without peers; its completed count is kept for its return."""
        if self.seeders[torrent] or self.leechers[torrent]:
            return
        info_hash = bytes(self.hashes[torrent * 20 : torrent * 20 + 20])
        if self.completed[torrent]:
            self.retired[info_hash] = self.completed[torrent]
        del self.buckets[info_hash[0]][info_hash]
        self.torrents_total -= 1
        self._free_torrents.append(torrent)

    def expire(self, bucket: int, before_us: int, drop_empty: bool) -> None:
        """Remove the peers of a bucket that were last seen at or before a time."""
        rows = self.rows
        for torrent in list(self.buckets[bucket].values()):
            for directory in (self.v4, self.v6):
                first = directory.first[torrent]
                for peer in directory.owners[first : first + directory.count[torrent]]:
                    if _TIME.unpack_from(rows, peer * ROW_SIZE + _SEEN)[0] <= before_us:
                        self.remove(torrent, peer)
            if drop_empty:
                self.drop_if_empty(torrent)

    def import_completed(self, info_hash: bytes, completed: int) -> None:
        """Add completions counted elsewhere, before this log began."""
        torrent = self.lookup(info_hash)
        if torrent:
            self.completed[torrent] += completed
        else:
            self.retired[info_hash] = self.retired.get(info_hash, 0) + completed
        self.completed_total += completed

    def remove_torrent_peers(self, torrent: int) -> None:
        for peer in self.peers(torrent):
            self.remove(torrent, peer)

    def clear_peers(self) -> None:
        """Remove every peer and torrent; completed counts and totals stay."""
        for bucket in self.buckets:
            for torrent in list(bucket.values()):
                self.remove_torrent_peers(torrent)
                self.drop_if_empty(torrent)

    # Reading.

    def peers(self, torrent: int) -> list[int]:
        """The peers of a torrent in directory order, each once."""
        found: list[int] = []
        for directory in (self.v4, self.v6):
            first = directory.first[torrent]
            found += directory.owners[first : first + directory.count[torrent]]
        return list(dict.fromkeys(found))

    def counts(self, info_hash: bytes) -> tuple[int, int, int]:
        """Seeders, completed, leechers; zeros for a torrent never seen."""
        torrent = self.lookup(info_hash)
        if not torrent:
            return 0, self.retired.get(info_hash, 0), 0
        return self.seeders[torrent], self.completed[torrent], self.leechers[torrent]

    def digest(self, bucket: int) -> bytes:
        """A hash of everything a bucket holds, order of rows included."""
        hasher = blake2b(digest_size=16)
        torrents = self.buckets[bucket]
        for info_hash in sorted(torrents):
            torrent = torrents[info_hash]
            hasher.update(info_hash)
            counts = (self.completed[torrent], self.seeders[torrent], self.leechers[torrent])
            hasher.update(repr(counts).encode())
            for row in self._rows(torrent, info_hash):
                hasher.update(row)
        return hasher.digest()

    def _rows(self, torrent: int, info_hash: bytes) -> Iterator[bytes]:
        for directory in (self.v4, self.v6):
            first = directory.first[torrent]
            yield f"{directory.count[torrent]},{directory.seeds[torrent]}".encode()
            for peer in directory.owners[first : first + directory.count[torrent]]:
                row = self.rows[peer * ROW_SIZE : (peer + 1) * ROW_SIZE]
                row[24:28] = info_hash[:4]  # numbers of torrents are no part of the state
                yield directory.endpoint(peer) + row

    # Slots.

    def _set_role(self, torrent: int, peer: int, seeder: bool) -> None:
        for directory in (self.v4, self.v6):
            if directory.position[peer] != NOWHERE:
                directory.set_role(torrent, peer, seeder)
        step = 1 if seeder else -1
        self.seeders[torrent] += step
        self.leechers[torrent] -= step
        self.seeders_total += step
        self.leechers_total -= step

    def _add_torrent(self, info_hash: bytes) -> int:
        if self._free_torrents:
            torrent = self._free_torrents.pop()
        else:
            torrent = len(self.completed)
            self.completed.append(0)
            self.seeders.append(0)
            self.leechers.append(0)
            self.hashes += bytes(20)
            self.v4.add_torrent_slot()
            self.v6.add_torrent_slot()
        self.hashes[torrent * 20 : torrent * 20 + 20] = info_hash
        self.completed[torrent] = self.retired.pop(info_hash, 0)
        self.buckets[info_hash[0]][info_hash] = torrent
        self.torrents_total += 1
        return torrent

    def _add_peer(self, torrent: int, endpoint: bytes, seeder: bool) -> int:
        peer = self._free_peers.pop() if self._free_peers else self._new_peer_slot()
        (self.v4 if len(endpoint) == 6 else self.v6).insert(torrent, peer, endpoint, seeder)
        if seeder:
            self.seeders[torrent] += 1
            self.seeders_total += 1
        else:
            self.leechers[torrent] += 1
            self.leechers_total += 1
        return peer

    def _new_peer_slot(self) -> int:
        peer = len(self.rows) // ROW_SIZE
        self.rows += bytes(ROW_SIZE)
        self.v4.add_peer_slot()
        self.v6.add_peer_slot()
        return peer


# The announce path spells numbers out: a global is a dictionary look-up, an attribute another. These lines
# hold the spelling to the names.
_PACK_IDENTITY = _IDENTITY.pack_into
_PACK_TOTALS = _TOTALS.pack_into
if (ROW_SIZE, events.STOPPED, events.COMPLETED, events.RULE_RESTARTED) != (72, 3, 1, 3):
    raise AssertionError("Swarms.announce spells these numbers out")
