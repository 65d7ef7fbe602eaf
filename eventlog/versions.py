"""The format number of all files of a log, and the errors for files of another format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventlog.errors import OtherFormatError

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = 2
"""The format that this version writes.

docs/log-format.md says what a file of a format may hold, and that never changes.
"""
READ = (1, 2)
"""The formats that this version reads."""


def check(path: Path, found: int) -> None:
    """Raises `OtherFormatError` for a file of another format, with advice."""
    if found == 0:
        raise OtherFormatError(
            path,
            "is of format 0, that of versions before the format was settled; nothing reads or converts it. "
            "Move the log folder away to begin a new log, or use the version that wrote it. Nothing was changed",
        )
    if found not in READ:
        raise OtherFormatError(
            path,
            f"is of format {found}, and this version reads formats 1 to {FORMAT}: use the version that wrote it, or a "
            "later one. Nothing was changed",
        )
