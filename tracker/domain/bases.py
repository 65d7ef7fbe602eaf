"""Remembers peers that were swept or evicted, so that their next announces go on from there.

A base is what accounting rules 2 need of such a peer. Only private modes have bases. They are rows
by number beside the swarms; a freed number is used again. Only applying an event changes them.
"""

from __future__ import annotations

from array import array
from hashlib import blake2b
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from tracker.domain import packed
from tracker.domain.events import DAY_US
from tracker.domain.hidden_peers import unknown_tail

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

ROW = Struct("<20s20sIIQQQQIIIIII")
"""The row of a base: see `Base`, then the account's next newer and next older base."""
ROW_SIZE = ROW.size  # 104 bytes
TAIL_AT, TAIL_SIZE = 28, 12  # the end of the peer_id in a row: a part of the peer's address
_NO_ROW = bytes(ROW_SIZE)

LOOKED_AT_ONCE = 2000
"""Largest number of rows that one tick looks at for old ones; removing all of them takes 4 ms."""

_day_us, _low = DAY_US, 0xFFFFFFFF  # have types in the .pxd, as `_nowhere` in `directory.py`
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
    """The rows, an index by account, torrent and peer_id, and a list for each account.

    `count` is the number of rows that bases have. Bases of a shredded day are gone at once, but
    their rows are freed a few at a time, because a day may have a million. The indexes are no part
    of the state.
    """

    __slots__ = (
        "_days",
        "_free",
        "_gone",
        "_lists",
        "_tables",
        "_torrents",
        "_used",
        "count",
        "hand",
        "rows",
    )

    def __init__(self) -> None:
        self._clear()

    def _clear(self) -> None:
        self.count = 0
        self.rows = bytearray(ROW_SIZE)  # row 0 is nobody's
        self._free = array("I")
        self.hand = 0  # the row at which `expire` goes on
        # By account three words: its newest base, its oldest base, their number.
        self._lists = array("I", [0, 0, 0])
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

    def find(self, account: int, info_hash: bytes, peer_id: bytes, after_us: int = -1) -> int:
        """Returns the base of this peer, of an announce after that log time; 0 = none."""
        if not self.count:
            return 0
        names = info_hash + peer_id
        key = (hash(names) ^ account * 40503) & _low
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
                and packed.word(rows, start + 40) == account
                and packed.has(rows, names, start)
                and not (self._gone and seen_us // _day_us in self._gone)
            ):
                return number
            at = at + 1 & mask
            number = packed.u32(table, at)
        return 0

    def by_seq(self, account: int, seq: int) -> int:
        """Returns the base of this announce; 0 = none. It looks at the account's newer ones."""
        if account * 3 >= len(self._lists):
            return 0
        rows = self.rows
        number = self._lists[account * 3]
        while number and packed.wide(rows, number * 104 + 72) > seq:
            number = packed.word(rows, number * 104 + 100)
        return number if number and packed.wide(rows, number * 104 + 72) == seq else 0

    def of_account(self, account: int) -> list[int]:
        """Returns the bases of an account, the newest first."""
        found: list[int] = []
        if account * 3 < len(self._lists):
            number = self._lists[account * 3]
            while number:
                found.append(number)
                number = packed.word(self.rows, number * 104 + 100)
        return found

    def add(self, base: Base, most: int) -> None:
        """Adds a base. `most`: the most that an account has; 0 = no limit.

        Of an account that has too many, the one with the oldest announce goes.
        """
        account, seq = base.account, base.seq
        missing = account * 3 + 3 - len(self._lists)
        if missing > 0:
            self._lists.frombytes(bytes(4 * missing))
        if most and self._lists[account * 3 + 2] >= most:
            self._limit(account, most)
            if self._lists[account * 3 + 2] == most:
                oldest = self._lists[account * 3 + 1]
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
        # Mostly it is the newest, or nearly, because peers are swept soon after each other.
        newer, older = 0, self._lists[account * 3]
        while older and packed.wide(rows, older * 104 + 72) > seq:
            newer, older = older, packed.word(rows, older * 104 + 100)
        ROW.pack_into(rows, number * ROW_SIZE, *base, newer, older)
        self._link(account, newer, number)
        self._link(account, number, older)
        self._lists[account * 3 + 2] += 1
        self.count += 1
        day = base.seen_us // DAY_US
        self._days[day] = self._days.get(day, 0) + 1
        self._note_torrent(number)
        self._enter(number)

    def _note_torrent(self, number: int) -> None:
        packed.put_u32(self._torrents, number, packed.word(self.rows, number * 104))

    def limit(self, most: int) -> None:
        """Removes the oldest bases of accounts that have more than `most`; 0 = no limit."""
        for account in range(len(self._lists) // 3 if most else 0):
            if packed.u32(self._lists, account * 3 + 2) > most:
                self._limit(account, most)

    def _limit(self, account: int, most: int) -> None:
        """Does it for an account; of its bases those that are gone count no more."""
        if self._gone:
            for number in self.of_account(account):
                if packed.wide(self.rows, number * 104 + 64) // _day_us in self._gone:
                    self.drop(number)
        while packed.u32(self._lists, account * 3 + 2) > most:
            self.drop(packed.u32(self._lists, account * 3 + 1))

    def _link(self, account: int, newer: int, older: int) -> None:
        """Makes two bases neighbours; 0 = the end of the account's list."""
        if newer:
            packed.put_word(self.rows, newer * 104 + 100, older)
        else:
            packed.put_u32(self._lists, account * 3, older)
        if older:
            packed.put_word(self.rows, older * 104 + 96, newer)
        else:
            packed.put_u32(self._lists, account * 3 + 1, newer)

    def drop(self, number: int) -> None:
        """Removes a base."""
        rows, lists, start = self.rows, self._lists, number * 104
        account = packed.word(rows, start + 40)
        day = packed.wide(rows, start + 64) // _day_us
        self._leave(number)
        self._link(account, packed.word(rows, start + 96), packed.word(rows, start + 100))
        packed.put_u32(lists, account * 3 + 2, packed.u32(lists, account * 3 + 2) - 1)
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

    def _links(self, number: int) -> tuple[int, int]:
        """Returns the next newer and the next older base of the account."""
        at = number * 104
        return packed.word(self.rows, at + 96), packed.word(self.rows, at + 100)

    def drop_all(self) -> None:
        """Begins anew."""
        self._clear()

    def drop_key(self, account: int, key_ref: int) -> None:
        """Removes the bases of a key."""
        for number in self.of_account(account):
            if self.base(number).key_ref == key_ref:
                self.drop(number)

    def hand_over(self, account: int, old_key_ref: int, key_ref: int) -> None:
        """Gives the bases of a key to the key that replaces it."""
        for number in self.of_account(account):
            base = self.base(number)
            if base.key_ref == old_key_ref:
                links = self._links(number)
                changed = base._replace(key_ref=key_ref)
                ROW.pack_into(self.rows, number * ROW_SIZE, *changed, *links)

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

    def expire(self, before_us: int, most: int = LOOKED_AT_ONCE) -> None:
        """Frees the rows of bases that are gone, and of those whose announces were before this log
        time, but looks at few at a time: `most`.

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
        start = number * 104
        names = packed.piece(self.rows, start, 40)
        return (hash(names) ^ packed.word(self.rows, start + 40) * 40503) & _low

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
        if len(self.rows) % ROW_SIZE or not self.rows or len(self._lists) % 3:
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
        self._enter_all()
        if sum(self._days.values()) != self.count or sum(self._lists[2::3]) != self.count:
            raise ValueError("bases, lists and free numbers differ")
        if any(not 0 < number < self.slots for number in self._free):
            raise ValueError("a freed number that no base ever had")

    def _enter_all(self) -> None:
        rows = self.rows
        for number in range(1, len(rows) // 104):
            if packed.wide(rows, number * 104 + 72):
                self._note_torrent(number)
                self._enter(number)
                if not self._is_linked(number):
                    raise ValueError("a base is not in its account's list")

    def _is_linked(self, number: int) -> bool:
        """Tells whether a base is where its neighbours say. So no list can be endless."""
        rows, lists, start = self.rows, self._lists, number * 104
        slots = len(rows) // 104
        account = packed.word(rows, start + 40)
        newer, older = packed.word(rows, start + 96), packed.word(rows, start + 100)
        if not 0 < account * 3 < len(lists) or newer >= slots or older >= slots:
            return False
        above = packed.word(rows, newer * 104 + 100) if newer else packed.u32(lists, account * 3)
        if not older:
            return above == number and packed.u32(lists, account * 3 + 1) == number
        return (
            above == number
            and packed.word(rows, older * 104 + 96) == number
            and packed.word(rows, older * 104 + 40) == account
            and packed.wide(rows, older * 104 + 72) < packed.wide(rows, start + 72)
        )

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
        for column in (self._free, self._lists):
            hasher.update(b"|" + column.tobytes())
        hasher.update(b"%d" % self.hand)
        return hasher.digest()


def _put(table: array[int], key: int, number: int) -> None:
    mask = len(table) - 1
    at = key >> 8 & mask
    while packed.u32(table, at):
        at = at + 1 & mask
    packed.put_u32(table, at, number)


# Fails when the layout changes, because the code above has literals in its place: account, seen us,
# seq, links.
_ROW = bytes(40) + b"\5" + bytes(31) + b"\1" + bytes(23) + b"\2\0\0\0\3\0\0\0"
if (ROW_SIZE, ROW.unpack(_ROW)[2::5]) != (104, (5, 1, 2)) or Base._fields[6:8] != (
    "seen_us",
    "seq",
):
    raise AssertionError("Bases spells these numbers out")
