"""What sources may hold: one with problems imports nothing, and each problem is named."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.tracker.offline.imports import (
    H1,
    H2,
    A,
    B,
    C,
    Site,
    database,
    keys_file,
)
from tracker.offline import import_sources, importing
from tracker.offline.import_sources import KeyEntry, KeysFile, Problem, SourceError
from tracker.offline.import_torrust import SqliteDatabase
from tracker.offline.importing import ImportProblemsError, Summary

if TYPE_CHECKING:
    from pathlib import Path


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
    assert set(site.state().access.listed_after(b"")) == {H1, H2}
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
