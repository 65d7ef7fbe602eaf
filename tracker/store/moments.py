"""Replays a log to a moment, from the nearest snapshot before it.

Blocking; reads beside a running tracker.

A moment is right after an event, or at a date. Everything up to it has happened, that event and
that microsecond included. Where the clock was set back, the same date came twice: the later one
counts.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import partial
from typing import TYPE_CHECKING

from attrs import frozen

from eventlog import Frame, first_and_last_frame, frame_at, history_at
from tracker.domain import events
from tracker.domain.events import codec
from tracker.ports import Moment, NoMomentError, PrunedMomentError
from tracker.store import frames, opening_balance, outages, snapshots
from tracker.store.frame_dates import dates
from tracker.store.known_frames import Indexes, Picker, frames_at
from tracker.store.replay import apply_all, collector_off
from tracker.times import rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tracker.domain.state import State
    from tracker.ports import LogPart, Outage
    from tracker.store.address_keys import Keyring


@frozen
class Span:
    """The first and the last durable event of a log, with their dates."""

    first_seq: int
    first_us: int
    last_seq: int
    last_us: int

    def __str__(self) -> str:
        first, last = rfc3339(self.first_us), rfc3339(self.last_us)
        return f"events {self.first_seq} to {self.last_seq}, {first} to {last}"

    def missing(self, moment: Moment, *, early: bool) -> NoMomentError:
        """Returns the error for a moment that the log does not hold: `PrunedMomentError` for one
        before the first event that is kept.
        """
        text = f"{moment} is not in the log, which holds {self}"
        if early and self.first_seq:
            return PrunedMomentError(self.first_seq, text)
        return NoMomentError(text)


def span(folder: Path) -> Span | None:
    """The events that a log holds; None = it is empty. Raises what reading does."""
    found = first_and_last_frame(folder)
    if found is None:
        return None
    first, last = found
    return Span(first.header.base_seq, dates(first)[0], last.header.next_seq - 1, dates(last)[-1])


class ForwardReplay:
    """Replays a log forward, from one moment to the next."""

    def __init__(
        self,
        folder: Path,
        report: Callable[[int, int], None],
        keys: Keyring | None = None,
        indexes: Indexes | None = None,
    ) -> None:
        """Tells `report` how many events are replayed, and how many there are.

        `keys` decrypt addresses. `indexes`: those that are kept for later replays; None = none are.

        Raises what reading does.
        """
        self.span = span(folder)
        self.outage: Outage | None = None  # around the moment resolved last
        self.folder = folder
        self.keys = keys
        self._indexes = indexes or Indexes(keys)
        self._frames: Iterator[Frame] | None = None  # None = before the first replay
        self._rest: Frame | None = None  # of a frame that the last moment was in the middle of
        self._state: State  # since the first replay
        self.report = report

    def resolve(self, moment: Moment) -> int:
        """The last event that had happened at a moment; `Moment()` is the end of the log. Raises
        `NoMomentError`.

        `outage` is set where the moment lies in an outage.
        """
        self.outage = None
        if self.span is None:
            raise NoMomentError(f"{moment} is not in the log, which is empty")
        if moment == Moment():
            return self.span.last_seq
        if moment.seq is not None:
            if not self.span.first_seq <= moment.seq <= self.span.last_seq:
                raise self.span.missing(moment, early=moment.seq < self.span.first_seq)
            return moment.seq
        time_us = moment.time_us or 0
        if time_us > self.span.last_us:
            raise self.span.missing(moment, early=False)
        picks = Picker(self._indexes, partial(frames_at, time_us), whole=False)
        found = frame_at(self.folder, time_us, picks)
        if found is None:
            raise self.span.missing(moment, early=True)
        frame, following = found
        seq = frame.header.base_seq + bisect_right(dates(frame), time_us) - 1
        if following is not None:
            self.outage = outages.around(self.folder, frame, following, seq, time_us)
        return seq

    def bounds(self, part: LogPart) -> tuple[int, int]:
        """The first event of a part of the log, and the event after its last.

        Raises `NoMomentError` for a beginning that was removed, and a time before the log's.
        """
        span = self.span
        if span is None:
            return 0, 0
        begin, last = max(part.first, span.first_seq), span.last_seq
        if 0 < part.first <= span.last_seq:
            begin = self.resolve(Moment(seq=part.first))
        if part.from_us is not None and part.from_us > span.last_us:
            return span.last_seq + 1, span.last_seq + 1
        if part.from_us is not None and part.from_us > span.first_us:
            begin = max(begin, self.resolve(Moment(time_us=part.from_us - 1)) + 1)
        if part.last is not None:
            last = min(part.last, last)
        if part.to_us is not None and part.to_us < span.last_us:
            last = min(last, self.resolve(Moment(time_us=part.to_us)))
        return begin, last + 1

    def at(self, moment: Moment | None) -> State:
        """The state at a moment that is not before the previous one; None = the end.

        The next call changes it.

        Raises `NoMomentError`, `LogCorruptError`, `LogFormatError`, `ReplayError`, `CodecError`.
        """
        if moment is not None:
            end = self.resolve(moment) + 1
        else:
            end = self.span.last_seq + 1 if self.span else 0
        return self._go(end)

    def again(self) -> ForwardReplay:
        """A replay of the same log that has not begun."""
        return ForwardReplay(self.folder, self.report, self.keys, self._indexes)

    def before(self, seq: int, back: int) -> tuple[State, list[Frame]]:
        """The state up to `back` events before event `seq`, and the frames from there to it.

        Where the log begins, there are fewer events before. The state does not follow the frames:
        whoever applies them must not call `at` afterwards.

        Raises `NoMomentError` for an event that the log does not hold, and what `at` does.
        """
        self.resolve(Moment(seq=seq))
        begin = max(self.span.first_seq if self.span else 0, seq - back)
        state, found = self._go(begin), []
        while begin <= seq and (frame := self._next()) is not None:
            frame, self._rest = split(frame, seq + 1)
            found.append(frame)
            begin = frame.header.next_seq
        return state, found

    def follow(self, seq: int, end: int) -> tuple[State, Iterator[Frame]]:
        """The state before event `seq`, and the frames from there to event `end`, exclusive.

        Whoever takes a frame applies it before the next one. Raises what `at` does.
        """
        return self._go(seq), self._until(end)

    def _go(self, end: int) -> State:
        """The state of the events below `end`."""
        if self._frames is None:
            with collector_off():
                self._state, reader = snapshots.start(self.folder, self.keys, at_most=end)
            self._frames = reader.frames()
        apply_all(self._state, self._until(end), lambda seq: self.report(seq, max(end, seq + 1)))
        self.report(end, end)
        return self._state

    def history(self) -> tuple[bytes, int]:
        """The history digest of the events up to the state, and the number of the event after its
        place. Reads all their bytes. Raises `LogError`, `OSError`.
        """
        begin = opening_balance.history(self.folder, self.keys)
        return history_at(self.folder, self._state.seq, begin, self.report)

    def _until(self, end: int) -> Iterator[Frame]:
        """The frames up to event `end`, exclusive."""
        while self._state.seq < end and (frame := self._next()) is not None:
            frame, self._rest = split(frame, end)
            yield frame

    def _next(self) -> Frame | None:
        rest, self._rest = self._rest, None
        return rest if rest is not None else next(self._frames or iter(()), None)


def split(frame: Frame, seq: int) -> tuple[Frame, Frame | None]:
    """Splits a frame into the records below `seq` and the others (None = there are none)."""
    header = frame.header
    if seq >= header.next_seq:
        return frame, None
    count = seq - header.base_seq
    below = header._replace(records=count)
    others = header._replace(records=header.records - count, base_seq=seq)
    if not frames.known(frame):  # then the sizes of its records are unknown too
        return frame._replace(header=below), frame._replace(header=others)
    with frames.reading(header.base_seq):
        plain_at = _size(frame, count)
    protected_at = len(frame.protected) // header.records * count
    return (
        Frame(below, frame.plain[:plain_at], frame.protected[:protected_at]),
        Frame(others, frame.plain[plain_at:], frame.protected[protected_at:]),
    )


def _size(frame: Frame, records: int) -> int:
    """Counts the plain bytes of the first `records` records."""
    if frame.header.kind != events.ADMIN:
        return len(frame.plain) // frame.header.records * records
    offset = 0
    for _ in range(records):
        size = codec.ADMIN.unpack_from(frame.plain, offset)[0]
        offset += codec.ADMIN.size + size + (-size % 16)
    return offset
