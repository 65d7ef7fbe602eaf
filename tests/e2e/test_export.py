"""Tests `tracker export`: the tables, the formats, and the queries of the docs."""

from __future__ import annotations

import csv
import json
import re
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from tests.e2e.clients import announce_target, ask, get, torrent
from tests.e2e.process import DEADLINE, Tracker
from tracker.offline.export_files import FORMATS
from tracker.offline.exporting import TABLES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.e2e.process import Event

AUDIT = (Path(__file__).parents[2] / "docs" / "audit.md").read_text()
QUERIES = re.findall(r"```sql\n(.*?)```", AUDIT, re.DOTALL)
KEYS = [f"{number:032d}" for number in range(3)]
HIDDEN = ("127.0.0.1", "owner-of-", "address")
PRIVATE = {"address", "port", "peer_id", "client_key_hash"}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracker]:
    """A private tracker with a book. Each member announces the first, next and last of its life."""
    tracker = Tracker(tmp_path_factory.mktemp("site"))
    tracker.switch_on("private")
    try:
        tracker.start()
        for number, key in enumerate(KEYS):
            form = {"key": key, "owner": f"owner-of-{number}", "label": f"member {number}"}
            assert ask(tracker, "POST", "/api/v2/keys", form).status == 201
        for uploaded, left, event in ((0, 100, "started"), (50, 0, "completed"), (70, 0, "")):
            for number, key in enumerate(KEYS):
                target = announce_target(
                    torrent(7), number, 7000 + number, uploaded=uploaded * number,
                    downloaded=100 - left, left=left, event=event,
                )  # fmt: skip
                get(tracker.http[0], target.replace("announce", f"announce/{key}", 1))
        tracker.events_until(lambda found: len(found) == 9, "--type", "announced")
        wait_for_book(tracker)
        yield tracker
    finally:
        tracker.close()


def wait_for_book(tracker: Tracker) -> None:
    """Waits until the follower has written every announce into the book, as it does soon."""
    give_up = time.monotonic() + DEADLINE
    counted = 0
    while counted < 9 and time.monotonic() < give_up:
        rows = tracker.command("export", "book").stdout.splitlines()
        counted = sum(json.loads(row)["announces"] for row in rows)
    assert counted == 9


def exported(site: Tracker, table: str, *options: str) -> list[Event]:
    """Returns the rows that a run prints as JSON lines."""
    done = site.command("export", table, *options)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_events_are_those_of_the_log(site: Tracker) -> None:
    """Both tables together are the log, without what is personal."""
    printed = [json.loads(line) for line in site.command("events").stdout.splitlines()]
    last = printed[-1]["seq"]
    announces = exported(site, "announces", "--to", str(last))
    others = exported(site, "events", "--to", str(last))
    assert [one["seq"] for one in printed] == sorted(one["seq"] for one in announces + others)
    by_seq = {one["seq"]: one for one in printed}
    for row in announces:
        event = by_seq[row["seq"]]
        assert row.pop("account") == event["key_ref"]
        assert row.pop("log_time") == event["time"]
        assert row == {name: event[name] for name in event.keys() - PRIVATE - {"type"}}
    for row in others:
        event = by_seq[row["seq"]]
        assert row["type"] == event["type"]
        assert row["data"].keys() | {"owner"} >= event.keys() - row.keys()
    text = json.dumps(announces + others)
    assert not any(hidden in text for hidden in HIDDEN)
    assert exported(site, "announces", "--from", "3", "--to", "3") == []


def test_book_is_the_ledger(site: Tracker) -> None:
    """The rows of the book add up to the totals of the accounts."""
    rows = exported(site, "book")
    totals = [ask(site, "GET", f"/api/v2/accounts/{account}").json for account in (1, 2, 3)]
    assert [one["account"] for one in rows] == [1, 2, 3]
    for row, total in zip(rows, totals, strict=True):
        assert row["uploaded"] == total["uploaded"] == 70 * (row["account"] - 1)
        assert (row["downloaded"], row["snatched"]) == (100, 1)
        assert row["info_hash"] == torrent(7).hex()


@pytest.mark.parametrize("table", TABLES)
def test_formats_hold_the_same(site: Tracker, tmp_path: Path, table: str) -> None:
    """Each format has the columns and the same values."""
    columns = TABLES[table].columns
    options = ("--to", "12") if "seq" in columns else ()
    for form in FORMATS:
        file = str(tmp_path / f"rows.{form}")
        assert site.command("export", table, *options, "--out", file).returncode == 0
    lines = (tmp_path / "rows.jsonl").read_text().splitlines()
    rows = [list(json.loads(line).values()) for line in lines]
    assert rows or table == "clients"
    assert all(list(json.loads(line)) == list(columns) for line in lines)
    head, *texts = csv.reader((tmp_path / "rows.csv").read_text().splitlines())
    kinds = list(columns.values())
    assert head == list(columns)
    assert texts == [list(map(_in_csv, row)) for row in rows]
    parquet = duckdb.read_parquet(str(tmp_path / "rows.parquet"))
    assert parquet.columns == head
    found = parquet.fetchall()
    assert [list(map(_from_parquet, row, kinds)) for row in found] == rows


def _in_csv(value: object) -> str:
    if isinstance(value, dict | bool):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return "" if value is None else str(value)


def _from_parquet(value: Any, kind: str) -> object:
    if kind == "time" and value is not None:
        return value.isoformat(timespec="microseconds").replace("+00:00", "Z")
    return json.loads(value) if kind == "json" else value


@pytest.mark.parametrize("query", QUERIES)
def test_queries_of_the_docs(site: Tracker, tmp_path: Path, query: str) -> None:
    """Each query runs on exported files, and finds something."""
    for table in TABLES:
        if table in query:
            file = tmp_path / f"{table}.parquet"
            assert site.command("export", table, "--out", str(file)).returncode == 0
    assert duckdb.sql(_in(tmp_path, query)).fetchall()


def _in(folder: Path, query: str) -> str:
    return re.sub(r"'(\w+\.parquet)'", rf"'{folder}/\1'", query)


def test_daily_bytes_are_exact(site: Tracker, tmp_path: Path) -> None:
    """The first query of the docs finds what the accounts reported."""
    file = tmp_path / "announces.parquet"
    assert site.command("export", "announces", "--out", str(file)).returncode == 0
    rows = duckdb.sql(_in(tmp_path, QUERIES[0])).fetchall()
    sums = {account: [0, 0] for account in (1, 2, 3)}
    for _, account, uploaded, downloaded in rows:
        sums[account][0] += uploaded
        sums[account][1] += downloaded
    assert sums == {1: [0, 100], 2: [70, 100], 3: [140, 100]}


WRONG = [
    (("nothing",), "invalid choice: 'nothing'"),
    (("book", "--from", "3"), "book has no --from and no --to"),
    (("announces", "--format", "parquet"), "Parquet needs a file: --out FILE"),
    (("announces", "--out", "rows.txt"), "say which --format"),
    (("announces", "--out", "/nowhere/rows.csv"), "cannot write /nowhere/rows.csv: No such file"),
]


@pytest.mark.parametrize(("arguments", "text"), WRONG)
def test_wrong_use(site: Tracker, arguments: tuple[str, ...], text: str) -> None:
    done = site.command("export", *arguments)
    assert done.returncode in (1, 2)
    assert text in done.stderr


def test_no_file_is_overwritten(site: Tracker, tmp_path: Path) -> None:
    file = tmp_path / "rows.csv"
    file.write_text("mine")
    done = site.command("export", "announces", "--out", str(file))
    assert (done.returncode, file.read_text()) == (1, "mine")
    assert "is there already" in done.stderr
    assert [file] == list(tmp_path.iterdir())


def test_columns_are_documented() -> None:
    for table, (columns, _) in TABLES.items():
        (row,) = re.findall(rf"^\| `{table}` \|.*$", AUDIT, re.MULTILINE)
        assert all(f"`{name}`" in row for name in columns)
