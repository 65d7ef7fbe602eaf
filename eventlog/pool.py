"""Frames under construction: the synchronous half of the log, memory only.

Appending is a plain call: extend the open frame's sections. The number of records of a fixed-size kind
follows from the length of its plain section, so the sequence number cannot drift from the bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

FRAME_BYTES = 64 * 1024
"""A frame is closed once its plain section reaches this. With the protected section and the rest of a batch it stays
below 128 KiB, where CRC-32 still finds every small error."""
_FRAME_AT_MOST = 128 * 1024
_HEADER = 96  # bytes that a frame takes beside its sections, at most


class OpenFrame:
    """One frame that records may still be added to. Owner: the loop thread, until the pool is taken."""

    __slots__ = (
        "base_seq",
        "flags",
        "kind",
        "plain",
        "protected",
        "record_size",
        "schema",
        "time_us",
        "variable",
    )

    def __init__(
        self, kind: int, schema: int, record_size: int, base_seq: int, time_us: int
    ) -> None:
        self.kind = kind
        self.schema = schema
        self.flags = 0
        self.record_size = record_size
        self.base_seq = base_seq
        self.time_us = time_us
        self.plain = bytearray()
        self.protected = bytearray()
        self.variable = 0  # records of a kind whose records differ in length

    @property
    def count(self) -> int:
        return len(self.plain) // self.record_size if self.record_size else self.variable

    @property
    def next_seq(self) -> int:
        return self.base_seq + self.count


class Pool:
    """What was appended and not yet handed to a commit, in log order."""

    def __init__(self, record_sizes: Mapping[int, int], next_seq: int) -> None:
        """`record_sizes`: plain bytes of a record by kind; 0 = records of that kind vary."""
        self._record_sizes = record_sizes
        self._frames: list[OpenFrame] = []
        self._taken_seq = next_seq
        self._closed_bytes = 0

    @property
    def next_seq(self) -> int:
        """The number the next record gets."""
        return self._frames[-1].next_seq if self._frames else self._taken_seq

    @property
    def empty(self) -> bool:
        return self.next_seq == self._taken_seq

    @property
    def size(self) -> int:
        """Bytes waiting, at most: the open frame is taken for full. Asked for every batch."""
        return self._closed_bytes + (_FRAME_AT_MOST if self._frames else 0)

    def frame(self, kind: int, schema: int, time_us: int) -> OpenFrame:
        """The frame to extend with records of this kind: the open one, or a new one after it."""
        if self._frames:
            last = self._frames[-1]
            if last.kind == kind and last.schema == schema and len(last.plain) < FRAME_BYTES:
                if not last.plain:  # opened for a batch that came to nothing
                    last.time_us = time_us
                return last
        return self._open(kind, schema, time_us)

    def _open(self, kind: int, schema: int, time_us: int) -> OpenFrame:
        if self._frames:
            closed = self._frames[-1]
            self._closed_bytes += len(closed.plain) + len(closed.protected) + _HEADER
        fresh = OpenFrame(kind, schema, self._record_sizes[kind], self.next_seq, time_us)
        self._frames.append(fresh)
        return fresh

    def append(self, kind: int, schema: int, time_us: int, record: bytes) -> int:
        """Append one record without a protected section; returns its sequence number."""
        frame = self.frame(kind, schema, time_us)
        seq = frame.next_seq
        frame.plain += record
        frame.variable += 1
        return seq

    def take(self) -> list[OpenFrame]:
        """Hand over all frames; nothing may be added to them from here on."""
        self._taken_seq = self.next_seq
        self._closed_bytes = 0
        taken, self._frames = self._frames, []
        return [frame for frame in taken if frame.count]
