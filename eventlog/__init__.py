"""An ordered, checksummed, append-only log of opaque records. Knows nothing of BitTorrent."""

from eventlog.encryption import Opener, Place, Sealed, Sealer, opened
from eventlog.errors import (
    LogCorruptError,
    LogError,
    LogFailedError,
    LogFormatError,
    LogLockedError,
    LogPrunedError,
    LogUnusableError,
)
from eventlog.files import A_FILE, A_FOLDER, destroy, settle_directory, sync_directory, write_new
from eventlog.findings import REPORT, RESTORE, Checked, Finding
from eventlog.first_event import first_seq, list_openings, opening_path, segments_of, superfluous
from eventlog.folder import Recovery, read_identity
from eventlog.frame import HEADER_SIZE, IGNORABLE, Frame, Header
from eventlog.kept_frames import FOLDER as KEPT_FOLDER
from eventlog.kept_frames import chain as kept_chain
from eventlog.kept_frames import keep as keep_frames
from eventlog.kept_frames import list_kept, read_kept
from eventlog.log import WATERMARK_SECONDS, EventLog, LogStatistics, open_log
from eventlog.pool import OpenFrame, Pool
from eventlog.reader import Reader, ends, frame_at, holds
from eventlog.repeated_warning import Standing
from eventlog.seals import FOLDER as SEALS_FOLDER
from eventlog.seals import list_seals
from eventlog.segment import base_seq_of, first_frame, list_segments, open_header
from eventlog.verify import Verifier
from eventlog.verify_files import RESTORE_KEPT
from eventlog.versions import FORMAT

__all__ = [
    "A_FILE",
    "A_FOLDER",
    "FORMAT",
    "HEADER_SIZE",
    "IGNORABLE",
    "KEPT_FOLDER",
    "REPORT",
    "RESTORE",
    "RESTORE_KEPT",
    "SEALS_FOLDER",
    "WATERMARK_SECONDS",
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
    "Recovery",
    "Sealed",
    "Sealer",
    "Standing",
    "Verifier",
    "base_seq_of",
    "destroy",
    "ends",
    "first_frame",
    "first_seq",
    "frame_at",
    "holds",
    "keep_frames",
    "kept_chain",
    "list_kept",
    "list_openings",
    "list_seals",
    "list_segments",
    "open_header",
    "open_log",
    "opened",
    "opening_path",
    "read_identity",
    "read_kept",
    "segments_of",
    "settle_directory",
    "superfluous",
    "sync_directory",
    "write_new",
]
