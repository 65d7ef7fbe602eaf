"""Holds disk space in a file of zeros and gives it up when the disk is full, so that the log can go
on. Blocking calls.

Free space belongs to everybody on the machine; the reserve is the log's own. It is written, not
only allocated. On file systems that copy on write even that promises nothing, but there nothing
else would either.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from eventlog.errors import LogUnusableError
from eventlog.files import A_FOLDER, sync_directory, write_new

if TYPE_CHECKING:
    from pathlib import Path

NAME = "reserve"


class Reserve:
    """`size` bytes in the folder of the log; 0 = none."""

    def __init__(self, folder: Path, size: int) -> None:
        """Raises `LogUnusableError` when a folder stands where the file belongs."""
        self._path = folder / NAME
        if size and self._path.is_dir():
            raise LogUnusableError(folder, f"{NAME} {A_FOLDER}: remove it")
        self._size = size
        self._held = False

    def keep(self, free: int) -> None:
        """Make the file if it is missing and the disk has room for it twice.

        `free`: free bytes of the disk.
        """
        if self._held or not self._size:
            return
        with suppress(OSError):
            self._held = self._path.stat().st_size == self._size
        if self._held or free < 2 * self._size:
            return
        try:
            write_new(self._path, bytes(self._size))
            self._held = True
        except OSError:  # the log can do without, and will try again
            with suppress(OSError):
                self._path.with_name(NAME + ".tmp").unlink(missing_ok=True)

    def give_up(self) -> bool:
        """Free the space. Returns whether there was any."""
        if not self._held:
            return False
        self._held = False
        with suppress(OSError):
            os.unlink(self._path)
            sync_directory(self._path.parent)
            return True
        return False
