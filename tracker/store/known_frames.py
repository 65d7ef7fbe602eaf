"""Tells readers of the log which frames they may pass over, by the indexes of frames.

`Indexes` reads them for one question. A helper process that answers many has `KeptIndexes`.
Blocking.
"""

from __future__ import annotations

from bisect import bisect_right
from math import inf
from time import perf_counter
from typing import TYPE_CHECKING

from eventlog import Known, PlacedFrames, segments_of
from tracker.store.frame_index import Gathered, index_path, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from tracker.store.address_keys import Keyring
    from tracker.store.frame_index import FrameIndex

MOST_BYTES = 64 << 20
"""Largest size of the files whose indexes are kept, in bytes: about 15 million events."""


def frames_at(date_us: int, index: FrameIndex) -> range:
    """Returns numbers of frames, with the last one that begins up to a date, and the one after."""
    least_us, most_us = index.lead_us
    first = bisect_right(index.lasts, date_us + least_us) - 1
    end = bisect_right(index.lasts, date_us + most_us) + 2
    return range(max(0, first), min(end, len(index.lasts)))


class Indexes:
    """Gives the indexes of segments to readers that begin once."""

    def __init__(self, keys: Keyring | None) -> None:
        self._keys = keys

    def of(self, segment: Path, following: Path | None, *, whole: bool) -> FrameIndex | None:
        """Returns what is known of a segment, as `read` does. `following`: None = it is the last.

        Raises `FileNotFoundError` where a segment was removed, `OSError`.
        """
        return read(segment, following, self._keys, whole=whole) if following else None

    def grow(self, log: Path, seconds: float) -> bool:  # noqa: ARG002  # as `KeptIndexes`
        """Returns whether nothing is left to do before the indexes are asked for."""
        return True


class KeptIndexes(Indexes):
    """Keeps checked indexes for the next question, and makes one of the log's last segment, so that
    no question reads all of that again. For one thread.
    """

    def __init__(self, keys: Keyring | None) -> None:
        super().__init__(keys)
        # With which file each was read from, and the size of that.
        self._sealed: dict[Path, tuple[tuple[int, ...], FrameIndex]] = {}
        self._growing: dict[Path, _Growing] = {}

    def clear(self) -> None:
        self._sealed.clear()
        self._growing.clear()

    def of(self, segment: Path, following: Path | None, *, whole: bool) -> FrameIndex | None:
        if following and (index := self._read(segment, following, whole=whole)):
            self._growing.pop(segment, None)
            return index
        growing = self._growing.get(segment)
        if growing is None and following is None:
            growing = self._begin(segment)
        if growing is not None:
            growing.grow(inf)
        return growing.index() if growing else None

    def grow(self, log: Path, seconds: float) -> bool:
        """Works for some seconds at most on the index of the last segment."""
        last = segments_of(log)[-1:]
        return all((self._growing.get(one) or self._begin(one)).grow(seconds) for one in last)

    def _begin(self, segment: Path) -> _Growing:
        # The one before is needed until its file is there.
        before = list(self._growing.items())[-1:]
        self._growing = dict(before) | {segment: _Growing(segment, self._keys)}
        return self._growing[segment]

    def _read(self, segment: Path, following: Path, *, whole: bool) -> FrameIndex | None:
        try:
            found = index_path(segment).stat()
        except FileNotFoundError:
            return None
        file = found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size
        known, index = self._sealed.pop(segment, (None, None))
        if index is None or known != file or (whole and index.places is None):
            index = read(segment, following, self._keys, whole=whole)
        if index is not None:
            self._sealed[segment] = file, index
            # The newest are kept, because questions begin there and mostly end there.
            while sum(size for (*_, size), _ in self._sealed.values()) > MOST_BYTES:
                del self._sealed[min(self._sealed)]
        return index


class _Growing:
    """Makes the index of the log's last segment."""

    def __init__(self, segment: Path, keys: Keyring | None) -> None:
        """Raises the errors of `Reader`."""
        self._read = PlacedFrames(segment, keys)
        self._gathered = Gathered()
        self._index: FrameIndex | None = None  # as it was made last

    def grow(self, seconds: float) -> bool:
        """Reads on for some seconds at most. Returns whether it came to the durable end."""
        ends = perf_counter() + seconds
        for offset, frame in self._read.frames():
            self._gathered.add(offset, frame)
            self._index = None
            if perf_counter() > ends:
                return False
        return True

    def index(self) -> FrameIndex:
        if self._index is None:
            self._index = self._gathered.index(self._read.offset, self._read.end)
        return self._index


class Picker:
    """Makes the `picks` of a `Reader`: passes over frames by their index."""

    def __init__(
        self,
        indexes: Indexes,
        wanted: Callable[[FrameIndex], Iterable[int]],
        *,
        whole: bool = True,
    ) -> None:
        """`wanted` gets the index of a segment, and returns the numbers of the frames to read,
        ascending. Whoever seeks events must take all of the kind `NEEDED`. `whole`: as `read` has.
        """
        self._indexes, self._wanted, self._whole = indexes, wanted, whole

    def __call__(self, segment: Path, following: Path | None) -> Known | None:
        index = self._indexes.of(segment, following, whole=self._whole)
        if index is None or not index.kinds:
            return None
        places = ((index.offsets[one], index.firsts[one]) for one in self._wanted(index))
        return Known(places, index.offset, index.place)
