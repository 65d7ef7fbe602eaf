"""Sealing: how the private section of frames is made unreadable to whoever has no key. Keys are the caller's business.

The log gives each frame's protected section to an `Encryptor` in its committing thread, and writes what that returns; a reader
asks a `Decryptor`. The checksums cover what is written, so damage is found without any key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from eventlog.frame import Frame


class FrameId(NamedTuple):
    """What tells a frame from every other one, of this log and of others: its encryption may rest on it.

    Sequence numbers are given once in an epoch, and every opening for writing begins another epoch, so the first three
    never come again in one history of a log. CLOCK_BOOTTIME is for a folder that was restored from a
    backup: it writes other records under the numbers of those that it lost.
    """

    log_id: bytes
    epoch: int
    base_seq: int
    boottime_ns: int


class Encrypted(NamedTuple):
    key_epoch: int  # which key, 1 and up; 0 stands for none in a frame
    check: int  # 64 bits by which the right key is told from a wrong one
    data: bytes  # as long as the clear text


class Encryptor(Protocol):
    def encrypt(self, frame_id: FrameId, time_us: int, data: bytes | bytearray) -> Encrypted:
        """Called before the frame is written: a key that it makes has to be durable when it returns. Blocking."""
        ...


class Decryptor(Protocol):
    def decrypt(
        self, frame_id: FrameId, key_epoch: int, check: int, data: bytes | memoryview
    ) -> bytes | memoryview | None:
        """The clear text; None when that key is not there. Blocking."""
        ...


def decrypt_frame(log_id: bytes, found: Frame, keys: Decryptor | None) -> Frame:
    """A frame as it is in the file, with its protected section decrypted; empty where its key is not there."""
    header = found.header
    if not header.key_epoch:
        return found
    section = None
    if keys is not None:
        frame_id = FrameId(log_id, header.epoch, header.base_seq, header.boottime_ns)
        section = keys.decrypt(frame_id, header.key_epoch, header.key_check, found.protected)
    return found._replace(protected=memoryview(section or b""))
