"""Reads the dates of a frame's records."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tracker.domain import events
from tracker.domain.events import codec
from tracker.store import frames

if TYPE_CHECKING:
    from eventlog import Frame


def dates(frame: Frame) -> list[int]:
    """Returns the date of each record, Unix microseconds. Raises `CodecError`."""
    return [max(1, time_us - frame.header.lead_us) for time_us in _log_times(frame)]


def last_date(frame: Frame) -> int:
    """Returns the date of the last record. Raises `CodecError`."""
    header = frame.header
    if header.kind != events.ADMIN and frames.current(frame):
        at = codec.RECORD_SIZES[header.kind] * (header.records - 1)
        return max(1, int.from_bytes(frame.plain[at : at + 8], "little") - header.lead_us)
    return dates(frame)[-1]


def _log_times(frame: Frame) -> list[int]:
    header = frame.header
    if not frames.known(frame):
        return [header.time_us] * header.records
    frame = frames.newest(frame)
    if header.kind == events.ADMIN:
        # At least one, because a frame may say that it has records and have none.
        return [record.time_us for record in codec.decode_admin(frame.plain, ())] or [
            header.time_us
        ]
    size = codec.RECORD_SIZES[header.kind]
    if len(frame.plain) != size * header.records:
        raise codec.CodecError(f"event {header.base_seq} and those after it have another length")
    return [
        int.from_bytes(frame.plain[at : at + 8], "little")
        for at in range(0, len(frame.plain), size)
    ]
