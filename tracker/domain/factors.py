"""Credit factors: how much of the bytes that accounts move is credited, by torrent and account, for
a time.

A factor is a percentage for uploads, for downloads, or for both. The two sides are judged apart.
Among the factors in force the best one for the member counts (highest upload, lowest download);
without a factor it is 100. The time of the announce decides, for the whole difference that it
brings (docs/adr/0005).
"""

from __future__ import annotations

from hashlib import blake2b
from heapq import heappop, heappush
from typing import NamedTuple

ANYBODY = 0  # no account
ANY_TORRENT = b""

MOST_PERCENT = 10_000
"""The highest percentage of a factor."""

DROPPED_AT_ONCE = 1000
"""Expired factors that one tick removes, at most: a few milliseconds."""


class Factor(NamedTuple):
    """A factor as it was set. It leaves alone a side whose percentage is None."""

    number: int
    seq: int  # the event that set it
    account: int  # ANYBODY for all
    info_hash: bytes  # ANY_TORRENT for all
    upload_percent: int | None
    download_percent: int | None
    from_us: int
    until_us: int | None  # the first microsecond it is over; None = until it is ended
    label: str

    def is_over(self, time_us: int) -> bool:
        return self.until_us is not None and self.until_us <= time_us


class Applied(NamedTuple):
    """Percentages, and the numbers of the factors that they come from; 0 = no factor."""

    upload_percent: int
    download_percent: int
    upload_factor: int
    download_factor: int


EVEN = Applied(100, 100, 0, 0)


class Factors:
    """The factors in force and those to come. Only applying events changes them.

    They are found by scope (account and info hash), so that an announce looks at four scopes,
    however many factors there are. An ended factor goes at once, an expired one with a tick.
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
        """Removes a factor. Raises `KeyError` for one that is not current."""
        factor = self.current.pop(number)
        scope = factor.account, factor.info_hash
        left = tuple(other for other in self._scopes[scope] if other is not factor)
        if left:
            self._scopes[scope] = left
        else:
            del self._scopes[scope]

    def expire(self, time_us: int) -> None:
        """Removes factors that are over at this log time: at most `DROPPED_AT_ONCE`, oldest
        first.
        """
        dropped = 0
        while self._ends and self._ends[0][0] <= time_us and dropped < DROPPED_AT_ONCE:
            number = heappop(self._ends)[1]
            if number in self.current:  # else it was ended before its time
                self.end(number)
                dropped += 1

    def in_scope(self, account: int, info_hash: bytes) -> tuple[Factor, ...]:
        """The current factors of exactly this scope."""
        return self._scopes.get((account, info_hash), ())

    def numbers_after(self, number: int) -> list[int]:
        """The numbers of current factors after this one, ascending because they are added in
        order.
        """
        return [each for each in self.current if each > number]

    def applied(self, account: int, info_hash: bytes, time_us: int) -> Applied:
        """The percentages for an announce of an account in a torrent, at a log time."""
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
