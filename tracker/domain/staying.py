"""Finds stays while a replay applies events, for the index of stays.

A stay is the time for which a peer is listed in a swarm at one address. Only a process that writes
the index has a `Staying`; it is no part of the state, and the announce path knows nothing of it.

A peer has a row for each *way* by which it announces: address family, listener, client and key. A
row begins with the first announce by its way. It ends when the peer leaves, when another address
takes the place of its own, and with the first announce of a later day, because addresses are hashed
under the key of a day. Where a merge or split gives the peer to another account, its rows end and
others begin. So the rows of a peer cover exactly the time for which it is listed.
"""

from __future__ import annotations

from array import array
from struct import Struct
from typing import TYPE_CHECKING

from tracker.domain import packed
from tracker.domain.directory import NOWHERE
from tracker.domain.events.announce import NOT_RECORDED, V4_MAPPED

if TYPE_CHECKING:
    from tracker.domain.swarms import Swarms

# Why a row ended.
STOPPED = 1  # the client said so
EXPIRED = 2  # it did not announce for `max_peer_timeout`
SUPERSEDED = 3  # another peer announced from its address
REVOKED = 4  # its key was
DELISTED = 5  # its torrent was
TRACKER_DOWN = 6  # as EXPIRED, and the tracker was down after its last announce
MODE_CHANGED = 7  # between public and private: all peers went
ADDRESSES_LOST = 8  # a start lacked the keys to the peers' addresses: all peers went
MOVED = 9  # the peer announced from another address of this family
FAMILY_ENDED = 10  # the peer announced only over the other family, on this day and the day before
NEXT_DAY = 11  # the peer goes on in a row of a later day
BLACKLISTED = 12  # its torrent was
MERGED = 13  # its account was merged with one that has the same client in the torrent
ACCOUNT_CHANGED = 14  # the peer goes on in a row of another account, by a merge or split

WHYS = (
    "", "stopped", "expired", "superseded", "revoked", "delisted", "tracker_down", "mode_changed",
    "addresses_lost", "moved", "family_ended", "next_day", "blacklisted", "merged",
    "account_changed",
)  # fmt: skip
"""Names of the numbers above; 0 = the row has not ended."""

# Bits of the flags of a row, and how it began, in their high nibble.
V6, UNKNOWN, UDP = 1, 2, 4  # the address is IPv6; it could not be read; it came over UDP
JOINED = 0x00  # the peer was not listed before
ANOTHER_ADDRESS = 0x10  # it was, from another address
ANOTHER_WAY = 0x20  # it is, by another listener, client, key or family
ANOTHER_DAY = 0x30  # it was, since an earlier day
BEFORE = 0x40  # it joined before the log begins
ANOTHER_ACCOUNT = 0x50  # it was, for another account

HOWS = (
    "joined", "another_address", "another_way", "another_day", "before", "another_account",
)  # fmt: skip

BEGUN = Struct("<QQIIIHBB20s8s16s")
"""A row that began: seq, log time us, peer, key_ref, account, client, listener, flags, info hash,
beginning of the peer_id, address (IPv4 as ::ffff:a.b.c.d)."""
ENDED_WORDS = 4  # of a row that ended: its number with `why` << 56, seq, log time, last announce
_WAY_WORDS = 3  # see `Staying`
_nowhere = NOWHERE  # has a type in the .pxd


class Staying:
    """The rows of the peers that are listed, and what began and ended since `clear`.

    `_heads` has the first way of each peer, 0 = none. A way has three words: the number of its row;
    the next way of the peer, with the key_ref above it; client, listener (from bit 16), family (bit
    24), whether by UDP (bit 25) and day (from bit 32). `day`: of the log's keys, for events that
    come.
    """

    __slots__ = ("_free", "_heads", "_seen_us", "_ways", "begun", "day", "ended", "rows")

    def __init__(self) -> None:
        self._heads = array("I", [0])
        self._ways = array("Q", bytes(8 * _WAY_WORDS))
        self._free = 0  # the first way that is free; it has the next one
        self._seen_us = 0  # log time of the announce before, of the peer that `change` saw last
        self.rows = 0  # that ever began
        self.day = 0
        self.clear()

    def clear(self) -> None:
        """Forgets what began and ended, because it was written."""
        self.begun = bytearray()
        self.ended = array("Q")

    def __len__(self) -> int:
        return len(self.begun) // BEGUN.size + len(self.ended) // ENDED_WORDS

    def change(
        self, swarms: Swarms, peer: int, rule: int, peer_id: bytes, endpoint: bytes, v6: bool
    ) -> int:
        """Tells, before an announce of a known peer is applied, what it changes: `SUPERSEDED`,
        `MOVED`, or 0.
        """
        self._seen_us = packed.seen_us(swarms.rows, peer * 72)
        if rule == 3 and not packed.has_endpoint(swarms.rows, peer_id, peer * 72, 20):
            return 3  # SUPERSEDED
        directory = swarms.v6 if v6 else swarms.v4
        if directory.position(peer) == _nowhere or directory.is_at(peer, endpoint):
            return 0
        return 9  # MOVED

    def announced(
        self,
        swarms: Swarms,
        known: int,
        peer: int,
        change: int,
        seq: int,
        time_us: int,
        key_ref: int,
        account: int,
        plain: bytes,
        protected: bytes,
        number: int,
        unknown: bool,
    ) -> None:
        """Notes an announce that was applied: the frame's record by its number.

        `known`: the peer before, 0 = a new one. `peer`: 0 = it stopped. `unknown`: the address
        could not be read.
        """
        if not peer:
            if known:
                self.left(known, seq, time_us, time_us, 1)  # STOPPED
            return
        what, listener = plain[number * 80 + 76] & 0xFF, plain[number * 80 + 75] & 0xFF
        v6, way = what & 0x10 != 0, self.day
        way = way << 32 | what >> 4 << 24 & 0x03000000 | listener << 16
        way |= packed.client(plain, number)
        while len(self._heads) <= peer:
            self._heads.append(0)
        head = packed.u32(self._heads, peer)
        if (
            head
            and not change
            and packed.u64(self._ways, head * 3 + 2) == way
            and packed.u64(self._ways, head * 3 + 1) >> 32 == key_ref
            and not packed.u64(self._ways, head * 3 + 1) & 0xFFFFFFFF
        ):
            return  # by its only way
        how = 0
        if head:
            other = swarms.v4 if v6 else swarms.v6
            gone = other.position(peer) == _nowhere
            how = self._sort(peer, way, key_ref, change, gone, seq, time_us)
        if how >= 0:
            self._begin(
                peer, way, how, seq, time_us, key_ref, account, what, plain, protected, number,
                unknown,
            )  # fmt: skip

    def _sort(
        self, peer: int, way: int, key_ref: int, change: int, gone: bool, seq: int, time_us: int
    ) -> int:
        """Ends the ways that this announce ends. `gone`: the peer has no address of the other
        family.

        Returns how a new way begins; -1 = there is one already.
        """
        ways = self._ways
        entry, before, how = packed.u32(self._heads, peer), 0, 0x20  # ANOTHER_WAY
        while entry:
            at = entry * 3
            link, own, why = packed.u64(ways, at + 1), packed.u64(ways, at + 2), 0
            after = link & 0xFFFFFFFF
            same_family = (own ^ way) & 0x01000000 == 0
            if change == 3:  # SUPERSEDED
                why, how = 3, 0  # JOINED
            elif not same_family:
                why = 10 if gone else 0  # FAMILY_ENDED
            elif change:
                why, how = 9, 0x10  # MOVED, ANOTHER_ADDRESS
            elif own >> 32 < way >> 32:
                why = 11  # NEXT_DAY
                if how == 0x20:
                    how = 0x30  # ANOTHER_DAY
            elif own == way and link >> 32 == key_ref:
                how = -1
            if why:
                self._end(entry, seq, time_us, self._seen_us if change else time_us, why)
                if before:
                    link = packed.u64(ways, before * 3 + 1)
                    packed.put_u64(ways, before * 3 + 1, link >> 32 << 32 | after)
                else:
                    packed.put_u32(self._heads, peer, after)
            else:
                before = entry
            entry = after
        return how

    def left(self, peer: int, seq: int, time_us: int, seen_us: int, why: int) -> None:
        """Ends all ways of a peer. `seen_us`: log time of its last announce."""
        if peer < len(self._heads):
            entry = packed.u32(self._heads, peer)
            while entry:
                after = packed.u64(self._ways, entry * 3 + 1) & 0xFFFFFFFF
                self._end(entry, seq, time_us, seen_us, why)
                entry = after
            packed.put_u32(self._heads, peer, 0)

    def _end(self, entry: int, seq: int, time_us: int, seen_us: int, why: int) -> None:
        row, reason = packed.u64(self._ways, entry * 3), why
        self.ended.extend((row | reason << 56, seq, time_us, seen_us))
        packed.put_u64(self._ways, entry * 3 + 1, self._free)
        self._free = entry

    def _begin(
        self,
        peer: int,
        way: int,
        how: int,
        seq: int,
        time_us: int,
        key_ref: int,
        account: int,
        what: int,
        plain: bytes,
        protected: bytes,
        number: int,
        unknown: bool,
    ) -> None:
        flags = how | what >> 4 & 1 | (2 if unknown else 0) | what >> 3 & 4
        at, address = number * 80, number * 32
        self.begun += _begun(
            seq, time_us, peer, key_ref, account, way & 0xFFFF, way >> 16 & 0xFF, flags,
            plain[at + 8 : at + 28], plain[at + 28 : at + 36], protected[address : address + 16],
        )  # fmt: skip
        self.resume(peer, self.rows, way, key_ref)

    def resume(self, peer: int, row: int, way: int, key_ref: int) -> None:
        """Enters a way of a peer that is listed, whose row has this number."""
        while len(self._heads) <= peer:
            self._heads.append(0)
        ways, entry = self._ways, self._free
        if entry:
            self._free = packed.u64(ways, entry * 3 + 1)
        else:
            entry = len(ways) // 3
            ways.extend((0, 0, 0))
        packed.put_u64(ways, entry * 3, row)
        link = key_ref  # typed in the .pxd, so that it can be shifted
        packed.put_u64(ways, entry * 3 + 1, link << 32 | packed.u32(self._heads, peer))
        packed.put_u64(ways, entry * 3 + 2, way)
        packed.put_u32(self._heads, peer, entry)
        self.rows = max(self.rows, row + 1)

    def change_account(
        self, swarms: Swarms, peer: int, account: int, seq: int, time_us: int
    ) -> None:
        """Ends all rows of a peer that is another account's since event `seq`, and begins rows of
        that account in their place.
        """
        ways, entry = self._ways, self._heads[peer] if peer < len(self._heads) else 0
        shown = swarms.peer(peer)
        while entry:
            at = entry * _WAY_WORDS
            row, link, way = ways[at], ways[at + 1], ways[at + 2]
            self.ended.extend((row | ACCOUNT_CHANGED << 56, seq, time_us, shown.seen_us))
            v6, udp = way >> 24 & 1, way >> 25 & 1
            endpoint = (swarms.v6 if v6 else swarms.v4).endpoint(peer)
            unknown = endpoint[-2:] <= bytes(2)  # a stand-in has port 0
            address = bytes(16) if unknown else (b"" if v6 else V4_MAPPED) + endpoint[:-2]
            self.begun += BEGUN.pack(
                seq, time_us, peer, link >> 32, account, way & 0xFFFF, way >> 16 & 0xFF,
                ANOTHER_ACCOUNT | v6 | unknown * UNKNOWN | udp * UDP,
                swarms.hash_of(shown.torrent), shown.peer_id[:8], address,
            )  # fmt: skip
            ways[at], ways[at + 2] = self.rows, way & 0xFFFFFFFF | self.day << 32
            self.rows += 1
            entry = link & 0xFFFFFFFF

    def first_open(self) -> int:
        """Returns the lowest number of a row that has not ended; `rows` where all have."""
        least = self.rows
        for peer in range(len(self._heads)):
            entry = packed.u32(self._heads, peer)
            while entry:
                least = min(least, packed.u64(self._ways, entry * 3))
                entry = packed.u64(self._ways, entry * 3 + 1) & 0xFFFFFFFF
        return least

    def open(self, swarms: Swarms, seq: int, time_us: int) -> None:
        """Begins rows of all peers of the state with which a log begins, at event `seq`.

        Their addresses are not known there.
        """
        for peer in range(1, swarms.peer_slots):
            for directory, v6 in ((swarms.v4, 0), (swarms.v6, 1)):
                if directory.position(peer) == NOWHERE:
                    continue
                row = swarms.peer(peer)
                self.begun += BEGUN.pack(
                    seq, time_us, peer, row.key_ref, swarms.account_of(peer) if row.key_ref else 0,
                    NOT_RECORDED, 0, BEFORE | UNKNOWN | v6, swarms.hash_of(row.torrent),
                    row.peer_id[:8], bytes(16),
                )  # fmt: skip
                way = NOT_RECORDED | v6 << 24 | self.day << 32
                self.resume(peer, self.rows, way, row.key_ref)


_begun = BEGUN.pack  # typed in the .pxd, as `_nowhere`

# Fails when one of these constants changes, because the code above has literals in their place.
if (STOPPED, SUPERSEDED, MOVED, FAMILY_ENDED, NEXT_DAY, _WAY_WORDS) != (1, 3, 9, 10, 11, 3) or (
    (JOINED, ANOTHER_ADDRESS, ANOTHER_WAY, ANOTHER_DAY, V6, UNKNOWN, UDP)
    != (0, 0x10, 0x20, 0x30, 1, 2, 4)
):
    raise AssertionError("Staying spells these numbers out")
