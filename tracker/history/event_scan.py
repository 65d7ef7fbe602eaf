"""A walk over a part of the log for what is wanted of it: in steps of about two milliseconds, each in any thread.

A thread that computes keeps the interpreter from everybody else, hence the steps.
"""

from __future__ import annotations

import time
from itertools import chain
from typing import TYPE_CHECKING, Any

from eventlog import Reader, base_seq_of, first_frame_header, list_segments, read_kept_frames
from tracker.domain import events
from tracker.history import event_json
from tracker.store import frames
from tracker.store.moments import split
from tracker.times import rfc3339

if TYPE_CHECKING:
    from array import array
    from collections.abc import Iterator
    from pathlib import Path

    from eventlog import Frame
    from tracker import ports
    from tracker.store.address_keys import Keyring

STEP_SECONDS = 0.002

_TYPES = {
    events.ANNOUNCE: frozenset({"announced"}),
    events.EVICTIONS: frozenset({"evicted"}),
    events.TICK: frozenset({"tick"}),
    events.COUNTERS: frozenset({"counted"}),
    events.REFUSALS: frozenset({"refusals_counted"}),
    events.ADMIN: frozenset({*events.ADMIN_NAMES.values(), events.UNKNOWN}),
}
_UNKNOWN = frozenset({events.UNKNOWN})


class Scan:
    """A walk over a part of the log that is done in steps, each in a worker thread."""

    def __init__(
        self, folder: Path, part: ports.LogPart, wanted: Filter, keys: Keyring | None
    ) -> None:
        self._folder = folder
        self._keys = keys
        self._days = keys.days() if keys else []
        self._part = part
        self._wanted = wanted
        self._reader: Reader | None = None
        self._frames: Iterator[Frame] | None = None
        self._events: Iterator[tuple[int, dict[str, Any] | None]] = iter(())
        self.seq = part.first  # the next event to look at
        self.found: list[dict[str, Any]] = []
        self.over = False  # the part's end was reached, or the durable one

    @property
    def stale(self) -> bool:
        """Whether a key was shredded since the walk began: what it opened is not to be told from memory."""
        return self._keys is not None and not set(self._days) <= set(self._keys.days())

    @property
    def at_end(self) -> bool:
        """Whether the walk is over because readers are not given more of the log yet."""
        return self.over and self._frames is None

    def take(self) -> list[dict[str, Any]]:
        found, self.found = self.found, []
        return found

    def step(self, limit: int) -> float:
        """Work for a moment; seconds of it. Raises what reading does."""
        began = now = time.perf_counter()
        while not self.over and len(self.found) < limit and now - began < STEP_SECONDS:
            self._look()
            now = time.perf_counter()
        return now - began

    def _look(self) -> None:
        """At one event, or at a frame with none of interest."""
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
            self._reader = Reader(self._folder, self._first_segment(), keys=self._keys)
            self._frames = chain(self._kept(self._reader.first_seq), self._reader.frames())
        elif self._frames is None:
            self._frames = self._reader.frames()
        frame = next(self._frames, None)
        if frame is None:
            self._frames = None  # what comes later is for the next time
            self.over = True
            return
        header, part = frame.header, self._part
        if header.next_seq <= part.first:
            return
        if part.to_us is not None and header.time_us > part.to_us:
            self.over = True
            return
        rest = split(frame, part.first)[1] if header.base_seq < part.first else frame
        self._events = self._wanted.events(rest or frame, part.from_us, part.to_us)

    def _kept(self, begin: int) -> Iterator[Frame]:
        """What there still is of the events before the log's beginning."""
        return read_kept_frames(self._folder, begin) if self._part.first < begin else iter(())

    def _first_segment(self) -> int:
        """The reader begins with a whole segment, so that the frames before the first one are passed in steps too."""
        paths = list_segments(self._folder / "seg")
        starts = [base_seq_of(path) for path in paths]
        before = [start for start in starts if start <= self._part.first]
        if self._part.from_us is None:
            return before[-1] if before else self._part.first
        low, high = 0, len(starts) - 1
        while low < high:
            middle = (low + high + 1) // 2
            # By its header alone: a reader would look for who vouches for it.
            frame = first_frame_header(paths[middle])
            if frame is not None and frame.time_us <= self._part.from_us:
                low = middle
            else:
                high = middle - 1
        return max([starts[low] if starts else 0, *before[-1:]])


class Filter:
    """What of a frame is of interest, told without telling all of it."""

    def __init__(self, wanted: ports.EventFilter, account_of: array[int]) -> None:
        self._wanted = wanted
        self._account_of = account_of
        self._hash = wanted.info_hash.hex() if wanted.info_hash else None

    def events(
        self, frame: Frame, from_us: int | None, to_us: int | None
    ) -> Iterator[tuple[int, dict[str, Any] | None]]:
        """Each event's seq with what it says if it is wanted; ends with the frame's last seq in any case."""
        header, wanted = frame.header, self._wanted
        known = frames.known(frame)
        types = _TYPES[header.kind] if known else _UNKNOWN
        last = header.next_seq - 1
        if wanted.types and not wanted.types & types:
            yield last, None
            return
        if known and header.kind == events.ANNOUNCE and self._narrow:
            told = self._announces(frame)
        else:
            told = ((event["seq"], event) for event in event_json.narrate(frame))
        first_time = "" if from_us is None else rfc3339(from_us)
        last_time = "~" if to_us is None else rfc3339(to_us)
        for seq, event in told:
            timely = event is not None and first_time <= event["time"] <= last_time
            yield seq, event if timely and event is not None and self._wants(event) else None
        yield last, None

    @property
    def _narrow(self) -> bool:
        wanted = self._wanted
        return bool(wanted.info_hash or wanted.key_ref is not None or wanted.account is not None)

    def _announces(self, frame: Frame) -> Iterator[tuple[int, dict[str, Any] | None]]:
        """Most announces are nobody's that is asked for: they are passed over as bytes."""
        wanted = self._wanted
        if wanted.info_hash and bytes(frame.plain).find(wanted.info_hash) < 0:
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
            yield seq, next(event_json.narrate(one))

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
