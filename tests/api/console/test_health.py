"""Tests the page Health over a fake API."""

from __future__ import annotations

import json
from typing import Any

from tests.api.console.fakes import Browser, FakeApi
from tests.api.console.test_member import HOSTILE, WHEN
from tracker.times import parse

DAY = 86_400
NOW_DAYS = 100_000  # far ahead of any clock: the certificate that expires then is valid
UDP = {"server_binding_protocol": "udp", "server_binding_ip": "::", "server_binding_port": "6969"}


def metric(name: str, value: float, **labels: str) -> dict[str, Any]:
    named = [{"name": key, "value": text} for key, text in labels.items()]
    return {"name": name, "samples": [{"value": value, "labels": named}]}


EXPIRING = "swarmlog_certificate_expires_seconds"
CERTIFICATES = metric(EXPIRING, NOW_DAYS * DAY, certificate=HOSTILE)
CERTIFICATES["samples"] += metric(EXPIRING, DAY, certificate="old.pem")["samples"]
METRICS = [
    metric("swarmlog_durable_lag_events", 3),
    metric("swarmlog_last_commit_seconds", 0.0042),
    metric("swarmlog_log_has_room", 1),
    metric("swarmlog_replay_alarm", 1),
    metric("swarmlog_udp_kernel_dropped_total", 5, **UDP),
    metric("udp_tracker_server_requests_received_total", 9, **UDP, request_kind=HOSTILE),
    metric("swarmlog_connections", 2, server="api"),
    CERTIFICATES,
    metric("swarmlog_keep_days", 30),
    metric("swarmlog_keep_bytes", 1000),
    metric("swarmlog_log_bytes", 250),
    metric("swarmlog_shred_days", 7),
]


async def shown() -> dict[str, Any]:
    answers = {
        "/api/v1/metrics": {"metrics": METRICS},
        "/api/v2/events": {"events": [{"seq": 1, "time": WHEN}], "next": None, "end": 2},
    }
    browser = Browser(FakeApi(answers))
    await browser.sign_in("watch")
    page = await browser.text("/health")
    assert "<script>alert" not in page
    assert "4.2 ms" in page
    found: dict[str, Any] = json.loads(await browser.text("/health.json"))
    return found


async def test_checks_say_what_is_wrong() -> None:
    found = await shown()
    assert {one["metric"]: one["state"] for one in found["checks"]} == {
        "swarmlog_log_has_room": "yes", "swarmlog_replay_alarm": "no",
    }  # fmt: skip
    assert found["gauges"]["follower_lag_events"] is None


async def test_listeners_and_certificates() -> None:
    found = await shown()
    assert found["listeners"] == [
        {"listener": "udp://[::]:6969", "requests": 9, "buffer": None, "dropped": 5}
    ]
    assert [one["state"] for one in found["certificates"]] == ["expired", "valid"]
    assert found["connections"][0] == {
        "server": "api", "open": 2, "given_way": None, "refused": None,
    }  # fmt: skip


async def test_what_is_removed_next() -> None:
    """The oldest announce after 30 days; at midnight the addresses of the day that is too old."""
    days, size, shredding = (await shown())["schedule"]
    assert (parse(days["next"]) or 0) - (parse(WHEN) or 0) == 30 * DAY * 1_000_000
    assert "25 %" in size["what"]
    midnight_us = parse(shredding["next"]) or 0
    assert midnight_us % (DAY * 1_000_000) == 0
    day_us = parse(shredding["what"].split()[2] + "T00:00:00Z") or 0
    assert midnight_us - day_us == 8 * DAY * 1_000_000
