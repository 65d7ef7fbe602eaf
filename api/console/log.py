"""The page Log: events as they come, or from any place of the log on, with filters."""

from __future__ import annotations

import shlex
from collections import Counter
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from api.console import given, kinds
from api.console.api import ProblemError, target_of
from api.console.asking import counts, newest_before
from api.console.page import Asked, Data, Page, options
from api.console.svg.histogram import Bar, histogram
from tracker import times

if TYPE_CHECKING:
    from collections.abc import Mapping

    from api.console.api import Api

_ROWS: Final = 100
_OPTIONS: Final = {
    "info_hash": "--info-hash", "account": "--account", "key_ref": "--key", "from": "--from",
    "until": "--to",
}  # fmt: skip
"""The options of `tracker events` that ask the same."""
_BARS: Final = 12
_FILTERS: Final = ("info_hash", "account", "key_ref")
_SECOND: Final = 1_000_000
_HOUR: Final = 3600 * _SECOND


async def load(api: Api, asked: Asked) -> Data:
    """Shows the newest events; with `before` those before one, with `from` those from there on,
    with `after` those after one.
    """
    wanted = _wanted(asked)
    data: Data = {"types": asked.each("type"), "live": False, "after": None, "older": None,
                  "next": None, "poll": False}  # fmt: skip
    if asked.get("after") or asked.get("from"):
        page = await api.get("/api/v2/events", {**wanted, **_place(asked), "limit": _ROWS})
        rows, seen = page["events"], page["end"] - 1 if page["next"] is None else page["next"]
        poll = asked.get("poll") != ""
        data |= {"live": poll and asked.get("pause") == "", "after": seen, "poll": poll}
        data["next"] = None if poll or page["next"] is None else page["next"]
        rows = rows[::-1] if poll else rows
        data["older"] = rows[0]["seq"] if rows and not poll else None
        if poll:  # as a page, after a sign-in, it is the live log from there on
            data["older"] = (given.whole(asked, "after") or 0) + 1
    else:
        before = given.whole(asked, "before")
        rows, end = await newest_before(api, _ROWS, before, **wanted)
        data |= {"live": before is None, "after": end - 1}
        data["older"] = rows[-1]["seq"] if rows and rows[-1]["seq"] else None
    data["rows"] = list(map(row, rows))
    data["filters"] = asked.given(*_FILTERS)
    return data


def row(event: dict[str, Any]) -> Data:
    """Makes the row of an event: when, what, and in words what it says."""
    by = event.get("by") or {}
    said = {
        "seq": event["seq"],
        "time": event["time"],
        "type": event["type"],
        "words": kinds.in_words(event),
    }
    return said | {"who": by.get("token"), "why": by.get("reason")}


def _wanted(asked: Asked) -> dict[str, Any]:
    return {"type": asked.each("type") or None, **asked.given(*_FILTERS)}


def _place(asked: Asked) -> dict[str, str]:
    """Reads where to begin: a number of an event, or any time that a person types."""
    if after := asked.get("after"):
        return {"after": after}
    return {"from": given.place(asked, "from")}


def _command(asked: Asked) -> str:
    words = [f"--type {shlex.quote(each)}" for each in asked.each("type")]
    words += options(asked.given(*_FILTERS), _OPTIONS)
    after, before = given.whole(asked, "after"), given.whole(asked, "before")
    if after is not None:
        words.append(f"--from {after + 1}")
    elif asked.get("from"):
        words += options(asked.given("from"), _OPTIONS)
    else:
        words += [f"--last {_ROWS}", f"--to {before - 1}" if before else "--follow"]
    return " ".join(["tracker events", *words])


def _call(asked: Asked) -> str:
    query = _wanted(asked)
    if asked.get("after") or asked.get("from"):
        return target_of("GET /api/v2/events", {**query, **_place(asked)}, {})
    if before := asked.get("before"):
        return target_of("GET /api/v2/events", {**query, "last": _ROWS, "before": before}, {})
    return target_of("GET /api/v2/events/stream", query, {})


# The histogram.


async def count(api: Api, asked: Asked) -> Data:
    """Counts events by kind in equal pieces of a range of time. Each leads to its events."""
    query = _counted(asked)
    pieces = await counts(api, query["from"], query["to"], query["step"])
    total = sum((Counter(one["types"]) for one in pieces), Counter[str]())
    bars = [{"from": one["from"], "until": one["until"], **one["types"]} for one in pieces]
    return {"bars": bars, "kinds": [name for name, _ in total.most_common()],
            "from": query["from"], "until": times.rfc3339(_range(asked)[1])}  # fmt: skip


def _counted(asked: Asked) -> dict[str, Any]:
    """Returns the question for the counts: pieces of whole seconds, the last of which may be
    shorter.
    """
    begin, end = _range(asked)
    step = max(1, -(-(end - begin) // (_BARS * _SECOND)))
    return {"from": times.rfc3339(begin), "to": times.rfc3339(end - 1), "step": step}


def _range(asked: Asked) -> tuple[int, int]:
    now = int(asked.now * _SECOND)
    end = _microseconds(asked, "until", now)
    begin = _microseconds(asked, "from", end - 24 * _HOUR)
    if begin >= end:
        raise ProblemError(400, "This is no range of time", "from: must be before until")
    return begin, end


def _microseconds(asked: Asked, name: str, default: int) -> int:
    found = times.parse(given.place(asked, name)) if asked.get(name) else default
    if found is None:
        raise ProblemError(400, "This is no time", f"{name}: expected a time, not an event")
    return found


def _count_command(query: Mapping[str, Any]) -> str:
    return (
        f"tracker events --count --from {query['from']} --to {query['to']} --step {query['step']}"
    )


def draw_kinds(data: Data) -> Any:
    """Draws the histogram; each bar leads to the events of its time."""
    bars = [
        Bar(
            times.parse(bar["from"]) or 0,
            times.parse(bar["until"]) or 0,
            {name: given for name, given in bar.items() if isinstance(given, int)},
            f"/log?{urlencode({'from': bar['from']})}",
        )
        for bar in data["bars"]
    ]
    return histogram(bars, data["kinds"], "Events by kind")


def choices() -> list[tuple[str, str]]:
    """Returns every kind of event with its words, for a form."""
    known = sorted((*kinds.RECORDS, *kinds.STAFF, *kinds.UNASKED))
    staff = kinds.ANY_OF_STAFF, "all changes by staff"
    return [("", "all"), staff, *((name, name.replace("_", " ")) for name in known)]


LOG: Final = Page(
    path="/log",
    title="Log",
    template="log.html",
    load=load,
    tables=("rows",),
    command=_command,
    call=_call,
    menu="Log",
)
KINDS: Final = Page(
    path="/log/kinds",
    title="Kinds of events",
    template="log_kinds.html",
    load=count,
    tables=("bars",),
    command=lambda asked: _count_command(_counted(asked)),
    call=lambda asked: target_of("GET /api/v2/events/counts", _counted(asked), {}),
)
