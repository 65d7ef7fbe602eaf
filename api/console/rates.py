"""Counts announces and refused requests in pieces of time, and beside those of a week before."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from attrs import define, field

from api.console import given, kinds
from api.console.api import ProblemError, target_of
from api.console.asking import counts, together
from api.console.page import Asked, Data, Page
from tracker import times

if TYPE_CHECKING:
    from api.console.api import Api

WEEK_US: Final = 7 * 86_400_000_000
HOUR_US: Final = 3_600_000_000
PIECES: Final = 30
"""Pieces of an hour: two minutes each."""
_HOURS: Final = {"1": PIECES, "6": 36, "24": 48}
"""Hours that the page Rates shows, and how many pieces they have."""
_SECOND_US: Final = 1_000_000


@define
class Pieces:
    """Counts in equal pieces of the time from `begin_us` to `end_us` (Unix microseconds).

    `announces` has None where the tracker did not run, or the log has not begun. `refused` has a
    list for each reason.
    """

    begin_us: int
    end_us: int
    announces: list[int | None]
    refused: dict[str, list[int]] = field(factory=dict)

    @property
    def seconds(self) -> float:
        """The length of a piece."""
        return (self.end_us - self.begin_us) / len(self.announces) / _SECOND_US

    def a_second(self, last: int = 0) -> float | None:
        """Returns announces a second in the last pieces, or in all; None = it is not known."""
        known = [count for count in self.announces[-last:] if count is not None]
        return sum(known) / len(known) / self.seconds if known else None

    def a_minute(self, reason: str, last: int = 0) -> float | None:
        """Returns requests a minute that were refused for a reason, likewise."""
        if self.a_second(last) is None:
            return None
        counts = self.refused.get(reason, [0] * len(self.announces))[-last:]
        return 60 * sum(counts) / len(counts) / self.seconds

    def refused_in(self, at: int) -> int | None:
        """Returns how many requests were refused in a piece, for whatever reason."""
        if self.announces[at] is None:
            return None
        return sum(counts[at] for counts in self.refused.values())


async def counted(api: Api, end_us: int, length_us: int, pieces: int) -> Pieces:
    """Counts what happened until `end_us`, in pieces of whole seconds.

    Announces are counted by the API. Refusals are in the counters, of which there are few.
    """
    begin_us = end_us - length_us
    begin, end = times.rfc3339(begin_us), times.rfc3339(end_us - 1)
    found, troubles = await together(
        kinds=counts(api, begin, end, length_us // pieces // _SECOND_US),
        counters=_counters(api, begin, end),
    )
    for trouble in troubles.values():
        raise ProblemError(503, "Rates could not be read", trouble)
    made = Pieces(begin_us, end_us, [None] * pieces)
    for at, one in enumerate(found["kinds"]):
        # A tracker that runs has ticks. Where it did not run nothing is known.
        made.announces[at] = one["types"].get("announced", 0) if one["types"] else None
    for event in found["counters"]:
        passed_us = (times.parse(event["time"]) or 0) - begin_us
        at = passed_us * pieces // length_us
        if event["counter"] == "refused_requests" and 0 <= at < pieces:
            reason = kinds.refusal(event["label"])
            made.refused.setdefault(reason, [0] * pieces)[at] += event["delta"]
    return made


async def _counters(api: Api, begin: str, end: str) -> list[dict[str, Any]]:
    query = {"type": "counted", "from": begin, "to": end, "limit": 1000}
    found: list[dict[str, Any]] = []
    after: int | None = None
    while True:
        page = await api.get("/api/v2/events", {**query, "after": after})
        found += page["events"]
        after = page["next"]
        if after is None:
            return found


def rows(now: Pieces, before: Pieces) -> list[Data]:
    """Makes a row of each piece, with what there was a week before it."""
    length_us = (now.end_us - now.begin_us) // len(now.announces)

    def a_second(of: Pieces, at: int) -> float | None:
        count = of.announces[at]
        return None if count is None else round(count / of.seconds, 3)

    def a_minute(of: Pieces, at: int) -> float | None:
        count = of.refused_in(at)
        return None if count is None else round(60 * count / of.seconds, 3)

    return [
        {"from": (begin := times.rfc3339(now.begin_us + at * length_us)), "log": f"/log?from={begin}",
         "a_second": a_second(now, at), "a_second_last_week": a_second(before, at),
         "refused": a_minute(now, at), "refused_last_week": a_minute(before, at)}
        for at in range(len(now.announces))
    ]  # fmt: skip


# The page.


async def load(api: Api, asked: Asked) -> Data:
    """Shows the `hours` until a time, beside those a week before."""
    hours, until = asked.get("hours", "24"), given.moment(asked, "until", asked.now, ahead=False)
    end_us, length_us, pieces = _part(asked)
    found, troubles = await together(
        now=counted(api, end_us, length_us, pieces),
        before=counted(api, end_us - WEEK_US, length_us, pieces),
    )
    now = found["now"] or Pieces(end_us - length_us, end_us, [None] * pieces)
    before = found["before"] or Pieces(now.begin_us - WEEK_US, end_us - WEEK_US, [None] * pieces)
    return {"hours": hours, "until": until, "rates": rows(now, before), "troubles": troubles}


def _part(asked: Asked) -> tuple[int, int, int]:
    """Returns until when the page counts and for how long, in microseconds, and its pieces."""
    hours, until = asked.get("hours", "24"), given.moment(asked, "until", asked.now, ahead=False)
    if hours not in _HOURS:
        raise ProblemError(
            422, "This cannot be read", f"hours: expected one of {', '.join(_HOURS)}"
        )
    end_us = int(asked.now * _SECOND_US) if until is None else times.parse(until) or 0
    return end_us, int(hours) * HOUR_US, _HOURS[hours]


def _question(asked: Asked) -> dict[str, object]:
    """Returns the question for the announces."""
    end_us, length_us, pieces = _part(asked)
    begin, end = times.rfc3339(end_us - length_us), times.rfc3339(end_us - 1)
    return {"from": begin, "to": end, "step": length_us // pieces // _SECOND_US}


def _command(asked: Asked) -> str:
    part = "--from {from} --to {to}".format(**_question(asked))
    step = "{step}".format(**_question(asked))
    return f"tracker events --count {part} --step {step}; tracker events --type counted {part}"


RATES: Final = Page(
    path="/today/rates",
    title="Rates",
    template="rates.html",
    load=load,
    tables=("rates",),
    command=_command,
    call=lambda asked: target_of("GET /api/v2/events/counts", _question(asked), {}),
)
