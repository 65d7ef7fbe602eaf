"""Reads the records of frames in the newest schema. Every reader of a log goes through this.

A frame of an unknown kind or schema ends replay with `UnknownEventError`, because it may change
anything. Where its flag says that it changes nothing, it is passed over; so are unknown admin
events in such a frame.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventlog import LAST_TIME_US, border
from tracker.domain import events
from tracker.domain.events import codec, schemas
from tracker.domain.events.errors import CodecError, ReplayError

if TYPE_CHECKING:
    from collections.abc import Container, Iterator
    from contextlib import AbstractContextManager

    from eventlog import Frame
    from tracker.domain.events.codec import AdminRecord
    from tracker.domain.state import State


def apply(state: State, frame: Frame) -> None:
    """Applies a frame to a state. Raises `ReplayError`, `CodecError`."""
    header = frame.header
    what = f"event {header.base_seq} or another of its frame cannot be applied"
    with border(lambda why: ReplayError(f"{what}: {why}"), CodecError, ReplayError):
        state.apply(
            header.kind,
            header.schema,
            header.base_seq,
            frame.plain,
            frame.protected,
            ignorable=header.records if header.ignorable else 0,
        )
        if state.time_us > LAST_TIME_US:
            raise ReplayError(f"{what}: its log time is after the year 9999")


def reading(seq: int) -> AbstractContextManager[None]:
    """The border of all other readers of records: raises `CodecError` for whatever nonsense raises.

    `seq` is the event to name.
    """
    what = f"event {seq} or another of its frame cannot be read"
    return border(lambda why: CodecError(f"{what}: {why}"), CodecError, ReplayError)


def known(frame: Frame) -> bool:
    """Says whether this version knows the kind and schema of a frame."""
    return schemas.known(frame.header.kind, frame.header.schema)


def current(frame: Frame) -> bool:
    """Says whether the records of a frame are of the newest schema."""
    return frame.header.schema == schemas.NEWEST.get(frame.header.kind)


def newest(frame: Frame) -> Frame:
    """Makes the records of a known frame into those of the newest schema. Raises `CodecError`."""
    header = frame.header
    if current(frame):
        return frame
    plain, protected = schemas.newest(header.kind, header.schema, frame.plain, frame.protected)
    return frame._replace(
        header=header._replace(schema=schemas.NEWEST[header.kind]),
        plain=memoryview(plain),
        protected=memoryview(protected),
    )


def announces(frame: Frame) -> Iterator[tuple[codec.Plain, codec.Private | None]]:
    """Reads the announces of a frame; a frame of another kind has none. Raises `CodecError`."""
    if frame.header.kind != events.ANNOUNCE or not readable(frame):
        return
    with reading(frame.header.base_seq):
        frame = newest(frame)
        yield from codec.decode_announces(frame.plain, frame.protected)


def admin(frame: Frame, only: Container[int] | None = None) -> Iterator[tuple[int, AdminRecord]]:
    """Reads the known admin events of a frame, with their numbers. `only`: as `decode_admin` has
    it. Raises `CodecError`.
    """
    if frame.header.kind != events.ADMIN or not readable(frame):
        return
    with reading(frame.header.base_seq):
        plain = bytes(newest(frame).plain)
        for seq, record in enumerate(codec.decode_admin(plain, only), frame.header.base_seq):
            if record.known:
                yield seq, record
            elif not frame.header.ignorable:
                raise codec.unknown_admin(seq, record)


def stays(frame: Frame) -> bool:
    """Says whether a frame is kept when its segment is removed: one with what administrators did,
    or with what this version does not know.

    A frame stays as a whole, because its tag and its checksums are of the whole. Raises
    `CodecError`.
    """
    if frame.header.kind != events.ADMIN or not known(frame):
        return frame.header.kind == events.ADMIN
    with reading(frame.header.base_seq):
        records = list(codec.decode_admin(bytes(newest(frame).plain)))
    return any(not record.known or record.event().stays() for record in records)


def unknown(frame: Frame) -> Iterator[tuple[int, str]]:
    """Names what this version does not know of a frame: number and words. Raises `CodecError`."""
    header = frame.header
    if not known(frame):
        what = f"{header.records} records of kind {header.kind}, schema {header.schema}"
        yield header.base_seq, f"{what}, are unknown to this version"
    elif header.kind == events.ADMIN:
        with reading(header.base_seq):
            plain = bytes(newest(frame).plain)
            for seq, record in enumerate(codec.decode_admin(plain), header.base_seq):
                if not record.known:
                    what = f"an admin event of type {record.type}, schema {record.schema}"
                    yield seq, f"{what}, unknown to this version"


def readable(frame: Frame) -> bool:
    """Says whether a frame can be read; false = it may be passed over.

    Raises `UnknownEventError`.
    """
    if not known(frame) and not frame.header.ignorable:
        raise codec.unknown(frame.header.base_seq, frame.header.kind, frame.header.schema)
    return known(frame)
