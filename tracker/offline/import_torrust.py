"""Reads a database of Torrust's tracker as a source of an import.

    connection (SQLite, MySQL, PostgreSQL) --rows of a table--> entries

Only the connections differ; those to servers are in `import_servers.py`. Each reads all tables as
of one moment, in a transaction that writes nothing, and a thousand rows at a time.
"""

from __future__ import annotations

import os
import sqlite3
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, closing, contextmanager
from typing import TYPE_CHECKING, Any, Protocol

from attrs import frozen

from tracker.offline.import_sources import (
    CompletedEntry,
    KeyEntry,
    Problem,
    SourceError,
    entry,
    info_hash_of,
    key_of,
    one_line,
    seconds_of,
    whitelisted,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tracker.offline.import_sources import Entry

_PAGE = 1_000  # rows read at a time
_MAX_COMPLETED = 2**48  # more than any torrent has; sums of many stay below 2**64
_ANOTHER = "this is not the database of Torrust's tracker"


class Connection(Protocol):
    """A database in a transaction that only reads. Names in queries stand in double quotes."""

    @property
    def row_id(self) -> str:
        """The column that numbers the rows."""

    def columns(self, table: str) -> set[str]:
        """Returns the names of a table's columns; none = there is no such table."""

    def execute(self, query: str) -> Sequence[Sequence[Any]]: ...


class TorrustDatabase(ABC):
    """Yields entries of the tables `whitelist`, `keys` and `torrents`.

    A missing table counts as empty; all three missing is a problem.
    """

    @property
    @abstractmethod
    def name(self) -> str:
        """The name in events and problems, without the server's address."""

    @abstractmethod
    def connect(self) -> AbstractContextManager[Connection]:
        """Raises `SourceError`, also in place of whatever its library raises inside."""

    def __iter__(self) -> Iterator[Entry]:
        """Raises `SourceError`."""
        with self.connect() as connection:
            yield from _tables(connection)


def _tables(connection: Connection) -> Iterator[Entry]:
    found = {table: connection.columns(table) for table in _TABLES}
    if not any(found.values()):
        yield Problem(
            "the database", f"has none of the tables whitelist, keys and torrents: {_ANOTHER}"
        )
    for table, there in found.items():
        columns, where, read = _TABLES[table]
        if there and (missing := [name for name in columns if name not in there]):
            yield Problem(f"table {table}", f"has no column {' or '.join(missing)}: {_ANOTHER}")
        elif there:
            for number, *values in _rows(connection, table, columns, where):
                yield from entry(f"table {table}, row {number}", read, values)


def _rows(
    connection: Connection, table: str, columns: Sequence[str], where: str
) -> Iterator[Sequence[Any]]:
    """Yields rows that begin with their number, in its order.

    Page by page, because the libraries would otherwise hold a whole table in memory.
    """
    names = ", ".join(f'"{name}"' for name in (connection.row_id, *columns))
    condition, before = where, float("-inf")
    while True:
        query = f'SELECT {names} FROM "{table}" WHERE {condition} ORDER BY 1 LIMIT {_PAGE}'  # noqa: S608  # constant names and a number
        page = connection.execute(query)
        yield from page
        if len(page) < _PAGE:
            return
        last = page[-1][0]
        if not isinstance(last, int) or last <= before:  # a damaged file may go round in circles
            raise SourceError(f"table {table}: its rows are not numbered: {_ANOTHER}")
        condition, before = f'{where} AND "{connection.row_id}" > {last}', last


def _stored_key(key: object, valid_until: object) -> KeyEntry:
    return KeyEntry(key_of(key), None if valid_until is None else seconds_of(valid_until))


def _completed(info_hash: object, completed: object) -> CompletedEntry | None:
    if not isinstance(completed, int) or not 0 <= completed < _MAX_COMPLETED:
        raise ValueError("completed is not a count")
    return CompletedEntry(info_hash_of(info_hash), completed) if completed else None


# Columns, the rows to read, and what to make of one. Most torrents were never completed.
_TABLES: dict[str, tuple[Sequence[str], str, Callable[..., Entry | None]]] = {
    "whitelist": (("info_hash",), "1 = 1", whitelisted),
    "keys": (("key", "valid_until"), "1 = 1", _stored_key),
    "torrents": (
        ("info_hash", "completed"),
        '("completed" <> 0 OR "completed" IS NULL)',
        _completed,
    ),
}


# SQLite.


@frozen
class SqliteDatabase(TorrustDatabase):
    path: Path

    @property
    def name(self) -> str:
        return one_line(self.path.name)

    @contextmanager
    def connect(self) -> Iterator[Connection]:
        try:
            with closing(self._open()) as database:
                database.execute("BEGIN")
                yield _Sqlite(database)
        except (sqlite3.Error, UnicodeDecodeError) as error:
            # The library decodes names in a damaged file, and its own messages, as UTF-8.
            why = f"cannot be read as a SQLite database: {error}{self._advice()}"
            raise SourceError(f"{self.path}: {why}") from None

    def _advice(self) -> str:
        with self.path.open("rb") as file:
            in_wal_mode = file.read(20)[18:] == b"\x02\x02"
        if not in_wal_mode or os.access(self.path.absolute().parent, os.W_OK):
            return ""
        return (
            "; to read a database in WAL mode takes the right to write in its folder: "
            "copy the file, and the one that ends in -wal, elsewhere"
        )

    def _open(self) -> sqlite3.Connection:
        if self.path.is_dir():
            raise SourceError(f"{self.path}: is a folder, and should be a file")
        if not self.path.is_file():
            raise SourceError(f"{self.path}: there is no such file")
        database = sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True)
        # Text that is not UTF-8 is then a problem of its row, not of the whole file.
        database.text_factory = lambda raw: raw.decode(errors="replace")
        return database


@frozen
class _Sqlite:
    _database: sqlite3.Connection
    row_id: str = "rowid"

    def columns(self, table: str) -> set[str]:
        # Tables only, because a view may have rows without end.
        query = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ? COLLATE NOCASE"
        if not self._database.execute(query, (table,)).fetchone():
            return set()
        return {row[1] for row in self.execute(f"PRAGMA table_info({table})")}

    def execute(self, query: str) -> Sequence[Sequence[Any]]:
        return self._database.execute(query).fetchall()
