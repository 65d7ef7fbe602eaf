"""Files that others write are read, or refused with a sentence that names the file."""

from __future__ import annotations

import sqlite3
from random import Random
from typing import TYPE_CHECKING

import pytest

from tests.nonsense.forging import nonsense
from tracker.config import ConfigError, load
from tracker.offline.import_sources import KeysFile, SourceError
from tracker.offline.import_torrust import SqliteDatabase

if TYPE_CHECKING:
    from pathlib import Path

ROUNDS = 150
SEED = 20
"""One seed in the suite: tests/fuzz tries more of them."""
TOML = """[metadata]
schema_version = "2.0.0"
[core]
listed = false
private = false
[logging]
threshold = "info"
[[udp_trackers]]
bind_address = "0.0.0.0:6969"
[event_log]
path = "log"
"""
CSV = "key,owner,valid_until,label\n" + "a" * 32 + ",anna,2027-01-01T00:00:00Z,x\n"
SCHEMA = """
CREATE TABLE whitelist (info_hash);
CREATE TABLE keys (key, valid_until);
CREATE TABLE torrents (info_hash, completed);
"""


def mutated(text: str, chance: Random) -> bytes:
    """Returns the text with some of it replaced, removed or repeated."""
    data = text.encode()
    for _ in range(chance.randrange(1, 4)):
        at, end = sorted(chance.randrange(len(data) + 1) for _ in range(2))
        piece = chance.choice((b"", data[at:end] * 2, chance.randbytes(3), nonsense(chance).encode(), b"[" * 5_000, b"a." * 3_000, b'"\\u0000"', b"1979-05-27T07:32:00"))  # fmt: skip
        data = data[:at] + piece + data[min(end, at + chance.randrange(20)) :]
    return data


@pytest.mark.parametrize("text", [
    "core.interval = " + "9" * 5_000, "core = " + "[" * 100_000, "a = " + "{a=" * 5_000,
    "a." * 5_000 + "b = 1", f"{'[' * 3_000}a{']' * 3_000}",
])  # fmt: skip
def test_toml_without_end(tmp_path: Path, text: str) -> None:
    """Endless numbers and depths are refused, by the name of the file."""
    path = tmp_path / "tracker.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"tracker\.toml|too deeply"):
        load(str(path), {})


def test_a_device_without_end() -> None:
    """A device in the place of the configuration is read only until it is clear that it is none."""
    with pytest.raises(ConfigError, match="/dev/zero: is no configuration"):
        load("/dev/zero", {})


def test_a_path_that_none_can_be(tmp_path: Path) -> None:
    """A zero character in a path is a problem of its key."""
    path = tmp_path / "tracker.toml"
    path.write_text(TOML.replace('"log"', '"l\\u0000g"'))
    with pytest.raises(ConfigError, match=r"event_log\.path: must not hold"):
        load(str(path), {})


def test_toml(tmp_path: Path) -> None:
    """Any TOML is a configuration or a list of problems; so is any override."""
    chance = Random(SEED)
    path = tmp_path / "tracker.toml"
    for _ in range(ROUNDS):
        path.write_bytes(mutated(TOML, chance))
        override = mutated(TOML, chance).decode(errors="replace")
        names = "core__listed", "core" + "__a" * chance.choice((1, 3_000)), "event_log__path"
        key = f"TORRUST_TRACKER_CONFIG_OVERRIDE_{chance.choice(names)}".upper()
        try:
            load(str(path), {key: override})
        except ConfigError as error:
            assert str(error)  # noqa: PT017  # a success is as good


def test_csv(tmp_path: Path) -> None:
    """Any bytes are keys, or problems of rows, or a file that cannot be read."""
    chance = Random(SEED)
    path = tmp_path / "keys.csv"
    for _ in range(ROUNDS):
        path.write_bytes(mutated(CSV, chance))
        try:
            list(KeysFile.read(path))
        except SourceError as error:
            assert "keys.csv" in str(error)  # noqa: PT017  # likewise


def test_database(tmp_path: Path) -> None:
    """Any bytes in place of a database, and any values in its rows, are told."""
    chance = Random(SEED)
    path = tmp_path / "torrust.db"
    with sqlite3.connect(path) as database:
        database.executescript(SCHEMA)
        values = (None, -1, 1.5, 2**62, "a" * 40, "x", b"\xff" * 40, "9" * 5000, "\0")
        for table, columns in (("whitelist", 1), ("keys", 2), ("torrents", 2)):
            for _ in range(20):
                row = [chance.choice(values) for _ in range(columns)]
                database.execute(
                    f"INSERT INTO {table} VALUES ({', '.join('?' * columns)})",  # noqa: S608  # constants
                    row,
                )
    database.close()
    whole = path.read_bytes()
    assert list(SqliteDatabase(path))
    for _ in range(ROUNDS // 3):
        at = chance.randrange(len(whole))
        path.write_bytes(whole[:at] + chance.randbytes(8) + whole[at + 8 :])
        try:
            list(SqliteDatabase(path))
        except SourceError as error:
            assert "torrust.db" in str(error)  # noqa: PT017  # likewise


def test_a_view_without_end(tmp_path: Path) -> None:
    """A view with the name of a table is no table, so nobody reads its rows."""
    path = tmp_path / "torrust.db"
    with sqlite3.connect(path) as database:
        database.executescript(
            "CREATE TABLE whitelist (info_hash); CREATE VIEW keys AS WITH RECURSIVE n(key) AS "
            "(SELECT 1 UNION ALL SELECT key + 1 FROM n) SELECT key, NULL AS valid_until FROM n;"
        )
    database.close()
    assert list(SqliteDatabase(path)) == []
