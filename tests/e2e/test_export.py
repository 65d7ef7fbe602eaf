"""Tests `tracker export`: the tables, the formats, and the queries of the docs."""

from __future__ import annotations

import csv
import json
import re
import time
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import duckdb
import pytest

from tests.e2e.clients import announce_target, ask, exchange, peer_id, torrent
from tests.e2e.process import DEADLINE, Tracker
from tracker.offline.export_files import FORMATS
from tracker.offline.exporting import TABLES

if TYPE_CHECKING:
    from collections.abc import Callable
    from subprocess import CompletedProcess

    from tests.e2e.process import Event

AUDIT = (Path(__file__).parents[2] / "docs" / "audit.md").read_text()
QUERIES = re.findall(r"```sql\n(.*?)```", AUDIT, re.DOTALL)
KEYS = [f"{number:032d}" for number in range(3)]
HIDDEN = ("127.0.0.1", "owner-of-", "address")
PRIVATE = {"address", "port", "peer_id", "client_key_hash"}


@pytest.fixture(scope="module")
def site(private_site: Callable[..., Tracker]) -> Tracker:
    """A private tracker with a book. Each member announces the first, next and last of its life,
    is judged, and has a correction.
    """
    tracker = private_site({key: f"owner-of-{number}" for number, key in enumerate(KEYS)})
    why = {"X_Reason": "a note about member 2"}
    assert ask(tracker, "PUT", "/api/v2/hit-and-run/rule", {}, **why).status == 200
    facts = f"/api/v2/torrents/{torrent(7).hex()}/facts"
    assert ask(tracker, "PUT", facts, {"size": 100}).status == 200
    for uploaded, left, event in ((0, 100, "started"), (50, 0, "completed"), (70, 0, "")):
        for number, key in enumerate(KEYS):
            target = announce_target(
                torrent(7), 4321 * number, 7000 + number, uploaded=uploaded * number,
                downloaded=100 - left, left=left, event=event,
            )  # fmt: skip
            path = target.replace("announce", f"announce/{key}", 1)
            head = f"GET {path} HTTP/1.1\r\nHost: tracker\r\nUser-Agent: Program/{number}\r\nConnection: close"
            exchange(tracker.http[0], f"{head}\r\n\r\n".encode("latin-1"))
    found = tracker.events_until(lambda found: len(found) == 9, "--type", "announced")
    for number in (1, 2, 3):
        amounts = {"uploaded": 8_000_000 + number, "corrects": found[0]["seq"]}
        path = f"/api/v2/accounts/{number}/corrections"
        assert ask(tracker, "POST", path, amounts, **why).status == 201
    wait_for_book(tracker)
    return tracker


def wait_for_book(tracker: Tracker) -> None:
    """Waits until the follower has written everything into the book and the index of stays, as it
    does soon.
    """
    end = tracker.events()[-1]["seq"]
    give_up, upto = time.monotonic() + DEADLINE, 0
    while upto < end and time.monotonic() < give_up:
        book = ask(tracker, "GET", "/api/v2/accounts/1/series").json["seq"]
        stays = ask(tracker, "GET", "/api/v2/stays").json.get("upto", 0) - 1
        upto = min(book, stays)
    assert upto >= end


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
    rows = [row for row in exported(site, "book") if row["info_hash"]]  # without corrections
    totals = [ask(site, "GET", f"/api/v2/accounts/{account}").json for account in (1, 2, 3)]
    assert [one["account"] for one in rows] == [1, 2, 3]
    for row, total in zip(rows, totals, strict=True):
        assert row["uploaded"] == total["uploaded"] == 70 * (row["account"] - 1)
        assert (row["downloaded"], row["snatched"]) == (100, 1)
        assert row["info_hash"] == torrent(7).hex()


def test_series_are_the_ledger(site: Tracker) -> None:
    """The rows of the series add up to the totals of the accounts, and by torrent to the same."""
    rows = exported(site, "series")
    for account in (1, 2, 3):
        total = ask(site, "GET", f"/api/v2/accounts/{account}").json
        own = [row for row in rows if row["account"] == account]
        for name in ("uploaded", "downloaded", "credited_uploaded", "credited_downloaded"):
            assert sum(row[name] for row in own) == total[name]
    there = [row for row in rows if row["info_hash"]]
    assert sum(row["uploaded"] for row in there) == 70 + 140
    assert sum(row["completed"] for row in there) == 3
    assert max(row["most_seeders"] for row in there) == 3


@pytest.mark.parametrize("table", TABLES)
def test_formats_hold_the_same(site: Tracker, tmp_path: Path, table: str) -> None:
    """Each format has the columns and the same values."""
    columns = TABLES[table].columns
    options = ("--to", "12") if table in ("announces", "events") else ()
    for form in FORMATS:
        file = str(tmp_path / f"rows.{form}")
        assert site.command("export", table, *options, "--out", file).returncode == 0
    lines = (tmp_path / "rows.jsonl").read_text().splitlines()
    rows = [list(json.loads(line).values()) for line in lines]
    assert rows or table in ("clients", "cases")
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
    if kind == "date":
        return value.isoformat()
    return json.loads(value) if kind == "json" else value


@pytest.mark.parametrize("query", QUERIES)
def test_queries_of_the_docs(site: Tracker, tmp_path: Path, query: str) -> None:
    """Each query runs on exported files, and finds something."""
    for table in TABLES:
        if f"'{table}.parquet'" in query:
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
    (("nothing",), "there is no table nothing; choose from announces, events,"),
    (("stays", "--personal"), "give --reason TEXT"),
    (
        ("stays", "--personal", "--reason", "x", "--url", "http://127.0.0.1:1", "--token", "y"),
        "could not log the export",
    ),
    (("new", "--account", "nobody"), "no account has the owner nobody"),
    (("new", "--account", "99"), "there is no account 99"),
    (("new", "--account", "1"), "give --reason TEXT"),
    (("new", "--account", "1", "--format", "csv"), "--account writes JSON lines into FOLDER"),
    (("new", "--account", "1", "--from", "3"), "--account has no --from"),
    (("..", "--account", "1"), ".. is there already"),
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
    for table, (columns, _, personal) in TABLES.items():
        (row,) = re.findall(rf"^\| `{table}` \|.*$", AUDIT, re.MULTILINE)
        assert all(f"`{name}`" in row for name in columns | personal)


def by_reason(site: Tracker, *arguments: str) -> CompletedProcess[str]:
    """Runs an export with a reason, which the running tracker logs."""
    url = "http://{}:{}".format(*site.api)
    options = ("--url", url, "--token", "MyAccessToken", "--reason", "ticket 7")
    done = site.command("export", *arguments, *options)
    assert done.returncode == 0, done.stderr
    return done


def test_personal_data_are_an_event(site: Tracker) -> None:
    """They come only where they are asked for, and the tracker logs who did, and why."""
    expected = {
        "announces": PRIVATE, "events": set(), "stays": {"network", "pseudonym", "address"},
    }  # fmt: skip
    for table, more in expected.items():
        without = exported(site, table)
        rows = [
            json.loads(line) for line in by_reason(site, table, "--personal").stdout.splitlines()
        ]
        assert set(rows[0]) - set(without[0]) == more
        assert "127.0.0.1" in json.dumps(rows)
        looks = [row for row in without if row.get("type") == "addresses_seen"]
        assert "asked" not in json.dumps(looks)
        assert bool(looks) == (table == "events")
        look = site.events("--type", "addresses_seen")[-1]
        assert look["asked"] == f"/api/v2/exports/{table}"
        assert (look["by"]["reason"], look["by"]["token"]) == ("ticket 7", "admin")
    folders = ("--log", str(site.folder / "log"), "--secrets", str(site.folder / "secrets"))
    before = len(site.events("--type", "addresses_seen"))
    assert exported(site, "stays", "--personal", *folders)[0]["address"] == "127.0.0.1"
    assert len(site.events("--type", "addresses_seen")) == before


def test_a_members_data_are_nobody_elses(site: Tracker, tmp_path: Path) -> None:
    """Nothing of another member stands in any byte, and all that is the member's is there."""
    folder = tmp_path / "answer"
    by_reason(site, str(folder), "--account", "owner-of-1")
    look = site.events("--type", "addresses_seen")[-1]
    assert (look["asked"], look["by"]["reason"]) == ("/api/v2/accounts/2/exports", "ticket 7")
    written = {path.name: path.read_text() for path in folder.iterdir()}
    whole = "\n".join([*written, *written.values()])
    for number in (0, 2):
        peer = peer_id(4321 * number)
        others = (
            f"owner-of-{number}", f"member {number}", KEYS[number], f'"port":{7000 + number}',
            peer.hex(), sha256(KEYS[number].encode()).hexdigest(), str(8_000_001 + number),
            f"Program/{number}",
        )  # fmt: skip
        assert not [text for text in others if text in whole]
    mine = (KEYS[1], sha256(KEYS[1].encode()).hexdigest(), "a note about", "MyAccessToken", "admin")
    assert not [text for text in mine if text in whole]
    rows = {
        name.removesuffix(".jsonl"): [json.loads(line) for line in text.splitlines()]
        for name, text in written.items()
        if name != "about.json"
    }
    owned = ("account", "key_ref")
    for row in (row for table in rows.values() for row in table):
        assert {row[name] for name in owned if row.get(name) is not None} <= {2}
    assert len(rows["announces"]) == 3
    assert {(row["address"], row["port"]) for row in rows["announces"]} == {("127.0.0.1", 7001)}
    assert {row["type"] for row in rows["events"]} == {"key_issued", "credit_corrected"}
    assert [(row["owner"], row["label"]) for row in rows["keys"]] == [("owner-of-1", "member 1")]
    assert {row["address"] for row in rows["stays"]} == {"127.0.0.1"}
    assert sum(row["uploaded"] for row in rows["book"]) == 70
    assert sum(row["completed"] for row in rows["series"]) == 1
    assert [row["downloaded"] for row in rows["hit_and_run"]] == [100]
    assert rows["hit_and_run_history"][0]["state"] == "liable"
    (client,) = rows["clients"]
    assert client["agent"] == "Program/1"
    assert {row["client"] for row in rows["announces"]} == {client["client"]}
    about = json.loads(written["about.json"])
    assert (about["account"], about["owner"], about["uploaded"]) == (2, "owner-of-1", 70)
    assert folder.stat().st_mode & 0o777 == 0o700
    bare = (str(tmp_path / "bare"), "--account", "owner-of-1", "--log", str(site.folder / "log"))
    assert "are missing, because there is no key" in site.command("export", *bare).stderr
