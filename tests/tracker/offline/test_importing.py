"""An import turns another tracker's keys, whitelist and completed counts into events. A source with
problems imports nothing."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import pytest

from eventlog import LogLockedError, Reader, open_log
from tests.support import events_in, hash_of, keys_of
from tracker.cli import main
from tracker.config import EventLog
from tracker.domain.events import codec
from tracker.domain.events.admin import ADMIN_EVENTS
from tracker.offline import import_sources, importing
from tracker.offline.import_sources import KeyEntry, KeysFile, Problem, SourceError
from tracker.offline.import_torrust import SqliteDatabase
from tracker.offline.importing import ImportProblemsError, Summary
from tracker.store.replay import replay

if TYPE_CHECKING:
    from pathlib import Path

    from tracker.domain.state import State

A, B, C = ("A" * 32, "b" * 32, "0" * 32)
H1, H2, H3 = (hash_of(number) for number in (1, 2, 3))
SCHEMA = """
CREATE TABLE whitelist (id INTEGER PRIMARY KEY AUTOINCREMENT, info_hash TEXT NOT NULL UNIQUE);
CREATE TABLE keys (id INTEGER PRIMARY KEY AUTOINCREMENT, key TEXT NOT NULL UNIQUE, valid_until INTEGER);
CREATE TABLE torrents (
    id INTEGER PRIMARY KEY AUTOINCREMENT, info_hash TEXT NOT NULL UNIQUE, completed INTEGER DEFAULT 0 NOT NULL
);
"""


def silent(_done: int, _all: int | None) -> None:
    """Takes a report of progress."""


def database(folder: Path, **tables: list[tuple[object, ...]]) -> SqliteDatabase:
    """Writes a new Torrust database. Each table has rows without their ids."""
    path = folder / "torrust.db"
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path)) as made, made:
        made.executescript(SCHEMA)
        for table, rows in tables.items():
            for number, row in enumerate(rows, 1):
                marks = ", ".join("?" * (1 + len(row)))
                made.execute(f"INSERT INTO {table} VALUES ({marks})", (number, *row))  # noqa: S608  # the names are constants of this test
    return SqliteDatabase(path)


def keys_file(folder: Path, text: str, name: str = "keys.csv") -> KeysFile:
    path = folder / name
    path.write_text(text, newline="")
    return KeysFile.read(path)


class Site:
    """A log folder, and imports into it."""

    def __init__(self, folder: Path) -> None:
        self.secrets = folder / "secrets"
        self.config = EventLog(path=str(folder / "log"), secrets_path=str(self.secrets))
        self.path = folder / "log"

    def imports(self, source: importing.Source) -> Summary:
        return importing.run(source, self.config, silent, silent, silent, lambda _recovery: None)

    def rehearses(self, source: importing.Source) -> tuple[Summary, list[dict[str, Any]]]:
        events: list[dict[str, Any]] = []
        summary = importing.rehearse(
            source, self.path, silent, silent, lambda event: events.append(codec.to_data(event))
        )
        return summary, events

    def events(self) -> list[dict[str, Any]]:
        """Returns the events after `format_begun`, which every new log begins with."""
        return events_in(Reader(self.path, to_end=True).frames())[1:]

    def state(self) -> State:
        return replay(Reader(self.path, to_end=True))


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


FULL: dict[str, list[tuple[object, ...]]] = {
    "whitelist": [(H1.hex(),), (H2.hex().upper(),)],
    "keys": [(A, None), (B, 1_900_000_000)],
    "torrents": [(H1.hex(), 7), (H2.hex(), 0), (H3.hex(), 1)],
}


def test_database(site: Site, tmp_path: Path) -> None:
    """Every row becomes one event, and a count of zero becomes none. The state follows from the
    log."""
    source = database(tmp_path, **FULL)
    summary = site.imports(source)
    assert summary == Summary(keys=2, whitelisted=2, completed=2, present=0)
    assert str(summary) == "2 keys, 2 torrents whitelisted, 2 completed counts; 0 already there"
    state = site.state()
    assert state.access.whitelist == {H1, H2}
    known = {key.key_ref: key.valid_until_us for key in state.access.keys.values()}
    assert known == {1: None, 2: 1_900_000_000_000_000}
    assert state.access.keys.keys() == {sha256(key.encode()).digest() for key in (A, B)}
    assert [state.swarms.counts(one)[1] for one in (H1, H2, H3)] == [7, 0, 1]
    assert state.swarms.completed_total == 8


def test_imported_events_name_the_import(site: Site, tmp_path: Path) -> None:
    """Every event names the import, its file, and one id for the whole import. No event holds a
    key."""
    site.imports(database(tmp_path, **FULL))
    events = site.events()
    (by,) = {tuple(sorted(event["by"].items())) for event in events}
    assert dict(by).items() >= {"token": "import", "address": "", "reason": "torrust.db"}.items()
    assert len(dict(by)["request_id"]) == 36
    assert A not in str(events)
    assert B not in str(events)


def test_a_second_import_appends_nothing(site: Site, tmp_path: Path) -> None:
    source = database(tmp_path, **FULL)
    site.imports(source)
    before = site.events()
    assert site.imports(source) == Summary(present=6)
    assert site.events() == before


def test_completed_counts_of_a_later_copy(site: Site, tmp_path: Path) -> None:
    """A later copy adds only the difference to earlier imports. A lower count changes nothing."""
    for count in (5, 9, 3, 9):
        site.imports(database(tmp_path, torrents=[(H1.hex(), count)]))
    assert [event["completed"] for event in site.events()] == [5, 4]
    assert site.state().swarms.completed_total == 9


def test_revoked_and_delisted(site: Site, tmp_path: Path) -> None:
    """An import keeps a revoked key revoked, and whitelists a delisted torrent again."""
    source = database(tmp_path, whitelist=[(H1.hex(),)], keys=[(A, None)])
    site.imports(source)
    _append(site, "key_revoked", {"key_hash": sha256(A.encode()).hexdigest(), "key_ref": 1})
    _append(site, "torrent_delisted", {"info_hash": H1.hex()})
    assert site.imports(source) == Summary(whitelisted=1, present=1)
    assert not site.state().access.keys


def _append(site: Site, name: str, data: dict[str, object]) -> None:
    """Appends an admin event as a tracker does."""
    import trio

    from tests.eventlog.logs import running
    from tests.support import SELECTION_KEY, append_json
    from tracker.service.clock import LogClock
    from tracker.service.service import Service

    async def main() -> None:
        state = site.state()
        log = open_log(site.path, codec.RECORD_SIZES, keys_of(site.secrets).tags)
        service = Service(log, state, LogClock(state.time_us), SELECTION_KEY)
        async with running(log):
            numbers = {one.name: number for number, one in ADMIN_EVENTS.items()}
            append_json(service, numbers[name], data)

    trio.run(main)


def test_csv(site: Site, tmp_path: Path) -> None:
    """CSV columns may have any order. Keys of one owner share an account, in later imports too."""
    text = (
        "\ufeffLabel,valid_until, owner ,key\r\n"
        f"laptop,,alice,{A}\r\n"
        "\r\n"
        f',2030-01-01T00:00:00.5Z,"bob ""b""",{B}\r\n'
    )
    assert site.imports(keys_file(tmp_path, text)) == Summary(keys=2)
    more = keys_file(tmp_path, f"key,owner,valid_until\n{C},alice,1900000000\n{B},bob,\n", "2.csv")
    assert site.imports(more) == Summary(keys=1, present=1)
    keys = sorted(site.state().access.keys.values(), key=lambda key: key.key_ref)
    assert [(key.account, key.owner, key.label) for key in keys] == [
        (1, "alice", "laptop"),
        (2, 'bob "b"', None),
        (1, "alice", None),
    ]
    assert [key.valid_until_us for key in keys] == [
        None,
        1_893_456_000_500_000,
        1_900_000_000_000_000,
    ]
    assert [event["by"]["reason"] for event in site.events()] == ["keys.csv", "keys.csv", "2.csv"]


def test_keys_without_owner_are_their_own_account(site: Site, tmp_path: Path) -> None:
    """Without an owner or an owner column every key has its own account."""
    site.imports(keys_file(tmp_path, f"key\n{A}\n{B}\n"))
    assert sorted(key.account for key in site.state().access.keys.values()) == [1, 2]


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("", ["line 1: the header has no column key"]),
        (f"{A}\n", ["line 1: the header has no column key", "line 1: the header has other columns"]),
        ("key;owner\n", ["line 1: `;` between the columns: save the file with commas"]),
        ("key\towner\n", ["line 1: tabs between the columns: save the file with commas"]),
        ("key,mail\n", ["line 1: the header has mail"]),
        ("key,key\n", ["line 1: the header has a column twice"]),
        (f"key\n{A}.\n\n{A},x\n", ["line 2: the key is not 10", "line 4: has 2 fields"]),
        (f"key\n{A}\n{B}\n{A}\n", ["line 4: the key of line 2 again"]),
        (f'key,label\n{A},"a\nb"\n{B}\n', ["line 2: label is not", "line 4: has 1 fields"]),
        (f"key,owner\n{A},{'x' * 201}\n", ["line 2: owner is not one line"]),
        (
            f"key,valid_until\nx,y\n{A},2030-01-01T00:00:00\n{B},253402300800\n{C},-1\n",
            [
                "line 2: the key is not",
                "line 2: valid_until is neither",
                "line 3: valid_until has no time zone",
                "line 4: valid_until is not a time",
                "line 5: valid_until is neither",
            ],
        ),
        (f'key\n{A}\n"{B}', ["line 3: not CSV"]),
    ],
    ids=[
        "empty", "headless", "semicolons", "tabs", "unknown", "double", "fields", "again", "lines", "long", "times", "quote",
    ],
)  # fmt: skip
def test_problems_of_csv(site: Site, tmp_path: Path, text: str, problems: list[str]) -> None:
    """All problems come at once with their lines, before the log is opened. No message repeats a
    key."""
    source = keys_file(tmp_path, text)
    with pytest.raises(ImportProblemsError) as raised:
        site.imports(source)
    lines = str(raised.value).splitlines()
    assert len(lines) == len(problems)
    for line, problem in zip(lines, problems, strict=True):
        assert line.startswith(f"keys.csv: {problem}")
    assert A not in str(raised.value)
    assert not site.path.exists()


def test_whitelist_as_text(site: Site, tmp_path: Path) -> None:
    """One info hash a line, with comments. A line without one is named, and none is imported."""
    path = tmp_path / "list.txt"
    path.write_bytes(f"\ufeff# ours\r\n{H1.hex()}\r\n\r\n {H2.hex().upper()} # b\r\n".encode())
    source = import_sources.WhitelistFile.read(path)
    assert site.imports(source) == Summary(whitelisted=2)
    assert site.imports(source) == Summary(present=2)
    assert site.state().access.whitelist == {H1, H2}
    path.write_text(f"{H1.hex()}\n{H1.hex()}0\nnone\n")
    with pytest.raises(ImportProblemsError) as raised:
        site.imports(import_sources.WhitelistFile.read(path))
    what = "info_hash is not 40 hexadecimal digits"
    assert str(raised.value) == f"list.txt: line 2: {what}\nlist.txt: line 3: {what}"


def test_problems_of_a_database(site: Site, tmp_path: Path) -> None:
    """All problems come at once with table and row, before the log is opened."""
    source = database(
        tmp_path,
        whitelist=[(H1.hex(),), ("xyz",)],
        keys=[("short", None), (A, -1), (B, "soon"), (C, 2**62)],
        torrents=[(H1.hex(), -1), (b"\xff" * 40, 1), (H2.hex(), "many")],
    )
    with pytest.raises(ImportProblemsError) as raised:
        site.imports(source)
    lines = [line.removeprefix("torrust.db: table ") for line in str(raised.value).splitlines()]
    assert [line.partition(":")[0] for line in lines] == [
        "whitelist, row 2",
        *(f"keys, row {number}" for number in range(1, 5)),
        *(f"torrents, row {number}" for number in range(1, 4)),
    ]
    assert not site.path.exists()


def test_odd_file_names(site: Site, tmp_path: Path) -> None:
    """An event keeps a file's name as one line that any terminal shows, however odd it is."""
    site.imports(keys_file(tmp_path, f"key\n{A}\n", "a\x1b[2J\n" + "é" * 100))
    assert site.events()[0]["by"]["reason"] == "a\ufffd[2J\ufffd" + "é" * 100


def test_very_many_problems(site: Site, tmp_path: Path) -> None:
    """Only the first problems are listed, so that a wrong file of a million lines does not fill the
    terminal."""
    source = keys_file(tmp_path, "key\n" + "x\n" * 1000)
    with pytest.raises(ImportProblemsError) as raised:
        site.imports(source)
    lines = str(raised.value).splitlines()
    assert len(lines) == importing.MAX_PROBLEMS + 1
    assert lines[-1] == "keys.csv: and 900 more problems"


def test_unreadable_sources_are_refused(site: Site, tmp_path: Path) -> None:
    """A missing file, a non-SQLite file, a non-UTF-8 file and a foreign database are refused. The
    import creates no file."""
    for path, what in ((tmp_path / "none.db", "no such file"), (tmp_path, "is a folder")):
        with pytest.raises(SourceError, match=what):
            site.imports(SqliteDatabase(path))
    with pytest.raises(SourceError, match="No such file"):
        KeysFile.read(tmp_path / "none.csv")
    binary = tmp_path / "binary"
    binary.write_bytes(b"key\n\xff" * 200)
    with pytest.raises(SourceError, match="cannot be read as a SQLite database"):
        site.imports(SqliteDatabase(binary))
    with pytest.raises(SourceError, match="not UTF-8"):
        KeysFile.read(binary)
    other = tmp_path / "other.db"
    with closing(sqlite3.connect(other)) as made, made:
        made.execute("CREATE TABLE users (name TEXT)")
    with pytest.raises(ImportProblemsError, match=r"none of the tables .* not the database of Tor"):
        site.imports(SqliteDatabase(other))
    with closing(sqlite3.connect(other)) as made, made:
        made.execute("CREATE TABLE keys (name TEXT, key TEXT)")
    with pytest.raises(ImportProblemsError, match="table keys: has no column valid_until: this is"):
        site.imports(SqliteDatabase(other))
    assert not site.path.exists()
    assert not (tmp_path / "none.db").exists()


def test_database_of_fewer_tables(site: Site, tmp_path: Path) -> None:
    """A missing table counts as empty."""
    path = tmp_path / "half.db"
    with closing(sqlite3.connect(path)) as made, made:
        made.execute("CREATE TABLE whitelist (id INTEGER PRIMARY KEY, info_hash TEXT)")
        made.execute("INSERT INTO whitelist VALUES (1, ?)", (H1.hex(),))
    assert site.imports(SqliteDatabase(path)) == Summary(whitelisted=1)


def test_dry_run(site: Site, tmp_path: Path) -> None:
    """A dry run returns the events that an import would append, and changes no file."""
    source = database(tmp_path, **FULL)
    summary, events = site.rehearses(source)
    assert not site.path.exists()
    assert summary == site.imports(source)
    without_by = [
        {name: value for name, value in event.items() if name not in ("seq", "time", "type", "by")}
        for event in site.events()
    ]
    assert events == without_by
    files = sorted(path.stat().st_mtime_ns for path in site.path.rglob("*"))
    assert site.rehearses(source) == (Summary(present=6), [])
    assert sorted(path.stat().st_mtime_ns for path in site.path.rglob("*")) == files


def test_dry_run_of_one_torrent_twice(site: Site, tmp_path: Path) -> None:
    """A dry run counts the second spelling of a torrent as present."""
    source = database(tmp_path, whitelist=[("ab" * 20,), ("AB" * 20,)])
    assert site.rehearses(source)[0] == Summary(whitelisted=1, present=1)


def test_an_import_waits_for_the_disk_after_each_batch(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An import waits for the disk after each batch, because unwritten events stay in memory."""
    monkeypatch.setattr(importing, "BATCH", 16)
    rows: list[tuple[object, ...]] = [(hash_of(number).hex(),) for number in range(100)]
    reported: list[tuple[int, int | None]] = []
    summary = importing.run(
        database(tmp_path, whitelist=rows),
        site.config,
        silent,
        silent,
        lambda done, total: reported.append((done, total)),
        lambda _recovery: None,
    )
    assert summary == Summary(whitelisted=100)
    assert reported[-1] == (100, 100)
    assert [done for done, _ in reported] == [16, 32, 48, 64, 80, 96, 100]
    frames = list(Reader(site.path, to_end=True).frames())
    assert len(frames) >= 100 // 16
    assert max(frame.header.records for frame in frames) <= 16 + 1  # one is `format_begun`


def test_log_in_use(site: Site, tmp_path: Path) -> None:
    """A log that another process writes refuses the import and allows a dry run."""
    source = database(tmp_path, **FULL)
    log = open_log(site.path, codec.RECORD_SIZES, keys_of(site.secrets).tags)
    try:
        with pytest.raises(LogLockedError, match="is in use by another process"):
            site.imports(source)
        assert site.rehearses(source)[0] == Summary(keys=2, whitelisted=2, completed=2)
    finally:
        log.release()
    assert site.imports(source) == Summary(keys=2, whitelisted=2, completed=2)


def test_changed_between_check_and_import(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that becomes invalid after its check ends the import with an error."""
    source = keys_file(tmp_path, f"key\n{A}\n")
    monkeypatch.setattr(importing, "check", lambda *_: 1)
    monkeypatch.setattr(import_sources, "key_of", lambda _text: None)
    monkeypatch.setattr(KeysFile, "__iter__", lambda _self: iter([Problem("line 2", "gone")]))
    with pytest.raises(SourceError, match="was changed while it was read"):
        site.imports(source)


def test_an_entry_hides_its_key() -> None:
    """The `repr` of an entry has no key, so no traceback shows one."""
    assert A not in repr(KeyEntry(A, None))


# The command `tracker import`.


@pytest.fixture
def config(tmp_path: Path) -> str:
    path = tmp_path / "tracker.toml"
    path.write_text(
        'metadata.schema_version = "2.0.0"\nlogging.threshold = "info"\ncore.listed = false\n'
        f'core.private = false\n[event_log]\npath = "{tmp_path}/log"\nsecrets_path = "{tmp_path}/s"\n'
    )
    return str(path)


def test_command(config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command prints one summary line, and creates nothing but the log and its secrets."""
    file = str(database(tmp_path, **FULL).path)
    for line in (
        "2 keys, 2 torrents whitelisted, 2 completed counts; 0 already there\n",
        "0 keys, 0 torrents whitelisted, 0 completed counts; 6 already there\n",
    ):
        assert main(["import", "torrust-sqlite", "--config", config, file]) == 0
        assert capsys.readouterr() == (line, "")
    assert {path.name for path in tmp_path.iterdir()} == {"log", "s", "torrust.db", "tracker.toml"}


def test_command_dry_run(config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The dry run prints a line of JSON for each event, then the summary."""
    file = str(keys_file(tmp_path, f"key,owner\n{A},alice\n").path)
    assert main(["--config", config, "import", "keys", "--dry-run", file]) == 0
    event, summary = capsys.readouterr().out.splitlines()
    assert event.startswith('{"type":"key_issued","key_hash":"')
    assert '"owner":"alice"' in event
    assert (
        summary == "would import 1 key, 0 torrents whitelisted, 0 completed counts; 0 already there"
    )
    assert not (tmp_path / "log").exists()


def test_command_refuses(config: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Problems go to standard error, and the exit code is 1."""
    file = str(keys_file(tmp_path, "key\nx\ny\n").path)
    assert main(["import", "keys", file, "--config", config]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err == (
        "tracker: keys.csv: line 2: the key is not 10 to 64 letters, digits, - and _\n"
        "keys.csv: line 3: the key is not 10 to 64 letters, digits, - and _\n"
    )


def test_command_interrupted(
    config: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """After Ctrl-C the exit code is 1, and a second import adds the rest."""
    source = database(tmp_path, whitelist=[(hash_of(number).hex(),) for number in range(20)])
    whole = SqliteDatabase.__iter__
    passes = 0

    def interrupted(self: SqliteDatabase) -> Any:
        nonlocal passes
        passes += 1
        for number, entry in enumerate(whole(self)):
            if passes == 2 and number == 10:
                raise KeyboardInterrupt
            yield entry

    monkeypatch.setattr(SqliteDatabase, "__iter__", interrupted)
    command = ["import", "torrust-sqlite", "--config", config, str(source.path)]
    assert main(command) == 1
    assert "interrupted" in capsys.readouterr().err
    assert main(command) == 0
    assert capsys.readouterr().out.startswith("0 keys, 10 torrents whitelisted, 0 completed")
