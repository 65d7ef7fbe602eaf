"""Adds up what each account sent in the last days, because cases are measured against it."""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from tracker.domain.events import DAY_US

if TYPE_CHECKING:
    from collections.abc import Iterable


class SentByDay:
    """Bytes by account and day (UTC), for the present day and `days` before it."""

    __slots__ = ("_looked", "_rings", "_slots")

    def __init__(self, days: int) -> None:
        self._slots = days + 1
        # Of each account a place for each day, by its number modulo `_slots`, and the last day.
        self._rings: dict[int, array[int]] = {}
        self._looked = 0  # the day of the last look for accounts to forget

    def add(self, account: int, time_us: int, sent: int) -> None:
        """Adds bytes that an account sent until now. `time_us` never goes back."""
        ring = self._ring(account, time_us // DAY_US)
        ring[ring[-1] % self._slots] += sent

    def total(self, account: int, time_us: int) -> int:
        """Returns how many bytes an account sent on the days up to now."""
        return sum(self._ring(account, time_us // DAY_US)[:-1])

    def forget(self, time_us: int) -> Iterable[int]:
        """Returns the accounts that sent nothing in all the days, and forgets them; once a day."""
        day = time_us // DAY_US
        if day == self._looked:
            return ()
        self._looked = day
        gone = [account for account, ring in self._rings.items() if ring[-1] + self._slots < day]
        for account in gone:
            del self._rings[account]
        return gone

    def _ring(self, account: int, day: int) -> array[int]:
        ring = self._rings.get(account)
        if ring is None:
            ring = self._rings[account] = array("Q", bytes(8 * self._slots + 8))
            ring[-1] = day
        elif ring[-1] != day:
            for passed in range(max(ring[-1] + 1, day - self._slots + 1), day + 1):
                ring[passed % self._slots] = 0
            ring[-1] = day
        return ring
