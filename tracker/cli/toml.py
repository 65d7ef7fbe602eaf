"""Formats plain data as TOML text, so that the output can be used as a configuration file.

It knows what `tracker.config.effective` returns: tables, arrays of tables, texts, whole numbers and
booleans. Keys whose value is None are left out, because TOML has no null.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_BARE = re.compile(r"[A-Za-z0-9_-]+")


def lines(table: Mapping[str, Any], path: str = "") -> Iterator[str]:
    """Yields the lines of a document: a table's values first, then the tables in it."""
    for name, value in table.items():
        if value is not None and not _is_nested(value):
            yield f"{_key(name)} = {_value(value)}"
    for name, value in table.items():
        if _is_nested(value):
            yield from _section(path + _key(name), value)


def _section(path: str, value: Any) -> Iterator[str]:
    tables, heading = (value, f"[[{path}]]") if isinstance(value, list) else ([value], f"[{path}]")
    for table in tables:
        yield ""
        yield heading
        yield from lines(table, f"{path}.")


def _is_nested(value: object) -> bool:
    return isinstance(value, dict) or (
        isinstance(value, list) and bool(value) and all(isinstance(one, dict) for one in value)
    )


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else _text(name)


def _value(value: object) -> str:
    if isinstance(value, list):
        return f"[{', '.join(map(_value, value))}]"
    return _text(value) if isinstance(value, str) else json.dumps(value)


def _text(text: str) -> str:
    # JSON's escapes are TOML's too, but for characters of two units. JSON leaves \x7f as it is.
    return re.sub(
        "[\x7f\U00010000-\U0010ffff]",
        lambda found: f"\\U{ord(found[0]):08x}",
        json.dumps(text, ensure_ascii=False),
    )
