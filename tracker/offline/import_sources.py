"""Reads the sources of an import that are files of text: keys as CSV, and a whitelist.

`import_torrust.py` reads databases. A source yields entries. Problems are entries too, so that all
of them can be reported at once; no problem's text repeats a key. Knows nothing of the log or the
state.
"""

from __future__ import annotations

import csv
import io
import os
import re
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from tracker.ports import MAX_NAME, is_key, is_line, is_name
from tracker.times import parse_loosely

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

_LAST_SECOND = 253_402_300_800  # end of the year 9999, because later dates cannot be printed


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
    """The source cannot be read, or is not of the kind that was named; the text says why."""


def entry(where: str, read: Callable[..., Entry | None], values: Iterable[Any]) -> Iterator[Entry]:
    """Yields what `read` makes of a row or line, if anything; a `ValueError` is a problem of it."""
    try:
        found = read(*values)
    except ValueError as error:
        found = Problem(where, str(error))
    if found is not None:
        yield found


def one_line(name: str) -> str:
    """The name of a source as text that any terminal shows; events keep it for ever."""
    text = os.fsencode(name).decode(errors="replace")[:MAX_NAME]
    return "".join(char if is_line(char) else "\N{REPLACEMENT CHARACTER}" for char in text)


def key_of(text: object) -> str:
    if isinstance(text, str) and is_key(text):
        return text
    raise ValueError("the key is not 10 to 64 letters, digits, - and _")


def info_hash_of(text: object) -> bytes:
    if isinstance(text, str) and re.fullmatch(r"[0-9A-Fa-f]{40}", text):
        return bytes.fromhex(text)
    raise ValueError("info_hash is not 40 hexadecimal digits")


def seconds_of(value: object) -> int:
    """Unix microseconds of a time in seconds."""
    if isinstance(value, int) and 0 <= value < _LAST_SECOND:
        return value * 1_000_000
    raise ValueError("valid_until is not a time in seconds before the year 10000")


def whitelisted(info_hash: object) -> WhitelistEntry:
    return WhitelistEntry(info_hash_of(info_hash))


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
        return one_line(self.path.name)

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
    return name if name.isprintable() and len(name) <= MAX_NAME else ascii(name[:MAX_NAME])


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
        return seconds_of(int(text))
    try:
        time_us, zoned = parse_loosely(text)
    except ValueError:
        raise ValueError("valid_until is neither seconds since 1970 nor RFC 3339") from None
    if not zoned:
        raise ValueError("valid_until has no time zone, such as Z or +02:00")
    seconds, micros = divmod(time_us, 1_000_000)
    return seconds_of(seconds) + micros


def _one_line(column: str) -> Callable[[str], str | None]:
    def read(text: str) -> str | None:
        if text and not is_name(text):
            raise ValueError(f"{column} is not one line of at most {MAX_NAME} printable characters")
        return text or None

    return read


_READERS: dict[str, Callable[[str], object]] = {
    "key": key_of,
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
        return one_line(self.path.name)

    def __iter__(self) -> Iterator[Entry]:
        for number, line in enumerate(self._text.splitlines(), 1):
            text = line.partition("#")[0].strip()
            if text:
                yield from entry(f"line {number}", whitelisted, [text])
