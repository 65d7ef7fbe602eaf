"""Finds cases while a replay applies events, and writes them. Blocking.

The follower has a `CaseKeeper` where `cases = true`. What the detectors remember is written beside
the cases, so that a start goes on from there. Else it has them hear the log again from its
beginning, and what was found before is not found twice. What was found stays, also where its
announces are removed or the addresses shredded.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from eventlog import border, first_seq
from tracker.domain import events
from tracker.domain.detecting import keeping
from tracker.domain.detecting.cases import Found, Said
from tracker.domain.detecting.feed import Feed
from tracker.domain.detecting.watch import Watch
from tracker.domain.events import DAY_US
from tracker.domain.events.admin import CaseEvent, TrackerStarted
from tracker.domain.events.records import AnnounceRefused, Tick
from tracker.store import case_files, checked_segments, detector_file, frames
from tracker.store.address_keys import pseudonym
from tracker.store.detector_file import NothingRememberedError, Remembered, RememberedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from eventlog import Frame
    from tracker.domain.detecting.feed import Found as Heard
    from tracker.domain.detecting.intervals import Finding
    from tracker.domain.events import codec
    from tracker.domain.state import State
    from tracker.store.address_keys import Keyring

MOST_A_DAY = 100
"""The most findings of a detector about an account that are entered of a day of log time, because
nothing removes them, and who has thousands of torrents could fill the disk. One of a higher grade
than those before is entered besides.
"""


class Hiding:
    """Hashes addresses for detectors, as `tracker.domain.detecting.addresses.Hide` says."""

    def __init__(self, keys: Keyring) -> None:
        self._keys = keys
        self._secrets: dict[int, bytes | None] = {}  # of the last two days that were asked for

    def __call__(self, day: int, address: bytes) -> bytes | None:
        if day not in self._secrets:
            self._secrets = {one: two for one, two in self._secrets.items() if abs(one - day) < 2}
            self._secrets[day] = self._keys.pseudonyms(day)
        secret = self._secrets[day]
        return pseudonym(secret, address) if secret else None

    def forget(self) -> None:
        """Drops the secrets, because their days may be shredded."""
        self._secrets = {}


class CaseKeeper:
    """Notes what detectors find and staff says in a replay, and writes it."""

    # `keeping.Remembers` says what these are.
    version = 1
    kept = ("_of_day",)
    holds = ()

    def __init__(
        self,
        log: Path,
        keys: Keyring | None,
        refused: Callable[[str], None] = lambda _why: None,
        watch: Watch | None = None,
    ) -> None:
        """Goes on with the cases that there are. Why they cannot be used is reported to `refused`.

        `watch`: the detectors; None = all. Raises `OSError`, and what reading the log raises.
        """
        self._log, self._keys = log, keys
        self._feed = Feed(watch or Watch(), os.urandom(16))
        self._noted: list[Found | Said] = []
        self._known: set[bytes] = set()
        # By account and detector: a day, and the number and highest grade of its findings.
        self._of_day: dict[tuple[int, str], tuple[int, int, int]] = {}
        listed = None
        try:
            timeline = case_files.read(log)
        except case_files.CasesError as error:
            if not isinstance(error, case_files.NoCasesError):
                refused(f"Cases are found anew: {error}. Nothing has to be done")
        else:
            listed = timeline.listed
            self._known = {case_files.name_of(entry) for entry in timeline.entries}
        self._writer = case_files.Writer.open(log, listed)
        remembered = self._remembered(listed, refused)
        self._anew = remembered is None
        self.seq = remembered.upto if remembered else first_seq(log)
        """The first event that the detectors must hear."""
        self._chain = remembered.chain if remembered else b""
        self._heard = self.seq if remembered else 0  # events that the detectors heard of

    def _remembered(
        self, listed: case_files.Listed | None, refused: Callable[[str], None]
    ) -> Remembered | None:
        """Has the detectors remember what was written; None = they must hear the log again."""
        if listed is None or self._keys is None:
            return None
        try:
            with border(RememberedError, RememberedError):
                one = detector_file.read(self._log, self._keys, self._feed.shape)
                if one.upto > listed.upto:
                    raise RememberedError("the cases end before it")
                keeping.restore([self, *self._feed.remembering], bytes(one.data))
        except RememberedError as error:
            if not isinstance(error, NothingRememberedError):
                refused(f"The detectors hear the log again: {error}. Nothing has to be done")
            return None
        return one

    def before(self, state: State) -> None:
        """Gets ready for a frame that will be applied next. Raises what reading the log raises."""
        if state.gone is None and state.seq >= self.seq:
            state.gone = []
            if self._anew:
                self._begin(state)

    def after(self, state: State, frame: Frame) -> None:
        """Hears a frame that was applied. Raises `CodecError`, and what reading the log raises."""
        header = frame.header
        if state.gone is None:  # the detectors heard that before
            return
        for seq, record in frames.admin(frame):
            self._say(state, seq, record, header.epoch)
        self._note(state, hear(self._feed, state, frame), header.epoch)
        self._heard = state.seq
        if header.records:
            self._chain = header.chain

    def _begin(self, state: State) -> None:
        """Notes what staff said in segments that were removed: those events are kept."""
        for frame in checked_segments.read_kept(self._log, self.seq, self._keys):
            for seq, record in frames.admin(frame):
                self._say(state, seq, record, frame.header.epoch)

    def _note(self, state: State, found: Iterable[Heard], epoch: int) -> None:
        dates = state.dates
        for seq, time_us, one in found:
            if self._too_many(one, time_us // DAY_US):
                continue
            dated = one._replace(begin_us=dates.of(one.begin_us), end_us=dates.of(one.end_us))
            self._enter(Found(seq, dates.of(time_us), dated, epoch))

    def _too_many(self, one: Finding, day: int) -> bool:
        name = one.account, one.detector
        before, number, grade = self._of_day.get(name, (day, 0, 0))
        if before != day:
            number = grade = 0
        self._of_day[name] = day, number + 1, max(grade, one.grade)
        return number >= MOST_A_DAY and one.grade <= grade

    def _say(self, state: State, seq: int, record: codec.AdminRecord, epoch: int) -> None:
        event = record.event()
        if isinstance(event, CaseEvent):
            self._enter(Said(seq, state.dates.of(record.time_us), event, epoch))

    def _enter(self, entry: Found | Said) -> None:
        name = case_files.name_of(entry)
        if name not in self._known:
            self._known.add(name)
            self._noted.append(entry)

    def write(self) -> None:
        """Writes what was noted, once the detectors heard all that they had heard before.

        Raises `OSError`.
        """
        if self._heard > self._writer.upto:
            self._writer.write(self._noted, self._heard, self._chain)
            self._noted = []

    def remember(self, state: State) -> None:
        """Writes what the detectors remember, if the cases are written up to there.

        Raises `SecretError`, `OSError`.
        """
        if self._keys is None or not self.seq < self._heard == self._writer.upto == state.seq:
            return
        data = keeping.pack([self, *self._feed.remembering])
        one = Remembered(self._feed.shape, self._heard, self._chain, data)
        detector_file.write(self._log, self._keys, state.time_us // DAY_US, one)


def hear(feed: Feed, state: State, frame: Frame) -> list[Heard]:
    """Has a feed hear a frame that was applied. Returns what was found. Raises `CodecError`."""
    header, found = frame.header, list["Heard"]()
    if header.kind == events.ANNOUNCE and frames.readable(frame):
        with frames.reading(header.base_seq):
            newest = frames.newest(frame)
            plain, protected = bytearray(newest.plain), bytearray(newest.protected)
        found += feed.announced(state, header.base_seq, plain, protected)
    elif header.kind == AnnounceRefused.kind and frames.known(frame):
        for seq, one in enumerate(AnnounceRefused.unpack(frame.plain), header.base_seq):
            found += feed.refused(state, seq, one)
    # A start is a tick, too: from then on the detectors know who comes.
    ticked = header.kind == Tick.kind or _starts(frame)
    if header.kind == Tick.kind and header.records > 1:
        # The tracker ran between the ticks of a frame. Who is gone is known after the last one.
        for seq, tick in enumerate(Tick.unpack(frames.newest(frame).plain), header.base_seq):
            if seq < state.seq - 1:
                found += feed.ticked(state, seq, tick.time_us)
    found += feed.left(state, state.seq - 1)
    if ticked:
        found += feed.ticked(state, state.seq - 1, state.time_us)
    return found


def _starts(frame: Frame) -> bool:
    return any(isinstance(record.event(), TrackerStarted) for _, record in frames.admin(frame))
