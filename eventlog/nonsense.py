"""The border of every reader of files: whatever nonsense they hold becomes one error of ours.

A checksum only shows that bytes are as somebody wrote them, and anybody can compute one. So the
bytes behind it may be anything, and code that expects what a tracker writes may raise anything.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING

from eventlog.errors import LogError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@contextmanager
def border(refuse: Callable[[str], Exception], *passing: type[Exception]) -> Iterator[None]:
    """Raise `refuse(why)` in place of whatever the reading of nonsense raises.

    Errors of the kinds `passing` go through, because they say already what is wrong. So do
    `LogError`, `OSError` and `MemoryError`: none of them says that the bytes are nonsense.
    """
    try:
        yield
    except Exception as error:
        if isinstance(error, (LogError, OSError, MemoryError, *passing)):
            raise
        raise refuse(str(error) or type(error).__name__) from error


def parse_json(data: bytes | str) -> object:
    """Parse JSON. Raises `ValueError` for anything else, however deeply it is nested."""
    try:
        found: object = json.loads(data)
    except RecursionError:
        raise ValueError("JSON that is nested too deeply") from None
    return found
