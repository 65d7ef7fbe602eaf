"""Credit factors: what a byte that an account moved is worth to it, for a torrent, an account or everybody, for a time.

A factor says a percentage for uploads, for downloads, or for both. Each side is on its own: of several factors in
force the one best for the member counts (highest upload, lowest download), and without one it is 100. What counts
is the moment of the announce, for the whole difference it brings (docs/adr/0005).
"""

from __future__ import annotations

from hashlib import blake2b
from heapq import heappop, heappush
from typing import NamedTuple

ANYBODY = 0  # no account
ANY_TORRENT = b""

MOST_PERCENT = 10_000

DROPPED_AT_ONCE = 1000
"""Expired factors that one tick takes out: a few milliseconds at most."""


class Factor(NamedTuple):
    """A factor as it was set. A side whose percentage is None is left alone."""

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
    """Percentages, and the numbers of the factors they are from; 0 = of none."""

    upload_percent: int
    download_percent: int
    upload_factor: int
    download_factor: int


EVEN = Applied(100, 100, 0, 0)


class Factors:
    """Those that are in force or will be. Changed by applying events only.

    They are found by scope (account and info hash), so that an announce looks at four places, however many there
    are. Ended ones go at once, expired ones with a tick.
    """

    __slots__ = ("_ends", "_scopes", "current", "next_number")

    def __init__(self) -> None:
        self.next_number = 1
        self.current: dict[int, Factor] = {}  # by number
        self._scopes: dict[tuple[int, bytes], tuple[Factor, ...]] = {}
        self._ends: list[tuple[int, int]] = []  # heap of until_us and number

    def set(self, factor: Factor) -> None:
        """Add a factor; its number is `next_number`."""
        self.next_number = factor.number + 1
        self.current[factor.number] = factor
        scope = factor.account, factor.info_hash
        self._scopes[scope] = (*self._scopes.get(scope, ()), factor)
        if factor.until_us is not None:
            heappush(self._ends, (factor.until_us, factor.number))

    def end(self, number: int) -> None:
        """Raises `KeyError` for one that is not current."""
        factor = self.current.pop(number)
        scope = factor.account, factor.info_hash
        left = tuple(other for other in self._scopes[scope] if other is not factor)
        if left:
            self._scopes[scope] = left
        else:
            del self._scopes[scope]

    def expire(self, time_us: int) -> None:
        """Take out what is over: log time never goes back. At most `DROPPED_AT_ONCE`, oldest first."""
        dropped = 0
        while self._ends and self._ends[0][0] <= time_us and dropped < DROPPED_AT_ONCE:
            number = heappop(self._ends)[1]
            if number in self.current:  # or it was ended before its time
                self.end(number)
                dropped += 1

    def in_scope(self, account: int, info_hash: bytes) -> tuple[Factor, ...]:
        """The current factors of exactly this scope."""
        return self._scopes.get((account, info_hash), ())

    def numbers_after(self, number: int) -> list[int]:
        """Of the current factors, ascending: those are added in order."""
        return [each for each in self.current if each > number]

    def applied(self, account: int, info_hash: bytes, time_us: int) -> Applied:
        """What an announce of an account in a torrent counts at a log time."""
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
