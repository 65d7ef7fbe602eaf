"""Counts the days by which rows of the book grow old, so that a wrong clock ends none of them.

Only events change it, so whoever makes the book again counts the same days.
"""

from __future__ import annotations

from typing import NamedTuple

_DAY_MS = 86_400_000


class BookDays(NamedTuple):
    """`day` goes on by one for each day for which the tracker ran, by its ticks. For an outage it
    goes on by the dates that were left out, once all ticks of such a day agree that they are past.

    It never goes back. A clock that is ahead for less than a day of running adds nothing. One that
    is set right later adds its dates only once, because only dates after `date` add any.
    """

    day: int = 0
    date: int = 0  # the latest date that was counted; dates are numbers of days since 1970
    least: int = 0  # the earliest date of the ticks since the last look
    ran_ms: int = 0  # how long the tracker ran since then
    cut: int = 0  # rows of earlier days are over

    def on(self, date: int) -> int:
        """Returns the day of a row that gains something on a date. A date that is not certain yet
        counts, so that it does not age the row when it is.
        """
        return self.day + max(0, date - self.date)

    def hidden(self, date: int, history_days: int) -> int:
        """Returns the day before which rows are over if this date is right."""
        return max(self.cut, self.on(date) - history_days) if history_days else self.cut

    def ran(self, ran_ms: int, date: int, history_days: int) -> BookDays:
        """Returns these days after a tick. `ran_ms`: since the tick before. `history_days`: for how
        many days rows stay; 0 = for ever.
        """
        if not self.date:  # the first tick
            return BookDays(date, date, date)
        least, ran_ms = min(self.least, date), self.ran_ms + ran_ms
        if ran_ms < _DAY_MS:
            return self._replace(least=least, ran_ms=ran_ms)
        day = self.day + max(1, least - self.date)
        cut = max(self.cut, day - history_days) if history_days else self.cut
        return BookDays(day, max(self.date, least), date, 0, cut)
