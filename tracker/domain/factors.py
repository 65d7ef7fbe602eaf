"""Holds the credit factors: the percentage of moved bytes that accounts are credited with.

A factor holds for a torrent or all, for an account or all, and for a time. It has a percentage for
uploads, for downloads, or for both. For each of the two the factor that is best for the account
counts (highest upload, lowest download); without a factor the percentage is 100. By accounting
rules 1 the factors at the time of an announce apply to all the bytes that it adds (docs/adr/0005).
By rules 2 also those at the time of the announce before it count (docs/credit.md).
"""

from __future__ import annotations

from hashlib import blake2b
from heapq import heappop, heappush
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence

ANYBODY = 0  # no account
ANY_TORRENT = b""

DROPPED_AT_ONCE = 1000
"""Largest number of expired factors that one tick removes; that takes a few milliseconds."""


class Factor(NamedTuple):
    """A factor as it was set. A percentage of None changes nothing."""

    number: int
    seq: int  # the event that set it
    account: int  # ANYBODY for all
    info_hash: bytes  # ANY_TORRENT for all
    upload_percent: int | None
    download_percent: int | None
    from_us: int
    until_us: int | None  # the first microsecond after it; None = until an event ends it
    label: str

    def is_over(self, time_us: int) -> bool:
        return self.until_us is not None and self.until_us <= time_us


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

    A table has them by scope (account and info hash), so that an announce looks at four scopes,
    however many factors there are. An ended factor is removed at once, an expired factor by a tick.
    """

    __slots__ = ("_ends", "_scopes", "current", "next_number")

    def __init__(self) -> None:
        self.next_number = 1
        self.current: dict[int, Factor] = {}  # by number
        self._scopes: dict[tuple[int, bytes], tuple[Factor, ...]] = {}
        self._ends: list[tuple[int, int]] = []  # heap of until_us and number

    def set(self, factor: Factor) -> None:
        """Adds a factor, whose number is `next_number`."""
        self.next_number = factor.number + 1
        self.current[factor.number] = factor
        scope = factor.account, factor.info_hash
        self._scopes[scope] = (*self._scopes.get(scope, ()), factor)
        if factor.until_us is not None:
            heappush(self._ends, (factor.until_us, factor.number))

    def end(self, number: int) -> None:
        """Removes a factor. Raises `KeyError` if it is not current."""
        factor = self.current.pop(number)
        scope = factor.account, factor.info_hash
        left = tuple(other for other in self._scopes[scope] if other is not factor)
        if left:
            self._scopes[scope] = left
        else:
            del self._scopes[scope]

    def expire(self, time_us: int) -> None:
        """Removes factors that are over at this log time, but at most `DROPPED_AT_ONCE`.

        The factors that ended first are removed first.
        """
        dropped = 0
        while self._ends and self._ends[0][0] <= time_us and dropped < DROPPED_AT_ONCE:
            number = heappop(self._ends)[1]
            if number in self.current:  # else it was ended before its time
                self.end(number)
                dropped += 1

    def in_scope(self, account: int, info_hash: bytes) -> tuple[Factor, ...]:
        """Returns the current factors of exactly this scope."""
        return self._scopes.get((account, info_hash), ())

    def numbers_after(self, number: int) -> list[int]:
        """Returns the numbers of current factors after this one.

        They are ascending, because factors are added in order.
        """
        return [each for each in self.current if each > number]

    def applied(self, account: int, info_hash: bytes, time_us: int) -> Applied:
        """Returns the percentages for an announce of an account in a torrent, at a log time."""
        if not self.current:
            return EVEN
        up = down = None
        up_factor = down_factor = 0
        scopes = self._scopes
        for scope in (
            (ANYBODY, ANY_TORRENT),
            (ANYBODY, info_hash),
            (account, ANY_TORRENT),
            (account, info_hash),
        ):
            for number, _, _, _, upload, download, from_us, until_us, _ in scopes.get(scope, ()):
                if from_us > time_us or (until_us is not None and until_us <= time_us):
                    continue
                if upload is not None and (up is None or upload > up):
                    up, up_factor = upload, number
                if download is not None and (down is None or download < down):
                    down, down_factor = download, number
        return Applied(
            100 if up is None else up, 100 if down is None else down, up_factor, down_factor
        )

    def digest(self) -> bytes:
        hasher = blake2b(digest_size=16)
        hasher.update(repr((self.next_number, sorted(self.current.items()))).encode())
        return hasher.digest()
