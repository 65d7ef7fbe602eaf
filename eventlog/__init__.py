"""An ordered, checksummed, append-only log of opaque records. Knows nothing of BitTorrent.

`open_log` opens a log for writing, `Reader` reads it from any process, `Verifier` checks it,
`remove_before` shortens it.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from eventlog.by_number import frames_with, holds_frame
from eventlog.encryption import (
    Encrypted,
    Encryptor,
    FrameId,
    Keys,
    decrypt_frame,
    frame_id_of,
    last_encrypted,
)
from eventlog.errors import (
    NO_KEY,
    RESTORE_KEYS,
    LogCorruptError,
    LogError,
    LogFailedError,
    LogFormatError,
    LogLockedError,
    LogPrunedError,
    LogUnusableError,
    NotAFileError,
)
from eventlog.files import (
    A_FILE,
    check_folder,
    create_file,
    destroy_file,
    make_folder,
    open_file,
    read_file,
    sync_directory,
    write_all,
    write_new,
)
from eventlog.findings import NOTHING, REPORT, RESTORE, Checked, Finding
from eventlog.first_event import first_seq, new_opening_path, opening_path, segments_of
from eventlog.folder import Recovery, read_identity
from eventlog.frame import (
    HEADER_SIZE,
    IGNORABLE,
    LAST_TIME_US,
    NO_CHAIN,
    NOT_ENCRYPTED,
    Frame,
    Header,
    chain_of,
)
from eventlog.history import BEGIN as HISTORY_BEGIN
from eventlog.history import at as history_at
from eventlog.kept_frames import keep_frames, kept_digests, kept_path, read_kept_frames
from eventlog.nonsense import border, parse_json
from eventlog.pool import FRAME_BYTES, OpenFrame, Pool
from eventlog.reader import (
    Known,
    PlacedFrames,
    Reader,
    first_and_last_frame,
    frame_at,
    placed_frames,
)
from eventlog.removal import remove_before
from eventlog.repeated_warning import RepeatedWarning
from eventlog.seals import (
    WENT_ON,
    Sealed,
    finished_segments,
    lost_its_end,
    seal_path,
    sealed_history,
    trusted_mac,
    write_missing,
    wrong_by_seal,
)
from eventlog.segment import (
    NO_DIGEST,
    End,
    base_seq_of,
    begin_of,
    first_frame_header,
    has_tags,
    list_segments,
    open_header,
)
from eventlog.tags import Macs, Part, Tags
from eventlog.verify import Verifier
from eventlog.verify_files import RESTORE_KEPT, unreadable
from eventlog.versions import FORMAT

if TYPE_CHECKING:
    from eventlog.log import WATERMARK_SECONDS, EventLog, LogStatistics, open_log
    from eventlog.threads import NO_THREAD, Pace, in_thread, to_the_end

__all__ = [
    "A_FILE",
    "FORMAT",
    "FRAME_BYTES",
    "HEADER_SIZE",
    "HISTORY_BEGIN",
    "IGNORABLE",
    "LAST_TIME_US",
    "NOTHING",
    "NOT_ENCRYPTED",
    "NO_CHAIN",
    "NO_DIGEST",
    "NO_KEY",
    "NO_THREAD",
    "REPORT",
    "RESTORE",
    "RESTORE_KEPT",
    "RESTORE_KEYS",
    "WATERMARK_SECONDS",
    "WENT_ON",
    "Checked",
    "Encrypted",
    "Encryptor",
    "End",
    "EventLog",
    "Finding",
    "Frame",
    "FrameId",
    "Header",
    "Keys",
    "Known",
    "LogCorruptError",
    "LogError",
    "LogFailedError",
    "LogFormatError",
    "LogLockedError",
    "LogPrunedError",
    "LogStatistics",
    "LogUnusableError",
    "Macs",
    "NotAFileError",
    "OpenFrame",
    "Pace",
    "Part",
    "PlacedFrames",
    "Pool",
    "Reader",
    "Recovery",
    "RepeatedWarning",
    "Sealed",
    "Tags",
    "Verifier",
    "base_seq_of",
    "begin_of",
    "border",
    "chain_of",
    "check_folder",
    "create_file",
    "decrypt_frame",
    "destroy_file",
    "finished_segments",
    "first_and_last_frame",
    "first_frame_header",
    "first_seq",
    "frame_at",
    "frame_id_of",
    "frames_with",
    "has_tags",
    "history_at",
    "holds_frame",
    "in_thread",
    "keep_frames",
    "kept_digests",
    "kept_path",
    "last_encrypted",
    "list_segments",
    "lost_its_end",
    "make_folder",
    "new_opening_path",
    "open_file",
    "open_header",
    "open_log",
    "opening_path",
    "parse_json",
    "placed_frames",
    "read_file",
    "read_identity",
    "read_kept_frames",
    "remove_before",
    "seal_path",
    "sealed_history",
    "segments_of",
    "sync_directory",
    "to_the_end",
    "trusted_mac",
    "unreadable",
    "write_all",
    "write_missing",
    "write_new",
    "wrong_by_seal",
]

_OF_WRITERS = {
    **dict.fromkeys(("WATERMARK_SECONDS", "EventLog", "LogStatistics", "open_log"), "log"),
    **dict.fromkeys(("NO_THREAD", "Pace", "in_thread", "to_the_end"), "threads"),
}


def __getattr__(name: str) -> Any:
    """Imports what writers need when it is asked for, because trio takes a tenth of a second, and
    readers do without."""
    if name not in _OF_WRITERS:
        raise AttributeError(f"module 'eventlog' has no attribute {name!r}")
    return getattr(import_module(f"eventlog.{_OF_WRITERS[name]}"), name)
