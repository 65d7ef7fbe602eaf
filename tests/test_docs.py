"""Checks that the docs name every key, command, endpoint, event, file and room, and no other."""

from __future__ import annotations

import re
from pathlib import Path

import attrs
import pytest
import tomli

from api.app import create_app
from api.auth import Tokens
from api.console.screens import SCREENS
from api.ports import Ports
from tests.api.fakes import (
    FakeChanges,
    FakeCommands,
    FakeConsumers,
    FakeGauges,
    FakeLog,
    FakeModel,
    FakePast,
    FakeReruns,
    FakeWebhooks,
)
from tests.tracker.metrics.test_swarmlog import metric_names
from tracker.cli import root_parser
from tracker.domain import events
from tracker.domain.events import codec
from tracker.domain.events.admin import ADMIN_EVENTS
from tracker.domain.events.records import RECORDS

ROOT = Path(__file__).parents[1]
OPERATIONS = (ROOT / "docs" / "operations.md").read_text()
LOG_FORMAT = (ROOT / "docs" / "log-format.md").read_text()
API = (ROOT / "docs" / "api.md").read_text()
README = (ROOT / "README.md").read_text()
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]


@pytest.mark.parametrize("name", [*codec.EVENT_TYPES, *events.COUNTER_NAMES.values()])
def test_event_is_documented(name: str) -> None:
    """The log's page names every event type and counter that `tracker events` prints."""
    assert f"`{name}`" in LOG_FORMAT


@pytest.mark.parametrize("number", ADMIN_EVENTS)
def test_members_are_documented(number: int) -> None:
    """The row of an admin event names each of the event's own members."""
    event = ADMIN_EVENTS[number]
    (row,) = re.findall(rf"^\| {number} \| `{event.name}` \|.*$", LOG_FORMAT, re.MULTILINE)
    for member in attrs.fields(event):
        assert member.inherited or f"`{member.name}`" in row


@pytest.mark.parametrize("kind", RECORDS)
def test_layouts_are_documented(kind: int) -> None:
    """The row of a kind gives the size of its records."""
    (row,) = re.findall(
        rf"^\| {kind} \| \w+ \| {RECORDS[kind].schema} \|.*$", LOG_FORMAT, re.MULTILINE
    )
    assert f"| {RECORDS[kind].layout.size}: time 8, " in row


def test_commands_are_documented() -> None:
    """The operations page names every command and each of its options."""
    commands = root_parser()._subparsers._group_actions[0].choices  # type: ignore[union-attr]  # argparse has no public way
    for name, parser in commands.items():
        parser.fill()
        assert f"`tracker {name}`" in OPERATIONS
        for option in parser._option_string_actions:
            assert option in ("-h", "--help") or f"`{option}" in OPERATIONS or option in OPERATIONS


def endpoints() -> list[tuple[str, str]]:
    """Returns method and path of every route, with parameters as the docs spell them."""
    app = create_app(
        Ports(
            live=FakeModel(),
            past=FakePast(),
            reruns=FakeReruns(),
            events=FakeLog(),
            ledgers=FakeLog(),
            gauges=FakeGauges(),
            commands=FakeCommands(),
            webhooks=FakeWebhooks(),
            changes=FakeChanges(),
            consumers=FakeConsumers(),
        ),
        Tokens({"admin": "secret"}),
    )
    methods = {"GET", "POST", "PUT", "PATCH", "DELETE"}
    return sorted(
        (method, re.sub(r"<(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) & methods
    )


@pytest.mark.parametrize(("method", "path"), endpoints())
def test_endpoint_is_documented(method: str, path: str) -> None:
    """The API's page names every endpoint."""
    assert (
        f"{method} {path}`" in API
        or (f"`{method}`" in API and f"`{method} {path}`" in API)
        or (f"`POST` and `DELETE {path}`" in API)
    )


@pytest.mark.parametrize(("method", "path"), endpoints())
def test_endpoint_has_a_curl_line(method: str, path: str) -> None:
    """The API's page has a curl command for every endpoint of every version."""
    option = "" if method == "GET" else f"-X {method} "
    target = re.sub(r"\\{\w+\\}", "[0-9a-zA-Z_.]+", re.escape(path))
    line = rf'(?m)^\$ curl -s {option}(?!-X ).*"http://127\.0\.0\.1:1212{target}(\?[^"]*)?"$'
    assert re.search(line, API)


@pytest.mark.parametrize("name", sorted(metric_names()))
def test_metric_is_documented(name: str) -> None:
    """The API's page names every metric, and every counter that `stats` adds for Prometheus."""
    assert f"`{name}`" in API


def test_documented_metrics_exist() -> None:
    """The API's page names no unknown metric."""
    named = re.findall(r"`((?:swarmlog|\w+_tracker_(?:core|server)|swarm_coordination)_\w+)`", API)
    assert set(named) <= metric_names()


def test_configuration_keys_have_comments() -> None:
    """The shipped file is valid TOML, and each key has a comment above or beside it."""
    text = (ROOT / "tracker" / "config" / "default.toml").read_text()
    tomli.loads(text)
    lines = text.splitlines()
    for number, line in enumerate(lines):
        if re.match(r"#? ?\w+ = ", line):
            block = lines[max(0, number - 12) : number]
            assert "#" in line.partition("=")[2] or any(one.startswith("#") for one in block), line


def test_readme_names_its_commands() -> None:
    """The two commands of the README exist."""
    for script in ("scripts/run", "scripts/test"):
        assert script in README
        assert (ROOT / script).is_file()


def anchors(page: Path) -> set[str]:
    """Returns the headings of a page, as links name them."""
    headings = re.findall(r"(?m)^#+ (.+)$", page.read_text())
    plain = [re.sub(r"[^\w\- ]", "", heading.lower()) for heading in headings]
    return {heading.replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_links_lead_somewhere(page: Path) -> None:
    """Every link within the project leads to a file, and to a heading in it."""
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text()):
        if target.startswith("http"):
            continue
        name, _, anchor = target.partition("#")
        file = page.parent / name if name else page
        assert file.exists(), target
        assert not anchor or anchor in anchors(file), target


@pytest.mark.parametrize("page", PAGES, ids=NAMES)
def test_paths_exist(page: Path) -> None:
    """Every path in a page is in the tree; `<name>` stands for any name."""
    rooms = "api|docs|eventlog|scripts|tests|tracker"
    for path in re.findall(rf"(?<![\w/.-])((?:{rooms})/[\w./<>-]+)", page.read_text()):
        pattern = re.sub(r"<\w+>", "*", path.rstrip("./"))
        assert list(ROOT.glob(pattern)), path


def test_threats_name_their_tests() -> None:
    """Each row of the threat model names a test that exists."""
    text = (ROOT / "docs" / "security.md").read_text()
    rows = text.partition("| --- |")[2].partition("\n\n")[0].splitlines()[1:]
    assert len(rows) > 10
    for row in rows:
        ((file, name),) = re.findall(r"`(tests/[\w/.]+)(?:::(\w+))?` \|$", row)
        assert f"def {name}" in (ROOT / file).read_text(), row


def test_architecture_names_the_rooms() -> None:
    """The table of rooms has each room once, no other name, and at most 16 rows."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    table = text.partition("## Rooms")[2].partition("\n## ")[0]
    rows = re.findall(r"(?m)^\| (`.*?) \|", table)
    named = [name for row in rows for name in re.findall(r"`([^`]+)/`", row)]
    folders = [path.parent for path in (ROOT / "tracker").glob("*/__init__.py")]
    rooms = [f"tracker/{folder.name}" for folder in folders]
    assert sorted(named) == sorted([*rooms, "eventlog", "api"])
    assert len(rows) <= 16


@pytest.mark.parametrize("path", [page.path for page in SCREENS.pages if page.menu])
def test_pages_of_the_menu_have_pictures(path: str) -> None:
    """The console's page shows a picture of each, which its script takes."""
    assert f"](console{path}.webp)" in (ROOT / "docs" / "console.md").read_text()


def test_pictures_are_small() -> None:
    """A clone of the repository stays small: bytes of each picture, and of all."""
    sizes = [file.stat().st_size for file in (ROOT / "docs" / "console").iterdir()]
    assert max(sizes) <= 60_000
    assert sum(sizes) <= 900_000
