"""The page Today: what staff looks at first, and leaves open."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from api.console import kinds, rates
from api.console.api import ProblemError
from api.console.asking import newest, together
from api.console.page import Asked, Data, Page
from tracker.times import rfc3339

if TYPE_CHECKING:
    from api.console.api import Api

_PIECES: Final = 5
"""Pieces of two minutes over which the rates of now are counted."""
_CASES: Final = 20
_ROWS: Final = 20
_CHANGES: Final = 10
_METRICS: Final = {
    "swarmlog_durable_lag_events": "durable_lag",
    "swarmlog_follower_lag_events": "follower_lag",
    "swarmlog_disk_days_left": "disk_days",
    "swarmlog_loop_lag_seconds": "loop_lag",
}
SENTENCES: Final = {
    "upload_beyond_received": "claims more upload than others can have received",
    "ghost_leech": "has the data without saying that it downloaded it",
    "impossible_rate": "moved more bytes a second than its line can",
    "more_than_torrent_holds": "uploaded more than the torrent can hold",
    "upload_without_leechers": "claims upload while nobody was there to take it",
    "many_networks": "announced from many networks at the same time",
    "shared_peer_id": "has one peer id with other accounts",
    "another_client": "is another client than it says",
    "shared_address": "is at one address with other accounts",
    "constant_rate": "reports one rate, to the byte, for hours",
}


async def load(api: Api, asked: Asked) -> Data:
    now = asked.now
    found, troubles = await together(
        cases=_cases(api),
        metrics=api.get("/api/v1/metrics"),
        webhooks=api.get("/api/v2/webhooks"),
        outages=outages(api, now),
        last_seeder_left=_last_seeder_left(api, now),
        violated=_violated(api, now),
        changes=_changes(api),
        rates=_rates(api, now),
    )
    gauges = _gauges(found.pop("metrics"))
    hooks = (found.pop("webhooks") or {}).get("webhooks", [])
    cases = found.pop("cases") or {"rows": [], "all": 0}
    counted = found.pop("rates") or {"a_second": None, "a_second_last_week": None}
    return {
        **{name: [] if rows is None else rows for name, rows in found.items()},
        "cases": cases["rows"],
        "all_cases": cases["all"],
        "announces": {name: counted[name] for name in ("a_second", "a_second_last_week")},
        "hour": counted.get("hour", []),
        "refusals": counted.get("refusals", []),
        "gauges": gauges,
        "webhooks": [_hook(one) for one in hooks],
        "troubles": troubles,
    }


# Cases.


async def _cases(api: Api) -> Data:
    """Returns the oldest cases that are not closed, with the names of their members, and how many
    there are in all.
    """
    found = (await api.get("/api/v2/cases", {"limit": 1000}))["cases"]
    oldest = sorted(found, key=lambda one: one["first"] or one["since"])[:_CASES]
    members = {one["account"] for one in oldest}
    accounts, _ = await together(
        **{str(each): api.get("/api/v2/accounts/{account}", account=each) for each in members}
    )
    rows = [
        {
            **{name: one[name] for name in ("grade", "account", "detector", "state", "holder")},
            "owner": (accounts[str(one["account"])] or {}).get("owner"),
            "case": f"/cases/{one['account']}/{one['detector']}",
            "words": SENTENCES.get(one["detector"], one["detector"].replace("_", " ")),
            "findings": one["findings"],
            "first": one["first"] or one["since"],
        }
        for one in oldest
    ]
    return {"rows": rows, "all": len(found)}


# Numbers of now, and of the same hour last week.


async def _rates(api: Api, now: float) -> Data:
    """Counts announces a second, and refused requests a minute by reason, over some minutes, and
    over the same hour last week; with the course of both hours.
    """
    end_us = int(now * 1_000_000)
    hour, before = rates.HOUR_US, end_us - rates.WEEK_US
    found, troubles = await together(
        now=rates.counted(api, end_us, hour, rates.PIECES),
        before=rates.counted(api, before, hour, rates.PIECES),
    )
    if "now" in troubles:
        raise ProblemError(503, "Rates could not be read", troubles["now"])
    here = found["now"]
    there = found["before"] or rates.Pieces(before - hour, before, [None] * rates.PIECES)
    since = rfc3339(here.begin_us)
    lines = urlencode({"type": ["announce_refused", "counted"], "from": since}, doseq=True)
    reasons = [
        {"reason": name, "a_minute": here.a_minute(name, _PIECES),
         "a_minute_last_week": there.a_minute(name), "lines": f"/log?{lines}",
         "hour": here.refused.get(name, []), "hour_last_week": there.refused.get(name, [])}
        for name in {*here.refused, *there.refused}
    ]  # fmt: skip
    return {
        "a_second": here.a_second(_PIECES),
        "a_second_last_week": there.a_second(),
        "hour": rates.rows(here, there),
        "refusals": sorted(reasons, key=lambda row: (-(row["a_minute"] or 0), row["reason"])),
    }


def _gauges(answer: Data | None) -> dict[str, float | None]:
    """Picks the gauges of health; None = the tracker has no such value now."""
    found: dict[str, float | None] = dict.fromkeys(_METRICS.values())
    for metric in (answer or {}).get("metrics", []):
        if metric["name"] in _METRICS and metric["samples"]:
            found[_METRICS[metric["name"]]] = metric["samples"][0]["value"]
    return found


def _hook(one: Data) -> Data:
    kept = {name: one[name] for name in ("name", "behind", "failing_since", "error")}
    return {**kept, "dead_letters": len(one["dead_letters"])}


# What happened.


async def outages(api: Api, now: float, days: int = 1) -> list[Data]:
    """Returns the outages of the last days, or of the log where it is younger."""
    since = _time(now - days * 86_400)
    try:
        page = await api.get("/api/v2/outages", {"from": since, "limit": 100})
    except ProblemError as error:
        if error.status not in (404, 410):
            raise
        page = await api.get("/api/v2/outages", {"limit": 100})
    return [one for one in page["outages"] if one["to"] >= since]


async def _last_seeder_left(api: Api, now: float) -> list[Data]:
    query = {"min_last_seeded": _time(now - 3600), "limit": _ROWS}
    rows: list[Data] = (await api.get("/api/v2/lists/unseeded", query))["torrents"]
    kept = ("info_hash", "label", "last_seeded", "account", "owner", "leechers")
    return [{name: row[name] for name in kept} for row in rows]


async def _violated(api: Api, now: float) -> list[Data]:
    """Returns downloads that turned violated since midnight (UTC), the newest first."""
    begin = _time(now - now % 86_400)
    query = {"state": "violated", "violated_from": begin, "limit": 1000}
    rows = (await api.get("/api/v2/hit-and-run", query))["downloads"]
    kept = ("account", "owner", "info_hash", "label", "since")
    rows = [{name: row[name] for name in kept} for row in rows]
    return sorted(rows, key=lambda row: row["since"], reverse=True)[:_ROWS]


async def _changes(api: Api) -> list[Data]:
    found = await newest(api, _CHANGES, type=kinds.ANY_OF_STAFF)
    return [change(event) for event in found]


def change(event: dict[str, Any]) -> Data:
    """Makes the row of a change by staff: when, who, what and about whom, why."""
    by = event.get("by") or {}
    linked = {name: event.get(name) for name in ("account", "owner", "info_hash")}
    if linked["info_hash"]:
        linked["label"] = event.get("label")
    said = {name: each for name, each in event.items() if name not in linked}
    return {
        "seq": event["seq"],
        "time": event["time"],
        "who": by.get("token"),
        "what": event["type"],
        **linked,
        "which": kinds.in_words(said),
        "why": by.get("reason"),
    }


def _time(seconds: float) -> str:
    return rfc3339(int(seconds * 1_000_000))


TODAY: Final = Page(
    path="/today",
    title="Today",
    template="today.html",
    load=load,
    tables=(
        "cases",
        "changes",
        "hour",
        "refusals",
        "last_seeder_left",
        "violated",
        "outages",
        "webhooks",
    ),
    command="tracker cases list; tracker events --type staff --last 10; tracker stats",
    call="GET /api/v2/cases",
    menu="Today",
)
