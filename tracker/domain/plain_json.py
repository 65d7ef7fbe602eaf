"""Reads the JSON in records and images: only what a tracker can have written."""

from __future__ import annotations

import json
from typing import Any


def loads(data: bytes) -> Any:
    """The value of JSON text.

    Raises `ValueError` for anything else, also for what is nested too deeply, and for characters
    that UTF-8 cannot write: JSON has escapes for them, and whoever prints them would fail.
    """
    try:
        found = json.loads(data)
        if b"\\u" in data:  # a tracker escapes control characters only
            json.dumps(found, ensure_ascii=False).encode()
    except RecursionError:
        raise ValueError("nested too deeply") from None
    return found
