"""Results of verifying a log: findings in words for people, and the frames that are intact."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from attrs import frozen

if TYPE_CHECKING:
    from pathlib import Path

    from eventlog.frame import Frame

RESTORE = "no tracker starts with this log: restore the file from a backup"
VERSION = "no tracker of this version starts with this log"
REPORT = (
    "the bytes are as they were written, but no tracker writes that: keep a copy, and report it"
)
NOTHING = "nothing has to be done"


@frozen
class Finding:
    """A remark on a place in the log, for people. `damage` false: worth knowing, and in order."""

    path: Path
    offset: int  # bytes
    seq: int  # of the event at that offset, or of the next one
    what: str
    advice: str
    damage: bool = True


class Checked(NamedTuple):
    """An intact frame, and where it is."""

    path: Path
    offset: int
    frame: Frame
