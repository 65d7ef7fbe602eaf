"""Counts events by kind in pieces of time.

It takes the place of a `Filter` in a `Scan`. The index of frames tells the kind, the number of
events and the times of each frame, so only frames across a border of two pieces are read.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple

from tracker.domain import events
from tracker.domain.events import codec
from tracker.domain.events.admin import ADMIN_EVENTS
from tracker.store import frames
from tracker.store.frame_dates import dates, last_date
from tracker.store.moments import split

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from eventlog import Frame
    from tracker.ports import LogPart
    from tracker.store.frame_index import FrameIndex

_OUTSIDE = -1  # the piece of events before or after the part
_NO_TIME = 2**63  # microseconds; later than all events, and as early below 0
_NAMES = {kind: next(iter(names)) for kind, names in codec.TYPES.items() if len(names) == 1}


class KindsCounted(NamedTuple):
    """What a helper process counted in some steps (`events_worker.py`); `seq`, `over` and `at_end`
    as `Walked` has them.
    """

    counts: dict[int, dict[str, int]]
    seq: int
    over: bool
    at_end: bool
    seconds: float


class KindCount:
    """Counts the events of a part of the log by piece and type."""

    has_sections = False
    placed = False  # as `Filter` has both

    def __init__(self, part: LogPart, step_us: int | None) -> None:
        """`step_us`: microseconds of a piece, which begin with the part's; None = all is one."""
        self._part, self._step_us = part, step_us
        self._counts: dict[int, Counter[str]] = {}

    def take(self) -> dict[int, dict[str, int]]:
        """Returns the counts since the last call: by the number of the piece, and by type."""
        taken, self._counts = self._counts, {}
        return {piece: dict(counts) for piece, counts in taken.items()}

    def _piece(self, date_us: int) -> tuple[int, int, int]:
        """Returns the number of the piece that a date is in, its begin, and that of the next."""
        part, step_us = self._part, self._step_us
        begin = -_NO_TIME if part.from_us is None else part.from_us
        end = _NO_TIME if part.to_us is None else part.to_us + 1
        if date_us < begin:
            return _OUTSIDE, -_NO_TIME, begin
        if date_us >= end:
            return _OUTSIDE, end, _NO_TIME
        if step_us is None:
            return 0, begin, end
        piece = (date_us - begin) // step_us
        return piece, begin + piece * step_us, min(begin + (piece + 1) * step_us, end)

    def _counter(self, piece: int) -> Counter[str]:
        """Returns the counts of a piece, by type; those of events outside of the part get lost."""
        if piece == _OUTSIDE:
            return Counter()
        return self._counts.setdefault(piece, Counter())

    def frames_in(
        self,
        index: FrameIndex,
        part: LogPart,
        numbers: Sequence[int],
    ) -> Iterator[int]:
        """Counts the frames that lie in one piece. Yields the others, which are to be read; all
        before them are counted then.
        """
        least_us, most_us = index.lead_us
        lasts, kinds = index.lasts, index.kinds
        begin = end = 0  # of the piece
        counts = Counter[str]()
        for number in numbers:
            # Of administrators' events only the time of the first one is known.
            last = number + 1 if kinds[number] == events.ADMIN else number
            named = _named(index, number, part) if number and last < len(kinds) else None
            if named is not None:
                first_us, last_us = lasts[number - 1] - most_us, lasts[last] - least_us
                if not begin <= first_us < end:
                    piece, begin, end = self._piece(first_us)
                    counts = self._counter(piece)
                named = named if last_us < end else None
            if named is None:
                yield number
                begin = end = 0  # what was counted may be taken meanwhile
                continue
            for name, count in named:
                counts[name] += count

    def events(
        self, frame: Frame, _from_us: int | None, _to_us: int | None
    ) -> Iterator[tuple[int, dict[str, Any] | None]]:
        """Counts the events of a frame, and yields the number of its last one with None."""
        last = self._part.last
        if last is not None and frame.header.base_seq <= last < frame.header.next_seq - 1:
            frame = split(frame, last + 1)[0]
        header = frame.header
        if last is None or header.base_seq <= last:
            for date_us, name, count in _told(frame, self._piece):
                self._counter(self._piece(date_us)[0])[name] += count
        yield header.next_seq - 1, None


def _named(index: FrameIndex, number: int, part: LogPart) -> list[tuple[str, int]] | None:
    """Returns the types of a frame's events, and how many; None = it is to be read, as one that
    reaches beyond a part.
    """
    kind, first, following = index.kinds[number], index.firsts[number], index.next_seq(number)
    if first < part.first or (part.last is not None and following > part.last + 1):
        return None
    if kind != events.ADMIN:
        name = _NAMES.get(kind)
        return None if name is None else [(name, following - first)]
    found = [(ADMIN_EVENTS.get(one), count) for one, count in index.types[number]]
    return (
        [(one.name, count) for one, count in found if one] if all(one for one, _ in found) else None
    )


def _told(frame: Frame, piece: Callable[[int], object]) -> Iterator[tuple[int, str, int]]:
    """Yields dates, types and how many events of a frame have both, or lie in one piece with it."""
    header = frame.header
    if not frames.known(frame):
        yield header.date_us, codec.UNKNOWN, header.records
    elif header.kind == events.ADMIN:
        with frames.reading(header.base_seq):
            for record in codec.decode_admin(frames.newest(frame).plain):
                name = ADMIN_EVENTS[record.type].name if record.known else codec.UNKNOWN
                yield max(1, record.time_us - header.lead_us), name, 1
    elif piece(header.date_us) == piece(last_date(frame)):
        yield header.date_us, _NAMES[header.kind], header.records
    else:
        for date_us in dates(frame):
            yield date_us, _NAMES[header.kind], 1
