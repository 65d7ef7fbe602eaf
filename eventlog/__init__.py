"""An ordered, checksummed, append-only log of opaque records. Knows nothing of BitTorrent."""

from eventlog.beginning import first_seq, opening_path
from eventlog.errors import (
    LogCorruptError,
    LogError,
    LogFailedError,
    LogFormatError,
    LogLockedError,
    LogPrunedError,
    LogUnusableError,
)
from eventlog.findings import Checked, Finding
from eventlog.frame import IGNORABLE, Frame, Header
from eventlog.kept import kept_frames
from eventlog.log import EventLog, LogStatistics, open_log
from eventlog.pool import OpenFrame, Pool
from eventlog.reader import Reader, ends, frame_at, holds
from eventlog.sealing import Opener, Place, Sealed, Sealer, opened
from eventlog.standing import Standing
from eventlog.verifier import Verifier

__all__ = [
    "IGNORABLE",
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
    "LogPrunedError",
    "LogStatistics",
    "LogUnusableError",
    "OpenFrame",
    "Opener",
    "Place",
    "Pool",
    "Reader",
    "Sealed",
    "Sealer",
    "Standing",
    "Verifier",
    "ends",
    "first_seq",
    "frame_at",
    "holds",
    "kept_frames",
    "open_log",
    "opened",
    "opening_path",
]
