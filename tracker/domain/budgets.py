"""Counts what accounts used of their limits by the hour and the day: the torrents that they
started, and the peers that replies handed to them.

A torrent is started by a new peer with something left, unless the account announced it with
something left on that day. Hours and days are those of dates (`tracker.domain.dates`). Each begins
with the first tick in it, so that replay agrees with the live tracker.
"""

from __future__ import annotations

from array import array
from hashlib import blake2b

from tracker.domain import packed
from tracker.domain.index import Index

HOUR_US = 3_600_000_000
NO_HOUR = -1
_NAME_SIZE = 24  # bytes: an info hash, and the account in 32 bits
_low = 0xFFFFFFFF  # has a type in the .pxd, as in `index.py`


class Budgets:
    """The counts of an hour and its day. Only applying events changes them.

    They are empty where no account has such a limit.
    """

    __slots__ = (
        "_index",
        "handed_hour",
        "handed_today",
        "hour",
        "since_seq",
        "started",
        "torrents",
    )

    def __init__(self) -> None:
        # `torrents` has all that was announced with something left by events from this one on. It
        # saves look-ups, and is no part of the state.
        self.since_seq = 0
        self.clear()

    def clear(self) -> None:
        """Forgets everything, as where nobody has a limit."""
        self.hour = NO_HOUR  # since 1970-01-01
        self.handed_hour = array("I")  # peers by account
        self._begin_day()

    def _begin_day(self) -> None:
        self.handed_today = array("I")
        self.started = array("I")  # torrents by account
        # What accounts announced with something left: info hash and account of each.
        self.torrents = bytearray()
        self._index = Index()  # the numbers of these, from 1 on

    def turn(self, date_us: int, seq: int) -> None:
        """Begins a new hour and day if this date is in others. `seq`: of the next event."""
        hour, before = date_us // HOUR_US, self.hour
        if hour != before:
            self.hour = hour
            self.handed_hour = array("I")
            if before == NO_HOUR or hour // 24 != before // 24:
                self._begin_day()
                self.since_seq = seq

    def used(self, column: array[int], account: int) -> int:
        """Returns what an account used, by one of the columns."""
        return packed.u32(column, account) if account < len(column) else 0

    def hand(self, account: int, count: int) -> None:
        """Counts peers that a reply lists."""
        _add(self.handed_hour, account, count)
        _add(self.handed_today, account, count)

    def knows(self, account: int, info_hash: bytes) -> bool:
        """Tells whether an account announced a torrent with something left.

        Compiled code gives the info hash as a pointer.
        """
        index = self._index
        key = packed.hashed(index.secret, info_hash, 20, account)
        table = index.tables[key & 255]
        mask = len(table) - 1
        at = (key >> 8) & mask
        entry = packed.u64(table, at)
        while entry:
            if entry >> 32 == key:
                name = ((entry & _low) - 1) * 24  # _NAME_SIZE
                if packed.word(self.torrents, name + 20) == account and packed.has_endpoint(
                    self.torrents, info_hash, name, 20
                ):
                    return True
            at = (at + 1) & mask
            entry = packed.u64(table, at)
        return False

    def note(self, account: int, info_hash: bytes, new: bool) -> None:
        """Notes an announce with something left. `new`: its peer was not in the swarm."""
        if not self.knows(account, info_hash):
            self._add(account, info_hash, new)

    def _add(self, account: int, info_hash: bytes, new: bool) -> None:
        at = len(self.torrents)
        packed.add_bytes(self.torrents, 24)
        packed.put_endpoint(self.torrents, info_hash, at, 20)
        packed.put_word(self.torrents, at + 20, account)
        key = packed.hashed(self._index.secret, info_hash, 20, account)
        self._index.add(key, at // 24 + 1)
        if new:
            _add(self.started, account, 1)

    def digest(self) -> bytes:
        hasher = blake2b(b"%d|" % self.hour, digest_size=16)
        for column in (self.handed_hour, self.handed_today, self.started):
            hasher.update(b"%d|" % len(column) + column.tobytes())
        hasher.update(self.torrents)
        return hasher.digest()

    def list_torrents(self) -> None:
        """Makes the index after the names were loaded. Raises `ValueError` for part of a name."""
        if len(self.torrents) % _NAME_SIZE:
            raise ValueError("a torrent of an account is not whole")
        self._index = Index()
        secret = self._index.secret
        for at in range(0, len(self.torrents), _NAME_SIZE):
            info_hash = bytes(self.torrents[at : at + 20])
            account = packed.word(self.torrents, at + 20)
            self._index.add(packed.hashed(secret, info_hash, 20, account), at // _NAME_SIZE + 1)


def _add(column: array[int], account: int, amount: int) -> None:
    missing = account + 1 - len(column)
    if missing > 0:
        packed.add_words(column, missing, 0)
    packed.put_u32(column, account, packed.u32(column, account) + amount)


# Fails when one of these constants changes, because the code above has literals in their place.
if _NAME_SIZE != 24:
    raise AssertionError("Budgets spells this number out")
