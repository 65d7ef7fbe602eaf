"""Finds the outages in a log: when the tracker served nobody, or could not record it.

Blocking; reads beside a running tracker.

A run of the tracker begins with its `tracker_started`, and has all events of its epoch. What a
command writes while no tracker runs belongs to no run, because it opens the log for itself.
"""

from __future__ import annotations

from itertools import chain
from typing import TYPE_CHECKING

from eventlog import Reader, base_seq_of, first_seq, segments_of
from tracker.domain import events
from tracker.domain.events.admin import ClockStepped, TrackerStarted, TrackerStopped
from tracker.ports import Outage
from tracker.store import frames
from tracker.store.frame_dates import last_date
from tracker.store.frame_index import NEEDED
from tracker.store.known_frames import Indexes, Picker

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from eventlog import Frame
    from tracker.domain.events.codec import AdminRecord
    from tracker.domain.events.registry import AdminEvent
    from tracker.store.address_keys import Keyring
    from tracker.store.frame_index import FrameIndex

SILENT_US = 60_000_000
"""Microseconds without an event from which on the tracker was off, or could not write: one that
runs logs a tick every ten seconds.
"""
STOPPED, KILLED, STEPPED, SILENT = "stopped", "killed", "clock_stepped", "silent"
WHY = {
    STOPPED: "a run ended in good order",
    KILLED: "a run ended without a stop: it was killed, it crashed, or the power failed",
    STEPPED: "the clock stepped forward: the machine slept, or the clock was set",
    SILENT: "a running tracker wrote nothing: the disk was full, or the process was stopped",
}


_OF_RUNS = frozenset(one.number for one in (ClockStepped, TrackerStarted, TrackerStopped))
"""The types of the events that say when a run began, paused or ended."""


class Outages:
    """The outages of a log in order, as far as it was read."""

    def __init__(self, folder: Path, keys: Keyring | None) -> None:
        """Raises the errors of `Reader`."""
        self.found: list[Outage] = []
        self.first_seq = first_seq(folder)
        self.seq = self.first_seq  # the event to read next
        self._search = _Search()
        picks = Picker(Indexes(keys), self._search.wanted, whole=False)
        self._reader = Reader(folder, self.first_seq, keys=keys, decrypt=False, picks=picks)
        self._frames: Iterator[Frame] = iter(())

    def read(self) -> Iterator[int]:
        """Reads on to the end of the log, and yields after each frame the event to read next.

        Whoever stops calls it again. Raises the errors of `Reader` and `CodecError`.
        """
        while True:
            for frame in self._frames:
                self.found += self._search.look(frame)
                self.seq = frame.header.next_seq
                yield self.seq
            self._frames = self._reader.frames()
            first = next(self._frames, None)
            if first is None:
                return
            self._frames = chain([first], self._frames)

    def within(self, after: int, to: int | None) -> list[Outage]:
        """Returns those that end after event `after`, and begin with event `to` or before (None =
        all).
        """
        return [
            one for one in self.found
            if one.to_seq > after and (to is None or one.from_seq is None or one.from_seq <= to)
        ]  # fmt: skip


def around(folder: Path, before: Frame, after: Frame, seq: int, date_us: int) -> Outage | None:
    """Returns the outage that a date lies in, as `Outages` finds it.

    `before`: the frame of event `seq`, the last one that had happened. `after`: the next frame.
    Mostly these two say that there is none. Else it reads the segment of `before`, and earlier ones
    where that does not tell in which run it is. Raises what
    `Outages` does.
    """
    one_run = before.header.kind != events.ADMIN and before.header.epoch == after.header.epoch
    stepped = any(isinstance(each.event(), ClockStepped) for _, each in frames.admin(after))
    if one_run and not stepped and after.header.date_us - last_date(before) <= SILENT_US:
        return None
    for one in reversed(segments_of(folder)):
        search = _Search()
        for frame in Reader(folder, base_seq_of(one), decrypt=False).frames():
            if frame.header.base_seq > seq and not search.began:
                break
            for outage in search.look(frame):
                if outage.to_seq > seq:
                    return outage if outage.from_us < date_us < outage.to_us else None
            if frame.header.base_seq > seq and search.runs(frame):
                return None
    return None


def until_now(folder: Path, last: Frame | None, seq: int, now_us: int) -> Outage | None:
    """Returns the outage that a start ends whose first event is `seq`; None = there was no run.

    `last`: the last frame of the log. Mostly it tells that; else, or without it, this reads the
    segments from the newest one back to one with a run. Raises what `Outages` does.
    """
    if last is not None:
        events_of = [record.event() for _, record in frames.admin(last)]
        if last.header.kind != events.ADMIN or isinstance(events_of[-1], TrackerStopped):
            search = _Search(last.header.epoch)
            list(search.look(last))
            return search.ended(now_us, seq)
    for one in reversed(segments_of(folder)):
        search = _Search()
        for frame in Reader(folder, base_seq_of(one), to_end=True, decrypt=False).frames():
            list(search.look(frame))
        if search.began:
            return search.ended(now_us, seq)
    return None


class _Search:
    """The run that the events so far tell of."""

    def __init__(self, epoch: int | None = None) -> None:
        self._epoch = epoch  # of the run; None = there was none yet
        self._seq: int | None = None  # its last event; None = before the log
        self._us = 0  # the date of that
        self._stop: TrackerStopped | None = None  # its last event
        self._segment = 0  # the epoch of the last frame

    @property
    def began(self) -> bool:
        """Tells whether a run was found."""
        return self._epoch is not None

    def runs(self, frame: Frame) -> bool:
        """Tells whether a frame belongs to the run."""
        return frame.header.epoch == self._epoch

    def wanted(self, index: FrameIndex) -> Iterator[int]:
        """Yields the numbers of the frames that may end or begin an outage: those of
        administration, those after a silence, and the first one. Notes the end of the others.
        """
        (lead_us, most_us), lasts = index.lead_us, index.lasts
        passed = False
        for number, kind in enumerate(index.kinds):
            silent = not number or lasts[number] - lasts[number - 1] > SILENT_US
            if silent or lead_us != most_us or kind in (NEEDED, events.ADMIN):
                if passed:
                    self._passed(index.firsts[number] - 1, lasts[number - 1] - lead_us)
                yield number
            passed = not (silent or lead_us != most_us or kind in (NEEDED, events.ADMIN))
        if passed:
            self._passed(index.end - 1, lasts[-1] - lead_us)

    def _passed(self, seq: int, date_us: int) -> None:
        """Takes the last event of frames that were passed over, and its date."""
        if self._segment == self._epoch:
            self._seq, self._us = seq, max(1, date_us)

    def ended(self, to_us: int, seq: int) -> Outage:
        """Returns the outage since the end of the run, until event `seq`."""
        return self._until(STOPPED if self._stop else KILLED, to_us, seq)

    def look(self, frame: Frame) -> Iterator[Outage]:
        """Yields the outages that a frame ends."""
        header, admin = frame.header, list(frames.admin(frame, _OF_RUNS))
        self._segment = header.epoch
        if self._epoch is None and header.kind != events.ADMIN:
            self._epoch = header.epoch  # the search began within a run: commands log no such event
        first = _told(admin[0][1]) if admin else None
        silent = header.epoch == self._epoch and header.date_us - self._us > SILENT_US
        if silent and self._seq is not None and not isinstance(first, ClockStepped):
            yield self._until(SILENT, header.date_us, header.base_seq)
        for seq, record in admin:
            date_us = max(1, record.time_us - header.lead_us)
            yield from self._enter(seq, _told(record), date_us, header.epoch)
        if header.epoch == self._epoch:
            self._seq, self._us = header.next_seq - 1, last_date(frame)

    def _enter(
        self, seq: int, event: AdminEvent | None, date_us: int, epoch: int
    ) -> Iterator[Outage]:
        if isinstance(event, TrackerStarted):
            if self._epoch not in (None, epoch):
                yield self.ended(date_us, seq)
            self._epoch = epoch
        elif epoch != self._epoch:
            return
        elif isinstance(event, ClockStepped):
            self._us = date_us - event.forward_us
            yield self._until(STEPPED, date_us, seq)
        self._stop = event if isinstance(event, TrackerStopped) else None
        self._seq, self._us = seq, date_us

    def _until(self, why: str, to_us: int, seq: int) -> Outage:
        reason = self._stop.reason if self._stop and why == STOPPED else None
        return Outage(why, reason, self._us, max(self._us, to_us), self._seq, seq)


def _told(record: AdminRecord) -> AdminEvent | None:
    """Returns the event of a record if it tells of runs."""
    return record.event() if record.type in _OF_RUNS else None
