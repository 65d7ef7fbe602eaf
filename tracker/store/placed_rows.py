"""Rows of the book in the order of the log, for those who follow it: all transitions of downloads,
and milestones of torrents.

`judged_rows` has the same transitions by download. Each part has the rows of later events than the
part before it, so they are read one part after the other.
"""

from __future__ import annotations

from bisect import bisect_right
from struct import Struct
from typing import TYPE_CHECKING, NamedTuple

from tracker.ports import ANY_EPOCH, TransitionPlace
from tracker.store.book_files import PLACED, Opened
from tracker.store.book_rows import name

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

    def after(
        self,
        place: TransitionPlace | None,
        account: int | None = None,
        info_hash: bytes | None = None,
    ) -> Iterator[Placed]:
        """Yields what is after a position, of an account and a torrent; None = all."""
        sought, offset = _sought(account, info_hash)
        for run in self._runs:
            first = 0 if place is None else _first_after(place, run)
            some = map(run.at, range(first, run.count))
            for row in run.holding(sought, offset, first) if sought else some:
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


def _sought(account: int | None, info_hash: bytes | None) -> tuple[bytes, int]:
    """Returns bytes of the rows of an account and a torrent, and where they stand in a row."""
    if account is None:
        return (b"", 0) if info_hash is None else (info_hash, _PLACE.size + 5)
    return name(account, info_hash or b""), _PLACE.size


def _first_after(place: TransitionPlace, run: Run) -> int:
    """Returns the first row after a position. Epochs ascend with events, so they may be unknown."""
    if place.epoch != ANY_EPOCH:
        return run.find(_PLACE.pack(*place[:2], place.n + 1))

    def position(at: int) -> tuple[int, int]:
        _, *found = _PLACE.unpack_from(run.at(at))
        return found[0], found[1]

    return bisect_right(range(run.count), place[1:], key=position)
