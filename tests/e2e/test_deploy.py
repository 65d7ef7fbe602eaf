"""Checks that docs/deploy names only existing metrics, labels, commands, options and paths."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest
import tomli
import yaml

from tests.e2e.clients import announce, ask, body, get, torrent
from tests.e2e.process import Listeners, clean_environment, free_ports
from tests.e2e.test_metrics import exposed
from tracker.cli import root_parser
from tracker.config import load

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.e2e.process import Tracker

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "docs" / "deploy"
UNIT = [
    tuple(line.split("=", 1))
    for line in (DEPLOY / "swarmlog.service").read_text().splitlines()
    if line and line[0] not in "#["
]
DOCKERFILE = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
DASHBOARD = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
PROMETHEUS = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
ALERTS = yaml.safe_load((DEPLOY / "swarmlog-alerts.yml").read_text())


def targets() -> Iterator[dict[str, Any]]:
    for panel in DASHBOARD["panels"]:
        yield from panel["targets"]


def rules() -> Iterator[dict[str, Any]]:
    for group in ALERTS["groups"]:
        yield from group["rules"]


def metrics_in(expression: str) -> set[str]:
    """Returns the metric names in a query, without functions, labels, durations and operators."""
    plain = re.sub(r"\{[^}]*\}|\[[^]]*\]|\b(?:by|without)\s*\([^)]*\)", " ", expression)
    return set(re.findall(r"\b[a-z_]\w*\b(?!\s*\()", plain)) - {"and", "or", "unless"}


QUERIES = sorted(
    {
        name
        for one in [*targets(), *rules()]
        for name in metrics_in(one["expr"])
        if name != "up"  # a series of Prometheus itself
    }
)


@pytest.fixture(scope="module")
def found(shared_tracker: Tracker) -> dict[str, Any]:
    """The metrics of a tracker that has refused a request."""
    announce(shared_tracker.http[0], torrent(1), 1, 7001)
    body(get(shared_tracker.http[0], "/announce"))
    return exposed(shared_tracker)


def test_queries_are_understood() -> None:
    """`metrics_in` finds the metric names of a query and nothing else."""
    query = 'sum by (kind) (rate(a_total{b="c"}[5m])) > 1e9 and max(d) unless e'
    assert metrics_in(query) == {"a_total", "d", "e"}
    assert len(QUERIES) > 15


@pytest.mark.parametrize("name", QUERIES)
def test_metric_exists(found: dict[str, Any], name: str) -> None:
    """A running tracker exposes every metric of the dashboard and the alert rules."""
    assert name in found


def test_labels_exist(found: dict[str, Any]) -> None:
    """The labels in legends and sums exist on their metrics."""
    for one in targets():
        named = set(re.findall(r"\{\{(\w+)\}\}", one["legendFormat"]))
        named |= {
            label.strip()
            for labels in re.findall(r"\bby \(([^)]*)\)", one["expr"])
            for label in labels.split(",")
        }
        for name in metrics_in(one["expr"]):
            for labels, _ in found[name]:
                assert named <= set(labels), one["expr"]
    for rule in rules():
        for without in re.findall(r"without \(([^)]*)\) \(rate\((\w+)", rule["expr"]):
            for labels, _ in found[without[1]]:
                assert {label.strip() for label in without[0].split(",")} == set(labels)


def test_rules_are_complete() -> None:
    """Each rule has a unique name, a severity and a sentence, and uses jobs that Prometheus
    scrapes.
    """
    names = [rule["alert"] for rule in rules()]
    assert len(names) == len(set(names))
    for rule in rules():
        assert rule["labels"]["severity"] in ("page", "ticket")
        assert rule["annotations"]["summary"].endswith(".") or "?" in rule["annotations"]["summary"]
    (file,) = PROMETHEUS["rule_files"]
    assert (DEPLOY / file).is_file()
    jobs = {job["job_name"] for job in PROMETHEUS["scrape_configs"]}
    used = {job for rule in rules() for job in re.findall(r'job="(\w+)"', rule["expr"])}
    assert used <= jobs


def test_operations_page_shows_the_scrape_configuration() -> None:
    """docs/operations.md shows the scrape configuration of the file."""
    text = (ROOT / "docs" / "operations.md").read_text()
    (shown,) = re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)
    assert yaml.safe_load(shown)["scrape_configs"] == PROMETHEUS["scrape_configs"]


def test_dashboard_is_complete() -> None:
    """Panels do not overlap, each variable is offered and used, the data source is a variable."""
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        at = panel["gridPos"]
        columns = range(at["x"], at["x"] + at["w"])
        cells = {(x, y) for x in columns for y in range(at["y"], at["y"] + at["h"])}
        assert columns.stop <= 24
        assert not cells & taken
        taken |= cells
        assert panel["type"] in ("stat", "timeseries")
        assert panel["fieldConfig"]["defaults"]["unit"] in UNITS
    offered = {one["name"] for one in DASHBOARD["templating"]["list"]} | {"__rate_interval"}
    text = json.dumps(DASHBOARD)
    used = {first or second for first, second in re.findall(r"\$(?:\{(\w+)\}|(\w+))", text)}
    assert used == offered
    sources = re.findall(r'"datasource": \{[^}]*?"uid": "([^"]*)"', text)
    assert set(sources) == {"${datasource}"}


UNITS = ("short", "s", "reqps", "bytes", "Bps")  # Grafana's names for them


@pytest.mark.parametrize("job", PROMETHEUS["scrape_configs"], ids=lambda job: job["job_name"])
def test_scrape(shared_tracker: Tracker, job: dict[str, Any]) -> None:
    """Every scrape job of Prometheus gets an answer with its bearer token."""
    assert job["authorization"]["type"] == "Bearer"
    target = f"{job['metrics_path']}?{urlencode(job['params'], doseq=True)}"
    reply = ask(shared_tracker, "GET", target)
    assert (reply.status, reply.body != "") == (200, True)


def unit(name: str) -> list[str]:
    return [value for key, value in UNIT if key == name]


def test_unit_starts_the_tracker() -> None:
    """The unit's command and options exist, and it obeys the documented exit codes."""
    (command,) = unit("ExecStart")
    program, *arguments = command.split()
    assert Path(program).name == "tracker"
    root_parser().parse_args(arguments)
    assert arguments[0] in root_parser()._subparsers._group_actions[0].choices
    assert unit("RestartPreventExitStatus") == ["2 3"]
    # Without it systemd stops the tracker when the kernel kills a helper process for memory.
    assert unit("OOMPolicy") == ["continue"]
    assert unit("LimitCORE") == ["0"]


def test_image_starts_the_tracker() -> None:
    """The image copies existing files, runs an existing command without root, and stops cleanly."""
    for line in re.findall(r"^COPY (?!--from)(.+)$", DOCKERFILE, re.MULTILINE):
        for source in line.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert f"!{source}\n" in (DEPLOY / "Dockerfile.dockerignore").read_text()
    (command,) = re.findall(r"^CMD (.+)$", DOCKERFILE, re.MULTILINE)
    root_parser().parse_args(json.loads(command))
    assert "STOPSIGNAL SIGTERM\n" in DOCKERFILE
    assert re.search(r"^USER swarmlog$", DOCKERFILE, re.MULTILINE)


def environments() -> dict[str, dict[str, str]]:
    """Returns the variables that the unit and the image set for the tracker."""
    (in_image,) = re.findall(r"^ENV (PYTHONUNBUFFERED.+)$", DOCKERFILE, re.MULTILINE)
    return {
        "unit": dict(value.split("=", 1) for value in unit("Environment")),
        "image": dict(pair.split("=", 1) for pair in in_image.split()),
    }


@pytest.mark.parametrize("where", ["unit", "image"])
def test_environment_is_configuration(monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    """The variables put log and secrets into the folders of the unit and the image."""
    for name in set(os.environ) - set(clean_environment()):
        monkeypatch.delenv(name)
    for name, value in environments()[where].items():
        monkeypatch.setenv(name, value)
    loaded = load(str(ROOT / "tracker" / "config" / "default.toml"))
    log, secrets = loaded.config.event_log.path, loaded.config.event_log.secrets_path
    assert (log, secrets) == ("/var/lib/swarmlog/log", "/var/lib/swarmlog/secrets")
    assert not [warning for warning in loaded.warnings if "unknown" in warning]
    if where == "unit":
        folders = {f"/var/lib/{name}" for name in unit("StateDirectory")[0].split()}
        assert {log, secrets} <= folders
    else:
        (path,) = re.findall(r"tracker config --default > (.+)$", DOCKERFILE, re.MULTILINE)
        assert environments()[where]["TORRUST_TRACKER_CONFIG_TOML_PATH"] == path
        (volumes,) = re.findall(r"^VOLUME (.+)$", DOCKERFILE, re.MULTILINE)
        assert set(json.loads(volumes)) == {log, secrets}


def test_health_check_of_the_image(new_tracker: Callable[..., Tracker]) -> None:
    """The image's health check passes beside a serving tracker, at whatever address the
    configuration gives it, and fails without one."""
    (command,) = re.findall(r"^HEALTHCHECK .*CMD (.+)$", DOCKERFILE, re.MULTILINE)
    program, *arguments = json.loads(command)
    assert Path(program).name == "tracker"
    tracker = new_tracker(Listeners(udp=("[::]:0",), health=f"[::]:{free_ports(1)[0]}")).start()
    done = tracker.command(*arguments)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["Ok"] * 3
    assert tracker.stop() == 0
    done = tracker.command(*arguments)
    assert (done.returncode, done.stdout) == (1, "")
    assert "does not answer: [Errno 111] Connection refused" in done.stderr


def test_proxy_leads_to_the_listeners() -> None:
    """NGINX forwards to the shipped ports, sets one client address and keeps the path."""
    text = (DEPLOY / "nginx.conf").read_text()
    assert text.count("{") == text.count("}")
    shipped = tomli.loads((ROOT / "tracker" / "config" / "default.toml").read_text())
    bound = [
        shipped["http_trackers"][0]["bind_address"],
        shipped["http_api"]["bind_address"],
    ]
    upstreams = re.findall(r"^    server 127\.0\.0\.1:(\d+);$", text, re.MULTILINE)
    assert upstreams == [address.rpartition(":")[2] for address in bound]
    assert text.count("proxy_set_header X-Forwarded-For $remote_addr;") == 2
    assert re.findall(r"proxy_pass http://\w+(\S*);", text) == ["", ""]
