"""Reads the sources of an import: the SQLite database of Torrust's tracker, keys as CSV, and a
whitelist as text.

A source yields entries. Problems are entries too, so that all of them can be reported at once; no
problem's text repeats a key. Knows nothing of the log or the state.
"""

from __future__ import annotations

import csv
import io
import os
import re
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from tracker.ports import is_line
from tracker.times import parse_loosely

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

MAX_TEXT = 200
"""Longest owner or label, in characters: both stay in the log for ever."""
_ANOTHER = "this is not the database of Torrust's tracker"
_LAST_SECOND = 253_402_300_800  # end of the year 9999, because later dates cannot be printed
_MAX_COMPLETED = 2**48  # more than any torrent has; sums of many stay below 2**64


@frozen
class WhitelistEntry:
    info_hash: bytes


@frozen
class KeyEntry:
    key: str = field(repr=False)  # 10 to 64 letters, digits, - and _
    valid_until_us: int | None  # Unix microseconds; None = permanent
    owner: str | None = None
    label: str | None = None


@frozen
class CompletedEntry:
    info_hash: bytes
    completed: int  # in all, 1 or more


@frozen
class Problem:
    where: str  # row or line
    what: str


Entry = WhitelistEntry | KeyEntry | CompletedEntry | Problem


class SourceError(Exception):
    """The file is not of the format that was named; the text says why."""


def _key(text: object) -> str:
    if isinstance(text, str) and re.fullmatch(r"[0-9A-Za-z_-]{10,64}", text):
        return text
    raise ValueError("the key is not 10 to 64 letters, digits, - and _")


# SQLite, as Torrust's tracker stores it (contract section 5, persistence).


@frozen
class TorrustDatabase:
    """Yields entries of the tables `whitelist`, `keys` and `torrents`.

    A missing table counts as empty; all three missing is a problem.
    """

    path: Path

    @property
    def name(self) -> str:
        return os.fsencode(self.path.name).decode(errors="replace")

    def __iter__(self) -> Iterator[Entry]:
        """Raises `SourceError`."""
        try:
            with closing(self._open()) as database:
                yield from _tables(database)
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


def _tables(database: sqlite3.Connection) -> Iterator[Entry]:
    database.execute("BEGIN")  # reads all tables as of one moment
    # A view may be endless.
    query = "SELECT name FROM sqlite_master WHERE type = 'table'"
    found = {name for (name,) in database.execute(query)}
    if not found & _TABLES.keys():
        yield Problem(
            "the file", f"has none of the tables whitelist, keys and torrents: {_ANOTHER}"
        )
    for table, (columns, read) in _TABLES.items():
        if table not in found:
            continue
        there = {row[1] for row in database.execute(f"PRAGMA table_info({table})")}
        if missing := [name for name in columns.split(", ") if name not in there]:
            yield Problem(f"table {table}", f"has no column {' or '.join(missing)}: {_ANOTHER}")
        else:
            query = f"SELECT rowid, {columns} FROM {table} ORDER BY rowid"  # noqa: S608  # constant names
            for rowid, *values in database.execute(query):
                yield from _row(f"table {table}, row {rowid}", read, values)


def _row(where: str, read: Callable[..., Entry | None], values: list[Any]) -> Iterator[Entry]:
    try:
        entry = read(*values)
    except ValueError as error:
        entry = Problem(where, str(error))
    if entry is not None:
        yield entry


def _whitelisted(info_hash: object) -> WhitelistEntry:
    return WhitelistEntry(_info_hash(info_hash))


def _stored_key(key: object, valid_until: object) -> KeyEntry:
    return KeyEntry(_key(key), None if valid_until is None else _seconds(valid_until))


def _completed(info_hash: object, completed: object) -> CompletedEntry | None:
    if not isinstance(completed, int) or not 0 <= completed < _MAX_COMPLETED:
        raise ValueError("completed is not a count")
    return CompletedEntry(_info_hash(info_hash), completed) if completed else None


def _info_hash(text: object) -> bytes:
    if isinstance(text, str) and re.fullmatch(r"[0-9A-Fa-f]{40}", text):
        return bytes.fromhex(text)
    raise ValueError("info_hash is not 40 hexadecimal digits")


def _seconds(value: object) -> int:
    if isinstance(value, int) and 0 <= value < _LAST_SECOND:
        return value * 1_000_000
    raise ValueError("valid_until is not a time in seconds before the year 10000")


_TABLES: dict[str, tuple[str, Callable[..., Entry | None]]] = {
    "whitelist": ("info_hash", _whitelisted),
    "keys": ("key, valid_until", _stored_key),
    "torrents": ("info_hash, completed", _completed),
}


# CSV.


@frozen
class KeysFile:
    """Yields keys of a CSV file; its header has `key`, optionally `owner`, `valid_until`, `label`.

    Columns have any order. `valid_until` is in seconds since 1970 or RFC 3339; empty = permanent.
    """

    path: Path
    _text: str = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> KeysFile:
        """Reads the whole file. Raises `SourceError`."""
        return cls(path, _text_of(path))

    @property
    def name(self) -> str:
        return os.fsencode(self.path.name).decode(errors="replace")

    def __iter__(self) -> Iterator[Entry]:
        rows = csv.reader(io.StringIO(self._text, newline=""), strict=True)
        try:
            header = [name.strip().lower() for name in next(rows, [])]
            problems = list(_header_problems(header))
            yield from problems
            if not problems:
                yield from _rows(rows, header)
        except csv.Error as error:
            yield Problem(f"line {rows.line_num}", f"not CSV: {error}")


def _text_of(path: Path) -> str:
    """Reads a whole file. Raises `SourceError`."""
    try:
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise SourceError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SourceError(f"{path}: it is not UTF-8 text") from None


def _header_problems(header: list[str]) -> Iterator[Problem]:
    for mark in ";\t|":
        if len(header) == 1 and mark in header[0]:
            shown = "tabs" if mark == "\t" else f"`{mark}`"
            yield Problem("line 1", f"{shown} between the columns: save the file with commas")
            return
    if "key" not in header:
        yield Problem("line 1", f"the header has no column key; it may have {', '.join(_READERS)}")
    if unknown := [name for name in header if name not in _READERS]:
        # Without a header the first row holds a key, which must not be repeated.
        shown = ", ".join(map(_shown, unknown)) if "key" in header else "other columns"
        yield Problem("line 1", f"the header has {shown}, which mean nothing here")
    if len(set(header)) < len(header):
        yield Problem("line 1", "the header has a column twice")


def _shown(name: str) -> str:
    """Returns a short name that a terminal shows; others with escapes."""
    return name if name.isprintable() and len(name) <= MAX_TEXT else ascii(name[:MAX_TEXT])


def _rows(rows: Any, header: list[str]) -> Iterator[Entry]:
    lines: dict[str, int] = {}
    began = rows.line_num + 1
    for row in rows:
        line, began = began, rows.line_num + 1
        if not any(cell.strip() for cell in row):
            continue
        if len(row) != len(header):
            yield Problem(f"line {line}", f"has {len(row)} fields, the header {len(header)}")
            continue
        yield from _csv_row(line, dict(zip(header, map(str.strip, row), strict=True)), lines)


def _csv_row(line: int, cells: dict[str, str], lines: dict[str, int]) -> Iterator[Entry]:
    """`lines`: line of the first row of each key so far."""
    values: dict[str, Any] = {}
    for column, read in _READERS.items():
        try:
            values[column] = read(cells.get(column, ""))
        except ValueError as error:
            yield Problem(f"line {line}", str(error))
    if "key" in values and (first := lines.setdefault(values["key"], line)) != line:
        yield Problem(f"line {line}", f"the key of line {first} again")
    elif len(values) == len(_READERS):
        yield KeyEntry(values["key"], values["valid_until"], values["owner"], values["label"])


def _valid_until(text: str) -> int | None:
    """Reads `valid_until`; returns Unix microseconds, None = permanent."""
    if not text:
        return None
    if re.fullmatch(r"[0-9]{1,12}", text):
        return _seconds(int(text))
    try:
        time_us, zoned = parse_loosely(text)
    except ValueError:
        raise ValueError("valid_until is neither seconds since 1970 nor RFC 3339") from None
    if not zoned:
        raise ValueError("valid_until has no time zone, such as Z or +02:00")
    seconds, micros = divmod(time_us, 1_000_000)
    return _seconds(seconds) + micros


def _one_line(column: str) -> Callable[[str], str | None]:
    def read(text: str) -> str | None:
        if len(text) > MAX_TEXT or not is_line(text):
            raise ValueError(f"{column} is not one line of at most {MAX_TEXT} printable characters")
        return text or None

    return read


_READERS: dict[str, Callable[[str], object]] = {
    "key": _key,
    "owner": _one_line("owner"),
    "valid_until": _valid_until,
    "label": _one_line("label"),
}


# Text.


@frozen
class WhitelistFile:
    """Yields the info hashes of a text file, one a line. Empty lines and those after # are none."""

    path: Path
    _text: str = field(repr=False)

    @classmethod
    def read(cls, path: Path) -> WhitelistFile:
        """Reads the whole file. Raises `SourceError`."""
        return cls(path, _text_of(path))

    @property
    def name(self) -> str:
        return os.fsencode(self.path.name).decode(errors="replace")

    def __iter__(self) -> Iterator[Entry]:
        for number, line in enumerate(self._text.splitlines(), 1):
            text = line.partition("#")[0].strip()
            if text:
                yield from _row(f"line {number}", _whitelisted, [text])
