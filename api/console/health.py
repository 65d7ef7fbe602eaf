"""The page Health: whether the tracker keeps up, what failed, and what is removed next."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from api.console import formats
from api.console.asking import together
from api.console.page import Asked, Data, Page
from api.console.today import outages
from tracker.times import rfc3339

if TYPE_CHECKING:
    from api.console.api import Api

_DAY_US: Final = 86_400_000_000
_OUTAGE_DAYS: Final = 7
_SOON_DAYS: Final = 14
"""Days before a certificate expires, or a disk is full, from which on that shows as a warning."""
_ALARMS: Final = (
    ("swarmlog_log_has_room", 1, "Announces are taken", "the disk is full or fails, or the log is at its bound"),
    ("swarmlog_rewrites_total", 0, "No write failed", "the next failure stops the tracker"),
    ("swarmlog_note_failing", 0, "The note is written", "changes get status 503 until it is"),
    ("swarmlog_follower_alarm", 0, "Log and follower agree", "no snapshots are written; keep the log"),
    ("swarmlog_replay_alarm", 0, "The replay of the whole log agrees", "see the text log"),
    ("swarmlog_log_damaged_segments", 0, "No segment is damaged", "a finished segment changed on its disk"),
    ("swarmlog_clock_leap_seconds", 0, "The clock is steady", "it leapt within the last day"),
)  # fmt: skip
"""Metrics with what they are when all is well, that in words, and what another value means."""

Samples = list[tuple[dict[str, str], float]]


async def load(api: Api, asked: Asked) -> Data:
    found, troubles = await together(
        metrics=api.get("/api/v1/metrics"),
        outages=outages(api, asked.now, _OUTAGE_DAYS),
        webhooks=api.get("/api/v2/webhooks"),
        consumers=api.get("/api/v2/consumers"),
        oldest=api.get("/api/v2/events", {"type": "announced", "limit": 1}),
    )
    metrics = _by_name(found["metrics"] or {"metrics": []})
    oldest = next((one["time"] for one in (found["oldest"] or {}).get("events", ())), None)
    hooks = (found["webhooks"] or {}).get("webhooks", [])
    kept = ("name", "behind", "failing_since", "error")
    return {
        "gauges": {name: _one(metrics, f"swarmlog_{name}") for name in _GAUGES},
        "version": next((each["version"] for each, _ in metrics.get("swarmlog_info", ())), None),
        "checks": _checks(metrics),
        "listeners": _listeners(metrics),
        "connections": _connections(metrics),
        "certificates": _certificates(metrics, asked.now),
        "schedule": _schedule(metrics, oldest, asked.now),
        "outages": found["outages"] or [],
        "webhooks": [{name: one[name] for name in kept} for one in hooks],
        "consumers": (found["consumers"] or {}).get("consumers", []),
        "soon_days": _SOON_DAYS,
        "troubles": troubles,
    }


_GAUGES: Final = (
    "durable_lag_events", "pending_bytes", "last_commit_seconds", "loop_lag_seconds",
    "follower_lag_events", "snapshot_event", "events_appended_total", "disk_days_left",
    "disk_free_bytes", "log_bytes", "memory_bytes", "uptime_seconds", "replays_total",
    "log_segments_reread_total",
)  # fmt: skip


def _by_name(answer: Data) -> dict[str, Samples]:
    """Returns the samples of each metric: labels and value."""
    return {
        metric["name"]: [
            ({each["name"]: each["value"] for each in sample["labels"]}, sample["value"])
            for sample in metric["samples"]
        ]
        for metric in answer["metrics"]
    }


def _one(metrics: dict[str, Samples], name: str) -> float | None:
    """Returns the only value of a metric; None = the tracker has none now."""
    return next((value for _, value in metrics.get(name, ())), None)


def _checks(metrics: dict[str, Samples]) -> list[Data]:
    rows = []
    for name, good, well, else_ in _ALARMS:
        value = _one(metrics, name)
        if value is not None:
            fine = value == good
            rows.append({
                "check": well, "state": "yes" if fine else "no", "tone": "good" if fine else "bad",
                "value": value, "means": None if fine else else_, "metric": name,
            })  # fmt: skip
    return rows


def _listeners(metrics: dict[str, Samples]) -> list[Data]:
    """Makes a row of each listener: where it is, what it got, and what the kernel dropped."""
    rows: dict[str, Data] = {}
    for name, column in (
        ("http_tracker_core_requests_received_total", "requests"),
        ("udp_tracker_server_requests_received_total", "requests"),
        ("swarmlog_udp_receive_buffer_bytes", "buffer"),
        ("swarmlog_udp_kernel_dropped_total", "dropped"),
    ):
        for labels, value in metrics.get(name, ()):
            row = rows.setdefault(_binding(labels), {"listener": _binding(labels), "requests": None,
                                                     "buffer": None, "dropped": None})  # fmt: skip
            row[column] = (row[column] or 0) + value
    return list(rows.values())


def _binding(labels: dict[str, str]) -> str:
    protocol, host, port = (
        labels.get(f"server_binding_{name}", "") for name in ("protocol", "ip", "port")
    )
    if host.startswith("unix:"):
        return f"{protocol} {host}"
    return f"{protocol}://[{host}]:{port}" if ":" in host else f"{protocol}://{host}:{port}"


def _connections(metrics: dict[str, Samples]) -> list[Data]:
    counts = {
        column: {labels["server"]: value for labels, value in metrics.get(name, ())}
        for name, column in (
            ("swarmlog_connections", "open"),
            ("swarmlog_connections_given_way_total", "given_way"),
            ("swarmlog_connections_refused_total", "refused"),
        )
    }
    return [
        {"server": server, **{column: each.get(server) for column, each in counts.items()}}
        for server in counts["open"]
    ]


def _certificates(metrics: dict[str, Samples], now: float) -> list[Data]:
    """Makes a row of each certificate, the one that expires first at the top."""
    rows = []
    told = metrics.get("swarmlog_certificate_expires_seconds", [])
    for labels, value in sorted(told, key=lambda one: one[1]):
        days = (value - now) / 86_400
        tone = "bad" if days < 0 else "warn" if days < _SOON_DAYS else "good"
        rows.append({
            "certificate": labels.get("certificate"), "expires": rfc3339(int(value * 1_000_000)),
            "state": "expired" if days < 0 else "soon" if days < _SOON_DAYS else "valid",
            "tone": tone,
        })  # fmt: skip
    return rows


def _schedule(metrics: dict[str, Samples], oldest: str | None, now: float) -> list[Data]:
    """Makes a row of each rule that removes something: what it does next, and when.

    A day's addresses go in the hour after midnight (UTC). Segments of the log go as soon as their
    newest announce is old enough, so the oldest announce tells the earliest time.
    """
    keep, most, shred = (
        _one(metrics, f"swarmlog_{name}") for name in ("keep_days", "keep_bytes", "shred_days")
    )
    rows = []
    if keep is not None:
        oldest_us = formats.microseconds(oldest)
        due = None if oldest_us is None else rfc3339(oldest_us + int(keep) * _DAY_US)
        rows.append({"rule": "keep_days", "set": f"{keep:.0f} days", "next": due,
                     "what": "announces before then leave, a segment at a time"})  # fmt: skip
    if most is not None:
        here = _one(metrics, "swarmlog_log_bytes")
        rows.append({"rule": "keep_bytes", "set": formats.size(most), "next": None,
                     "what": f"the log has {formats.size(here)}, {formats.percent(here, most)} of it"})  # fmt: skip
    if shred is not None:
        midnight_us = (int(now * 1_000_000) // _DAY_US + 1) * _DAY_US
        day = rfc3339(midnight_us - (int(shred) + 1) * _DAY_US)[:10]
        rows.append({
            "rule": "shred_days", "set": f"{shred:.0f} days" if shred else "never",
            "next": rfc3339(midnight_us) if shred else None,
            "what": f"addresses of {day} become unreadable" if shred else "addresses stay readable",
        })  # fmt: skip
    return rows


HEALTH: Final = Page(
    path="/health",
    title="Health",
    template="health.html",
    load=load,
    tables=("checks", "listeners", "connections", "certificates", "schedule", "outages",
            "webhooks", "consumers"),
    command="tracker stats --metrics; tracker health; tracker outages",
    call="GET /api/v1/metrics",
    menu="Health",
)  # fmt: skip
