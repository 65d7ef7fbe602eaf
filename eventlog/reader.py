"""Reads a log from any process, without a lock: checked frames in order, from a sequence number on.

Beside a running writer a reader stops at the durable end. Every frame header holds the
`durable_seq` of the time when the frame was built, and an idle writer adds a watermark. So a reader
yields a frame once a later header calls it durable, and needs no second file.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from copy import copy
from typing import TYPE_CHECKING, NamedTuple

from eventlog import folder, frame, segment
from eventlog.committer import LEAD_US
from eventlog.encryption import decrypt_frame
from eventlog.errors import LogCorruptError, LogFormatError, LogPrunedError
from eventlog.files import open_file
from eventlog.first_event import first_seq, segments_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from eventlog.encryption import Keys

    Picks = Callable[[Path, Path | None], "Known | None"]
    """Takes a segment and the one after it (None = it is the last), and says what it knows of its
    frames; None = nothing. It must know that a finished segment is sealed."""

BACK_US = 2 * LEAD_US
"""Microseconds by which dates go back within a segment at most."""


class Known(NamedTuple):
    """What somebody knows of the frames at a segment's beginning, so that a reader need not read
    all of them. All are durable.

    `places`: the byte where each wanted frame begins, and its first event, ascending. It is gone
    through only when all wanted frames before were given. `offset` and `end`: the byte after the
    frames that are known, and their end.
    """

    places: Iterable[tuple[int, int]]
    offset: int
    end: segment.End


class Reader:
    """Yields the frames of a log from `from_seq` on, without watermarks. The first frame may begin
    before `from_seq`.

    `frames()` yields all durable frames; a later call continues from there. `to_end`: also yield
    frames that no later header calls durable; for the writer itself, after recovery. `keys`: check
    the tags, and decrypt the protected sections; a section is empty if its key is missing. Without
    `decrypt` the sections stay as they are in the file. `first_seq`: the first event that the log
    had when the reader was made.
    """

    def __init__(
        self,
        path: Path,
        from_seq: int = 0,
        *,
        to_end: bool = False,
        keys: Keys | None = None,
        decrypt: bool = True,
        picks: Picks | None = None,
    ) -> None:
        self.path = path
        self._log_id = folder.read_identity(path)
        self.first_seq = first_seq(path)
        self._from_seq = from_seq
        self._to_end = to_end
        self._keys = keys
        self._decrypt = decrypt
        self._picks = picks
        self._current: segment.Walk | None = None
        self._held: deque[frame.Frame] = deque()
        self._segments: list[
            Path
        ] = []  # the latest listing; the successor of a segment never changes
        self.durable_seq = 0

    def frames(self) -> Iterator[frame.Frame]:
        """Yield the frames that follow.

        Raises `LogCorruptError` for damage before the end, `LogFormatError` for a segment of
        another log, `LogPrunedError` when the next events were removed meanwhile, `OSError`.
        """
        yield from self._released()
        for found in self._walk_while_there():
            if found is None:
                yield from self._released()
                continue
            self.durable_seq = max(self.durable_seq, found.header.durable_seq)
            if found.header.records and found.header.next_seq > self._from_seq:
                self._held.append(found)
            yield from self._released()

    def not_vouched_for(self) -> list[frame.Frame]:
        """The whole frames after those that `frames` gave: no later header calls them durable yet.

        Beside a running writer one follows soon. After a crash the next start keeps them.
        """
        return [self._given(one) for one in self._held]

    def _released(self) -> Iterator[frame.Frame]:
        held = self._held
        while held and (self._to_end or held[0].header.next_seq <= self.durable_seq):
            yield self._given(held.popleft())

    def _given(self, found: frame.Frame) -> frame.Frame:
        return decrypt_frame(self._log_id, found, self._keys) if self._decrypt else found

    def _walk_while_there(self) -> Iterator[frame.Frame | None]:
        try:
            yield from self._walk()
        except FileNotFoundError:
            at = self._current.header.base_seq if self._current else self.first_seq
            if first_seq(self.path) > at:
                raise LogPrunedError(self.path) from None
            raise

    def _walk(self) -> Iterator[frame.Frame | None]:
        """Yield the frames of all segments; None = all frames so far are durable."""
        doubted = -1
        while True:
            walk = self._current or self._open_first()
            if walk is None:
                return
            following = self._following(walk)
            end = segment.end_before(following, walk.header.epoch) if following else None
            if end and walk.next_seq >= end[0] and not _leads_to(walk, end):
                walk = self._back_to(walk, end)
            known = self._known(walk, following)
            if known is not None:
                self.durable_seq = max(self.durable_seq, known.end[0])
                yield None  # those before are given first, because the places may go by them
                with open_file(walk.path) as file:
                    yield from walk.picked(file, known.places)
                walk.go_to(known.offset, known.end)
                continue
            with open_file(walk.path) as file:
                yield from walk.frames(file, end)
            if following is None:
                if self._following(walk) is not None:
                    continue
                if walk.stopped is None or not self._was_durable(walk):
                    return
                # A frame is whole before a later header calls it durable. So if the walk met a
                # half-written frame, a second try can read it.
                if doubted == walk.offset:
                    raise LogCorruptError(walk.path, walk.offset, walk.stopped)
                doubted = walk.offset
                continue
            if walk.stopped is not None and not walk.grown():
                raise LogCorruptError(walk.path, walk.offset, walk.stopped)
            if walk.grown():
                continue
            if end == walk.end:
                with open_file(walk.path) as file:
                    walk.check_left_over(file)
            self._enter(following, walk)

    def _known(self, walk: segment.Walk, following: Path | None) -> Known | None:
        """Ask what is known of a segment that was not begun."""
        if self._picks is None or walk.offset > walk.header.size:
            return None
        return self._picks(walk.path, following)

    def _was_durable(self, walk: segment.Walk) -> bool:
        """Tells whether the bytes that stopped the walk had been durable."""
        with open_file(walk.path) as file:
            file.seek(walk.offset)
            return segment.highest_mark(file.read(), 0, self._log_id) > walk.next_seq

    def _back_to(self, walk: segment.Walk, end: segment.End) -> segment.Walk:
        """Forget the frames read beyond `end`, because they came from a failed write and were never
        durable."""
        with open_file(walk.path) as file:
            again = segment.Walk(walk.path, file, self._keys)
            for _ in again.frames(file, end):
                pass
        self._held = deque(one for one in self._held if one.header.next_seq <= end[0])
        self._current = again
        return again

    def _open_first(self) -> segment.Walk | None:
        paths = segments_of(self.path)
        if not paths:
            return None
        if first_seq(self.path) > self.first_seq >= self._from_seq:
            raise LogPrunedError(self.path)
        at_or_before = [path for path in paths if segment.base_seq_of(path) <= self._from_seq]
        return self._enter(at_or_before[-1] if at_or_before else paths[0], None)

    def _enter(self, path: Path, before: segment.Walk | None) -> segment.Walk:
        with open_file(path) as file:
            walk = segment.Walk(path, file, self._keys)
        if walk.header.log_id != self._log_id:
            raise LogFormatError(path, "belongs to another log")
        if before is not None and (walk.next_seq, walk.chain) != (before.next_seq, before.chain):
            what = f"the log goes on in {path.name}, which does not follow this"
            raise LogCorruptError(before.path, before.offset, what)
        if before is not None:
            segment.check_order(path, before.header.format, walk.header.format)
        self._current = walk
        return walk

    def _following(self, walk: segment.Walk) -> Path | None:
        for listing in (False, True):
            if listing:
                self._segments = segment.list_segments(self.path / "seg")
            at = bisect_right(self._segments, walk.path.name, key=lambda path: path.name)
            if at < len(self._segments):
                return self._segments[at]
        return None


def _leads_to(walk: segment.Walk, end: segment.End) -> bool:
    """Tells whether nothing but watermarks lies between the place of a walk and `end`."""
    if walk.next_seq > end[0]:
        return False
    rest = copy(walk)
    with open_file(walk.path) as file:
        return not any(one.header.records for one in rest.frames(file, end)) and rest.end == end


def placed_frames(path: Path, keys: Keys | None) -> Iterator[tuple[int, frame.Frame]]:
    """Yield the frames of a finished segment with records, each with the byte where it begins. All
    are checked.

    Raises the errors of `Reader`, also where the segment does not lead to the next one.
    """
    end = segment.end_of_finished(path)
    with open_file(path) as file:
        walk = segment.Walk(path, file, keys)
        at = walk.offset
        for found in walk.frames(file, end):
            if found.header.records:
                yield at, found
            at = walk.offset
    if walk.end != end:
        what = walk.stopped or "it ends before the place where the next segment goes on"
        raise LogCorruptError(path, walk.offset, what)


class PlacedFrames:
    """Reads the durable frames of the segment at the log's end, and goes on when there are more.

    `offset` and `end`: the byte after the frames that were given, and their end.
    """

    def __init__(self, path: Path, keys: Keys | None) -> None:
        """`keys`: check the tags. Raises the errors of `Reader`."""
        self.path = path
        with open_file(path) as file:
            self._walk = segment.Walk(path, file, keys)
        self._held: deque[tuple[int, frame.Frame]] = deque()
        self.offset, self.end = self._walk.offset, self._walk.end

    def frames(self) -> Iterator[tuple[int, frame.Frame]]:
        """Yield frames with records, each with the byte where it begins.

        Ends before damage too: a `Reader` says what it is. Raises the errors of `Reader`.
        """
        walk, held = self._walk, self._held
        with open_file(self.path) as file:
            at = walk.offset
            for found in walk.frames(file):
                held.append((at, found))
                at = walk.offset
                while held and held[0][1].header.next_seq <= walk.durable_seq:
                    begin, one = held.popleft()
                    self.offset = begin + one.header.size + one.header.payload_size
                    self.end = one.header.next_seq, one.header.chain
                    if one.header.records:
                        yield begin, one


def first_and_last_frame(path: Path) -> tuple[frame.Frame, frame.Frame] | None:
    """Return the first and the last durable frame, or None if the log is empty.

    Does not read all frames between. Raises the errors of `Reader`.
    """
    first = next(Reader(path).frames(), None)
    if first is None:
        return None
    segments = segments_of(path)
    if last := _last_frame(segments[-1]):
        return first, last
    for one in reversed(segments):
        if found := deque(Reader(path, segment.base_seq_of(one)).frames(), maxlen=1):
            return first, found[0]
    return first, first


def _last_frame(path: Path) -> frame.Frame | None:
    """Find the last durable frame of the last segment by the headers from its end; None = it has
    none, or the frames after it are not whole."""
    durable_seq = 0
    for offset, header in segment.headers_from_the_end(path, segment.open_header(path)):
        durable_seq = max(durable_seq, header.durable_seq)
        if header.records and header.next_seq <= durable_seq:
            with open_file(path) as file:
                walk = segment.Walk(path, file)
                walk.go_to(offset, (header.base_seq, header.previous))
                found = list(walk.frames(file))
            return found[0] if found and walk.stopped is None else None
    return None


def frame_at(
    path: Path, date_us: int, picks: Picks | None = None
) -> tuple[frame.Frame, frame.Frame | None] | None:
    """Return the last durable frame that begins at or before a date, and the one after it; None =
    all begin later. `picks`: those two must be among what it says.

    Where the clock was set back, the same date came twice: then it is the later one. Raises the
    errors of `Reader`.
    """
    end = frame.LAST_SEQ + 1  # first event of the segment after
    for one in reversed(segments_of(path)):
        first = segment.first_frame_header(one)
        if first is not None and first.date_us > date_us + BACK_US:
            end = segment.base_seq_of(one)
            continue
        found = following = None
        for each in Reader(path, segment.base_seq_of(one), picks=picks).frames():
            if each.header.base_seq < end and each.header.date_us <= date_us:
                found, following = each, None
                continue
            following = following or each
            if each.header.base_seq >= end or each.header.date_us > date_us + BACK_US:
                break
        if found is not None:
            return found, following
        end = segment.base_seq_of(one)
    return None
