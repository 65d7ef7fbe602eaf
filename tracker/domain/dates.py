"""Turns log time into dates and back. The rule stands here and nowhere else.

*Log time* never goes back, so it orders events, and everything that measures how long something
took is in log time: gaps between announces, the sweep for silent peers, the days of the keys that
encrypt addresses. A *date* is what people read or write: the end of a key, a factor's beginning and
end, `at=`, `from`, `to`, and the ages that `keep_days` and `shred_days` name.

After the wall clock was ahead once, log time stays ahead of it. The *lead* is log time less the
wall clock, by the events that say what that showed (`tracker_started`, `clock_stepped`,
ticks). A date is log time less the lead. Without such an event the lead is 0, as in older logs.
"""

from __future__ import annotations

from tracker.domain.events import DAY_US

SECOND_US = 1_000_000
LEAST_US, MOST_US = -65_536 * SECOND_US, ((1 << 32) - 65_537) * SECOND_US
"""The range of a lead, because a frame's header has 32 bits for it: about 136 years."""
MOST_CHANGES = 256
"""Largest number of changes of the lead to remember. Where there were more, the oldest are
forgotten, and times before them count as their own dates."""


class Dates:
    """The lead, and when it changed. Only applying events changes it.

    The lead is in whole seconds, and changes when it is off by a second or more, because the two
    clocks cannot be read at the same moment.
    """

    __slots__ = ("changes", "lead_us")

    def __init__(self) -> None:
        self.lead_us = 0
        # Log time and the lead from then on, ascending; before the first one the lead was 0.
        self.changes: tuple[tuple[int, int], ...] = ()

    def after(self, time_us: int, wall_us: int | None) -> int:
        """Returns the lead from an event on, by its log time and wall clock (None = not known)."""
        if wall_us is None:
            return self.lead_us
        lead = min(max(time_us - wall_us, LEAST_US), MOST_US)
        if abs(lead - self.lead_us) < SECOND_US:
            return self.lead_us
        return (lead + SECOND_US // 2) // SECOND_US * SECOND_US

    def note(self, time_us: int, wall_us: int | None) -> None:
        """Takes the lead from an event that says what the wall clock showed."""
        self.go_on_with(time_us, self.after(time_us, wall_us))

    def go_on_with(self, time_us: int, lead_us: int) -> None:
        """Has the lead change to `lead_us` at a log time."""
        if lead_us != self.lead_us:
            self.lead_us = lead_us
            self.changes = (*self.changes, (time_us, lead_us))[-MOST_CHANGES:]

    def of(self, time_us: int) -> int:
        """Returns the date of a log time that has passed: at least 1, because 0 means never."""
        for since_us, lead_us in reversed(self.changes):
            if since_us <= time_us:
                return max(1, time_us - lead_us)
        return time_us

    def of_day(self, day: int) -> int:
        """Returns the date on which a day of log time ended, both as numbers of days."""
        return self.of((day + 1) * DAY_US - 1) // DAY_US

    def comes(self, date_us: int) -> int:
        """Returns the log time at which a date comes, or came, by the lead that is in force."""
        return date_us + self.lead_us
