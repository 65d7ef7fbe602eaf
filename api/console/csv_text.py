"""Writes a page's table as CSV (RFC 4180) that a spreadsheet shows and never computes."""

from __future__ import annotations

import csv
import io
import json
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_COMPUTED: Final = ("=", "+", "-", "@", "＝", "＋", "－", "＠", "\t", "\r", "\n")
"""What a text begins with that spreadsheets take for a formula, or cut off before one. The wide
forms count too, because spreadsheets in East Asian languages read them."""

_UNSEEN: Final = " \xa0\u3000\ufeff\u200b\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060"
"""Blanks and characters without width, which spreadsheets may drop."""


def csv_of(rows: Iterable[Mapping[str, Any]]) -> str:
    """Writes rows with a line of names: those of all rows, in the order in which they come."""
    rows = list(rows)
    names = list(dict.fromkeys(name for row in rows for name in row))
    text = io.StringIO()
    # Quotes hold a cell together where spreadsheets separate cells by semicolons.
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerow(map(_cell, names))
    writer.writerows([_cell(row.get(name)) for name in names] for row in rows)
    return text.getvalue()


def _cell(value: Any) -> str:
    """Numbers stay as they are. A text that could be a formula gets an apostrophe before it."""
    if value is None:
        return ""
    if isinstance(value, (bool, int, float)):
        return json.dumps(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return f"'{text}" if text.lstrip(_UNSEEN).startswith(_COMPUTED) else text
