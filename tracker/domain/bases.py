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
_ACCOUNT = Struct("<40xI").unpack_from
_TIMES = Struct("<64xQQ").unpack_from  # seen us, seq

LOOKED_AT_ONCE = 2000
"""Largest number of rows that one tick looks at for old ones; removing all of them takes 17 ms."""

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

    `count` is the number of bases. The index is no part of the state.
    """

    __slots__ = (
        "_days",
        "_free",
        "_lists",
        "_tables",
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
        self._days: dict[int, int] = {}  # bases by the day of their announces
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
        key = hash((account, names))
        table = self._tables[key & 255]
        mask = len(table) - 1
        at = key >> 8 & mask
        rows = self.rows
        while number := table[at]:
            start = number * ROW_SIZE
            if (
                rows.startswith(names, start)
                and _ACCOUNT(rows, start)[0] == account
                and _TIMES(rows, start)[0] > after_us
            ):
                return number
            at = at + 1 & mask
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
        if self._free:
            number = self._free.pop()
        else:
            number = len(self.rows) // ROW_SIZE
            self.rows += bytes(ROW_SIZE)
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
        self._enter(number)
        if 0 < most < self._lists[account * 3 + 2]:
            self.drop(self._lists[account * 3 + 1])

    def _link(self, account: int, newer: int, older: int) -> None:
        """Makes two bases neighbours; 0 = the end of the account's list."""
        if newer:
            packed.put_word(self.rows, newer * 104 + 100, older)
        else:
            self._lists[account * 3] = older
        if older:
            packed.put_word(self.rows, older * 104 + 96, newer)
        else:
            self._lists[account * 3 + 1] = newer

    def drop(self, number: int) -> None:
        """Removes a base."""
        base = self.base(number)
        self._leave(number)
        self._link(base.account, *self._links(number))
        self._lists[base.account * 3 + 2] -= 1
        self.rows[number * ROW_SIZE : (number + 1) * ROW_SIZE] = bytes(ROW_SIZE)
        self._free.append(number)
        self.count -= 1
        day = base.seen_us // DAY_US
        self._days[day] -= 1
        if not self._days[day]:
            del self._days[day]

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
        at = self.rows.find(info_hash, ROW_SIZE) if self.count else -1
        while at >= 0:
            number, within = divmod(at, ROW_SIZE)
            # The rows of free numbers are zeros, and so may an info hash be.
            if not within and _ACCOUNT(self.rows, at)[0]:
                self.drop(number)
            at = self.rows.find(info_hash, (number + 1) * ROW_SIZE)

    def drop_days(self, days: Iterable[int]) -> None:
        """Removes the bases whose announces were on these days."""
        going = set(days) & self._days.keys()
        if going:
            for number in range(1, len(self.rows) // ROW_SIZE):
                seen_us, seq = _TIMES(self.rows, number * ROW_SIZE)
                if seq and seen_us // DAY_US in going:
                    self.drop(number)

    def expire(self, before_us: int) -> None:
        """Removes bases whose announces were before this log time, but looks at few at a time.

        An older base is not used meanwhile: see `State.base_for`.
        """
        if not self.count or min(self._days) * DAY_US >= before_us:
            return
        rows, end = self.rows, len(self.rows) // ROW_SIZE
        for _ in range(min(LOOKED_AT_ONCE, end)):
            self.hand = self.hand + 1 if self.hand + 1 < end else 0
            seen_us, seq = _TIMES(rows, self.hand * ROW_SIZE)
            if seq and seen_us < before_us:
                self.drop(self.hand)

    # The index: open addressing; an entry is a base's number, 0 = empty.

    def _key(self, number: int) -> int:
        start = number * ROW_SIZE
        names = bytes(self.rows[start : start + 40])
        return hash((_ACCOUNT(self.rows, start)[0], names))

    def _enter(self, number: int) -> None:
        key = self._key(number)
        part = key & 255
        self._used[part] += 1
        table = self._tables[part]
        if self._used[part] * 3 > len(table) * 2:
            table = array("I", bytes(8 * len(table)))
            for each in self._tables[part]:
                if each:
                    _put(table, self._key(each), each)
            self._tables[part] = table
        _put(table, key, number)

    def _leave(self, number: int) -> None:
        key = self._key(number)
        table = self._tables[key & 255]
        self._used[key & 255] -= 1
        mask = len(table) - 1
        at = key >> 8 & mask
        while table[at] != number:
            at = at + 1 & mask
        # Moves later entries into the gap where a search would otherwise end too soon.
        gap = at
        while True:
            at = at + 1 & mask
            other = table[at]
            if not other:
                break
            home = self._key(other) >> 8 & mask
            if (at - home & mask) >= (at - gap & mask):
                table[gap] = other
                gap = at
        table[gap] = 0

    # Images and digests.

    def tails(self) -> dict[int, bytes]:
        """Returns the ends of the peer_ids by day, in the order of the numbers."""
        found: dict[int, bytearray] = {}
        for number in self.numbers():
            start = number * ROW_SIZE
            day = _TIMES(self.rows, start)[0] // DAY_US
            tail = self.rows[start + TAIL_AT : start + TAIL_AT + TAIL_SIZE]
            found.setdefault(day, bytearray()).extend(tail)
        return {day: bytes(tails) for day, tails in found.items()}

    def numbers(self) -> Iterator[int]:
        """Yields the numbers of all bases, ascending."""
        for number in range(1, len(self.rows) // ROW_SIZE if self.count else 1):
            if _TIMES(self.rows, number * ROW_SIZE)[1]:
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
        self.count = self.slots - 1 - len(self._free)
        for number in self.numbers():
            start = number * ROW_SIZE
            seen_us, seq = _TIMES(self.rows, start)
            day = seen_us // DAY_US
            at = self._days.get(day, 0)
            self._days[day] = at + 1
            tail = (
                tails[day][at * TAIL_SIZE : (at + 1) * TAIL_SIZE]
                if day in tails
                else unknown_tail(seq)
            )
            if len(tail) != TAIL_SIZE:
                raise ValueError("a base has no end of its peer_id")
            self.rows[start + TAIL_AT : start + TAIL_AT + TAIL_SIZE] = tail
            self._enter(number)
            if not self._is_linked(number):
                raise ValueError("a base is not in its account's list")
        if sum(self._days.values()) != self.count or sum(self._lists[2::3]) != self.count:
            raise ValueError("bases, lists and free numbers differ")
        if any(not 0 < number < self.slots for number in self._free):
            raise ValueError("a freed number that no base ever had")

    def _is_linked(self, number: int) -> bool:
        """Tells whether a base is where its neighbours say. So no list can be endless."""
        rows, slots, lists = self.rows, len(self.rows) // ROW_SIZE, self._lists
        account = packed.word(rows, number * 104 + 40)
        seq = packed.wide(rows, number * 104 + 72)
        newer, older = self._links(number)
        if not 0 < account * 3 < len(lists) or newer >= slots or older >= slots:
            return False
        if newer:
            after = packed.word(rows, newer * 104 + 100) == number
        else:
            after = lists[account * 3] == number
        if not older:
            return after and lists[account * 3 + 1] == number
        return (
            after
            and packed.word(rows, older * 104 + 96) == number
            and packed.word(rows, older * 104 + 40) == account
            and packed.wide(rows, older * 104 + 72) < seq
        )

    def digest(self, *, addresses: bool) -> bytes:
        """Hashes all bases. Without `addresses`, without the ends of the peer_ids."""
        hasher = blake2b(digest_size=16)
        hasher.update(bytes(self.rows) if addresses else self.without_tails())
        for column in (self._free, self._lists):
            hasher.update(b"|" + column.tobytes())
        hasher.update(b"%d" % self.hand)
        return hasher.digest()


def _put(table: array[int], key: int, number: int) -> None:
    mask = len(table) - 1
    at = key >> 8 & mask
    while table[at]:
        at = at + 1 & mask
    table[at] = number


# Fails when the layout changes, because the code above has literals in its place: account, seq,
# links.
_ROW = bytes(40) + b"\5" + bytes(31) + b"\1" + bytes(23) + b"\2\0\0\0\3\0\0\0"
if (ROW_SIZE, ROW.unpack(_ROW)[2::5]) != (104, (5, 1, 2)):
    raise AssertionError("Bases spells these numbers out")
