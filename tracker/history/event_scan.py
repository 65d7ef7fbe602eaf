"""Walks over a part of the log and filters its events, in steps of about two milliseconds.

The steps are short because a thread that computes holds the interpreter lock, and announces wait
meanwhile.
"""

from __future__ import annotations

import time
from bisect import bisect_left, bisect_right
from itertools import chain
from typing import TYPE_CHECKING, Any, NamedTuple

from eventlog import Reader, base_seq_of, first_frame_header, list_segments
from tracker.domain import events
from tracker.domain.events import announce, codec
from tracker.domain.events.admin import ADMIN_EVENTS
from tracker.domain.events.records import ClientNamed, Counted, RefusalsCounted, Tick
from tracker.history import event_json
from tracker.store import checked_segments, frames
from tracker.store.frame_dates import dates, last_date
from tracker.store.frame_index import NEEDED, PLACED, names_in
from tracker.store.known_frames import Indexes, Picker
from tracker.store.moments import split

if TYPE_CHECKING:
    from array import array
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from eventlog import Frame
    from tracker import ports
    from tracker.history.kind_count import KindCount
    from tracker.history.refused_count import RefusedCount
    from tracker.store.address_keys import Keyring
    from tracker.store.frame_index import FrameIndex

STEP_SECONDS = 0.002  # the time that a step may work, in seconds

BEHIND_US = 60_000_000
"""Microseconds by which a date may be later than log time, or a lead may change in a segment, with
room to spare: a clock that is set further begins a segment, and log time follows one that is ahead.
"""

_UNKNOWN = frozenset({codec.UNKNOWN})
_BARE = frozenset({Tick.kind, Counted.kind, RefusalsCounted.kind, ClientNamed.kind})
"""Kinds of events that are of no key, account or torrent."""


class Walked(NamedTuple):
    """What a helper process found in some steps (`events_worker.py`).

    `seq`: the next event to look at; `seconds`: those worked.
    """

    events: list[dict[str, Any]]
    seq: int
    over: bool
    at_end: bool  # as `Scan` has both
    seconds: float


class _Passing:
    """Says which frames of a segment a scan needs. It does not know the scan, so that files are
    closed with the last reference to that.
    """

    def __init__(self, part: ports.LogPart, wanted: Filter | RefusedCount | KindCount) -> None:
        self._part, self._wanted = part, wanted
        self.seq = 0  # the event after the last one that was passed over

    def wanted(self, index: FrameIndex) -> Iterator[int]:
        """Yields the numbers of the frames to read: those of the part that may have something, and
        all after the part, because the walk ends with an event after it.
        """
        part, within = self._part, frames_between(index, self._part)
        inside = self._wanted.frames_in(index, part, within)
        for number in chain(inside, range(max(within.start, within.stop), len(index.kinds))):
            self.seq = max(self.seq, index.firsts[number])
            yield number
        self.seq = index.end


def frames_between(index: FrameIndex, part: ports.LogPart) -> range:
    """Returns the numbers of the frames that may have events of a part and do not reach beyond it;
    the one after them may have some too.
    """
    begin, upto = max(0, bisect_right(index.firsts, part.first) - 1), len(index.kinds)
    least_us, most_us = index.lead_us
    if part.from_us is not None:
        # One frame more, because of some only the time of the first record is known.
        begin = max(begin, bisect_left(index.lasts, part.from_us + least_us) - 1)
    if part.last is not None and part.last < index.end:
        upto = max(0, bisect_right(index.firsts, part.last) - 1)
    if part.to_us is not None:
        upto = min(upto, bisect_right(index.lasts, part.to_us + most_us))
    return range(begin, upto)


class Scan:
    """A walk over a part of the log. Each step may run in another thread, one at a time."""

    def __init__(
        self,
        folder: Path,
        part: ports.LogPart,
        wanted: Filter | RefusedCount | KindCount,
        keys: Keyring | None,
        indexes: Indexes | None = None,
    ) -> None:
        """`indexes`: those that are kept for later scans; None = none are."""
        self._folder = folder
        self._keys = keys
        self._indexes = indexes or Indexes(keys)
        self._part = part
        self._wanted = wanted
        self._reader: Reader | None = None
        self._frames: Iterator[Frame] | None = None
        self._passing = _Passing(part, wanted)
        self._events: Iterator[tuple[int, dict[str, Any] | None]] = iter(())
        self.seq = part.first  # the next event to look at
        self.found: list[dict[str, Any]] = []
        self.over = False  # the walk reached the end of the part, or of what readers get

    @property
    def at_end(self) -> bool:
        """Tells whether the walk is over because readers get no more of the log yet."""
        return self.over and self._frames is None

    def doubted(self) -> range:
        """Returns the events after the durable end that are in the log and may not be durable."""
        rest = self._reader.not_vouched_for() if self._reader else []
        return range(rest[0].header.base_seq, rest[-1].header.next_seq) if rest else range(0)

    def go_on_doubted(self) -> None:
        """Has the next steps find the events that `doubted` returns."""
        self._frames = iter(self._reader.not_vouched_for() if self._reader else ())

    def take(self) -> list[dict[str, Any]]:
        """Returns the events found since the last call."""
        found, self.found = self.found, []
        return found

    def step(self, limit: int) -> float:
        """Works for `STEP_SECONDS`, or until `limit` events are found. Returns the seconds it took.

        Raises the errors of `Reader` and `CodecError`.
        """
        began = now = time.perf_counter()
        while not self.over and len(self.found) < limit and now - began < STEP_SECONDS:
            self._look()
            now = time.perf_counter()
        return now - began

    def _look(self) -> None:
        """Looks at one event, or at one frame without any wanted event."""
        if self._reader is None and not self._indexes.grow(self._folder, STEP_SECONDS):
            return
        following = next(self._events, None)
        if following is None:
            self._next_frame()
            return
        seq, event = following
        if self._part.last is not None and seq > self._part.last:
            self.over = True
            return
        if event is not None:
            self.found.append(event)
        self.seq = seq + 1

    def _next_frame(self) -> None:
        if self._reader is None:
            first = first_segment(self._folder, self._part)
            checked_segments.check_old(self._folder, first, self._keys)
            self._reader = Reader(
                self._folder,
                first,
                keys=self._keys,
                decrypt=self._wanted.has_sections,
                picks=Picker(self._indexes, self._passing.wanted, whole=self._wanted.placed),
            )
            self._frames = chain(self._kept(self._reader.first_seq), self._reader.frames())
        elif self._frames is None:
            self._frames = self._reader.frames()
        frame = next(self._frames, None)
        self.seq = max(self.seq, self._passing.seq)
        if frame is None:
            self._frames = None  # the next step reads on if there is more
            self.over = True
            return
        header, part = frame.header, self._part
        if header.next_seq <= part.first:
            return
        # Within a segment dates go back by some seconds where the clock was set back by so much.
        if part.to_us is not None and header.date_us > part.to_us + BEHIND_US:
            if header.base_seq >= self._reader.first_seq:
                self._go_back_to(part.to_us, header.base_seq)
            return
        rest = split(frame, part.first)[1] if header.base_seq < part.first else frame
        self._events = self._wanted.events(rest or frame, part.from_us, part.to_us)

    def _go_back_to(self, to_us: int, after: int) -> None:
        """Goes on with the next segment that begins before a date; the walk is over if none does.

        One does where the clock was set back.
        """
        for path in list_segments(self._folder / "seg"):
            if base_seq_of(path) > after:
                first = first_frame_header(path)
                if first is not None and first.date_us <= to_us:
                    self._reader = Reader(self._folder, base_seq_of(path), keys=self._keys)
                    self._frames = self._reader.frames()
                    return
        self.over = True

    def _kept(self, begin: int) -> Iterator[Frame]:
        """Reads the frames that retention kept from the events before the log's beginning."""
        if self._part.first >= begin:
            return iter(())
        return checked_segments.read_kept(self._folder, begin, self._keys)


def first_segment(folder: Path, part: ports.LogPart) -> int:
    """Returns where the segment begins to start with: the last one that begins before a part."""
    paths = list_segments(folder / "seg")
    starts = [base_seq_of(path) for path in paths]
    before = [start for start in starts if start <= part.first]
    if part.from_us is None:
        return before[-1] if before else part.first
    low, high = 0, len(starts) - 1
    while low < high:
        middle = (low + high + 1) // 2
        # The header alone is enough, because only its time is needed.
        frame = first_frame_header(paths[middle])
        if frame is not None and frame.time_us <= part.from_us - BEHIND_US:
            low = middle
        else:
            high = middle - 1
    while low + 1 < len(starts) and _is_before(paths[low], paths[low + 1], part.from_us):
        low += 1
    return max([starts[low] if starts else 0, *before[-1:]])


def _is_before(path: Path, following: Path, from_us: int) -> bool:
    """Tells whether all dates of a segment are before a date."""
    first, later = first_frame_header(path), first_frame_header(following)
    return (
        first is not None
        and later is not None
        and later.time_us - first.lead_us + BEHIND_US < from_us
    )


def _kinds(types: frozenset[str]) -> frozenset[int] | None:
    if not types or codec.UNKNOWN in types:
        return None
    return frozenset(kind for kind, names in codec.TYPES.items() if names & types)


def _between(frame: Frame, from_us: int | None, to_us: int | None) -> Frame | None:
    """Returns the events of a frame between two dates, ends included; None = there are none."""
    if from_us is not None and last_date(frame) < from_us:
        return None
    if to_us is not None and frame.header.date_us > to_us:
        return None
    if to_us is not None and last_date(frame) > to_us:
        end = bisect_right(dates(frame), to_us)
        frame = split(frame, frame.header.base_seq + end)[0]
    if from_us is not None and frame.header.date_us < from_us:
        begin = bisect_left(dates(frame), from_us)
        return split(frame, frame.header.base_seq + begin)[1]
    return frame


class Filter:
    """Finds the wanted events of a frame, and decodes as few others as possible."""

    def __init__(
        self, wanted: ports.EventFilter, account_of: array[int], names: Keyring | None = None
    ) -> None:
        """`names`: for the pseudonyms of addresses; None = events have none."""
        self._wanted, self._names = wanted, names
        self._account_of = account_of
        self._hash = wanted.info_hash.hex() if wanted.info_hash else None
        self._kinds = _kinds(wanted.types)
        self._admin = {one for one, told in ADMIN_EVENTS.items() if told.name in wanted.types}

    def frames_in(
        self,
        index: FrameIndex,
        part: ports.LogPart,  # noqa: ARG002  # as `RefusedCount`
        numbers: Sequence[int],
    ) -> Iterable[int]:
        """Returns which of these frames may have wanted events."""
        kinds, of_kind = self._kinds, index.kinds
        if kinds is not None and events.ADMIN in kinds:
            numbers = [
                one
                for one in numbers
                if of_kind[one] != events.ADMIN
                or any(kind in self._admin for kind, _ in index.types[one])
            ]
        if not self.narrow:
            if kinds is None:
                return numbers
            return (one for one in numbers if of_kind[one] == NEEDED or of_kind[one] in kinds)
        placed = self._placed(index) if self.placed else None
        return (
            one
            for one in numbers
            if of_kind[one] == NEEDED
            or (
                (kinds is None or of_kind[one] in kinds)
                and of_kind[one] not in _BARE
                and (placed is None or of_kind[one] not in PLACED or one in placed)
            )
        )

    def _placed(self, index: FrameIndex) -> set[int] | None:
        """Returns the frames with announces or refusals that may be wanted; None = all of them."""
        wanted, found = self._wanted, list[set[int]]()
        if wanted.info_hash:
            found.append(set(index.with_torrent(wanted.info_hash)))
        if wanted.key_ref:  # 0 = those without a key, which the index does not name
            found.append(set(index.with_key(wanted.key_ref)))
        if wanted.account:
            keys = (key for key, one in enumerate(self._account_of) if one == wanted.account)
            found.append(set[int]().union(*map(index.with_key, keys)))
        return set.intersection(*found) if found else None

    def events(
        self, frame: Frame, from_us: int | None, to_us: int | None
    ) -> Iterator[tuple[int, dict[str, Any] | None]]:
        """Yields pairs of a seq and its event; None = the event is not wanted.

        The events that are not wanted may be missing. The last pair has the frame's last seq.
        """
        header, wanted = frame.header, self._wanted
        known = frames.known(frame)
        types = codec.TYPES[header.kind] if known else _UNKNOWN
        last = header.next_seq - 1
        timely = _between(frame, from_us, to_us)
        if timely is None or (wanted.types and not wanted.types & types):
            yield last, None
            return
        frame = timely
        if known and header.kind == events.ANNOUNCE and self.narrow:
            found = self._announces(frame)
        else:
            found = ((event["seq"], event) for event in event_json.narrate(frame, self._names))
        for seq, event in found:
            yield seq, event if event is not None and self._wants(event) else None
        yield last, None

    @property
    def has_sections(self) -> bool:
        """Tells whether announces or unknown events may be wanted. Nothing else has to be
        decrypted."""
        wanted = self._wanted.types
        return not wanted or announce.NAME in wanted or "unknown" in wanted

    @property
    def every(self) -> bool:
        """Tells whether all events are wanted."""
        return not self._wanted.types and not self.narrow

    @property
    def placed(self) -> bool:
        """Tells whether frames are found by keys and torrents."""
        return self.narrow and (self._kinds is None or not self._kinds.isdisjoint(PLACED))

    @property
    def narrow(self) -> bool:
        """Tells whether events of one torrent, key or account are wanted."""
        wanted = self._wanted
        return bool(wanted.info_hash or wanted.key_ref is not None or wanted.account is not None)

    def _announces(self, frame: Frame) -> Iterator[tuple[int, dict[str, Any] | None]]:
        """Yields the announces that may be wanted. Skips most others without decoding them."""
        wanted = self._wanted
        if not self._may_have(frame):
            return
        base = frame.header.base_seq
        for seq, (row, _) in enumerate(frames.announces(frame), base):
            info_hash, key_ref = row[1], row[6]
            if (
                (wanted.info_hash and info_hash != wanted.info_hash)
                or (wanted.key_ref is not None and key_ref != wanted.key_ref)
                or (wanted.account is not None and self._account(key_ref) != wanted.account)
            ):
                if not seq % 256:
                    yield seq, None
                continue
            upto = split(frame, seq + 1)[0]
            one = split(upto, seq)[1] or upto
            yield seq, next(event_json.narrate(one, self._names))

    def _may_have(self, frame: Frame) -> bool:
        """Tells by its keys and torrents whether a frame may have wanted announces."""
        wanted = self._wanted
        if wanted.info_hash and bytes(frame.plain).find(wanted.info_hash) < 0:
            return False
        if not frames.current(frame) or (wanted.key_ref is None and wanted.account is None):
            return True
        keys = next(names_in(frame))
        if wanted.key_ref is not None and wanted.key_ref not in keys:
            return False
        return wanted.account is None or any(self._account(key) == wanted.account for key in keys)

    def _account(self, key_ref: object) -> int | None:
        if isinstance(key_ref, int) and 0 < key_ref < len(self._account_of):
            return self._account_of[key_ref]
        return None

    def _wants(self, event: dict[str, Any]) -> bool:
        wanted, key_ref = self._wanted, event.get("key_ref")
        if wanted.types and event["type"] not in wanted.types:
            return False
        if self._hash and event.get("info_hash") != self._hash:
            return False
        if wanted.key_ref is not None and key_ref != wanted.key_ref:
            return False
        return wanted.account is None or wanted.account in (
            event.get("account"),
            self._account(key_ref),
        )
