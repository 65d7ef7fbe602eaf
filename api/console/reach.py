"""Finds out from when to when the log reaches, because the API refuses moments outside it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from attrs import frozen

from tracker.times import rfc3339

if TYPE_CHECKING:
    from api.console.api import Api

_EVENTS: Final = "/api/v2/events"


@frozen
class Reach:
    """The times of the first event and of the newest durable one, as the API writes them."""

    low: str
    high: str

    def within(self, moment: str) -> str:
        """Returns the moment, or the end of the log that is nearer to it."""
        return min(max(moment, self.low), self.high)

    def ago(self, now: float, seconds: float) -> str:
        """Returns the time so many seconds before `now` (Unix seconds), within the log."""
        return self.within(rfc3339(int((now - seconds) * 1_000_000)))


async def reach_of(api: Api) -> Reach:
    """Asks for the log's first and last event."""
    first = await api.get(_EVENTS, {"limit": 1})
    last = await api.get(_EVENTS, {"from": max(first["end"] - 1, 0), "limit": 1})
    times = [event["time"] for page in (first, last) for event in page["events"]]
    # The first event of a log is a start: one without any is not served.
    return Reach(min(times), max(times)) if times else Reach(rfc3339(0), rfc3339(0))
