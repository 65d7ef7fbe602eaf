"""Rows of the book in the order of the log, for those who follow it: all transitions of downloads,
and milestones of torrents.

`judged_rows` has the same transitions by download. Each part has the rows of later events than the
part before it, so they are read one part after the other.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import chain
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from tracker.ports import ANY_EPOCH, TransitionPlace
from tracker.store.book_files import PLACED, Opened

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tracker.domain.judging import Transition
    from tracker.domain.milestones import Milestone
    from tracker.store.book_files import Part
    from tracker.store.book_rows import Run
    from tracker.store.judged_rows import Told

_PLACE = Struct(">IQI")
_ROW = Struct(">IQI25sBQ")

if _ROW.size != PLACED.row:
    raise AssertionError("book_files.PLACED spells this size out")


class Placed(NamedTuple):
    """A transition, or a milestone, where it stands."""

    place: TransitionPlace
    name: bytes  # of the account and the torrent
    state: int  # or the number of the milestone
    date_us: int


def pack(made: Iterable[Transition | Told | Milestone]) -> bytes:
    """Returns the rows of some of them, sorted."""
    return b"".join(
        sorted(
            _ROW.pack(one.epoch, one.seq, one.n, one.name, one.state, max(0, one.date_us))
            for one in made
        )
    )


class PlacedRows:
    """The rows of parts. Blocking."""

    def __init__(self, log: Path, parts: Iterable[Part], *, check: bool = False) -> None:
        """`check`: as in `Opened`. Raises `BookError`, `OSError`."""
        self._runs = Opened(log, parts, check=check).rows

    def after(self, place: TransitionPlace | None) -> Iterator[Placed]:
        """Yields what is after a position; None = all."""
        if place is not None and place.epoch == ANY_EPOCH:
            found = (_beyond(place.seq, place.n, run) for run in self._runs)
        else:
            low = b"" if place is None else _PLACE.pack(*place[:2], place.n + 1)
            found = (run.beginning_with(low, b"") for run in self._runs)
        for row in chain.from_iterable(found):
            epoch, seq, n, *rest = _ROW.unpack(row)
            yield Placed(TransitionPlace(epoch, seq, n), *rest)

    def last(self) -> TransitionPlace | None:
        """Returns the newest position; None = there is none."""
        if not self._runs:
            return None
        run = self._runs[-1]
        return TransitionPlace(*_PLACE.unpack_from(run.at(run.count - 1)))


def since(log: Path, parts: tuple[Part, ...], begin: int) -> tuple[Part, ...]:
    """Returns the parts without the first ones of which every row is of an event before `begin`.

    Raises `BookError`, `OSError`.
    """
    while parts:
        last = PlacedRows(log, parts[:1]).last()
        if last is not None and last.seq >= begin:
            break
        parts = parts[1:]
    return parts


def _beyond(seq: int, n: int, run: Run) -> Iterator[bytes]:
    """Yields the rows after a position, whatever their epochs: those ascend with the events."""

    def position(at: int) -> tuple[int, int]:
        _, *found = _PLACE.unpack_from(run.at(at))
        return found[0], found[1]

    first = bisect_right(range(run.count), (seq, n), key=position)
    return map(run.at, range(first, run.count))
