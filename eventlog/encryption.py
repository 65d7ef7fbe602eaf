"""Sealing: how the private section of frames is made unreadable to whoever has no key. Keys are the caller's business.

The log gives each frame's sealed section to a `Sealer` in its committing thread, and writes what that returns; a reader
asks an `Opener`. The checksums cover what is written, so damage is found without any key.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from eventlog.frame import Frame


class Place(NamedTuple):
    """What tells a frame from every other one, of this log and of others: its encryption may rest on it.

    Sequence numbers are given once in an epoch, and every opening for writing begins another epoch, so the first three
    never come again in one history of a log. CLOCK_BOOTTIME is for a folder that was restored from a
    backup: it writes other records under the numbers of those that it lost.
    """

    log_id: bytes
    epoch: int
    base_seq: int
    boottime_ns: int


class Sealed(NamedTuple):
    key_epoch: int  # which key, 1 and up; 0 stands for none in a frame
    check: int  # 64 bits by which the right key is told from a wrong one
    data: bytes  # as long as what was sealed


class Sealer(Protocol):
    def seal(self, place: Place, time_us: int, data: bytes | bytearray) -> Sealed:
        """Called before the frame is written: a key that it makes has to be durable when it returns. Blocking."""
        ...


class Opener(Protocol):
    def open(
        self, place: Place, key_epoch: int, check: int, data: bytes | memoryview
    ) -> bytes | memoryview | None:
        """What was sealed; None when that key is not there. Blocking."""
        ...


def opened(log_id: bytes, found: Frame, keys: Opener | None) -> Frame:
    """A frame as it is in the file, with its sealed section opened; empty where its key is not there."""
    header = found.header
    if not header.key_epoch:
        return found
    section = None
    if keys is not None:
        place = Place(log_id, header.epoch, header.base_seq, header.boottime_ns)
        section = keys.open(place, header.key_epoch, header.key_check, found.sealed)
    return found._replace(sealed=memoryview(section or b""))
