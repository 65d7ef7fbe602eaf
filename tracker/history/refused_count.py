"""Counts refused announces by torrent and key, for staff's list of unregistered torrents.

It takes the place of a `Filter` in a `Scan`, and makes no event of what it counts, because a day of
a large site has a hundred thousand of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tracker.domain import events
from tracker.domain.events.admin import OldAnnounceRefused
from tracker.domain.events.records import AnnounceRefused
from tracker.domain.refusals import name_of
from tracker.ports import RefusedTimes
from tracker.store import frames
from tracker.store.frame_index import NEEDED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventlog import Frame
    from tracker.ports import LogPart
    from tracker.store.frame_index import FrameIndex

_NEVER = RefusedTimes(0, 0)
_AT_ONCE = 512  # refusals that a step counts at least; that takes a fifth of a millisecond


class RefusedCount:
    """Counts the announces that were refused for one reason. `found` has them by info hash and
    `key_ref`.
    """

    has_sections = False
    placed = True  # as `Filter` has it, because refusals stand behind keys and torrents

    def __init__(self, reason: str) -> None:
        self._reason = reason
        self.found: dict[tuple[bytes, int], RefusedTimes] = {}
        self.whole_to = 0
        """The refusals before this event were counted, but for those in admin frames."""

    def frames_in(self, index: FrameIndex, part: LogPart, numbers: range) -> Iterator[int]:
        """Counts the refusals of a segment that lies in the part as a whole. Returns which of these
        frames are still to be read.
        """
        kinds = self._kinds_in(index, part)
        return (one for one in numbers if index.kinds[one] in kinds)

    def _kinds_in(self, index: FrameIndex, part: LogPart) -> tuple[int, ...]:
        first_us, last_us = index.refused_us
        if (
            index.refusals is None
            or part.first > index.first
            or (part.last is not None and part.last < index.end - 1)
            or (part.from_us is not None and part.from_us > first_us)
            or (part.to_us is not None and part.to_us < last_us)
        ):
            return NEEDED, AnnounceRefused.kind, events.ADMIN
        for info_hash, key_ref, label, times, date_us in index.refused():
            if name_of(label) == self._reason:
                self._add(info_hash, key_ref, times, date_us)
        self.whole_to = index.end
        return NEEDED, events.ADMIN

    def _add(self, info_hash: bytes, key_ref: int, times: int, date_us: int) -> None:
        before = self.found.get((info_hash, key_ref), _NEVER)
        last_us = max(before.last_us, date_us)
        self.found[info_hash, key_ref] = RefusedTimes(before.times + times, last_us)

    def events(
        self, frame: Frame, from_us: int | None, to_us: int | None
    ) -> Iterator[tuple[int, dict[str, Any] | None]]:
        """Counts those between two dates. Yields numbers of events up to which it has come, with
        None.
        """
        header = frame.header
        first_us, last_us = from_us or 0, float("inf") if to_us is None else to_us
        for seq, time_us, reason, key_ref, info_hash in _refused(frame):
            date_us = max(1, time_us - header.lead_us)
            if reason == self._reason and first_us <= date_us <= last_us:
                self._add(info_hash, key_ref, 1, date_us)
            if not seq % _AT_ONCE:
                yield seq, None
        yield header.next_seq - 1, None


def _refused(frame: Frame) -> Iterator[tuple[int, int, str, int, bytes]]:
    """Yields number, log time, reason, `key_ref` and info hash of refusals in a frame."""
    if not frames.known(frame):
        return
    if frame.header.kind == AnnounceRefused.kind:
        names: dict[int, str] = {}
        rows = AnnounceRefused.layout.iter_unpack(frames.newest(frame).plain)
        with frames.reading(frame.header.base_seq):
            for seq, (time_us, key_ref, label, info_hash) in enumerate(rows, frame.header.base_seq):
                if label not in names:
                    names[label] = name_of(label)
                yield seq, time_us, names[label], key_ref, info_hash
        return
    for seq, record in frames.admin(frame):
        if record.type == OldAnnounceRefused.number:
            one = record.event()
            if isinstance(one, OldAnnounceRefused):
                yield seq, record.time_us, one.reason, one.key_ref, one.info_hash
