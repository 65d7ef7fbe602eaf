"""Writes sources of an import, and imports them into a log."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

from eventlog import Reader
from tests.support import events_in, hash_of
from tracker.config import EventLog
from tracker.domain.events import codec
from tracker.offline import importing
from tracker.offline.import_sources import KeysFile
from tracker.offline.import_torrust import SqliteDatabase
from tracker.store.address_keys import Keyring
from tracker.store.replay import replay

if TYPE_CHECKING:
    from pathlib import Path

    from tracker.domain.state import State
    from tracker.offline.importing import Summary

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
            source,
            self.path,
            Keyring(self.secrets),
            silent,
            silent,
            lambda event: events.append(codec.to_data(event)),
        )
        return summary, events

    def events(self) -> list[dict[str, Any]]:
        """Returns the events after `format_begun`, which every new log begins with."""
        return events_in(Reader(self.path, to_end=True).frames())[1:]

    def state(self) -> State:
        return replay(Reader(self.path, to_end=True))


FULL: dict[str, list[tuple[object, ...]]] = {
    "whitelist": [(H1.hex(),), (H2.hex().upper(),)],
    "keys": [(A, None), (B, 1_900_000_000)],
    "torrents": [(H1.hex(), 7), (H2.hex(), 0), (H3.hex(), 1)],
}
