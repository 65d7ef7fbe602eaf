"""Errors of an event log, by their cause.

LogError
+- LogCorruptError   bytes on disk differ from those written; nothing reads past them
+- LogFormatError    a segment of a foreign log, or of a format this version does not read
|  +- OtherFormatError  the second of these
|  +- NotAFileError  a folder, a pipe or a device stands in the place of a file
+- LogLockedError    another process holds the log for writing
+- LogUnusableError  there is no log, or its folder cannot be used: permissions, no space
+- LogPrunedError    the log lost its beginning during a read; read again
+- LogFailedError    a write or sync failed; events that were not yet durable may be lost
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


class LogError(Exception):
    """Base of everything this package raises on purpose."""


RESTORE = "restore the file from a backup, or move the log folder away to begin a new log"
NO_KEY = "of a server.key that these secrets do not hold"
RESTORE_KEYS = "restore server.key and the folder `retired` from a backup of the secrets"


class LogCorruptError(LogError):
    def __init__(self, path: Path, offset: int, what: str, advice: str = RESTORE) -> None:
        if what.endswith(NO_KEY):  # nothing need be wrong with the file
            advice = RESTORE_KEYS
        super().__init__(f"{path}: damaged at byte {offset}: {what}. Nothing was changed; {advice}")
        self.path = path
        self.offset = offset
        self.what = what


class LogFormatError(LogError):
    def __init__(self, path: Path, what: str) -> None:
        super().__init__(f"{path}: {what}")
        self.path = path


class OtherFormatError(LogFormatError):
    """A file of another format: nothing is wrong with it."""


class NotAFileError(LogFormatError):
    """Something else stands in the place of a file. `what` says what, without the path."""

    def __init__(self, path: Path, what: str) -> None:
        advice = "move it away, and restore the file from a backup. Nothing was changed"
        super().__init__(path, f"{what}: {advice}")
        self.what = what


class LogLockedError(LogError):
    def __init__(self, path: Path, holder: str) -> None:
        super().__init__(f"{path} is in use by another process ({holder}); stop it first")
        self.holder = holder


class LogUnusableError(LogError):
    def __init__(self, path: Path, what: str) -> None:
        super().__init__(f"the event log in {path} cannot be used: {what}")
        self.path = path


class LogPrunedError(LogError):
    def __init__(self, path: Path) -> None:
        super().__init__(f"{path}: the oldest events were removed while they were read; try again")
        self.path = path


class LogFailedError(LogError):
    pass
