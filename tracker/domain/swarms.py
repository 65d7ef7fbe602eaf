"""Holds all swarms: torrents in buckets by info hash, peers as packed rows.

Torrents and peers are small integers, the numbers of their rows; 0 = none. Freed numbers are used
again. Listing, sweeping and digesting go bucket by bucket, so that none of them takes long at a
time. Only applying an event changes a swarm.
"""

from __future__ import annotations

from array import array
from hashlib import blake2b
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from tracker.domain import events, packed
from tracker.domain.directory import (
    CONCEALED,
    NOWHERE,
    TORRENT_WORDS,
    Directory,
    Tables,
    fill_column,
)
from tracker.domain.index import Index
from tracker.domain.long_dict import LongDict
from tracker.domain.peer_lists import PeerLists
from tracker.domain.sanctions import HIDDEN, LEECH_OFF

if TYPE_CHECKING:
    from collections.abc import Iterator

_nowhere = NOWHERE  # has a type in the .pxd, as in `directory.py`

BUCKETS = 256  # one for each first byte of an info hash

ROW = Struct("<20sB3xIIQQQQQ")
"""The row of a peer: peer_id, mark, (two days, see `keep_family`,) torrent, key_ref, uploaded,
downloaded, left, last seen us, last seq.

It is one row of 72 bytes rather than nine columns, because an announce touches all of it and the
processor reads memory by the line.
"""
ROW_SIZE = ROW.size  # bytes; the offsets below are in bytes too
_MARK = 20
_DAYS = 21  # two bytes: IPv4, IPv6
SEEN_AT = 56
SEEN = Struct("<Q")  # last seen, microseconds
_KEY_REF_AT = 28
_KEY_REF = Struct("<I")

# The `mark` of a peer has its last event in the low nibble, and these bits.
MARK_EVENT = 0x0F
MARK_SEEDER = 0x10
MARK_COMPLETED = 0x20  # the peer sent `completed` in this session; it is not counted again
MARK_SNATCHED = 0x40  # this session's download was counted for the peer's account
MARK_SHARED = 0x80  # the account has (or just had) other peers in the torrent; see `Seeding`

_STEP = 16  # one step along a list of peers takes as long as this many along a swarm

MOST_DROPPED = 1_000_000
"""The most torrents that are remembered as dropped, 150 MB; who finds so many begins anew."""

SEEDERS, LEECHERS, PARTIAL = range(3)  # words of a torrent's row; partial seeds are leechers too

# A partial seed (BEP 21) is a leecher whose last event is `paused`. No other event in a mark has
# this bit.
_PAUSED_BIT = 0x04
_ROLE = MARK_SEEDER | _PAUSED_BIT


class Peer(NamedTuple):
    """A row, unpacked for readers. The announce path reads the bytes instead."""

    peer_id: bytes
    mark: int
    torrent: int
    key_ref: int
    uploaded: int
    downloaded: int
    left: int
    seen_us: int
    last_seq: int


class Swarms:
    """Owns the torrents, the peers and, through its directories, their endpoints."""

    __slots__ = (
        "_free_peers",
        "_free_torrents",
        "_in_order",
        "_index",
        "_leeching",
        "_named",
        "_of_account",
        "_scratch",
        "announces",
        "bucket_sizes",
        "completed",
        "completed_total",
        "dropped",
        "hashes",
        "identities",
        "largest",
        "leechers",
        "leechers_total",
        "lists_leechers",
        "of_key",
        "retired",
        "retired_largest",
        "rows",
        "seeders_total",
        "sizing",
        "tables",
        "torrents_added",
        "torrents_removed",
        "torrents_total",
        "v4",
        "v6",
    )

    def __init__(self) -> None:
        # Torrents by info hash: in a table, and in the pure build in a dictionary.
        self._index = Index()
        self._named: dict[bytes, int] = {}
        # The torrents of each bucket, listed by its number and 1; the latest is the first.
        self._in_order = PeerLists()
        self.bucket_sizes = array("I", bytes(4 * BUCKETS))
        # Completed counts of torrents that have no peers now, and `largest` of some of them.
        self.retired: LongDict[bytes, int] = LongDict()
        self.retired_largest: LongDict[bytes, int] = LongDict()
        # Torrents that were dropped since somebody looked, with info hashes; None = nobody does. No
        # part of the state.
        self.dropped: list[tuple[int, bytes]] | None = None
        self.sizing = True  # false while announces are applied that `largest` does not count
        self.announces = array("Q", (0, 0, 0, 0))  # applied so far: http4, http6, udp4, udp6
        self.torrents_total = 0
        self.torrents_added = 0  # by this process; no part of the state
        self.torrents_removed = 0  # likewise
        self.seeders_total = 0
        self.leechers_total = 0
        self.completed_total = 0  # of all torrents ever, also the retired ones
        self.tables = Tables()
        # By torrent, beside its row in the tables.
        self.hashes = bytearray(20)
        self.completed = array("Q", [0])
        self.largest = array("Q", [0])  # largest `left` seen: the torrent has at least that size
        self._free_torrents = array("I")
        # By peer.
        self.rows = bytearray(ROW_SIZE)
        self._free_peers = array("I")
        self.v4 = Directory(6, 0, self.tables)
        self.v6 = Directory(18, 1, self.tables)
        # In private modes peers are found by account and peer_id, at any address: see `keyed`. Of
        # the peer_id it has a hash, because the row has the whole.
        self.identities = Directory(8, 2, self.tables)
        self.v4.identities = self.v6.identities = self.identities
        self.of_key = PeerLists()
        # By account; not saved, because `list_accounts` makes it.
        self._of_account = PeerLists()
        # Leeching peers by account and their counts, while `lists_leechers`; not saved either.
        self.lists_leechers = False
        self.leechers = PeerLists()
        self._leeching = array("I")
        self._scratch = bytearray(8)  # for the identity that is looked for

    def lookup(self, info_hash: bytes) -> int:
        """Returns the torrent's number; 0 = the tracker has no such torrent now."""
        return self.torrent_of(info_hash) if len(info_hash) == 20 else 0

    def torrent_of(self, info_hash: bytes) -> int:
        """Does it for an info hash of 20 bytes, which compiled code gives as a pointer."""
        if not packed.COMPILED:
            return self._named.get(info_hash, 0)
        return self._index.named(self.hashes, info_hash)

    def hash_of(self, torrent: int) -> bytes:
        """Returns the info hash of a torrent."""
        return bytes(self.hashes[torrent * 20 : torrent * 20 + 20])

    def torrents_in(self, bucket: int) -> array[int]:
        """Returns the torrents of a bucket in the order in which they came.

        It makes no list, because strangers may have chosen a million torrents of one bucket.
        """
        at = packed.u32(self.bucket_sizes, bucket)
        found = array("I", bytes(4 * at))
        torrent = self._in_order.first(bucket + 1)
        while torrent:
            at -= 1
            packed.put_u32(found, at, torrent)
            torrent = self._in_order.after(torrent)
        return found

    def all_hashes(self) -> Iterator[bytes]:
        """Yields the info hashes of all torrents, bucket by bucket."""
        for bucket in range(BUCKETS):
            yield from map(self.hash_of, self.torrents_in(bucket))

    def enter(self, torrent: int) -> None:
        """Makes a torrent known whose info hash is in its place."""
        info_hash = packed.view(self.hashes, torrent * 20, 20)
        if packed.COMPILED:
            self._index.add(packed.hashed(self._index.secret, info_hash, 20, 0), torrent)
        else:
            self._named[info_hash[:20]] = torrent
        bucket = self.hashes[torrent * 20]
        self._in_order.move(torrent, bucket + 1)
        packed.put_u32(self.bucket_sizes, bucket, packed.u32(self.bucket_sizes, bucket) + 1)

    def enter_all(self, torrents: array[int]) -> None:
        """Enters torrents in this order. Raises `ValueError` for what is no torrent, or known."""
        for at in range(len(torrents)):
            torrent = packed.u32(torrents, at)
            if not 0 < torrent < len(self.completed) or self.torrent_of(
                packed.view(self.hashes, torrent * 20, 20)
            ):
                raise ValueError("a bucket holds what is no torrent, or a torrent twice")
            self.enter(torrent)

    def find(self, torrent: int, endpoint: bytes) -> int:
        """Returns the peer at an endpoint of 6 or 18 bytes; 0 = none.

        Raises `ValueError` for one of another length.
        """
        return (self.v4 if len(endpoint) == 6 else self.v6).lookup(torrent, endpoint)

    def announce(
        self,
        seq: int,
        time_us: int,
        torrent: int,
        peer: int,
        info_hash: bytes,
        peer_id: bytes,
        endpoint: bytes,
        uploaded: int,
        downloaded: int,
        left: int,
        what: int,
        rule: int,
    ) -> int:
        """Applies an announce of `peer` (0 = a new one) in `torrent` (0 = a new one). Cannot fail.

        `torrent` and `peer` come from `lookup` and `find`. `what` is the record's byte of event and
        protocol. `rule` says how the announce relates to the peer's previous one. Returns the
        peer's number, 0 after `stopped`.
        """
        path = what >> 4
        packed.count_one(self.announces, path)
        event = what & 0x0F
        if event == 3:  # events.STOPPED
            if peer:
                self.remove(torrent, peer)
            return 0
        rows = self.rows
        if peer:
            row = peer * 72
            mark = rows[row + 20]
            if event or rule == 3 or mark & 0x14 != (0 if left else 0x10):
                mark = self._changed(torrent, peer, mark, event, rule, left == 0)
                rows[row + 20] = mark & 0xF0 | event
                if rule == 3:  # events.RULE_RESTARTED
                    packed.put_peer_id(rows, row, peer_id)
            elif mark & 0x0F:  # mostly false, because the last event was none too: saves a write
                rows[row + 20] = mark & 0xF0
        else:
            if not torrent:
                torrent = self._add_torrent(info_hash)
            peer = self._add_peer(torrent, endpoint, what & 0x10 != 0, left == 0)
            row = peer * 72
            mark = (0x10 if left == 0 else 0) | (0x20 if event == 1 else 0)
            if event == 4 and left:  # events.PAUSED
                self._count(torrent, 2, 1)  # PARTIAL
            packed.put_identity(rows, row, peer_id, torrent)
            rows[row + 20] = mark | event
        packed.put_totals(rows, row + 32, uploaded, downloaded, left, time_us, seq)
        if left and left > packed.u64(self.largest, torrent) and not left >> 63 and self.sizing:
            packed.put_u64(self.largest, torrent, left)  # `left` is no longer than 63 bits if known
        return peer

    def _changed(
        self, torrent: int, peer: int, mark: int, event: int, rule: int, seeder: bool
    ) -> int:
        """Counts a change of session or role of a known peer, and returns its new mark."""
        partial = event == 4 and not seeder  # events.PAUSED
        if partial != (mark & 0x14 == 0x04):  # _ROLE, _PAUSED_BIT
            self._count(torrent, 2, 1 if partial else -1)  # PARTIAL
        if rule == 3:  # events.RULE_RESTARTED
            mark &= 0x90  # MARK_SEEDER, MARK_SHARED
        if event == 1:  # events.COMPLETED
            if rule != 3 and not mark & 0x20:  # MARK_COMPLETED
                packed.count_one(self.completed, torrent)
                self.completed_total += 1
            mark |= 0x20
        if seeder != (mark & 0x10 != 0):
            mark ^= 0x10
            self._set_role(torrent, peer, seeder)
        return mark

    def peer(self, peer: int) -> Peer:
        return Peer._make(ROW.unpack_from(self.rows, peer * ROW_SIZE))

    # Private modes.

    def keyed(self, torrent: int, account: int, peer_id: bytes) -> int:
        """Returns the peer of an account with this peer_id, at any address; 0 = none."""
        identity = packed.hashed_identity(self._scratch, self._index.secret, account, peer_id)
        peer = self.identities.find(torrent, identity)
        if peer and not packed.has_endpoint(self.rows, peer_id, peer * 72, 20):
            return self._keyed_alike(torrent, account, peer_id)
        return peer

    def _keyed_alike(self, torrent: int, account: int, peer_id: bytes) -> int:
        """Does it where two peer_ids of the account have one hash."""
        for peer in self.identities.beginning_with(torrent, account.to_bytes(4, "little")):
            if packed.has_endpoint(self.rows, peer_id, peer * 72, 20):
                return peer
        return 0

    def identify(self, peer: int, account: int, key_ref: int) -> None:
        """Enters the account and key of a new peer, or another key of a known peer's account."""
        rows = self.rows
        row = peer * 72  # ROW_SIZE
        if packed.word(rows, row + 28) == key_ref:  # _KEY_REF_AT
            return  # the row has them already
        if self.identities.position(peer) == _nowhere:
            torrent, _ = packed.standing(rows, row)
            peer_id = packed.view(rows, row, 20)
            identity = packed.hashed_identity(self._scratch, self._index.secret, account, peer_id)
            self.identities.insert(torrent, peer, identity, rows[row + 20] & 0x10 != 0)
            self._of_account.move(peer, account)
            if self.lists_leechers and not rows[row + 20] & 0x10:  # MARK_SEEDER
                self._leech(peer, account)
        packed.put_word(rows, row + 28, key_ref)  # _KEY_REF_AT
        self.of_key.move(peer, key_ref)

    def change_account(self, peer: int, account: int) -> None:
        """Gives a peer with its key to another account, which has none with its peer_id there."""
        rows = self.rows
        torrent, _ = packed.standing(rows, peer * 72)
        peer_id = packed.view(rows, peer * 72, 20)
        identity = packed.hashed_identity(self._scratch, self._index.secret, account, peer_id)
        self.identities.rename(torrent, peer, identity)
        self._of_account.move(peer, account)
        if self.lists_leechers and not self.seeds(peer):
            self._leech_no_more(peer)
            self._leech(peer, account)

    def move(self, torrent: int, peer: int, endpoint: bytes, v6: bool) -> None:
        """Gives a known peer the endpoint from which it announces. The endpoint must be free.

        A peer has one endpoint for each family. A new endpoint takes the place of the old one, so
        that the order of a swarm does not depend on addresses, and replay works without them.
        """
        directory = self.v6 if v6 else self.v4
        if directory.is_at(peer, endpoint):
            return
        if directory.position(peer) == _nowhere:
            seeder = self.rows[peer * 72 + 20] & 0x10 != 0  # MARK_SEEDER
            directory.insert(torrent, peer, endpoint, seeder)
        else:
            directory.rename(torrent, peer, endpoint)

    def keep_family(self, torrent: int, peer: int, v6: bool, day: int) -> None:
        """Enters the day of a known peer's announce over a family. The row keeps its low byte.

        Removes the peer's address of the other family unless it was announced on this day or the
        day before, because replies list no older addresses, and the key of their day may be
        shredded.
        """
        days = peer * 72 + 21  # ROW_SIZE, _DAYS
        rows = self.rows
        if v6:
            own, before, other = days + 1, days, self.v4
        else:
            own, before, other = days, days + 1, self.v6
        if other.position(peer) != _nowhere and (day - rows[before]) & 0xFF > 1:
            other.remove(torrent, peer)
        rows[own] = day & 0xFF

    def call(self, peer: int, account: int, peer_id: bytes) -> None:
        """Gives a peer its own peer_id in place of a made-up one; see `hidden_peers`."""
        rows = self.rows
        if packed.has_endpoint(rows, peer_id, peer * 72, 20):
            return
        packed.put_peer_id(rows, peer * 72, peer_id)
        if self.identities.position(peer) != _nowhere:
            torrent, _ = packed.standing(rows, peer * 72)
            identity = packed.hashed_identity(self._scratch, self._index.secret, account, peer_id)
            self.identities.rename(torrent, peer, identity)

    def load_identities(self) -> None:
        """Completes identities that have their accounts. The rows must be complete."""
        identities, rows = self.identities, self.rows
        for peer in range(len(identities.places)):
            place = identities.position(peer)
            if place != _nowhere:
                account = packed.word(identities.addresses, place * 8)
                peer_id = packed.view(rows, peer * 72, 20)
                identity = packed.hashed_identity(
                    self._scratch, self._index.secret, account, peer_id
                )
                packed.put_endpoint(identities.addresses, identity, place * 8, 8)

    def mark(self, peer: int, bits: int) -> None:
        """Sets bits of a peer's mark."""
        rows = self.rows
        rows[peer * 72 + 20] = rows[peer * 72 + 20] | bits  # ROW_SIZE, _MARK

    def unmark(self, peer: int, bits: int) -> None:
        """Clears bits of a peer's mark."""
        rows = self.rows
        rows[peer * 72 + 20] = rows[peer * 72 + 20] & (~bits & 0xFF)

    def place_of(self, torrent: int, peer: int) -> int:
        """Returns the place of a peer among the identities of its torrent."""
        return self.identities.position(peer) - self.identities.run(torrent)[0]

    def at_place(self, torrent: int, place: int) -> int:
        """Returns the peer at a place among the identities of a torrent; 0 = none."""
        first, size, _ = self.identities.run(torrent)
        return self.identities.owners[first + place] if place < size else 0

    def has_account(self, torrent: int, account: int, but: int) -> bool:
        """Tells whether an account has a peer in a torrent, other than peer `but` (0 = nobody).

        Looks at the account's peers or at the torrent's, whichever is less work.
        """
        lists, rows = self._of_account, self.rows
        peer = lists.first(account)
        if not peer or (peer == but and not lists.after(peer)):
            return False
        size = self.size(torrent)
        steps = size // 16 if size > 64 else 0  # _STEP
        while peer and steps:
            home, _ = packed.standing(rows, peer * 72)
            if home == torrent and peer != but:
                return True
            peer = lists.after(peer)
            steps -= 1
        return peer != 0 and self.identities.has_beginning(torrent, account, but)

    def of_account(self, torrent: int, account: int) -> list[int]:
        """Returns the peers that an account has in a torrent.

        Looks at the account's peers or at the torrent's, whichever is less work.
        """
        lists, rows = self._of_account, self.rows
        peer = lists.first(account)
        if not peer:
            return []
        found = []
        _, size, _ = self.identities.run(torrent)
        steps = size // _STEP + 1
        while peer and steps:
            home, _ = packed.standing(rows, peer * 72)
            if home == torrent:
                found.append(peer)
            peer = lists.after(peer)
            steps -= 1
        if not peer:
            return found
        return self.identities.beginning_with(torrent, account.to_bytes(4, "little"))

    def peers_of(self, account: int) -> list[int]:
        """Returns all peers of an account."""
        return self._of_account.peers(account)

    # Leeching peers, for limits.

    def list_leechers(self, yes: bool) -> None:
        """Lists the leeching peers of each account from now on, or no longer."""
        if yes == self.lists_leechers:
            return
        self.lists_leechers = yes
        self.leechers = PeerLists()
        self._leeching = array("I")
        peer = len(self.identities.places) if yes else 0
        while peer > 1:
            peer -= 1
            if self.identities.position(peer) != _nowhere and not self.seeds(peer):
                self._leech(peer, self.account_of(peer))

    def leeching(self, account: int) -> int:
        """Counts the leeching peers of an account, while they are listed."""
        return packed.u32(self._leeching, account) if account < len(self._leeching) else 0

    def seeds(self, peer: int) -> bool:
        """Tells whether a peer has nothing left."""
        return self.rows[peer * 72 + 20] & 0x10 != 0  # ROW_SIZE, _MARK, MARK_SEEDER

    def _leech(self, peer: int, account: int) -> None:
        missing = account + 1 - len(self._leeching)
        if missing > 0:
            packed.add_words(self._leeching, missing, 0)
        self.leechers.move(peer, account)
        packed.put_u32(self._leeching, account, packed.u32(self._leeching, account) + 1)

    def _leech_no_more(self, peer: int) -> None:
        account = self.leechers.list_of(peer)
        if account:
            self.leechers.remove(peer)
            packed.put_u32(self._leeching, account, packed.u32(self._leeching, account) - 1)

    # What replies leave out.

    def conceal(self, peer: int, flags: int) -> None:
        """Keeps a peer out of replies, or shows it again, as its account's sanctions have it.

        `flags`: those of `Sanctions`. Call it when they change, and when the peer's role may have.
        """
        seeder = self.rows[peer * 72 + 20] & 0x10 != 0  # ROW_SIZE, _MARK, MARK_SEEDER
        self._conceal(peer, flags & 2 != 0 or (flags & 1 != 0 and not seeder))  # HIDDEN, LEECH_OFF

    def _conceal(self, peer: int, yes: bool) -> None:
        concealed = self.tables.concealed
        if yes and peer >= len(concealed):
            packed.add_bytes(concealed, peer + 1 - len(concealed))
        if peer < len(concealed) and (concealed[peer] != 0) != yes:
            concealed[peer] = 1 if yes else 0
            torrent, _ = packed.standing(self.rows, peer * 72)
            self._count(torrent, 3, 1 if yes else -1)  # CONCEALED
            self.tables.concealing += 1 if yes else -1

    def conceal_account(self, account: int, flags: int) -> None:
        """Does what `conceal` does for all peers of an account."""
        for peer in self.peers_of(account):
            self.conceal(peer, flags)

    def list_accounts(self, end: int) -> None:
        """Lists the peers of each account after the identities were loaded.

        Raises `ValueError` for an account from number `end` on.
        """
        for peer in range(1, len(self.identities.places)):
            if peer in self.identities:
                account = self.account_of(peer)
                if account >= end:
                    raise ValueError("a peer of an account that was never made")
                self._of_account.move(peer, account)

    def hand_over_peers(self, old_key_ref: int, key_ref: int) -> None:
        """Moves the peers of a key to the key that replaces it.

        They are removed when the new key is revoked.
        """
        for peer in self.of_key.peers(old_key_ref):
            _KEY_REF.pack_into(self.rows, peer * ROW_SIZE + _KEY_REF_AT, key_ref)
            self.of_key.move(peer, key_ref)

    def remove(self, torrent: int, peer: int) -> None:
        """Removes a peer. Its torrent stays until `drop_if_empty`.

        `State.leave` counts what the peer's account gets for its time, and then calls this.
        """
        rows = self.rows
        mark = rows[peer * 72 + 20]
        if len(self.tables.concealed):
            self._conceal(peer, False)
        if self.v4.position(peer) != _nowhere:
            self.v4.remove(torrent, peer)
        if self.v6.position(peer) != _nowhere:
            self.v6.remove(torrent, peer)
        if self.identities.position(peer) != _nowhere:
            self.identities.remove(torrent, peer)
        self.of_key.remove(peer)
        self._of_account.remove(peer)
        if self.lists_leechers:
            self._leech_no_more(peer)
        packed.put_word(rows, peer * 72 + 28, 0)  # _KEY_REF_AT
        if mark & 0x14 == 0x04:  # a partial seed
            self._count(torrent, 2, -1)  # PARTIAL
        if mark & 0x10:  # MARK_SEEDER
            self._count(torrent, 0, -1)  # SEEDERS
            self.seeders_total -= 1
        else:
            self._count(torrent, 1, -1)  # LEECHERS
            self.leechers_total -= 1
        packed.append(self._free_peers, peer)

    def drop_if_empty(self, torrent: int) -> None:
        """Removes a torrent if it has no peers. Keeps its completed count until it returns."""
        seeders, leechers = packed.counts(self.tables.torrents, torrent * 32)
        if seeders or leechers or not self._in_order.list_of(torrent):
            return
        completed, largest = packed.u64(self.completed, torrent), packed.u64(self.largest, torrent)
        if completed:
            self.retired[self.hash_of(torrent)] = completed
            if largest:
                self.retired_largest[self.hash_of(torrent)] = largest
        if self.dropped is not None and len(self.dropped) < MOST_DROPPED:
            self.dropped.append((torrent, self.hash_of(torrent)))
        if packed.COMPILED:
            info_hash = packed.view(self.hashes, torrent * 20, 20)
            self._index.drop(packed.hashed(self._index.secret, info_hash, 20, 0), torrent)
        else:
            del self._named[self.hash_of(torrent)]
        self._in_order.remove(torrent)
        bucket = self.hashes[torrent * 20]
        packed.put_u32(self.bucket_sizes, bucket, packed.u32(self.bucket_sizes, bucket) - 1)
        self.torrents_total -= 1
        self.torrents_removed += 1
        packed.append(self._free_torrents, torrent)

    def add_completed(self, info_hash: bytes, completed: int) -> None:
        """Adds completions that no announce of a present peer told."""
        torrent = self.lookup(info_hash)
        if torrent:
            self.completed[torrent] += completed
        else:
            self.retired[info_hash] = self.retired.get(info_hash, 0) + completed
        self.completed_total += completed

    # Reading.

    def in_use(self, torrent: int) -> bool:
        """Tells whether a torrent has this number now."""
        return self._in_order.list_of(torrent) != 0

    def peers(self, torrent: int) -> list[int]:
        """Returns each peer of a torrent once, in the order of the directories."""
        found: list[int] = []
        for directory in (self.identities, self.v4, self.v6):
            found += directory.members(torrent)
        return list(dict.fromkeys(found))

    def present(self, peer: int) -> bool:
        """Tells whether a peer has this number now."""
        return self.v4.position(peer) != _nowhere or self.v6.position(peer) != _nowhere

    @property
    def peer_slots(self) -> int:
        """One more than the highest number that a peer has had."""
        return len(self.rows) // ROW_SIZE

    def seen_us(self, peer: int) -> int:
        """Returns the log time of a peer's last announce, in microseconds."""
        seen_us: int = SEEN.unpack_from(self.rows, peer * ROW_SIZE + SEEN_AT)[0]
        return seen_us

    def oldest_seen(self, first: int, end: int) -> int | None:
        """Returns the earliest `seen_us` of the peers numbered first..end-1; None = no peer."""
        peers = range(first, min(end, self.peer_slots))
        return min((self.seen_us(peer) for peer in peers if self.present(peer)), default=None)

    def in_bucket(self, bucket: int, first: int, stop: int) -> list[bytes]:
        """Returns the info hashes of a bucket's torrents that are numbered first..stop-1.

        So a reader takes a large bucket in steps.
        """
        found = []
        heads = self.hashes[first * 20 : stop * 20 : 20]
        at = heads.find(bucket)
        while at >= 0:
            if self._in_order.list_of(first + at):  # else the slot is free
                found.append(self.hash_of(first + at))
            at = heads.find(bucket, at + 1)
        return found

    def column(self, word: int, first: int = 0, end: int | None = None) -> array[int]:
        """Copies SEEDERS, LEECHERS or PARTIAL of the torrents numbered first..end-1."""
        stop = None if end is None else end * TORRENT_WORDS
        return self.tables.torrents[first * TORRENT_WORDS + word : stop : TORRENT_WORDS]

    def set_column(self, word: int, values: array[int]) -> None:
        """Sets a word of all torrents. Raises `ValueError` unless each torrent has a value."""
        fill_column(self.tables.torrents, word, TORRENT_WORDS, values)

    def counts(self, info_hash: bytes) -> tuple[int, int, int]:
        """Returns seeders, completed, leechers. A torrent that is not tracked now has no peers, but
        it may have a completed count.
        """
        if len(info_hash) != 20:
            return 0, 0, 0
        return self.counts_of(info_hash)

    def counts_of(self, info_hash: bytes) -> tuple[int, int, int]:
        """Does it for an info hash of 20 bytes, which compiled code gives as a pointer."""
        torrent = self.torrent_of(info_hash)
        if not torrent:
            return 0, self.retired.get(info_hash[:20], 0) if self.retired else 0, 0
        seeders, leechers = packed.counts(self.tables.torrents, torrent * 32)
        return seeders, packed.u64(self.completed, torrent), leechers

    def least_size(self, info_hash: bytes) -> int:
        """Returns the largest `left` that a peer of the torrent announced, in bytes; 0 = none."""
        torrent = self.lookup(info_hash)
        return self.largest[torrent] if torrent else self.retired_largest.get(info_hash, 0)

    def downloaders(self, info_hash: bytes) -> int:
        """Returns the number of leechers that are not partial seeds (BEP 21)."""
        at = self.lookup(info_hash) * TORRENT_WORDS
        return self.tables.torrents[at + LEECHERS] - self.tables.torrents[at + PARTIAL]

    def size(self, torrent: int) -> int:
        """Returns the number of peers of a torrent."""
        seeders, leechers = packed.counts(self.tables.torrents, torrent * 32)
        return seeders + leechers

    def identified(self, peer: int) -> bool:
        """Tells whether a peer has this number now and belongs to an account."""
        return peer in self.identities

    def account_of(self, peer: int) -> int:
        """Returns the account of a peer; 0 = none."""
        return int.from_bytes(self.identities.endpoint(peer)[:4], "little")

    def digest(self, bucket: int, *, addresses: bool) -> bytes:
        """Hashes everything in a bucket, with the order of its rows; see `State.digest`."""
        hasher = blake2b(digest_size=16)
        torrents = self.torrents_in(bucket)
        for info_hash, torrent in sorted((self.hash_of(each), each) for each in torrents):
            hasher.update(info_hash)
            at = torrent * TORRENT_WORDS
            counts = self.completed[torrent], *self.tables.torrents[at : at + 3]
            hasher.update(repr(counts).encode())
            if self.largest[torrent]:  # so that the digests of older logs stay
                hasher.update(repr(self.largest[torrent]).encode())
            for row in self._rows(torrent, info_hash, addresses):
                hasher.update(row)
        return hasher.digest()

    def _rows(self, torrent: int, info_hash: bytes, addresses: bool) -> Iterator[bytes]:
        for directory in (self.v4, self.v6, self.identities):
            first, count, seeds = directory.run(torrent)
            yield f"{count},{seeds}".encode()
            for peer in directory.owners[first : first + count]:
                row = self.rows[peer * ROW_SIZE : (peer + 1) * ROW_SIZE]
                row[24:28] = info_hash[:4]  # numbers of torrents are no part of the state
                name = directory.endpoint(peer)
                if directory is self.identities:
                    name = name[:4] + row[:20]  # account and peer_id
                if addresses:
                    yield name + row
                else:
                    row[8:20] = name[:4] if directory is self.identities else b""  # the account
                    yield bytes(row)

    # Slots.

    def _set_role(self, torrent: int, peer: int, seeder: bool) -> None:
        if self.v4.position(peer) != _nowhere:
            self.v4.set_role(torrent, peer, seeder)
        if self.v6.position(peer) != _nowhere:
            self.v6.set_role(torrent, peer, seeder)
        if self.identities.position(peer) != _nowhere:
            self.identities.set_role(torrent, peer, seeder)
            if self.lists_leechers:
                if seeder:
                    self._leech_no_more(peer)
                else:
                    self._leech(peer, self._of_account.list_of(peer))
        step = 1 if seeder else -1
        self._count(torrent, 0, step)  # SEEDERS
        self._count(torrent, 1, -step)  # LEECHERS
        self.seeders_total += step
        self.leechers_total -= step

    def _count(self, torrent: int, word: int, step: int) -> None:
        """Adds 1 or -1 to SEEDERS, LEECHERS, PARTIAL or CONCEALED."""
        torrents = self.tables.torrents
        at = torrent * 8 + word  # TORRENT_WORDS
        packed.put_u32(torrents, at, packed.u32(torrents, at) + step)

    def _add_torrent(self, info_hash: bytes) -> int:
        if len(self._free_torrents):
            torrent = packed.pop(self._free_torrents)
        else:
            torrent = len(self.completed)
            packed.add_wide(self.completed)
            packed.add_wide(self.largest)
            packed.add_bytes(self.hashes, 20)
            self.tables.add_torrent()
        packed.put_endpoint(self.hashes, info_hash, torrent * 20, 20)
        completed = largest = 0
        if self.retired:
            name = info_hash[:20]
            completed = self.retired.pop(name, 0)
            largest = self.retired_largest.pop(name, 0)
        packed.put_u64(self.completed, torrent, completed)
        packed.put_u64(self.largest, torrent, largest)
        self.enter(torrent)
        self.torrents_total += 1
        self.torrents_added += 1
        return torrent

    def _add_peer(self, torrent: int, endpoint: bytes, v6: bool, seeder: bool) -> int:
        peer = packed.pop(self._free_peers) if len(self._free_peers) else self._new_peer_slot()
        (self.v6 if v6 else self.v4).insert(torrent, peer, endpoint, seeder)
        if seeder:
            self._count(torrent, 0, 1)  # SEEDERS
            self.seeders_total += 1
        else:
            self._count(torrent, 1, 1)  # LEECHERS
            self.leechers_total += 1
        return peer

    def make_room(self, torrents: int, peers: int) -> None:
        """Makes rows for exactly that many torrents and peers. The caller sets the columns."""
        self.tables.make_room(torrents, peers)

    def _new_peer_slot(self) -> int:
        peer = len(self.rows) // 72  # ROW_SIZE
        packed.add_bytes(self.rows, 72)
        self.tables.add_peer()
        return peer


# Fails when one of these constants changes, because the code above has literals in their place. A
# literal is faster, because a global or an attribute costs a dictionary look-up.
if (ROW_SIZE, events.STOPPED, events.COMPLETED, events.RULE_RESTARTED) != (72, 3, 1, 3) or (
    (MARK_SEEDER, MARK_EVENT, _ROLE, events.PAUSED, _DAYS, TORRENT_WORDS, SEEDERS, LEECHERS)
    != (0x10, 0x0F, 0x14, 4, 21, 8, 0, 1)
    or (_MARK, _KEY_REF_AT, PARTIAL, MARK_SHARED) != (20, 28, 2, 0x80)
    or (MARK_COMPLETED, _PAUSED_BIT, _STEP) != (0x20, 0x04, 16)
    or (CONCEALED, LEECH_OFF, HIDDEN) != (3, 1, 2)
):
    raise AssertionError("Swarms spells these numbers out")
