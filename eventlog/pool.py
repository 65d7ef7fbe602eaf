"""Gathers appended records in frames, in memory, until a commit takes them.

Appending is a plain call that extends the sections of the open frame. The number of records of a
fixed-size kind follows from the length of its plain section, so sequence numbers cannot drift from
the bytes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventlog.frame import ALIGN, HEADER_SIZE

if TYPE_CHECKING:
    from collections.abc import Mapping

FRAME_BYTES = 64 * 1024
"""Bytes of the plain section at which a frame is closed.

With the protected section and the rest of a batch a frame stays below 128 KiB, where CRC-32 still
finds every small error.
"""
_DAY_US = 86_400_000_000  # a frame has records of one day, because it is encrypted under one key
_FRAME_AT_MOST = 128 * 1024  # bytes
_HEADER = HEADER_SIZE + ALIGN
"""Bytes of a frame beside its sections, at most."""


class OpenFrame:
    """A frame that takes records.

    The loop owns it until the pool is taken, the committing thread afterwards.
    """

    __slots__ = (
        "base_seq",
        "flags",
        "kind",
        "lasting",
        "lead_us",
        "plain",
        "protected",
        "record_size",
        "schema",
        "time_us",
        "variable",
    )

    def __init__(
        self,
        kind: int,
        schema: int,
        record_size: int,
        base_seq: int,
        time_us: int,
        lead_us: int = 0,
        lasting: bool = False,
    ) -> None:
        self.kind = kind
        self.lasting = lasting
        self.schema = schema
        self.flags = 0
        self.record_size = record_size
        self.base_seq = base_seq
        self.time_us = time_us
        self.lead_us = lead_us
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
    """Records that were appended and that no commit has taken, in log order."""

    def __init__(self, record_sizes: Mapping[int, int], next_seq: int) -> None:
        """`record_sizes`: plain bytes of a record by kind; 0 = records of that kind vary."""
        self._record_sizes = record_sizes
        self._frames: list[OpenFrame] = []
        self._taken_seq = next_seq
        self._closed_bytes = 0
        self.lead_us = 0  # log time less the wall clock, for the frames that are opened from now on

    @property
    def next_seq(self) -> int:
        """Sequence number of the next record."""
        return self._frames[-1].next_seq if self._frames else self._taken_seq

    @property
    def empty(self) -> bool:
        return self.next_seq == self._taken_seq

    @property
    def size(self) -> int:
        """Upper bound of the bytes that wait: the open frame counts as full, because this is asked
        for each batch."""
        return self._closed_bytes + (_FRAME_AT_MOST if self._frames else 0)

    @property
    def reach(self) -> int:
        """Upper bound of the bytes that wait once the next batch is appended: the frame that takes
        it counts as full, also before it is opened.
        """
        return self._closed_bytes + _FRAME_AT_MOST

    def frame(self, kind: int, schema: int, time_us: int, *, lasting: bool = False) -> OpenFrame:
        """Return the frame that takes records of this kind: the open one, or a new one after it.

        `time_us`: log time of the first record to come. `lasting`: the records are kept when their
        segment is removed, so they stand in frames of their own, because a frame stays as a whole.
        """
        if self._frames:
            last = self._frames[-1]
            if (
                last.kind == kind
                and last.schema == schema
                and len(last.plain) < FRAME_BYTES
                and last.lead_us == self.lead_us
                and last.lasting == lasting
            ):
                if not last.plain:  # opened for a batch that logged nothing
                    last.time_us = time_us
                if last.time_us // _DAY_US == time_us // _DAY_US:
                    return last
        return self._open(kind, schema, time_us, lasting)

    def _open(self, kind: int, schema: int, time_us: int, lasting: bool) -> OpenFrame:
        if self._frames:
            closed = self._frames[-1]
            self._closed_bytes += len(closed.plain) + len(closed.protected) + _HEADER
        size = self._record_sizes[kind]
        fresh = OpenFrame(kind, schema, size, self.next_seq, time_us, self.lead_us, lasting)
        self._frames.append(fresh)
        return fresh

    def append(
        self, kind: int, schema: int, time_us: int, record: bytes, *, lasting: bool = False
    ) -> int:
        """Append a record of varying length without a protected part. `lasting`: see `frame`.

        Returns its sequence number.
        """
        frame = self.frame(kind, schema, time_us, lasting=lasting)
        seq = frame.next_seq
        frame.plain += record
        frame.variable += 1
        return seq

    def take(self) -> list[OpenFrame]:
        """Hand over all frames that hold records. Nobody may add to them from now on."""
        self._taken_seq = self.next_seq
        self._closed_bytes = 0
        taken, self._frames = self._frames, []
        return [frame for frame in taken if frame.count]
