"""Encrypts the protected section of frames, with keys that are the caller's business.

The log gives each frame's protected section to an `Encryptor` in its committing thread, and writes
the bytes that it returns. A reader asks `Keys`. The checksums cover the encrypted bytes, so
damage is found without any key.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, NamedTuple, Protocol

from eventlog import segment
from eventlog.tags import TagReader

if TYPE_CHECKING:
    from pathlib import Path

    from eventlog.frame import Frame, Header

_LOOKED_AT = 1000  # frames from the end of a segment


class FrameId(NamedTuple):
    """Identifies a frame among all frames of all logs, so that its encryption may rest on it.

    The random seed alone does that since format 2. Before, the other fields did: an epoch uses each
    sequence number once, every opening for writing begins another epoch, and CLOCK_BOOTTIME tells
    the histories of a log apart that a restored backup makes.
    """

    log_id: bytes
    epoch: int
    base_seq: int
    boottime_ns: int
    seed: bytes  # empty in format 1


class Encrypted(NamedTuple):
    """An encrypted section, and what its frame's header says about the key."""

    key_epoch: int  # which key; `NOT_ENCRYPTED` = none
    check: int  # 64 bits that tell the right key from a wrong one
    data: bytes  # as long as the clear text


class Encryptor(Protocol):
    def encrypt(self, frame_id: FrameId, time_us: int, data: bytes | bytearray) -> Encrypted:
        """Encrypt a section before its frame is written. Blocking.

        A key made for it has to be durable on return. `time_us`: log time of the frame.
        """
        ...


class Keys(TagReader, Protocol):
    """What a reader needs of the secrets."""

    def decrypt(
        self, frame_id: FrameId, key_epoch: int, check: int, data: bytes | memoryview
    ) -> bytes | memoryview | None:
        """Return the clear text, or None when the key is missing. Blocking."""
        ...


def frame_id_of(log_id: bytes, header: Header) -> FrameId:
    return FrameId(log_id, header.epoch, header.base_seq, header.boottime_ns, header.seed)


def last_encrypted(path: Path, log_id: bytes) -> tuple[FrameId, int, int] | None:
    """Find the last encrypted frame near the end of a segment: its id, `key_epoch` and `key_check`.

    None where there is none. Raises `LogCorruptError`, `LogFormatError`, `OSError`.
    """
    headers = segment.headers_from_the_end(path, segment.open_header(path))
    for _, header in islice(headers, _LOOKED_AT):
        if header.encrypted:
            return frame_id_of(log_id, header), header.key_epoch, header.key_check
    return None


def decrypt_frame(log_id: bytes, found: Frame, keys: Keys | None) -> Frame:
    """Return a frame from a file with its protected section decrypted, or empty where the key is
    missing."""
    header = found.header
    if not header.encrypted:
        return found
    section = None
    if keys is not None:
        frame_id = frame_id_of(log_id, header)
        section = keys.decrypt(frame_id, header.key_epoch, header.key_check, found.protected)
    return found._replace(protected=memoryview(section or b""))
