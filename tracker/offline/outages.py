"""Finds the outages in a log, for `tracker outages`. Blocking; reads beside a running tracker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from attrs import frozen

from eventlog import Reader, first_seq
from tracker.domain.events.admin import ClockStepped, TrackerStarted, TrackerStopped
from tracker.store import frames, moments

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from eventlog import Frame
    from tracker.domain.events.registry import AdminEvent
    from tracker.store.address_keys import Keyring

STOPPED, KILLED, STEPPED, SILENT = "stopped", "killed", "clock_stepped", "silent"
WHY = {
    STOPPED: "a run ended in good order",
    KILLED: "a run ended without a stop: it was killed, it crashed, or the power failed",
    STEPPED: "the clock stepped forward: the machine slept, or the clock was set",
    SILENT: "a running tracker wrote nothing: the disk was full, or the process was stopped",
}


@frozen
class RecordedOutage:
    """A time in which the tracker served nobody, or could not record it."""

    why: str
    reason: str | None  # of a stop
    from_us: int  # dates
    to_us: int
    from_seq: int | None  # last event before it; None = not in the log any more
    to_seq: int  # first event after it


def outages(
    folder: Path, keys: Keyring | None, report: Callable[[int, int | None], None]
) -> Iterator[RecordedOutage]:
    """Yields the outages in order. Tells `report` how many events were read.

    Raises the errors of `Reader` and `CodecError`.
    """
    reader = Reader(folder, first_seq(folder), keys=keys, decrypt=False)
    search = _Search()
    for frame in reader.frames():
        if frame.header.records:
            yield from search.look(frame)
            report(frame.header.next_seq, None)


class _Search:
    """The run that the events so far tell of. What a command writes while no tracker runs belongs
    to none, because it opens the log for itself.
    """

    def __init__(self) -> None:
        self._epoch: int | None = None  # of the run; None = there was none yet
        self._seq: int | None = None  # its last event; None = before the log
        self._us = 0  # the date of that
        self._stop: TrackerStopped | None = None  # its last event

    def look(self, frame: Frame) -> Iterator[RecordedOutage]:
        header, admin = frame.header, list(frames.admin(frame))
        if self._epoch is None and header.base_seq:  # the log was cut within a run, or after it
            self._epoch = header.epoch
        first = admin[0][1].event() if admin else None
        silent = header.epoch == self._epoch and header.date_us - self._us > moments.SILENT_US
        if silent and self._seq is not None and not isinstance(first, ClockStepped):
            yield self._until(SILENT, header.date_us, header.base_seq)
        for seq, record in admin:
            date_us = max(1, record.time_us - header.lead_us)
            yield from self._enter(seq, record.event(), date_us, header.epoch)
        if header.epoch == self._epoch:
            self._seq, self._us = header.next_seq - 1, moments.last_date(frame)

    def _enter(
        self, seq: int, event: AdminEvent, date_us: int, epoch: int
    ) -> Iterator[RecordedOutage]:
        if isinstance(event, TrackerStarted):
            if self._epoch not in (None, epoch):
                yield self._until(STOPPED if self._stop else KILLED, date_us, seq)
            self._epoch = epoch
        elif epoch != self._epoch:
            return
        elif isinstance(event, ClockStepped):
            self._us = date_us - event.forward_us
            yield self._until(STEPPED, date_us, seq)
        self._stop = event if isinstance(event, TrackerStopped) else None
        self._seq, self._us = seq, date_us

    def _until(self, why: str, to_us: int, seq: int) -> RecordedOutage:
        reason = self._stop.reason if self._stop and why == STOPPED else None
        return RecordedOutage(why, reason, self._us, max(self._us, to_us), self._seq, seq)
