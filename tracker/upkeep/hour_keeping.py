"""Counts who seeds what, hour by hour, while a replay applies events. Blocking.

The follower has an `HourKeeper`. It cuts a frame where an hour ends, because the state there says
what is still open. An hour that it has not seen from its beginning on, or in which the clock was
set, is left to a replay.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import TYPE_CHECKING

from tracker.store import seeded_hours
from tracker.store.frame_dates import dates, last_date
from tracker.store.moments import split
from tracker.store.seeded_hours import HOUR_US, SEEDING, Hour, HourRows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from eventlog import Frame, Header
    from tracker.domain.booking import Booking
    from tracker.domain.state import State
    from tracker.store.address_keys import Keyring

_NO_FRAME = 0, bytes(16)


class HourKeeper:
    """Writes the hours of a log. `write` can fail: then the hour is replayed when it is asked for.

    Call `cleared` before the rows of the booking are cleared.
    """

    def __init__(self, log: Path, keys: Keyring, failed: Callable[[OSError], None]) -> None:
        """What keeps an hour from being written is told to `failed`."""
        self._log, self._keys, self._failed = log, keys, failed
        self._next_us = 0  # date at which the present hour ends; 0 = not known yet
        self._begin: int | None = None  # first event of the hour; None = it is not counted
        self._lead_us: int | None = None  # of the frame before; None = not known yet
        self._before: dict[bytes, int] = {}  # what was open when it began
        self._counted: dict[bytes, int] = {}  # since then, of rows that were cleared
        self._base: dict[bytes, int] = {}  # what rows had when it began, that were not cleared
        self._last: tuple[int, bytes] = _NO_FRAME  # end and chain of the last whole frame

    def pieces(self, state: State, frame: Frame) -> Iterator[Frame]:
        """Yields a frame, cut where hours end. Whoever takes a piece applies it before the next."""
        header = frame.header
        if self._lead_us is None:
            self._lead_us = state.dates.lead_us
        if header.lead_us != self._lead_us:
            self._clock_was_set(header)
        self._lead_us = header.lead_us
        first_us = max(1, header.time_us - header.lead_us)
        if not self._next_us or first_us >= self._next_us + HOUR_US:
            self._begin, self._next_us = None, _hour(first_us) + HOUR_US
        while last_date(frame) >= self._next_us:
            seq = header.base_seq + bisect_left(dates(frame), self._next_us)
            if seq > frame.header.base_seq:
                below, rest = split(frame, seq)
                yield below
                frame = rest or below
            header = frame.header
            self._turn(state)
        yield frame
        self._last = frame.header.next_seq, frame.header.chain

    def _clock_was_set(self, header: Header) -> None:
        """Begins anew, because dates may come again, and those of hours that were written."""
        self._begin = None
        date_us = max(1, header.time_us - header.lead_us)
        self._next_us = _hour(date_us) + HOUR_US
        seeded_hours.remove_from(self._log, date_us)

    def cleared(self, booking: Booking) -> None:
        """Takes over what the rows of a booking have that will be cleared."""
        if self._begin is None:
            return
        if booking.ended:
            self._begin = None  # rows that are over say no more of which torrent they were
            return
        for name, time_us in self._in_rows(booking):
            self._counted[name] = self._counted.get(name, 0) + time_us
        self._base = {}

    def _in_rows(self, booking: Booking) -> Iterator[tuple[bytes, int]]:
        """Yields what the rows have gained since the hour began."""
        rows, base = booking.rows, self._base
        for name, at in booking.numbers.items():
            time_us = rows[at + SEEDING] - base.get(name, 0)
            if time_us:
                yield name, time_us

    def _turn(self, state: State) -> None:
        """Ends an hour and begins the next one; the state has all events before that."""
        booking, lead_us = state.book, state.dates.lead_us
        open_ = seeded_hours.still_open(state, self._next_us + lead_us)
        if booking is not None and self._begin is not None and not booking.ended:
            self._write(state, booking, open_)
        self._begin, self._before, self._counted, self._base = None, open_, {}, {}
        if booking is not None and lead_us == self._lead_us:
            self._begin, rows = state.seq, booking.rows
            self._base = {name: rows[at + SEEDING] for name, at in booking.numbers.items()}
        self._next_us += HOUR_US

    def _write(self, state: State, booking: Booking, open_: dict[bytes, int]) -> None:
        for name, time_us in self._in_rows(booking):
            self._counted[name] = self._counted.get(name, 0) + time_us
        found = seeded_hours.seeded(self._before, self._counted.items(), open_)
        hour = Hour(self._next_us - HOUR_US, self._begin or 0, state.seq, *self._last)
        rows = HourRows.of(state, found, self._next_us)
        try:
            seeded_hours.write(self._log, self._keys, hour, rows)
        except OSError as error:
            self._failed(error)


def _hour(date_us: int) -> int:
    """Returns the beginning of the hour of a date."""
    return date_us // HOUR_US * HOUR_US
