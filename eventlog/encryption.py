"""Encrypts the protected section of frames, with keys that are the caller's business.

The log gives each frame's protected section to an `Encryptor` in its committing thread, and writes
the bytes that it returns. A reader asks a `Decryptor`. The checksums cover the encrypted bytes, so
damage is found without any key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from eventlog.frame import Frame


class FrameId(NamedTuple):
    """Identifies a frame among all frames of all logs, so that its encryption may rest on it.

    An epoch uses each sequence number once, and every opening for writing begins another epoch, so
    the first three fields never repeat in one history of a log. CLOCK_BOOTTIME tells histories
    apart: a folder that was restored from a backup writes other records under the numbers of those
    that it lost.
    """

    log_id: bytes
    epoch: int
    base_seq: int
    boottime_ns: int


class Encrypted(NamedTuple):
    """An encrypted section, and what its frame's header says about the key."""

    key_epoch: int  # which key, from 1; 0 in a header: not encrypted
    check: int  # 64 bits that tell the right key from a wrong one
    data: bytes  # as long as the clear text


class Encryptor(Protocol):
    def encrypt(self, frame_id: FrameId, time_us: int, data: bytes | bytearray) -> Encrypted:
        """Encrypt a section before its frame is written. Blocking.

        A key made for it has to be durable on return. `time_us`: log time of the frame.
        """
        ...


class Decryptor(Protocol):
    def decrypt(
        self, frame_id: FrameId, key_epoch: int, check: int, data: bytes | memoryview
    ) -> bytes | memoryview | None:
        """Return the clear text, or None when the key is missing. Blocking."""
        ...


def decrypt_frame(log_id: bytes, found: Frame, keys: Decryptor | None) -> Frame:
    """Return a frame from a file with its protected section decrypted, or empty where the key is
    missing."""
    header = found.header
    if not header.key_epoch:
        return found
    section = None
    if keys is not None:
        frame_id = FrameId(log_id, header.epoch, header.base_seq, header.boottime_ns)
        section = keys.decrypt(frame_id, header.key_epoch, header.key_check, found.protected)
    return found._replace(protected=memoryview(section or b""))
