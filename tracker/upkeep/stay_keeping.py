"""Keeps the index of stays while a replay applies events. Blocking.

The follower has a `StayKeeper`, and so has `tracker stays` where a log has no index. It goes on
from the usable index, else it begins with the log.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from eventlog import border, first_seq
from tracker.domain.events import DAY_US
from tracker.domain.staying import Staying
from tracker.store import snapshots, stay_files
from tracker.store.replay import collector_off
from tracker.store.snapshot_file import SPARE_BYTES
from tracker.store.stay_files import NoStaysError, Stays, StaysError, Writer

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from eventlog import Frame, Header, Reader
    from tracker.domain.state import State
    from tracker.store.address_keys import Keyring

MOST_ROWS = 200_000
"""Rows that are held in memory, 20 MB; then they are written."""


class StayKeeper:
    """Notes the stays of a replay, and writes them.

    It begins to note where the index ends that it goes on from. Until then `state.stays` is None.
    """

    def __init__(
        self,
        log: Path,
        keys: Keyring | None,
        refused: Callable[[str], None] = lambda _why: None,
        folder: Path | None = None,
    ) -> None:
        """`folder`: where the index is written, in place of the log's. Why an index cannot be used
        is reported to `refused`. Raises `OSError`, and what reading the log raises.
        """
        self._log, self._folder = log, folder or log
        self._staying = Staying()
        self._last: Header | None = None  # of the last frame that was applied
        listed = None
        if folder is None:
            try:
                listed = stay_files.read_list(log)
                with border(StaysError, StaysError):
                    self._resume(Stays(log, listed, keys, log))
            except StaysError as error:
                if not isinstance(error, NoStaysError):
                    refused(f"The index of stays is made anew: {error}. Nothing has to be done")
                listed = None
                self._staying = Staying()
        self.seq = listed.upto if listed else first_seq(log)
        """The first event that is not in the index."""
        self._anew = listed is None
        self._begun_us = 0  # log time of the first event since the last writing
        self._writer = Writer(log, keys, listed, self._folder)
        self._written_seq = self.seq

    def _resume(self, stays: Stays) -> None:
        for found in stays.open_rows():
            self._staying.resume(*found)
        self._staying.rows = stays.end

    @property
    def full(self) -> bool:
        """Tells whether so much was noted that it should be written."""
        return len(self._staying) >= MOST_ROWS

    @property
    def overfull(self) -> bool:
        """Tells whether memory would grow too far if this could not be written."""
        return len(self._staying) >= 10 * MOST_ROWS

    def before(self, state: State, frame: Frame) -> None:
        """Gets ready for a frame that will be applied next. Raises `OSError`."""
        header, staying = frame.header, self._staying
        day = header.time_us // DAY_US
        if state.stays is None:
            if state.seq < self.seq or not header.records:
                return
            state.stays, staying.day = staying, day
            self._begun_us = header.time_us
            if self._anew and state.seq:
                staying.open(state.swarms, state.seq, header.time_us)
        elif day != staying.day and header.records:
            self._add(state)
            staying.day, self._begun_us = day, header.time_us

    def after(self, frame: Frame) -> None:
        if frame.header.records:
            self._last = frame.header

    def write(self, state: State) -> None:
        """Writes the index of the events that were applied. Raises `OSError`."""
        last = self._last
        if state.stays is None or last is None or last.next_seq != state.seq:
            return
        if state.seq == self._written_seq:
            return
        room = os.statvfs(self._folder)
        need = SPARE_BYTES + 100 * len(self._staying)
        if room.f_bavail * room.f_frsize < need:
            raise OSError("too little free space for the index of stays")
        with snapshots.writing(self._folder / stay_files.FOLDER):
            self._add(state)
            self._writer.commit(state, last.base_seq, last.chain, first_seq(self._log))
        self._written_seq = state.seq

    def _add(self, state: State) -> None:
        self._writer.add(self._staying, state.seq, self._begun_us)
        self._begun_us = state.time_us

    def apply_all(
        self, state: State, reader: Reader, apply: Callable[[State, Frame], None]
    ) -> None:
        """Applies all frames of a reader, and writes the index. Raises `OSError` and what `apply`
        raises.
        """
        with collector_off():
            for frame in reader.frames():
                self.before(state, frame)
                apply(state, frame)
                self.after(frame)
                if self.full:
                    self._add(state)
        self.write(state)
