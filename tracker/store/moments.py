"""The state at a moment of the log, by replay from the nearest snapshot before it. Blocking; reads beside a running tracker.

A moment is after an event, or a log time: everything up to it has happened, that event and that microsecond included.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import TYPE_CHECKING

from attrs import frozen

from eventlog import Frame, first_and_last_frame, frame_at
from tracker.domain import codec, events
from tracker.domain.state import State
from tracker.ports import Moment, NoMomentError, PrunedMomentError
from tracker.store import frames as records
from tracker.store import snapshots
from tracker.store.replay import REPORT_EVERY, collector_off
from tracker.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tracker.store.address_keys import Keyring


@frozen
class Span:
    """The first and the last durable event of a log."""

    first_seq: int
    first_us: int
    last_seq: int
    last_us: int

    def __str__(self) -> str:
        first, last = rfc3339(self.first_us), rfc3339(self.last_us)
        return f"events {self.first_seq} to {self.last_seq}, {first} to {last}"

    def check(self, moment: Moment) -> None:
        """Raises `PrunedMomentError` for a moment before the first event that is kept, `NoMomentError` for any other
        moment that the log does not hold."""
        if moment.seq is not None:
            early, late = moment.seq < self.first_seq, moment.seq > self.last_seq
        else:
            time_us = moment.time_us or 0
            early, late = time_us < self.first_us, time_us > self.last_us
        text = f"{moment} is not in the log, which holds {self}"
        if early and self.first_seq:
            raise PrunedMomentError(self.first_seq, text)
        if early or late:
            raise NoMomentError(text)


def span(folder: Path) -> Span | None:
    """None for an empty log. Raises what reading does."""
    found = first_and_last_frame(folder)
    if found is None:
        return None
    first, last = found
    return Span(first.header.base_seq, _times(first)[0], last.header.next_seq - 1, _times(last)[-1])


class Past:
    """A log that is replayed forward, from one moment to the next."""

    def __init__(
        self, folder: Path, report: Callable[[int, int], None], keys: Keyring | None = None
    ) -> None:
        """`report` is told events replayed and events to replay. `keys` open addresses. Raises what reading does."""
        self.span = span(folder)
        self._folder = folder
        self._keys = keys
        self._frames: Iterator[Frame] | None = None  # nothing was asked for yet
        self._rest: Frame | None = None  # of a frame in whose middle a moment was
        self._state = State()
        self._report = report

    def resolve(self, moment: Moment) -> int:
        """The last event that has happened by a moment. Raises `NoMomentError`."""
        if self.span is None:
            raise NoMomentError(f"{moment} is not in the log, which is empty")
        self.span.check(moment)
        if moment.seq is not None:
            return moment.seq
        time_us = moment.time_us or 0
        frame = frame_at(self._folder, time_us)
        if frame is None:
            raise NoMomentError(f"{moment} is not in the log, which holds {self.span}")
        return frame.header.base_seq + bisect_right(_times(frame), time_us) - 1

    def at(self, moment: Moment | None) -> State:
        """The state at a moment, not before the one asked for last; it changes with the next call.

        Raises `NoMomentError`, `LogCorruptError`, `LogFormatError`, `ReplayError`, `CodecError`.
        """
        if moment is not None:
            end = self.resolve(moment) + 1
        else:
            end = self.span.last_seq + 1 if self.span else 0
        with collector_off():
            if self._frames is None:
                self._state, reader = snapshots.start(self._folder, self._keys, at_most=end)
                self._frames = reader.frames()
            reported = self._state.seq
            while self._state.seq < end and (frame := self._next()) is not None:
                frame, self._rest = split(frame, end)
                records.apply(self._state, frame)
                if self._state.seq >= reported + REPORT_EVERY:
                    reported = self._state.seq
                    self._report(reported, max(end, reported + 1))
        self._report(end, end)
        return self._state

    def _next(self) -> Frame | None:
        rest, self._rest = self._rest, None
        return rest if rest is not None else next(self._frames or iter(()), None)


def split(frame: Frame, seq: int) -> tuple[Frame, Frame | None]:
    """The records of a frame below `seq`, and the others (None = there are none)."""
    header = frame.header
    if seq >= header.next_seq:
        return frame, None
    count = seq - header.base_seq
    below = header._replace(records=count)
    others = header._replace(records=header.records - count, base_seq=seq)
    if not records.known(frame):  # where one of its records ends is not known either
        return frame._replace(header=below), frame._replace(header=others)
    plain_at = _size(frame, count)
    protected_at = len(frame.protected) // header.records * count
    return (
        Frame(below, frame.plain[:plain_at], frame.protected[:protected_at]),
        Frame(others, frame.plain[plain_at:], frame.protected[protected_at:]),
    )


def _size(frame: Frame, records: int) -> int:
    """Plain bytes of the first records."""
    if frame.header.kind != events.ADMIN:
        return len(frame.plain) // frame.header.records * records
    offset = 0
    for _ in range(records):
        size = codec.ADMIN.unpack_from(frame.plain, offset)[0]
        offset += codec.ADMIN.size + size + (-size % 16)
    return offset


def _times(frame: Frame) -> list[int]:
    """Log time of each record: where it stands follows from the kind. Raises `CodecError`."""
    header = frame.header
    if not records.known(frame):
        return [header.time_us] * header.records
    frame = records.newest(frame)
    if header.kind == events.ADMIN:
        return [record.time_us for record in codec.decode_admin(frame.plain)]
    size = codec.RECORD_SIZES[header.kind]
    if len(frame.plain) != size * header.records:
        raise codec.CodecError(f"event {header.base_seq} and those after it have another length")
    return [
        int.from_bytes(frame.plain[at : at + 8], "little")
        for at in range(0, len(frame.plain), size)
    ]
