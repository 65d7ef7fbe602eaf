"""Tests that Prometheus accepts the files of docs/deploy and has every series they query."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote
from urllib.request import urlopen

import pytest

from tests.e2e import test_dashboards as dashboards
from tests.e2e.clients import body, get, udp_client
from tests.e2e.process import DEADLINE, Lines, clean_environment, free_ports

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.process import Tracker

pytestmark = pytest.mark.clients

DEPLOY = Path(__file__).parents[2] / "docs" / "deploy"
NEVER_HERE = "swarmlog_disk_days_left"  # documented: it has no value for two minutes


def promtool(*arguments: str, folder: Path) -> str:
    if shutil.which("promtool") is None:
        pytest.skip("promtool is not installed: apt install prometheus")
    done = subprocess.run(
        ["promtool", *arguments],
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        encoding="utf-8",
        timeout=DEADLINE,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


class Prometheus:
    """Scrapes a tracker every second with the configuration of docs/deploy."""

    def __init__(self, tracker: Tracker, folder: Path, token: str) -> None:
        self.folder = folder
        self.port, *_ = free_ports(1)
        text = (DEPLOY / "prometheus.yml").read_text()
        host, port = tracker.api
        for shipped, here in (
            ("127.0.0.1:1212", f"{host}:{port}"),
            ("/etc/prometheus/swarmlog-token", str(folder / "token")),
            ("scrape_interval: 15s", "scrape_interval: 1s"),
        ):
            assert shipped in text
            text = text.replace(shipped, here)
        (folder / "prometheus.yml").write_text(text)
        (folder / "token").write_text(token)
        shutil.copy(DEPLOY / "swarmlog-alerts.yml", folder)
        promtool("check", "config", "prometheus.yml", folder=folder)

    @contextmanager
    def running(self) -> Iterator[None]:
        process = subprocess.Popen(
            [
                "prometheus",
                "--config.file=prometheus.yml",
                f"--storage.tsdb.path={self.folder}/data",
                f"--web.listen-address=127.0.0.1:{self.port}",
            ],
            cwd=self.folder,
            env=clean_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )
        assert process.stdout is not None
        lines = Lines(process.stdout)
        try:
            lines.until(lambda output: any("ready to receive" in line for line in output) or None)
            yield
        finally:
            process.kill()
            process.wait(DEADLINE)

    def ask(self, target: str) -> Any:
        with urlopen(f"http://127.0.0.1:{self.port}/api/v1/{target}", timeout=DEADLINE) as answer:
            return json.load(answer)["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        return list(self.ask(f"query?query={quote(expression)}")["result"])

    def wait_for(self, expression: str) -> None:
        """Waits until the query has a result. The first scrape comes about five seconds after the
        start.
        """
        end = time.monotonic() + DEADLINE
        while not self.query(expression):
            assert time.monotonic() < end, f"nothing for {expression}: {self.ask('targets')}"
            time.sleep(0.1)


@pytest.fixture
def scraped(
    new_tracker: Callable[..., Tracker], tmp_path: Path
) -> Iterator[tuple[Tracker, Prometheus]]:
    """A tracker after traffic and a refusal, scraped at least twice with a read token."""
    tracker = new_tracker()
    text = tracker.config.read_text().replace(
        "access_tokens.admin = ", "access_tokens.prometheus = "
    )
    tracker.config.write_text(
        f'{text}[http_api.token_scopes]\nprometheus = "read"\n'.replace("MyAccessToken", "R")
    )
    dashboards.traffic(tracker.start())
    with udp_client(tracker.udp[0]) as client:
        client.send(b"short")
        client.connect()  # its reply comes after the short datagram was read
    body(get(tracker.http[0], "/announce"))
    folder = tmp_path / "prometheus"
    folder.mkdir()
    prometheus = Prometheus(tracker, folder, "R")
    with prometheus.running():
        for name in ("torrents", "swarmlog_info"):
            prometheus.wait_for(f"count_over_time({name}[1m]) >= 2")
        yield tracker, prometheus


def test_every_query_has_series(scraped: tuple[Tracker, Prometheus]) -> None:
    """Every query of the dashboards has series, and the rules evaluate without errors."""
    tracker, prometheus = scraped
    asked = list(dashboards.queries(tracker.udp[0][1], tracker.http[0][1]))
    assert len(asked) > 50
    ours = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
    asked += [
        one["expr"]
        .replace("$job", "tracker_metrics")
        .replace("$instance", "{}:{}".format(*tracker.api))
        .replace("$__rate_interval", "1m")
        for panel in ours["panels"]
        for one in panel["targets"]
        if NEVER_HERE not in one["expr"]
    ]
    assert [one for one in asked if not prometheus.query(one)] == []
    (name,) = (one["metric"]["job"] for one in prometheus.query("swarmlog_info"))
    assert name == "tracker_metrics"  # the value that our dashboard's variable offers
    targets = prometheus.ask("targets")["activeTargets"]
    assert [(one["health"], one["lastError"]) for one in targets] == [("up", "")] * 2
    rules = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
    assert [rule["name"] for rule in rules if rule.get("lastError")] == []
