"""The alert rules of docs/deploy under `promtool`: each fires when it should, none while all is
well.
"""

from __future__ import annotations

import json
import re
import shutil
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from attrs import Factory, frozen

from tests.clients.test_monitoring import DEPLOY, promtool

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.clients

RULES = DEPLOY / "swarmlog-alerts.yml"
HOURS = 2  # hours of series, one value a minute

WELL = {
    'up{job="tracker_metrics"}': "1x120",
    'swarmlog_udp_kernel_dropped_total{server_binding_port="6969"}': "7x120",
    "swarmlog_durable_lag_events": "3x120",
    "swarmlog_commits_total": "0+100x120",
    "swarmlog_last_commit_seconds": "0.002x120",
    "swarmlog_rewrites_total": "0x120",
    "swarmlog_log_damaged_segments": "0x120",
    "swarmlog_replay_alarm": "0x120",
    "swarmlog_note_failing": "0x120",
    "swarmlog_follower_alarm": "0x120",
    "swarmlog_log_has_room": "1x120",
    "swarmlog_disk_days_left": "40x120",
    "swarmlog_disk_free_bytes": "50000000000x120",
    'swarmlog_log_removed_bytes_total{rule="keep_days"}': "0+67108864x120",
    'swarmlog_log_removed_bytes_total{rule="keep_bytes"}': "0x120",
    "swarmlog_torrents_remembered": "5000+10x120",
    "swarmlog_clock_leap_seconds": "0x120",
    'swarmlog_announces_total{family="ipv4",protocol="udp"}': "0+6000x120",
    'swarmlog_announces_total{family="ipv6",protocol="http"}': "0x120",
    'swarmlog_requests_refused_total{reason="malformed"}': "0+60x120",
    'swarmlog_connections_given_way_total{server="api"}': "0x120",
    'swarmlog_connections_refused_total{server="api"}': "0x120",
    "swarmlog_uptime_seconds": "0+60x120",
    "swarmlog_loop_lag_seconds": "0.01x120",
    "swarmlog_memory_bytes": "200000000x120",
}


@frozen
class Case:
    """The difference from `WELL`, the minute at which the alert fires, and its template values."""

    series: dict[str, str]
    minutes: int
    value: str = ""
    job: str = ""
    labels: dict[str, str] = Factory(dict)


CASES = {
    "TrackerDown": Case({'up{job="tracker_metrics"}': "1x9 0x110"}, 11, job="tracker_metrics"),
    "DatagramsLostInKernel": Case(
        {'swarmlog_udp_kernel_dropped_total{server_binding_port="6969"}': "7x9 9x110"},
        11,
        labels={"server_binding_port": "6969"},
    ),
    "LogNotDurable": Case({"swarmlog_commits_total": "0+100x9 900x110"}, 13),
    "LogCommitsSlow": Case({"swarmlog_last_commit_seconds": "1.5x120"}, 5),
    "LogWriteFailed": Case({"swarmlog_rewrites_total": "0x9 1x110"}, 11),
    "LogDamaged": Case({"swarmlog_log_damaged_segments": "0x9 1x110"}, 10),
    "ReplayDisagrees": Case({"swarmlog_replay_alarm": "0x9 1x110"}, 10),
    "NoteNotWritten": Case({"swarmlog_note_failing": "0x9 1x110"}, 11),
    "LogAndReplayDisagree": Case({"swarmlog_follower_alarm": "0x9 1x110"}, 10),
    "AnnouncesRefusedForTheLog": Case({"swarmlog_log_has_room": "1x9 0x110"}, 11),
    "DiskFillsUp": Case({"swarmlog_disk_days_left": "9.5x120"}, 60, "9.5"),
    "DiskNearlyFull": Case({"swarmlog_disk_free_bytes": "900000000x120"}, 5),
    "BytesBiteBeforeDays": Case(
        {'swarmlog_log_removed_bytes_total{rule="keep_bytes"}': "0x9 67108864x110"},
        10,
        labels={"rule": "keep_bytes"},
    ),
    "CompletedTorrentsFlood": Case({"swarmlog_torrents_remembered": "5000x9 305000x110"}, 10),
    "ClockLeapt": Case({"swarmlog_clock_leap_seconds": "0x9 2592000x110"}, 10, "30d 0h 0m 0s"),
    "NoAnnounces": Case(
        {'swarmlog_announces_total{family="ipv4",protocol="udp"}': "0+6000x29 174000x90"}, 45
    ),
    "RequestsRefused": Case(
        {'swarmlog_requests_refused_total{reason="malformed"}': "0+9000x120"}, 17
    ),
    "ConnectionsRefused": Case(
        {'swarmlog_connections_given_way_total{server="api"}': "0+1200x120"},
        11,
        labels={"server": "api"},
    ),
    "LoopLate": Case({"swarmlog_loop_lag_seconds": "0.5x120"}, 5, "500ms"),
    "MemoryHigh": Case({"swarmlog_memory_bytes": "4294967296x120"}, 10, "4Gi"),
    "Restarting": Case({"swarmlog_uptime_seconds": "0+60x9 0+60x9 0+60x9 0+60x90"}, 31),
}


def test_every_alert_has_a_case() -> None:
    """`CASES` has every alert rule."""
    assert set(CASES) == set(rules())


def rules() -> dict[str, dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def group(series: dict[str, str], expected: list[dict[str, Any]]) -> dict[str, Any]:
    inputs = [{"series": name, "values": values} for name, values in series.items()]
    return {"interval": "1m", "input_series": inputs, "alert_rule_test": expected}


def firing(name: str, case: Case) -> dict[str, Any]:
    """Returns the expected alert at its minute, with the rule's labels and text."""
    rule = rules()[name]
    labels = rule["labels"] | ({"job": case.job} if case.job else {}) | case.labels
    annotations = {
        key: re.sub(r"\{\{.*?\}\}", case.value, text) for key, text in rule["annotations"].items()
    }
    alert = {"exp_labels": labels, "exp_annotations": annotations}
    return {"eval_time": f"{case.minutes}m", "alertname": name, "exp_alerts": [alert]}


def test_alerts(tmp_path: Path) -> None:
    """Each alert fires alone, with its text, after its time."""
    shutil.copy(RULES, tmp_path)
    quiet = [
        {"eval_time": f"{minute}m", "alertname": name, "exp_alerts": []}
        for name in CASES
        for minute in range(0, HOURS * 60, 10)
    ]
    groups = [group(WELL, quiet)]
    groups += [group(WELL | case.series, [firing(name, case)]) for name, case in CASES.items()]
    text = {"rule_files": [RULES.name], "evaluation_interval": "1m", "tests": groups}
    (tmp_path / "test.yml").write_text(json.dumps(text))
    promtool("check", "rules", RULES.name, folder=tmp_path)
    assert "SUCCESS" in promtool("test", "rules", "test.yml", folder=tmp_path)
