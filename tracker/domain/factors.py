"""Holds the credit factors: the percentage of moved bytes that accounts are credited with.

A factor holds for a torrent or all, for an account, a group of accounts or all, and for a time. It
has a percentage for uploads, for downloads, or for both. For each of the two the factor that is
best for the account counts (highest upload, lowest download); without a factor the percentage is
100. By accounting rules 1 the factors at the time of an announce apply to all the bytes that it
adds (docs/adr/0005). By rules 2 also those at the time of the announce before it count
(docs/credit.md).
"""

from __future__ import annotations

from array import array
from hashlib import blake2b
from heapq import heappop, heappush
from itertools import islice
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from tracker.domain import packed
from tracker.domain.index import Index

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tracker.domain.dates import Dates

ANYBODY = 0  # no account
ANY_TORRENT = b""
GROUP = 0x8000_0000
"""This bit in the place of an account's number says that the rest is the number of a group."""

_NAME = Struct("<I20sI")
_NAME_SIZE = _NAME.size  # 28 bytes
_NO_TORRENT = bytes(20)
_NEVER = 2**63 - 1  # a date
# These have types in the .pxd, as `_nowhere` in `directory.py`.
_no_torrent, _low = _NO_TORRENT, 0xFFFFFFFF

DROPPED_AT_ONCE = 1000
"""Largest number of expired factors that one tick removes; that takes a few milliseconds."""
KEPT_MS = 86_400_000
"""Milliseconds for which the tracker must run before it removes a factor that is over."""


class Factor(NamedTuple):
    """A factor as it was set. A percentage of None changes nothing."""

    number: int
    seq: int  # the event that set it
    account: int  # ANYBODY for all; GROUP and its number for a group
    info_hash: bytes  # ANY_TORRENT for all
    upload_percent: int | None
    download_percent: int | None
    from_us: int  # a date
    until_us: int | None  # the first date after it; None = until an event ends it
    label: str

    def is_over(self, date_us: int) -> bool:
        return self.until_us is not None and self.until_us <= date_us


class Applied(NamedTuple):
    """The percentages that apply, and the numbers of their factors; 0 = no factor."""

    upload_percent: int
    download_percent: int
    upload_factor: int
    download_factor: int


EVEN = Applied(100, 100, 0, 0)


def better(one: Applied, other: Applied) -> Applied:
    """Takes the better percentage of the two, upload and download each on its own."""
    up = one if one.upload_percent >= other.upload_percent else other
    down = one if one.download_percent <= other.download_percent else other
    return Applied(up.upload_percent, down.download_percent, up.upload_factor, down.download_factor)


def worse(one: Applied, other: Applied) -> Applied:
    """Takes the worse percentage of the two, upload and download each on its own."""
    up = one if one.upload_percent <= other.upload_percent else other
    down = one if one.download_percent >= other.download_percent else other
    return Applied(up.upload_percent, down.download_percent, up.upload_factor, down.download_factor)


WORDS = 3
"""Number of 32-bit words that hold what `Applied` holds."""


def as_words(applied: Applied) -> tuple[int, int, int]:
    """Returns three words; zeros for `EVEN`."""
    up, down, up_factor, down_factor = applied
    return (up ^ 100) | (down ^ 100) << 16, up_factor, down_factor


def from_words(words: Sequence[int]) -> Applied:
    """Undoes `as_words`."""
    percents, up_factor, down_factor = words
    return Applied((percents & 0xFFFF) ^ 100, percents >> 16 ^ 100, up_factor, down_factor)


class Factors:
    """The factors in force and those to come. Only applying events changes them.

    A table has them by scope (account and info hash), so that an announce looks at four scopes, or
    six if its account is in a group, however many factors there are. A scope keeps which of its
    factors are best, and the dates between which they are, so that mostly an announce makes no
    object.

    An ended factor is removed at once. An expired factor is removed by a tick, once the tracker has
    run for a day after it expired, because it is in force again if the clock was wrong and is set
    right.
    """

    __slots__ = (
        "_best",
        "_dates",
        "_down",
        "_ends",
        "_factors",
        "_free",
        "_index",
        "_latest_us",
        "_names",
        "_scopes",
        "_scratch",
        "_spans",
        "_up",
        "current",
        "download_factor",
        "group_of",
        "groups",
        "next_number",
        "over",
        "percents",
        "ran_ms",
        "upload_factor",
    )

    def __init__(self, dates: Dates) -> None:
        self._dates = dates
        self.next_number = 1
        self.groups: dict[str, int] = {}  # numbers of groups by name, from 1 on
        self.group_of = array("I")  # by account; 0 = none, and so is an account beyond the end
        self.ran_ms = 0  # time that the tracker ran while `over` had a factor, by its ticks
        self.over: dict[int, int] = {}  # `ran_ms` when a tick found the factor over, by number
        self._latest_us = 0  # no factor in `over` ends after this date
        self.current: dict[int, Factor] = {}  # by number
        # Scopes have numbers, from 1 on.
        self._scopes: dict[tuple[int, bytes], int] = {}
        self._free: list[int] = []
        self._factors: list[tuple[Factor, ...]] = [()]  # by scope
        # By scope, for announces: its best percentages for upload and download, each more by one
        # (0 = none), and their factors; and the two dates between which they are the best.
        self._best = array("I", [0, 0, 0, 0])
        self._spans = array("q", [0, 0])
        self._names = bytearray(_NAME_SIZE)  # account, info hash, 1 if the scope is of one torrent
        self._index = Index()  # scopes by these
        self._scratch = bytearray(_NAME_SIZE)  # for the scope that is looked for
        self._ends: list[tuple[int, int]] = []  # heap of until_us and number
        # What `look` found, as words: see `as_words`.
        self.percents = self.upload_factor = self.download_factor = 0
        self._up = self._down = 0  # percentages while it looks, each more by one

    def set(self, factor: Factor) -> None:
        """Adds a factor, whose number is `next_number`."""
        self.next_number = factor.number + 1
        self.current[factor.number] = factor
        scope = factor.account, factor.info_hash
        number = self._scopes.get(scope) or self._add_scope(*scope)
        self._change(number, (*self._factors[number], factor))
        self._note_end(factor)

    def _note_end(self, factor: Factor) -> None:
        if factor.until_us is not None:
            heappush(self._ends, (factor.until_us, factor.number))

    def group_number(self, name: str) -> int:
        """Returns the number of a group, and gives it one if it has none."""
        return self.groups.setdefault(name, len(self.groups) + 1)

    def group(self, account: int, name: str | None) -> None:
        """Puts an account into a group; None = into none."""
        number = 0 if name is None else self.group_number(name)
        self.group_of.extend([0] * (account + 1 - len(self.group_of)))
        self.group_of[account] = number

    def group_name(self, number: int) -> str | None:
        """Returns the name of a group; None for 0."""
        return next((name for name, each in self.groups.items() if each == number), None)

    def group_name_of(self, account: int) -> str | None:
        """Returns the name of the group that an account is in; None = it is in none."""
        return self.group_name(self.group_of[account]) if account < len(self.group_of) else None

    def go_on(self, over: dict[int, int], ran_ms: int) -> None:
        """Begins with these values. Raises `ValueError` if a factor in `over` does not exist."""
        if not over.keys() <= self.current.keys():
            raise ValueError("a factor that is over does not exist")
        self.over, self.ran_ms = over, ran_ms
        self._ends = sorted(end for end in self._ends if end[1] not in over)  # which is a heap
        ends = (self.current[number].until_us for number in over)
        self._latest_us = max((end for end in ends if end is not None), default=0)

    def end(self, number: int) -> None:
        """Removes a factor. Raises `KeyError` if it is not current."""
        factor = self.current.pop(number)
        self.over.pop(number, None)
        scope = self._scopes[factor.account, factor.info_hash]
        self._change(scope, tuple(each for each in self._factors[scope] if each is not factor))
        if not self._factors[scope]:
            del self._scopes[factor.account, factor.info_hash]
            self._index.drop(self._key(scope), scope)
            self._free.append(scope)

    def _add_scope(self, account: int, info_hash: bytes) -> int:
        if self._free:
            number = self._free.pop()
        else:
            number = len(self._factors)
            self._factors.append(())
            self._spans.extend((0, 0))
            self._best.extend((0, 0, 0, 0))
            self._names += bytes(_NAME_SIZE)
        self._scopes[account, info_hash] = number
        name = _NAME.pack(account, info_hash, info_hash != ANY_TORRENT)
        self._names[number * _NAME_SIZE : (number + 1) * _NAME_SIZE] = name
        self._index.add(self._key(number), number)
        return number

    def _change(self, scope: int, factors: tuple[Factor, ...]) -> None:
        self._factors[scope] = factors
        self._spans[2 * scope] = self._spans[2 * scope + 1] = 0  # so that `_take` looks anew

    def _key(self, scope: int) -> int:
        name = packed.view(self._names, scope * 28, 28)  # _NAME_SIZE
        torrent = packed.word(self._names, scope * 28 + 24)
        return packed.hashed(self._index.secret, name, 24, torrent)

    def expire(self, time_us: int, passed_ms: int) -> None:
        """Notes factors that are over at a log time, and removes those that were over for a day.

        Handles at most `DROPPED_AT_ONCE` of each. `passed_ms`: running time since the tick before.
        """
        date_us = time_us - self._dates.lead_us
        if date_us < self._latest_us:  # the date went back
            for number in list(self.over):
                factor = self.current[number]
                if not factor.is_over(date_us):
                    del self.over[number]
                    self._note_end(factor)
            self._latest_us = date_us
        self.ran_ms = self.ran_ms + passed_ms if self.over else 0
        for _ in range(DROPPED_AT_ONCE):
            if not self._ends or self._ends[0][0] > date_us:
                break
            until_us, number = heappop(self._ends)
            if number in self.current:  # else it was ended before its time
                self.over[number] = self.ran_ms
                self._latest_us = max(self._latest_us, until_us)
        for number, since_ms in list(islice(self.over.items(), DROPPED_AT_ONCE)):
            if self.ran_ms - since_ms < KEPT_MS:
                break
            self.end(number)

    def drop_expired(self, time_us: int) -> None:
        """Removes factors that are over at this log time, but at most `DROPPED_AT_ONCE`.

        So ticks did that do not say what the wall clock showed. The factors that ended first are
        removed first.
        """
        dropped = 0
        while self._ends and self._ends[0][0] <= time_us and dropped < DROPPED_AT_ONCE:
            number = heappop(self._ends)[1]
            if number in self.current:  # else it was ended before its time
                self.end(number)
                dropped += 1

    def in_scope(self, account: int, info_hash: bytes) -> tuple[Factor, ...]:
        """Returns the current factors of exactly this scope."""
        return self._factors[self._scopes.get((account, info_hash), 0)]

    def numbers_after(self, number: int) -> list[int]:
        """Returns the numbers of current factors after this one.

        They are ascending, because factors are added in order.
        """
        return [each for each in self.current if each > number]

    def applied(self, account: int, info_hash: bytes, time_us: int) -> Applied:
        """Returns the percentages for an announce of an account in a torrent, at a log time."""
        if not self.current:
            return EVEN
        self.look(account, info_hash or _NO_TORRENT, time_us)
        return from_words((self.percents, self.upload_factor, self.download_factor))

    def look(self, account: int, info_hash: bytes, time_us: int) -> None:
        """Finds what `applied` returns, as words. Compiled code gives 20 bytes as a pointer."""
        self.percents = self.upload_factor = self.download_factor = 0
        if len(self.current):
            lead_us = self._dates.lead_us
            date_us = time_us - lead_us
            self._up = self._down = 0
            self._take(0, 0, _no_torrent, date_us)  # ANYBODY
            self._take(0, 1, info_hash, date_us)
            self._take(account, 0, _no_torrent, date_us)
            self._take(account, 1, info_hash, date_us)
            if account < len(self.group_of):
                group = packed.u32(self.group_of, account)
                if group:
                    self._take(0x80000000 | group, 0, _no_torrent, date_us)  # GROUP
                    self._take(0x80000000 | group, 1, info_hash, date_us)
            up = self._up - 1 if self._up else 100
            down = self._down - 1 if self._down else 100
            self.percents = (up ^ 100) | (down ^ 100) << 16  # as in `as_words`

    def _take(self, account: int, torrent: int, info_hash: bytes, date_us: int) -> None:
        """Takes what a scope has if it is better than what was found so far."""
        scope = self._scope(account, torrent, info_hash)
        if scope:
            spans, best = self._spans, self._best
            since_us, until_us = packed.u64(spans, 2 * scope), packed.u64(spans, 2 * scope + 1)
            if date_us < since_us or date_us >= until_us:
                self._weigh(scope, date_us)
            up, down = packed.u32(best, 4 * scope), packed.u32(best, 4 * scope + 1)
            if up > self._up:
                self._up = up
                self.upload_factor = packed.u32(best, 4 * scope + 2)
            if down and (down < self._down or not self._down):
                self._down = down
                self.download_factor = packed.u32(best, 4 * scope + 3)

    def _scope(self, account: int, torrent: int, info_hash: bytes) -> int:
        """Returns the number of a scope; 0 = it has no factor."""
        index, names = self._index, self._names
        name = packed.scope_name(self._scratch, account, torrent, info_hash)
        key = packed.hashed(index.secret, name, 24, torrent)
        table = index.tables[key & 255]
        mask = len(table) - 1
        at = (key >> 8) & mask
        entry = packed.u64(table, at)
        while entry:
            scope = entry & _low
            if entry >> 32 == key and packed.has_endpoint(names, name, scope * 28, 28):
                return scope
            at = (at + 1) & mask
            entry = packed.u64(table, at)
        return 0

    def _weigh(self, scope: int, date_us: int) -> None:
        """Finds the best factors of a scope, and the dates between which they are the best."""
        since_us, until_us = -_NEVER, _NEVER
        up, down, up_factor, down_factor = 0, 0, 0, 0
        for factor in self._factors[scope]:
            end_us = _NEVER if factor.until_us is None else min(factor.until_us, _NEVER)
            for edge_us in (min(factor.from_us, _NEVER), end_us):
                if edge_us <= date_us:
                    since_us = max(since_us, edge_us)
                else:
                    until_us = min(until_us, edge_us)
            if factor.from_us > date_us or end_us <= date_us:
                continue
            one, other = factor.upload_percent, factor.download_percent
            if one is not None and one + 1 > up:
                up, up_factor = one + 1, factor.number
            if other is not None and (not down or other + 1 < down):
                down, down_factor = other + 1, factor.number
        self._spans[2 * scope], self._spans[2 * scope + 1] = since_us, until_us
        self._best[4 * scope : 4 * scope + 4] = array("I", (up, down, up_factor, down_factor))

    def digest(self) -> bytes:
        hasher = blake2b(digest_size=16)
        hasher.update(repr((self.next_number, sorted(self.current.items()))).encode())
        if self.over:  # so that digests of older logs do not change
            hasher.update(repr((self.ran_ms, list(self.over.items()))).encode())
        if self.groups:  # likewise
            hasher.update(repr(list(self.groups)).encode() + self.group_of.tobytes())
        return hasher.digest()
