"""Prints lists as tables for people, as lines for programs, or as JSON.

On a terminal a list is a table that fits its width: bytes in binary units, times to the second.
Elsewhere it is a line for each row with exact values, separated by tabs, and no headings. With
`--json` it is an object for each row.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from attrs import frozen

from tracker.cli.output import note, say, say_json

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

TEXT, WORD, NUMBER, BYTES, TIME, HASH = "text", "word", "number", "bytes", "time", "hash"
"""What a column holds. A word stays whole where a text is cut."""
_RIGHT = (NUMBER, BYTES)
_LEAST = {TEXT: 12, HASH: 10}
"""Characters to which cells may be cut where the terminal is narrow. Other cells stay whole.

Ten digits of an info hash name a torrent in commands.
"""
_MEASURED = 500  # rows that are looked at for the widths of the columns
_GAP = "  "
_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB", "EiB")
_BYTES = {
    *("uploaded", "downloaded", "credited_uploaded", "credited_downloaded", "size", "left"),
    *("received", "sent", "amount", "bytes"),
}  # members of JSON objects that are bytes
_NAMES = {"account": "owner", "info_hash": "label"}  # what stands beside them
_BOLD, _DIM, _RED, _YELLOW = "1", "2", "31", "33"  # of ANSI's select graphic rendition
_COLOURS = {
    **dict.fromkeys(("violated", "confirmed", "proof", "fails"), _RED),
    **dict.fromkeys(("at_risk", "open", "case"), _YELLOW),
    **dict.fromkeys(("revoked", "expired"), _DIM),
}
"""The colour of a row that has a cell with this word."""


@frozen
class Column:
    """A column: the member of the JSON object, what it holds, and what stands for a missing value.

    `heading`: a shorter name; "" = the member's.
    """

    name: str
    kind: str = TEXT
    absent: str = "-"
    heading: str = ""

    @property
    def title(self) -> str:
        return self.heading or self.name


def add_list(parser: argparse.ArgumentParser) -> None:
    """Adds the options that `say_list` reads beside `--json`."""
    parser.add_argument("--bytes", action="store_true", help="print bytes exactly, without units")
    parser.add_argument(
        "--wide", action="store_true", help="print whole rows, though the terminal is narrower"
    )


def on_terminal() -> bool:
    return sys.stdout.isatty()


def say_list(
    options: argparse.Namespace,
    columns: Sequence[Column],
    items: Iterable[Any],
    cells: Callable[[Any], Sequence[object]],
    shown: Callable[[Any], object] = lambda item: item,
    summary: Callable[[], str] | None = None,
) -> None:
    """Prints a list. `cells` makes a row of an item, `shown` the JSON object.

    `summary`: a last line for people, asked for when all rows are printed.
    """
    if options.json:
        for item in items:
            say_json(shown(item))
    elif on_terminal():
        _say_table(options, columns, map(cells, items))
        if summary is not None:
            say(summary())
    else:
        for item in items:
            row = zip(columns, cells(item), strict=True)
            say("\t".join(_one_line(_exact(column, value)) for column, value in row))


def say_table(
    options: argparse.Namespace, columns: Sequence[Column], rows: Iterable[Sequence[object]]
) -> None:
    """Prints several like things that are part of a longer text, as a table with headings.

    It fits a terminal. Elsewhere it is as wide as it is, with exact values.
    """
    _say_table(options, columns, iter(rows))


def by_name(columns: Sequence[Column]) -> Callable[[Mapping[str, Any]], list[object]]:
    """Makes a row of an object that has a member for each column."""
    return lambda item: [item.get(column.name) for column in columns]


def with_names(options: argparse.Namespace, columns: Sequence[Column]) -> list[Column]:
    """Returns columns with the owner beside an account, and the label beside an info hash, where
    `--names` asks for them.
    """
    found = []
    for column in columns:
        found.append(column)
        if options.names and column.name in _NAMES:
            found.append(Column(_NAMES[column.name]))
    return found


def say_facts(options: argparse.Namespace, facts: Mapping[str, Any]) -> None:
    """Prints one thing: one JSON object, or a line with a name and a value for each member."""
    if options.json:
        say_json(facts)
        return
    width = max(map(len, facts), default=0) if on_terminal() else 0
    for name, value in facts.items():
        text = _exact(Column(name), value)
        if width:
            text = _to_the_second(text)
            if name in _BYTES and isinstance(value, int) and abs(value) >= 1024:
                text += f" ({in_units(value)})"
        say(f"{name:<{width}} {text}")


def _say_table(
    options: argparse.Namespace, columns: Sequence[Column], rows: Iterator[Sequence[object]]
) -> None:
    made = (
        [_one_line(_for_people(options, *pair)) for pair in zip(columns, row, strict=True)]
        for row in rows
    )
    first = list(islice(made, _MEASURED))
    natural = [
        max(map(len, (column.title, *cells)))
        for column, cells in zip(columns, zip(*first, strict=True) if first else [()] * len(columns), strict=True)
    ]  # fmt: skip
    widths = _fit(columns, natural) if on_terminal() and not options.wide else natural
    say(_line(columns, widths, [column.title for column in columns]), _style(_BOLD))
    for row in chain(first, made):
        colour = next((_COLOURS[cell] for cell in row if cell in _COLOURS), "")
        say(_line(columns, widths, row), _style(colour))
    if len(widths) < len(columns):
        names = ", ".join(column.title for column in columns[len(widths) :])
        note(f"note: {names}: not shown, because the terminal is too narrow; --wide shows all")


def _fit(columns: Sequence[Column], widths: Sequence[int]) -> list[int]:
    """Cuts the widths of columns to the terminal's: first info hashes, then the widest texts. If
    that is not enough, the last columns go.
    """
    room, fitted = shutil.get_terminal_size().columns, list(widths)
    if _width(fitted) > room:
        fitted = [
            min(width, _LEAST[HASH]) if column.kind == HASH else width
            for column, width in zip(columns, widths, strict=True)
        ]
        widths = fitted
    while _width(fitted) > room:
        cut = [
            at for at in range(len(fitted))
            if fitted[at] > max(_LEAST.get(columns[at].kind, sys.maxsize), len(columns[at].title))
        ]  # fmt: skip
        if cut:
            widest = max(cut, key=lambda at: fitted[at])
            fitted[widest] -= 1
        elif len(fitted) > 1:
            fitted = list(widths[: len(fitted) - 1])
        else:
            break
    return fitted


def _width(widths: Sequence[int]) -> int:
    return sum(widths) + len(_GAP) * (len(widths) - 1)


def _line(columns: Sequence[Column], widths: Sequence[int], row: Sequence[str]) -> str:
    shown = []
    for column, width, cell in zip(columns, widths, row, strict=False):
        text = _cut(column, cell, width)
        shown.append(text.rjust(width) if column.kind in _RIGHT else text.ljust(width))
    return _GAP.join(shown).rstrip()


def _cut(column: Column, text: str, width: int) -> str:
    if len(text) <= width or column.kind not in _LEAST:
        return text
    return text[:width] if column.kind == HASH else f"{text[: width - 1]}…"


def _exact(column: Column, value: object) -> str:
    if value is None:
        return column.absent
    if isinstance(value, list | tuple):
        return ", ".join(map(str, value)) or column.absent
    return str(value).lower() if isinstance(value, bool) else str(value)


def _for_people(options: argparse.Namespace, column: Column, value: object) -> str:
    if not on_terminal():
        return _exact(column, value)
    if column.kind == BYTES and isinstance(value, int) and not options.bytes:
        return in_units(value)
    return _to_the_second(_exact(column, value))


def _to_the_second(text: str) -> str:
    found = re.fullmatch(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)\.\d{6}Z", text)
    return f"{found[1]} {found[2]}" if found else text


def in_units(count: int) -> str:
    """Writes bytes with three digits or more in binary units: `1.50 GiB`."""
    if abs(count) < 1000:
        return f"{count} B"
    size, power = count / 1024, 0
    while abs(size) >= 999.5 and power < len(_UNITS) - 1:
        size, power = size / 1024, power + 1
    digits = 2 if abs(size) < 9.995 else 1 if abs(size) < 99.95 else 0
    return f"{size:.{digits}f} {_UNITS[power]}"


def _one_line(text: str) -> str:
    """Keeps a row in one line, and a cell between two tabs, whatever names hold."""
    return text.replace("\t", "\\t").replace("\n", "\\n")


def _style(colour: str) -> str:
    """Returns the colour if a terminal shall get any (https://no-color.org), else ""."""
    plain = not on_terminal() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return "" if plain else colour
