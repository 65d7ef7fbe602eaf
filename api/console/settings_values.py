"""Reads and writes values of settings as forms have them."""

from __future__ import annotations

import json


def json_of(value: object) -> str:
    """Writes a value as forms take it, too."""
    return json.dumps(value, ensure_ascii=False)


def value_of(text: str) -> object:
    """Reads what a person typed: JSON, or a word without quotes."""
    try:
        return json.loads(text, parse_constant=str)  # NaN and the like are no JSON
    except (ValueError, RecursionError):
        return text
