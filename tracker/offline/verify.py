"""Checks a whole log: bytes, records, replay, and the files beside it."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from attrs import evolve

from eventlog import (
    NO_KEY,
    NOTHING,
    REPORT,
    RESTORE,
    RESTORE_KEYS,
    Finding,
    LogCorruptError,
    LogError,
    LogFormatError,
    NotAFileError,
    Verifier,
    base_seq_of,
    decrypt_frame,
    frame_id_of,
    holds_frame,
    segments_of,
    unreadable,
)
from tracker.domain import image
from tracker.domain.events.codec import CodecError, UnknownEventError
from tracker.domain.events.errors import ReplayError
from tracker.domain.state import State
from tracker.offline.record_checks import RecordChecks
from tracker.offline.removal_checks import Removals
from tracker.store import (
    frames,
    high_water_mark,
    opening_balance,
    secret_checks,
    snapshots,
    tag_keys,
)
from tracker.store.address_keys import day_name, day_shown
from tracker.store.secret_checks import RESTORE_KEY
from tracker.store.snapshot_file import OtherSnapshotError, Position, SnapshotError
from tracker.store.snapshots import DELETE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from eventlog import Checked, Header
    from tracker.store.address_keys import Keyring
    from tracker.store.high_water_mark import Mark
    from tracker.store.tag_keys import TagKeys

REPORT_EVERY = 1 << 20
"""Bytes between two reports of progress."""
NEWER = "these bytes are as a newer version wrote them: use that one, here and to serve"
PASSED_OVER = (
    "nothing has to be done: the newer version that wrote it says that it may be passed over"
)
HIDE = "give it to the user that the tracker runs as, with mode 0600 (a folder: 0700)"
OPEN = "no tracker starts with it: give its owner the right to read and write (chmod u+rwX)"
NO_MARK = "delete it if this is the newest copy of the log: the next start writes another one"
LOST_KEY = "is missing, and this log was served with these secrets"
RESTORE_SERVER_KEY = (
    "restore it from a backup of the secrets: a start makes another one, and then requests that are repeated "
    "with an Idempotency-Key get other keys than before"
)


class Verification:
    """One check of one log; reads beside a running tracker."""

    def __init__(self, folder: Path, keys: Keyring | None = None) -> None:
        """`keys` open the protected sections for replay.

        Raises `LogUnusableError`, `LogFormatError`.
        """
        self._folder = folder
        self._keys = keys
        self.log = Verifier(folder, keys)
        self.state = State()
        self.snapshots = 0  # number of snapshots compared
        self._snapshots = {
            snapshots.seq_of(path): path
            for path in snapshots.found(folder)
            if snapshots.seq_of(path) > self.log.first_seq
        }
        self.replayed = True  # the state has applied all frames so far
        # The secrets with the note of how far the log was, set by the caller; None = there is none.
        self.noted_in: Path | None = None
        self._mark: Mark | None = None
        self._holds_mark = False  # the log holds the mark's frame
        self._removals = Removals(folder, self.log, keys)
        self._records = RecordChecks()
        # By day: the first frame that its key does not open, because it is gone or is another one.
        self._closed: dict[int, Checked] = {}

    def findings(self, report: Callable[[int, int], None]) -> Iterator[Finding]:
        """Yields findings in log order, while walking.

        `report` is called with bytes done and bytes in all.

        Raises `LogPrunedError` when a tracker removes meanwhile a file that is still to be read.
        """
        try:
            for one in self._findings(report):
                if one.damage:
                    self.log.check_beginning()
                # Nothing need be wrong with a file that only other secrets could check.
                yield evolve(one, advice=RESTORE_KEYS) if one.what.endswith(NO_KEY) else one
        except FileNotFoundError:
            self.log.check_beginning()
            raise

    def _findings(self, report: Callable[[int, int], None]) -> Iterator[Finding]:
        self.replayed = False
        if self.noted_in is not None:
            self._mark = high_water_mark.read(self.noted_in, self.log.log_id)
        yield from unreadable(self._folder, self._begin())
        reported, total = 0, self.log.size()
        for one in self.log.walk():
            if self.log.bytes >= reported + REPORT_EVERY:
                reported = self.log.bytes
                report(reported, max(total, reported + 1))
            if isinstance(one, Finding):
                yield one
                continue
            self._look_for_mark(one.frame.header)
            if one.frame.header.records:
                yield from self._frame(one)
        yield from unreadable(self._folder, self._removals.findings())
        yield from unreadable(self._folder, self._secrets())
        yield from unreadable(self._folder, self._older())
        if self.replayed:
            for seq, path in sorted(self._snapshots.items()):
                yield Finding(path, 0, seq, "no frame of the log ends there", DELETE)
        report(self.log.bytes, self.log.bytes)

    def _secrets(self) -> Iterator[Finding]:
        """Finds keys that the log needs and that are gone, and secrets that others may read."""
        if self._keys is None:
            return
        secrets = self._keys.secrets
        for day, one in sorted(self._closed.items()) if self.replayed else ():
            name = day_name(day)
            if name not in self.state.tally.shredded:
                shown = day_shown(name, day_name(self.state.dates.of_day(day)))
                what = f"the key of {shown} is missing or is another one, and the log does not call that day shredded"
                yield Finding(one.path, one.offset, one.frame.header.base_seq, what, RESTORE_KEY)
        yield from self._server_key(self._keys.tags)
        for path, what, advice in secret_checks.unusable(secrets):
            yield Finding(path, 0, 0, what, advice)
        for path, what in secret_checks.shut_off(self._folder, secrets):
            yield Finding(path, 0, 0, what, OPEN)
        if secrets.is_dir():
            for path, what in secret_checks.exposed(secrets):
                yield Finding(path, 0, 0, what, HIDE, damage=False)

    def _server_key(self, tags: TagKeys) -> Iterator[Finding]:
        """Finds that the secrets are not those that the log was written with, as a start does."""
        with suppress(LogError, OSError):  # the walk finds it
            if wrong := tag_keys.wrong_key(segments_of(self._folder), tags):
                seq = base_seq_of(wrong.path)
                yield Finding(wrong.path, 0, seq, wrong.what, RESTORE_KEYS)
            elif self._mark is not None and not os.path.lexists(tags.path):
                tagged = self._mark.tagged_from is not None
                advice = RESTORE_KEYS if tagged else RESTORE_SERVER_KEY
                yield Finding(tags.path, 0, 0, LOST_KEY, advice)

    def _look_for_mark(self, header: Header) -> None:
        mark = self._mark
        if mark is not None and (header.next_seq, header.chain) == (mark.seq, mark.chain):
            self._holds_mark = True

    def _older(self) -> Iterator[Finding]:
        """Compares the log with its high-water mark, as a start does."""
        if self.noted_in is None:
            return
        mark, log_id, seq = self._mark, self.log.log_id, self.log.next_seq
        held = mark is None or not mark.seq or self._holds_mark
        held = held or not self.replayed  # damage is another finding
        try:
            if mark is not None and mark.seq <= self.log.first_seq:
                held = held or holds_frame(self._folder, mark.seq, mark.chain)
            found = high_water_mark.replaced(
                self.noted_in, self._folder
            ) or high_water_mark.differs(self.noted_in, self._folder, log_id, mark, seq, held=held)
        except (LogError, OSError):
            return  # the walk finds it
        if found is not None:
            yield Finding(self._folder / "seg", 0, seq, found.what, found.advice)
        elif what := high_water_mark.problem(self.noted_in, log_id):
            path = high_water_mark.mark_path(self.noted_in, log_id)
            yield Finding(path, 0, 0, what, NO_MARK)

    def _begin(self) -> Iterator[Finding]:
        """Starts the replay; from the opening balance where the log's oldest events are gone."""
        try:
            begin = opening_balance.begin(self._folder, self.log.first_seq, self._keys)
        except LogCorruptError as error:
            if self.log.first_seq:  # else the walk finds it
                yield Finding(error.path, error.offset, self.log.first_seq, error.what, RESTORE)
            self.log.begin_with(None)
        except LogFormatError as error:
            what = str(error).removeprefix(f"{error.path}: ")
            advice = RESTORE if isinstance(error, NotAFileError) else NEWER
            yield Finding(error.path, 0, self.log.first_seq, what, advice)
            self.log.begin_with(None)
        else:
            self.replayed = True
            self.state, self._removals.opening = begin.state, begin.opening
            self.log.begin_with(begin.history)

    def _frame(self, checked: Checked) -> Iterator[Finding]:
        path, offset, frame = checked
        for seq, what in self._records.problems(frame):
            yield Finding(path, offset, seq, what, REPORT)
        yield from self._unknown(checked)
        header = frame.header
        self._removals.note(path, frame)
        if header.encrypted and self._keys is not None and header.key_epoch not in self._closed:
            name = frame_id_of(self.log.log_id, header)
            if not self._keys.opens(name, header.key_epoch, header.key_check):
                self._closed[header.key_epoch] = checked
        if header.base_seq != self.state.seq:
            self.replayed = False  # an earlier finding says why
        if not self.replayed:
            return
        try:
            frames.apply(self.state, decrypt_frame(self.log.log_id, frame, self._keys))
        except (CodecError, ReplayError) as error:
            self.replayed = False
            what = f"replay ends in this frame: {error}"
            advice = NEWER if isinstance(error, UnknownEventError) else REPORT
            yield Finding(path, offset, header.base_seq, what, advice)
            return
        if header.next_seq in self._snapshots:
            yield from self._snapshot(self._snapshots.pop(header.next_seq), header)

    def _unknown(self, checked: Checked) -> Iterator[Finding]:
        """Finds what a newer version wrote; a mere note where it lets older ones pass over it."""
        path, offset, frame = checked
        ignorable = frame.header.ignorable
        try:
            for seq, what in frames.unknown(frame):
                advice = PASSED_OVER if ignorable else NEWER
                yield Finding(path, offset, seq, what, advice, damage=not ignorable)
        except CodecError:
            pass  # another check finds this

    def _snapshot(self, path: Path, header: Header) -> Iterator[Finding]:
        """Compares a snapshot with the state of the replay."""
        seq = self.state.seq
        try:
            one = snapshots.read(self._folder, path, self._keys)
        except OtherSnapshotError as error:
            yield Finding(path, 0, seq, str(error), NOTHING, damage=False)
            return
        except FileNotFoundError:
            return  # the tracker wrote newer ones and removed it
        except (SnapshotError, OSError) as error:
            yield Finding(path, 0, seq, str(error), DELETE)
            return
        self.snapshots += 1
        expected = Position(self.log.log_id, seq, header.base_seq, header.chain)
        taken = image.dump(self.state)
        told = one.digest if one.converted else image.digest(one.plain)
        same = taken.digest() == one.digest == told
        # Where peers had stand-ins for their addresses, those addresses cannot be compared.
        if same and self.state.hidden is None and not any(one.plain[image.HIDDEN]):
            same = all(taken.private.get(which) == data for which, data in one.private.items())
        if one.position != expected or not same:
            yield Finding(path, 0, seq, "replay comes to another state", DELETE)
