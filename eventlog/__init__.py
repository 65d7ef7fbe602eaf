"""An ordered, checksummed, append-only log of opaque records. Knows nothing of BitTorrent."""

from eventlog.errors import (
    LogCorruptError,
    LogError,
    LogFailedError,
    LogFormatError,
    LogLockedError,
    LogUnusableError,
)
from eventlog.frame import Frame, Header
from eventlog.log import EventLog, LogStatistics, open_log
from eventlog.pool import OpenFrame, Pool
from eventlog.reader import Reader
from eventlog.sealing import Opener, Place, Sealed, Sealer

__all__ = [
    "EventLog",
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
    "open_log",
]
