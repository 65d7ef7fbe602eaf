"""Gives templates what depends on where a page is, and the pictures that are drawn of its data."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from api.console import bulk, cases, changes, formats, judged, log
from api.console.svg import Lane, Line, Stay, lanes, line_chart, sparkline

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jinja2 import Environment
    from markupsafe import Markup

    from api.console.page import Data

_LANES: Final = 40
"""Lanes of a picture at most: those of the newest stays."""
_RATES_HEIGHT: Final = 150  # units of a picture of rates
_DAY_US: Final = 86_400_000_000


# Links.


def with_query(here: str, **changed: object) -> str:
    """Returns the path and query of a page with parameters set, or left out where they are None."""
    parts = urlsplit(here)
    kept = [pair for pair in parse_qsl(parts.query) if pair[0] not in changed]
    more = [(name, str(each)) for name, each in changed.items() if each is not None]
    query = urlencode(kept + more)
    return f"{parts.path}?{query}" if query else parts.path


def following(here: str, after: object) -> str | None:
    """Returns where the next page of a list is; None = this is the last one."""
    return None if after is None else with_query(here, after=after)


def sorting(
    here: str, order: str, name: str, heading: str, kind: str, link: str | None = None
) -> Data:
    """Declares a column whose heading sorts by it, from the largest down at first. `order` is what
    the rows are sorted by now.
    """
    now = {name: "ascending", f"-{name}": "descending"}.get(order)
    turned = name if now == "descending" else f"-{name}"
    href = with_query(here, sort=turned, after=None)
    return {
        "name": name,
        "heading": heading,
        "kind": kind,
        "href": href,
        "sorted": now,
        "link": link,
    }


def seconds(text: str) -> int:
    """Returns a time of the API as whole seconds since 1970, as sliders have it."""
    return (formats.microseconds(text) or 0) // 1_000_000


# Pictures.


def member_timeline(data: Data, now: str) -> Markup:
    """Draws a member's sessions: a lane for each torrent, the one that it joined last first."""
    end_us = formats.microseconds(now) or 0
    begin_us = min(formats.microseconds(data["sessions_from"]) or end_us, end_us)
    rows = _lanes(
        data["sessions"],
        lambda one: (
            one["info_hash"],
            one["label"] or formats.short_hash(one["info_hash"]),
            f"/torrents/{one['info_hash']}",
        ),
        begin_us,
    )
    return lanes(rows, f"Sessions of {data['named']}", (begin_us, end_us), None, _outages(data))


def torrent_lanes(data: Data) -> Markup:
    """Draws who was in a swarm: a lane for each member or address, and the chosen moments."""
    begin_us, end_us = (formats.microseconds(data[name]) or 0 for name in ("begin", "end"))
    rows = _lanes(data["stays"], lambda one: (one["peer"], one["name"], one["path"]), begin_us)
    title = f"Who was in the swarm of {data['named']}"
    at_us, other_us = (formats.microseconds(data[name]) for name in ("at", "with"))
    return lanes(rows, title, (begin_us, end_us), at_us, _outages(data), other_us)


def stay_lanes(data: Data) -> Markup:
    """Draws who was there: a lane for each member, address or torrent."""
    begin_us, end_us = (formats.microseconds(data[name]) or 0 for name in ("begin", "end"))
    rows = _lanes(data["stays"], lambda one: (one["peer"], one["name"], one["path"]), begin_us)
    return lanes(rows, "Who was there", (begin_us, end_us), None, _outages(data))


def _lanes(stays: Iterable[Data], named: Any, begin_us: int) -> list[Lane]:
    """Puts stays into lanes. `named` gives a lane's key, its name, and where it leads."""
    rows: dict[object, tuple[str, str | None, list[Stay]]] = {}
    for one in reversed(list(stays)):
        key, name, href = named(one)
        rows.setdefault(key, (name, href, []))[2].append(_bar(one, begin_us))
    return [Lane(name, bars, href) for name, href, bars in rows.values()][:_LANES]


def _bar(one: Data, begin_us: int) -> Stay:
    left = one["left"]
    end = (
        f"until {formats.moment(left)} UTC, {formats.words(one['why'])}" if left else "still there"
    )
    words = f"{one['client']}: from {formats.moment(one['joined'])} UTC, {end}"
    joined_us = formats.microseconds(one["joined"]) or begin_us
    return Stay(joined_us, formats.microseconds(left), words, "", f"/events/{one['seq']}")


def _outages(data: Data) -> list[tuple[int, int]]:
    return [
        (formats.microseconds(one["from"]) or 0, formats.microseconds(one["to"]) or 0)
        for one in data["outages"]
    ]


def torrent_curve(days: list[Data], now: str, last: int) -> Markup:
    """Draws the most seeders and leechers of each of the last days."""
    lines = _curve(days, now, last)
    within = lines[0].points[0][0], lines[0].points[-1][0]
    return line_chart(lines, f"Most seeders and leechers of {last} days", within)


def curve_values(days: list[Data], now: str, last: int) -> str:
    """Returns the same as JSON for chart.js: `days` in Unix seconds, and `series` with values."""
    lines = _curve(days, now, last)
    series = [{"name": one.name, "values": [value for _, value in one.points]} for one in lines]
    return json.dumps({"days": [at // 1_000_000 for at, _ in lines[0].points], "series": series})


def _curve(days: list[Data], now: str, last: int) -> list[Line]:
    """Makes a line of the most seeders and one of the most leechers. A day without change is as the
    one before it.
    """
    today = (formats.microseconds(now) or 0) // _DAY_US
    shown = range(today - last + 1, today + 1)
    told = {(formats.microseconds(f"{day['date']}T00:00:00Z") or 0) // _DAY_US: day for day in days}
    known = [number for number in told if number < shown.start]
    lines = []
    for name in ("most_seeders", "most_leechers"):
        value = told[max(known)][name] if known else None
        points = []
        for number in shown:
            value = told[number][name] if number in told else value
            points.append((number * _DAY_US, value))
        lines.append(Line(name.removeprefix("most_"), points))
    return lines


def rates_chart(rows: list[Data], name: str, title: str) -> Markup:
    """Draws a rate in pieces of time, and the one of a week before on the same axis."""
    times = [formats.microseconds(row["from"]) or 0 for row in rows]
    lines = [
        Line(words, [(at, row[one]) for at, row in zip(times, rows, strict=True)])
        for words, one in (("now", name), ("a week before", f"{name}_last_week"))
    ]
    return line_chart(lines, title, (times[0], times[-1]), height=_RATES_HEIGHT)


def hour_picture(row: Data) -> Markup:
    """Draws how often requests were refused for a reason in this hour, and in that of last week."""
    title = f"Refused in this hour: {formats.words(row['reason'])}"
    return sparkline(row["hour"], title, row["hour_last_week"])


def add_to(environment: Environment) -> None:
    """Gives these functions to an environment of templates."""
    for one in (
        following,
        sorting,
        member_timeline,
        torrent_lanes,
        stay_lanes,
        torrent_curve,
        curve_values,
        rates_chart,
        hour_picture,
        with_query,
        seconds,
        log.draw_kinds,
        log.choices,
        cases.choices_of_cases,
        changes.staff_kinds,
        judged.states_of_downloads,
    ):
        environment.globals[one.__name__] = one
    environment.globals["many"] = bulk.MANY
    environment.globals["most_lines"] = lambda: bulk.SHOWN
