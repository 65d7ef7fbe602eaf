"""Finds the last events of a part of the log, from its end backwards.

Each piece of the log is read forward by a `Scan`; the pieces go backwards. In a sealed segment the
index of frames says where the next piece begins, and passes over segments without wanted events.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import deque
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from attrs import evolve

from eventlog import base_seq_of, first_frame_header, segments_of
from tracker.history.event_scan import BEHIND_US, STEP_SECONDS, Scan, first_segment, frames_between
from tracker.store.known_frames import Indexes

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tracker import ports
    from tracker.history.event_scan import Filter
    from tracker.store.address_keys import Keyring
    from tracker.store.frame_index import FrameIndex

_AT_ONCE = 1000  # events that a step of a scan finds at most
_FILTERED = 16
"""Times as many events as are missing that the first piece has where not all are wanted."""
_WIDER = 16
"""Times as many events each further piece of a segment has."""
_WIDEST = 1_000_000  # events of a piece


class LastWalked(NamedTuple):
    """What a helper process found in some steps (`events_worker.py`).

    `seq`: the events from this one on were looked at. `over`: the page is complete. `more`: there
    may be older ones. `end`: the event after the last one that could be read.
    """

    events: list[dict[str, Any]]  # the newest first
    seq: int
    over: bool
    more: bool
    end: int
    seconds: float


class LastScan:
    """Finds the last `limit` wanted events of a part of the log, whose last event is given. Each
    step may run in another thread, one at a time.
    """

    def __init__(
        self,
        folder: Path,
        part: ports.LogPart,
        wanted: Filter,
        keys: Keyring | None,
        limit: int,
        fits: Callable[[dict[str, Any]], bool] | None = None,
        indexes: Indexes | None = None,
    ) -> None:
        """`fits`: what else a wanted event must fulfil. `indexes`: as `Scan` has them."""
        self._folder, self._part, self._wanted, self._keys = folder, part, wanted, keys
        self._indexes = indexes or Indexes(keys)
        self._missing, self._fits = limit, fits
        self._pieces = _Pieces(
            folder, part, wanted, self._indexes, every=wanted.every and fits is None
        )
        self._piece: deque[dict[str, Any]] = deque()
        self._scan: Scan | None = None
        self._begin = 0  # of the piece
        self._seen = self.end = 0 if part.last is None else part.last + 1
        self._found: list[dict[str, Any]] = []  # the newest first

    @property
    def seq(self) -> int:
        """The first of the events that were looked at, but for those to take."""
        return self._found[0]["seq"] + 1 if self._found else self._seen

    @property
    def more(self) -> bool:
        """Tells whether there may be older events, or some to take."""
        return bool(self._found) or self._seen > self._part.first

    @property
    def over(self) -> bool:
        """Tells whether all was found that is wanted."""
        return not self._missing or self._seen <= self._part.first

    def take(self, most: int) -> list[dict[str, Any]]:
        """Returns the newest events that were not taken yet."""
        taken, self._found = self._found[:most], self._found[most:]
        return taken

    @property
    def to_take(self) -> bool:
        return bool(self._found)

    def step(self) -> float:
        """Works for about `STEP_SECONDS`. Returns the seconds it took. Raises what `Scan` does."""
        began = now = time.perf_counter()
        while not self.over and now - began < STEP_SECONDS:
            self._go_on()
            now = time.perf_counter()
        return now - began

    def _go_on(self) -> None:
        """Begins a piece, passes over one, or reads on in it."""
        if self._scan is None and not self._indexes.grow(self._folder, STEP_SECONDS):
            return
        if self._scan is None:
            begin, may_have = self._pieces.before(self._seen, self._missing)
            if not may_have:
                self._seen = begin
                return
            self._begin, self._piece = begin, deque(maxlen=self._missing)
            part = evolve(self._part, first=begin, last=self._seen - 1)
            self._scan = Scan(self._folder, part, self._wanted, self._keys, self._indexes)
        self._scan.step(_AT_ONCE)
        self._piece.extend(filter(self._fits, self._scan.take()))
        if self._scan.over:
            self._end_piece(self._scan)

    def _end_piece(self, scan: Scan) -> None:
        if scan.at_end:
            self.end = min(self.end, max(scan.seq, self._begin))
        full = len(self._piece) == self._missing
        self._seen = self._piece[0]["seq"] if full else self._begin
        self._missing -= len(self._piece)
        self._found += reversed(self._piece)
        self._scan = None


class _Pieces:
    """Says which piece of the log to read next."""

    def __init__(
        self,
        folder: Path,
        part: ports.LogPart,
        wanted: Filter,
        indexes: Indexes,
        *,
        every: bool,
    ) -> None:
        """`every`: all events of the part are wanted."""
        self._part, self._wanted, self._indexes = part, wanted, indexes
        self._segments = segments_of(folder)
        self._starts = [base_seq_of(path) for path in self._segments]
        self._following = dict(pairwise(self._segments))
        self._least = 0 if part.from_us is None else first_segment(folder, part)
        self._filtered = 1 if every else _FILTERED
        self._wide = 1
        self._path: Path | None = None  # the segment of the piece before
        self._index: FrameIndex | None = None
        self._numbers: list[int] = []  # its frames that may have wanted events

    def before(self, upto: int, missing: int) -> tuple[int, bool]:
        """Returns the first event of the piece before event `upto`, and whether the piece may have
        wanted events.
        """
        at = bisect_left(self._starts, upto) - 1
        if at < 0:
            return self._part.first, True  # what retention kept
        if upto <= self._least:
            return max(self._starts[0], self._part.first), False
        path, start = self._segments[at], max(self._starts[at], self._part.first)
        try:
            if path != self._path:
                self._enter(path, upto)
            if self._is_later(path):
                return start, False
        except FileNotFoundError:  # retention removed it
            self._path, self._index = path, None
        # In the next segment it may be otherwise, so it begins there with few events again.
        wide, self._wide = missing * self._wide, self._wide * _WIDER
        if self._index is None:
            return max(start, upto - min(wide * self._filtered, _WIDEST)), True
        if upto > self._index.end:
            return max(start, self._index.end), True
        numbers, firsts = self._numbers, self._index.firsts
        while numbers and firsts[numbers[-1]] >= upto:
            numbers.pop()
        if not numbers:
            return start, False
        return max(start, firsts[self._first_of(self._index, wide)]), True

    def _enter(self, path: Path, upto: int) -> None:
        following, whole = self._following.get(path), self._wanted.placed
        self._index = self._indexes.of(path, following, whole=whole)
        self._path, self._wide = path, 1
        if self._index is not None:
            within = frames_between(self._index, evolve(self._part, last=upto - 1))
            numbers = range(within.start, min(within.stop + 1, len(self._index.kinds)))
            self._numbers = list(self._wanted.frames_in(self._index, self._part, numbers))

    def _is_later(self, path: Path) -> bool:
        """Tells whether all dates of a segment are after the part."""
        to_us = self._part.to_us
        if to_us is None:
            return False
        first = first_frame_header(path)
        return first is not None and first.date_us > to_us + BEHIND_US

    def _first_of(self, index: FrameIndex, wide: int) -> int:
        """Returns the first of the frames that are to be read for so many events. Of one with a
        wanted key, account or torrent mostly a single event is wanted.
        """
        number = self._numbers[-1]
        for number in reversed(self._numbers):
            wide -= 1 if self._wanted.narrow else index.next_seq(number) - index.firsts[number]
            if wide <= 0:
                break
        return number
