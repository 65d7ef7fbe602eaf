"""An ordered, checksummed, append-only log of opaque records. Knows nothing of BitTorrent."""

from eventlog.errors import (
    LogCorruptError,
    LogError,
    LogFailedError,
    LogFormatError,
    LogLockedError,
    LogUnusableError,
)
from eventlog.findings import Checked, Finding
from eventlog.frame import Frame, Header
from eventlog.log import EventLog, LogStatistics, open_log
from eventlog.pool import OpenFrame, Pool
from eventlog.reader import Reader, ends, frame_at
from eventlog.sealing import Opener, Place, Sealed, Sealer, opened
from eventlog.verifier import Verifier

__all__ = [
    "Checked",
    "EventLog",
    "Finding",
    "Frame",
    "Header",
    "LogCorruptError",
    "LogError",
    "LogFailedError",
    "LogFormatError",
    "LogLockedError",
    "LogStatistics",
    "LogUnusableError",
    "OpenFrame",
    "Opener",
    "Place",
    "Pool",
    "Reader",
    "Sealed",
    "Sealer",
    "Verifier",
    "ends",
    "frame_at",
    "open_log",
    "opened",
]
