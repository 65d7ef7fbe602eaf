"""Remembers peers that were swept or evicted, so that their next announces go on from there.

A base is what accounting rules 2 need of such a peer. Only private modes have bases. They are rows
by number beside the swarms; a freed number is used again. Only applying an event changes them.
"""

from __future__ import annotations

import os
from array import array
from hashlib import blake2b
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from tracker.domain import by_age, packed
from tracker.domain.events import DAY_US
from tracker.domain.hidden_peers import unknown_tail

if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Iterator

ROW = Struct("<20s20sIIQQQQIIIIII")
"""The row of a base: see `Base`, then its two children in `by_age`."""
ROW_SIZE = ROW.size  # 104 bytes
TAIL_AT, TAIL_SIZE = 28, 12  # the end of the peer_id in a row: a part of the peer's address
_NO_ROW = bytes(ROW_SIZE)

LOOKED_AT_ONCE = 2000
"""Largest number of rows that one tick looks at for old ones; removing all of them takes 4 ms."""

_day_us = DAY_US  # has a type in the .pxd, as `_nowhere` in `directory.py`
_NAME_SIZE = 44  # bytes at the start of a row that the index is by: info hash, peer_id, account
_PARTITIONS = 256  # tables of the index, so that growing one never takes long
_FIRST_TABLE = 8  # places of an empty table


class Base(NamedTuple):
    """What is remembered of a peer's last announce, and of its account's key."""

    info_hash: bytes
    peer_id: bytes
    account: int  # 0 = the number is free
    key_ref: int  # rotation changes it
    uploaded: int
    downloaded: int
    seen_us: int
    seq: int  # of that announce
    percents: int  # `factors.as_words`: three words
    upload_factor: int
    download_factor: int
    mark: int  # as in the peer's row


class Bases:
    """The rows, an index by account, torrent and peer_id, and an order for each account.

    `count` is the number of rows that bases have. Bases of a shredded day are gone at once, but
    their rows are freed a few at a time, because a day may have a million. The indexes are no part
    of the state.
    """

    __slots__ = (
        "_counts",
        "_days",
        "_free",
        "_gone",
        "_roots",
        "_scratch",
        "_secret",
        "_tables",
        "_torrents",
        "_used",
        "count",
        "hand",
        "rows",
    )

    def __init__(self) -> None:
        self._scratch = bytearray(_NAME_SIZE)  # for the name that is looked for
        # Members choose peer_ids, so the index hashes names under a secret, see `packed.text_hash`.
        self._secret = array("Q", os.urandom(8 * (_NAME_SIZE // 4 + 3)))
        self._clear()

    def _clear(self) -> None:
        self.count = 0
        self.rows = bytearray(ROW_SIZE)  # row 0 is nobody's
        self._free = array("I")
        self.hand = 0  # the row at which `expire` goes on
        # By account: the root of its bases in `by_age`, and their number.
        self._roots, self._counts = array("I", [0]), array("I", [0])
        self._days: dict[int, int] = {}  # rows by the day of their announces
        self._gone: set[int] = set()  # those of the days that were shredded
        # By row the first word of its info hash, so that a search for a torrent reads little.
        self._torrents = array("I", [0])
        self._tables = [array("I", bytes(4 * _FIRST_TABLE)) for _ in range(_PARTITIONS)]
        self._used = array("I", bytes(4 * _PARTITIONS))

    def base(self, number: int) -> Base:
        return Base._make(ROW.unpack_from(self.rows, number * ROW_SIZE)[:-2])

    @property
    def slots(self) -> int:
        """One more than the highest number that a base has had."""
        return len(self.rows) // ROW_SIZE

    @property
    def used(self) -> bool:
        """Tells whether there is a base, or was one."""
        return len(self.rows) > ROW_SIZE

    def find(self, account: int, info_hash: bytes, peer_id: bytes) -> int:
        """Returns the base of this peer; 0 = none. Raises `ValueError` for other lengths."""
        if (len(info_hash), len(peer_id)) != (20, 20):
            raise ValueError("a name of another length")
        return self.find_after(account, info_hash, peer_id, -1)

    def find_after(self, account: int, info_hash: bytes, peer_id: bytes, after_us: int) -> int:
        """Returns the base of this peer, of an announce after that log time; 0 = none.

        Compiled code gives the names as pointers to 20 bytes.
        """
        if not self.count:
            return 0
        names = packed.base_name(self._scratch, info_hash, peer_id, account)
        key = packed.text_hash(self._secret, names, 44)  # _NAME_SIZE
        table = self._tables[key & 255]
        mask = len(table) - 1
        at = key >> 8 & mask
        rows = self.rows
        number = packed.u32(table, at)
        while number:
            start = number * 104
            seen_us = packed.wide(rows, start + 64)
            if (
                seen_us > after_us
                and packed.has_endpoint(rows, names, start, 44)
                and not (self._gone and seen_us // _day_us in self._gone)
            ):
                return number
            at = at + 1 & mask
            number = packed.u32(table, at)
        return 0

    def by_seq(self, account: int, seq: int) -> int:
        """Returns the base of this announce; 0 = none."""
        return by_age.find(self.rows, self._root(account), seq)

    def of_account(self, account: int) -> list[int]:
        """Returns the bases of an account, the newest first."""
        return by_age.newest_first(self.rows, self._root(account))

    def _root(self, account: int) -> int:
        return packed.u32(self._roots, account) if account < len(self._roots) else 0

    def add(self, base: Base, most: int) -> None:
        """Adds a base. `most`: the most that an account has; 0 = no limit.

        Of an account that has too many, the one with the oldest announce goes.
        """
        account, seq = base.account, base.seq
        missing = account + 1 - len(self._roots)
        if missing > 0:
            for column in (self._roots, self._counts):
                column.frombytes(bytes(4 * missing))
        if most and self._counts[account] >= most:
            self._limit(account, most)
            if self._counts[account] == most:
                oldest = by_age.oldest(self.rows, self._roots[account])
                if packed.wide(self.rows, oldest * 104 + 72) > seq:
                    return
                self.drop(oldest)
        if self._free:
            number = self._free.pop()
        else:
            number = len(self.rows) // ROW_SIZE
            self.rows += bytes(ROW_SIZE)
            self._torrents.append(0)
        rows = self.rows
        ROW.pack_into(rows, number * ROW_SIZE, *base, 0, 0)
        self._roots[account] = by_age.insert(rows, self._roots[account], number)
        self._counts[account] += 1
        self.count += 1
        day = base.seen_us // DAY_US
        self._days[day] = self._days.get(day, 0) + 1
        self._note_torrent(number)
        self._enter(number)

    def _note_torrent(self, number: int) -> None:
        packed.put_u32(self._torrents, number, packed.word(self.rows, number * 104))

    def limit(self, most: int) -> None:
        """Removes the oldest bases of accounts that have more than `most`; 0 = no limit."""
        for account in range(len(self._counts) if most else 0):
            if packed.u32(self._counts, account) > most:
                self._limit(account, most)

    def _limit(self, account: int, most: int) -> None:
        """Does it for an account; of its bases those that are gone count no more."""
        if self._gone:
            for number in self.of_account(account):
                if packed.wide(self.rows, number * 104 + 64) // _day_us in self._gone:
                    self.drop(number)
        while packed.u32(self._counts, account) > most:
            self.drop(by_age.oldest(self.rows, self._roots[account]))

    def drop(self, number: int) -> None:
        """Removes a base."""
        rows, start = self.rows, number * 104
        account = packed.word(rows, start + 40)
        day = packed.wide(rows, start + 64) // _day_us
        self._leave(number)
        root = by_age.remove(rows, packed.u32(self._roots, account), number)
        packed.put_u32(self._roots, account, root)
        packed.put_u32(self._counts, account, packed.u32(self._counts, account) - 1)
        packed.put(rows, _NO_ROW, start)
        packed.put_u32(self._torrents, number, 0)
        packed.append(self._free, number)
        self.count -= 1
        left = self._days[day] - 1
        if left:
            self._days[day] = left
        else:
            del self._days[day]
            self._gone.discard(day)

    def drop_all(self) -> None:
        """Begins anew."""
        self._clear()

    def drop_key(self, account: int, key_ref: int) -> None:
        """Removes the bases of a key."""
        for number in self.of_account(account):
            if packed.word(self.rows, number * 104 + 44) == key_ref:
                self.drop(number)

    def hand_over(self, account: int, old_key_ref: int, key_ref: int) -> None:
        """Gives the bases of a key to the key that replaces it."""
        for number in self.of_account(account):
            at = number * 104 + 44
            if packed.word(self.rows, at) == old_key_ref:
                packed.put_word(self.rows, at, key_ref)

    def change_account(self, account: int, to: int, keys: Container[int], most: int) -> None:
        """Gives the bases of some keys to another account. `most`: as in `add`."""
        for number in self.of_account(account):
            base = self.base(number)
            if base.key_ref in keys:
                gone = base.seen_us // DAY_US in self._gone
                self.drop(number)
                if not gone:
                    self.add(base._replace(account=to), most)

    def drop_torrent(self, info_hash: bytes) -> None:
        """Removes the bases of a torrent."""
        torrents = self._torrents
        first = int.from_bytes(info_hash[:4], "little")
        for number in range(1, len(torrents)):
            # The rows of free numbers are zeros, and so may an info hash be.
            if (
                packed.u32(torrents, number) == first
                and packed.has(self.rows, info_hash, number * 104)
                and packed.word(self.rows, number * 104 + 40)
            ):
                self.drop(number)

    def drop_days(self, days: Iterable[int]) -> None:
        """Removes the bases whose announces were on these days; no new ones may be added."""
        self._gone |= set(days) & self._days.keys()

    def expire(self, before_us: int, most: int) -> None:
        """Frees the rows of bases that are gone, and of those whose announces were before this log
        time. Looks at `most` rows, because a look at all takes long.

        An older base is not used meanwhile: see `State.base_for`.
        """
        gone = self._gone
        if not (gone or (self.count and min(self._days) * DAY_US < before_us)):
            return
        rows, end = self.rows, len(self.rows) // 104
        for _ in range(min(most, end)):
            self.hand = self.hand + 1 if self.hand + 1 < end else 0
            start = self.hand * 104
            seen_us = packed.wide(rows, start + 64)
            if packed.wide(rows, start + 72) and (
                seen_us < before_us or (gone and seen_us // _day_us in gone)
            ):
                self.drop(self.hand)

    # The index: open addressing; an entry is a base's number, 0 = empty.

    def _key(self, number: int) -> int:
        return packed.text_hash(self._secret, packed.view(self.rows, number * 104, 44), 44)

    def _enter(self, number: int) -> None:
        key = self._key(number)
        part = key & 255
        used = packed.u32(self._used, part) + 1
        packed.put_u32(self._used, part, used)
        table = self._tables[part]
        if used * 3 > len(table) * 2:
            smaller, table = table, array("I", bytes(8 * len(table)))
            for at in range(len(smaller)):
                each = packed.u32(smaller, at)
                if each:
                    _put(table, self._key(each), each)
            self._tables[part] = table
        _put(table, key, number)

    def _leave(self, number: int) -> None:
        key = self._key(number)
        table = self._tables[key & 255]
        packed.put_u32(self._used, key & 255, packed.u32(self._used, key & 255) - 1)
        mask = len(table) - 1
        at = key >> 8 & mask
        while packed.u32(table, at) != number:
            at = at + 1 & mask
        # Moves later entries into the gap where a search would otherwise end too soon.
        gap = at
        while True:
            at = at + 1 & mask
            other = packed.u32(table, at)
            if not other:
                break
            home = self._key(other) >> 8 & mask
            if (at - home & mask) >= (at - gap & mask):
                packed.put_u32(table, gap, other)
                gap = at
        packed.put_u32(table, gap, 0)

    # Images and digests.

    def _by_day(self) -> dict[int, array[int]]:
        """Returns the numbers of the bases by the day of their announces, each ascending."""
        found: dict[int, array[int]] = {}
        rows, day = self.rows, -1
        numbers = array("I")
        for number in range(1, len(rows) // 104):
            if not packed.wide(rows, number * 104 + 72):
                continue
            seen_us = packed.wide(rows, number * 104 + 64)
            if seen_us // _day_us != day:
                day = seen_us // _day_us
                if day not in found:
                    found[day] = array("I")
                numbers = found[day]
            packed.append(numbers, number)
        return found

    def tails(self) -> dict[int, bytes]:
        """Returns the ends of the peer_ids by day, in the order of the numbers, without those of
        shredded days.
        """
        return {
            day: packed.gather(self.rows, numbers, ROW_SIZE, TAIL_AT, TAIL_SIZE)
            for day, numbers in self._by_day().items()
            if day not in self._gone
        }

    def numbers(self) -> Iterator[int]:
        """Yields the numbers of all bases that are not gone, ascending."""
        for number in range(1, self.slots):
            start = number * ROW_SIZE
            day = packed.wide(self.rows, start + 64) // DAY_US
            if packed.wide(self.rows, start + 72) and day not in self._gone:
                yield number

    def without_tails(self, first: int = 0, end: int | None = None) -> bytes:
        """Returns the rows numbered first..end-1, with zeros for the ends of the peer_ids."""
        stop = None if end is None else end * ROW_SIZE
        rows = self.rows[first * ROW_SIZE : stop]
        words = memoryview(rows).cast("I")
        zeros = memoryview(bytes(len(rows) // ROW_SIZE * 4)).cast("I")
        for word in range(TAIL_AT // 4, (TAIL_AT + TAIL_SIZE) // 4):
            words[word :: ROW_SIZE // 4] = zeros
        words.release()
        return bytes(rows)

    def settle(self, tails: dict[int, bytes]) -> None:
        """Completes rows that were loaded: the ends of the peer_ids from `tails`, and the index.

        Where a day is missing, each base gets a made-up end. Raises `ValueError` for nonsense.
        """
        if len(self.rows) % ROW_SIZE or not self.rows or len(self._roots) != len(self._counts):
            raise ValueError("a base is not whole")
        rows, self.count = self.rows, self.slots - 1 - len(self._free)
        for day, numbers in self._by_day().items():
            self._days[day] = len(numbers)
            if day in tails:
                packed.scatter(rows, numbers, ROW_SIZE, TAIL_AT, TAIL_SIZE, tails[day])
                continue
            for number in numbers:
                seq = packed.wide(rows, number * ROW_SIZE + 72)
                packed.put(rows, unknown_tail(seq), number * ROW_SIZE + TAIL_AT)
        self._torrents = array("I", bytes(4 * self.slots))
        by_age.check(rows, self._roots, self._counts)
        self._enter_all()
        if sum(self._days.values()) != self.count or sum(self._counts) != self.count:
            raise ValueError("bases, accounts and free numbers differ")
        if any(not 0 < number < self.slots for number in self._free):
            raise ValueError("a freed number that no base ever had")

    def _enter_all(self) -> None:
        rows = self.rows
        for number in range(1, len(rows) // 104):
            if packed.wide(rows, number * 104 + 72):
                self._note_torrent(number)
                self._enter(number)

    def digest(self, *, addresses: bool) -> bytes:
        """Hashes all bases. Without `addresses`, without the ends of the peer_ids; never with those
        of shredded days.
        """
        hasher = blake2b(digest_size=16)
        rows = bytearray(self.rows if addresses else self.without_tails())
        for day, numbers in self._by_day().items() if addresses and self._gone else ():
            if day in self._gone:
                zeros = bytes(TAIL_SIZE * len(numbers))
                packed.scatter(rows, numbers, ROW_SIZE, TAIL_AT, TAIL_SIZE, zeros)
        hasher.update(rows)
        for column in (self._free, self._roots, self._counts):
            hasher.update(b"|" + column.tobytes())
        hasher.update(b"%d" % self.hand)
        return hasher.digest()


def _put(table: array[int], key: int, number: int) -> None:
    mask = len(table) - 1
    at = key >> 8 & mask
    while packed.u32(table, at):
        at = at + 1 & mask
    packed.put_u32(table, at, number)


# Fails when the layout changes, because the code above and `by_age` have literals in its place:
# account, key, seen us, seq, children.
_ROW = bytes(40) + b"\5\0\0\0\6" + bytes(27) + b"\1" + bytes(23) + b"\2\0\0\0\3\0\0\0"
_row = ROW.unpack(_ROW)
if (ROW_SIZE, _NAME_SIZE, *_row[2:4], *_row[7:8], *_row[12:]) != (104, 44, 5, 6, 1, 2, 3) or (
    Base._fields[6:8] != ("seen_us", "seq")
):
    raise AssertionError("Bases spells these numbers out")
