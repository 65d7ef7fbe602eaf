"""Read a log from any process, without a lock: frames in order, checked, from a sequence number on.

Beside a running writer a reader stops at the durable end. It needs no second file for that: every
frame header says how far the log was durable when it was built, and an idle writer adds
a watermark, so a frame is handed out once a later header vouches for it.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from eventlog import folder, frame, segment
from eventlog.errors import LogCorruptError, LogFormatError
from eventlog.sealing import Place

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from eventlog.sealing import Opener


class Reader:
    """Iterate `frames()` once for what is there; call it again later to go on from where it stopped.

    `to_end` hands out frames that no later header vouches for too: for the writer itself, after
    recovery. Frames without records (watermarks) are not handed out. The first frame may begin
    before `from_seq`: frames are the unit.

    `keys` open the sealed sections; what they do not open is handed out with an empty one.
    """

    def __init__(
        self,
        path: Path,
        from_seq: int = 0,
        *,
        to_end: bool = False,
        keys: Opener | None = None,
    ) -> None:
        self._path = path
        self._log_id = folder.read_identity(path)
        self._from_seq = from_seq
        self._to_end = to_end
        self._keys = keys
        self._current: segment.Walk | None = None
        self._held: deque[frame.Frame] = deque()
        self.durable_seq = 0

    def frames(self) -> Iterator[frame.Frame]:
        """Raises `LogCorruptError` for damage before the end, `LogFormatError` for a foreign segment."""
        yield from self._released()
        for found in self._walk():
            self.durable_seq = max(self.durable_seq, found.header.durable_seq)
            if found.header.records and found.header.next_seq > self._from_seq:
                self._held.append(found)
            yield from self._released()

    def _released(self) -> Iterator[frame.Frame]:
        held = self._held
        while held and (self._to_end or held[0].header.next_seq <= self.durable_seq):
            yield self._opened(held.popleft())

    def _opened(self, found: frame.Frame) -> frame.Frame:
        header = found.header
        if not header.key_epoch:
            return found
        opened = None
        if self._keys is not None:
            place = Place(self._log_id, header.epoch, header.base_seq, header.boottime_ns)
            opened = self._keys.open(place, header.key_epoch, header.key_check, found.sealed)
        return found._replace(sealed=memoryview(opened or b""))

    def _walk(self) -> Iterator[frame.Frame]:
        while True:
            walk = self._current or self._open_first()
            if walk is None:
                return
            with walk.path.open("rb") as file:
                yield from walk.frames(file)
            following = self._following(walk)
            if following is None:
                return
            if walk.stopped is not None and not walk.grown():
                raise LogCorruptError(walk.path, walk.offset, walk.stopped)
            if walk.grown():
                continue
            self._enter(following, walk)

    def _open_first(self) -> segment.Walk | None:
        paths = segment.list_segments(self._path / "seg")
        if not paths:
            return None
        at_or_before = [path for path in paths if segment.base_seq_of(path) <= self._from_seq]
        return self._enter(at_or_before[-1] if at_or_before else paths[0], None)

    def _enter(self, path: Path, before: segment.Walk | None) -> segment.Walk:
        with path.open("rb") as file:
            walk = segment.Walk(path, file)
        if walk.header.log_id != self._log_id:
            raise LogFormatError(path, "belongs to another log")
        if before is not None and (walk.next_seq, walk.chain) != (before.next_seq, before.chain):
            what = f"the log goes on in {path.name}, which does not follow this"
            raise LogCorruptError(before.path, before.offset, what)
        self._current = walk
        return walk

    def _following(self, walk: segment.Walk) -> Path | None:
        later = [p for p in segment.list_segments(self._path / "seg") if p.name > walk.path.name]
        return later[0] if later else None
