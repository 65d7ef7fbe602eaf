"""Describes when the tracker served nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from attrs import frozen

from tracker.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Sequence


@frozen
class Outage:
    """A time in which the tracker served nobody, or could not record it.

    Times are dates in Unix microseconds.
    """

    why: str  # stopped, killed, clock_stepped, silent
    reason: str | None  # of a stop
    from_us: int
    to_us: int
    from_seq: int | None  # last event before it; None = not in the log any more
    to_seq: int  # first event after it

    def __str__(self) -> str:
        return f"{rfc3339(self.from_us)}/{rfc3339(self.to_us)}"

    @property
    def seconds(self) -> float:
        return (self.to_us - self.from_us) / 1e6

    def shown(self) -> dict[str, Any]:
        """Returns it as JSON values, equal for the command line and the API."""
        return {
            "from": rfc3339(self.from_us), "to": rfc3339(self.to_us),
            "seconds": round(self.seconds, 3), "why": self.why, "reason": self.reason,
            "from_seq": self.from_seq, "to_seq": self.to_seq,
        }  # fmt: skip


@frozen
class OutagesPage:
    """Outages in order."""

    outages: Sequence[Outage]
    following: int | None  # the `after` of the next page; None = this is the last one
