"""Everything that can be checked about a log: the bytes, each record, and that replay accepts them all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventlog import Finding, LogCorruptError, Verifier, opened
from eventlog.findings import REPORT, RESTORE
from tracker import opening
from tracker.domain.state import State
from tracker.record_checks import RecordChecks
from tracker.removals import Removals

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from eventlog import Checked, Opener

REPORT_EVERY = 1 << 20  # bytes


class Verification:
    """One check of one log; reads beside a running tracker."""

    def __init__(self, folder: Path, keys: Opener | None = None) -> None:
        """`keys` open the sealed sections for replay. Raises `LogUnusableError`, `LogFormatError`."""
        self.log = Verifier(folder)
        self._folder = folder
        self._keys = keys
        self.state = State()
        self.replayed = True  # the state is that of all frames so far
        self._removals = Removals(folder, self.log.first_seq)
        self._records = RecordChecks()

    def findings(self, report: Callable[[int, int], None]) -> Iterator[Finding]:
        """Findings in log order, while walking. `report` is told bytes done and bytes in all."""
        yield from self._begin()
        reported, total = 0, self.log.size()
        for one in self.log.walk():
            if self.log.bytes >= reported + REPORT_EVERY:
                reported = self.log.bytes
                report(reported, max(total, reported + 1))
            if isinstance(one, Finding):
                yield one
            elif one.frame.header.records:
                yield from self._frame(one)
        yield from self._removals.findings()
        report(self.log.bytes, self.log.bytes)

    def _begin(self) -> Iterator[Finding]:
        """Take the opening balance, where the log's oldest events were removed."""
        try:
            self.state, self._removals.opening = opening.begin(self._folder, self.log.first_seq)
        except LogCorruptError as error:
            self.replayed = False
            yield Finding(error.path, error.offset, self.log.first_seq, error.what, RESTORE)

    def _frame(self, checked: Checked) -> Iterator[Finding]:
        path, offset, frame = checked
        for seq, what in self._records.problems(frame):
            yield Finding(path, offset, seq, what, REPORT)
        header = frame.header
        self._removals.note(frame)
        if header.base_seq != self.state.seq:
            self.replayed = False  # there is a finding that says why
        if not self.replayed:
            return
        try:
            sealed = opened(self.log.log_id, frame, self._keys).sealed
            self.state.apply(header.kind, header.base_seq, frame.plain, sealed)
        except Exception as error:
            # Of whatever class: these records may be anything, and apply expects what a tracker wrote.
            self.replayed = False
            what = f"replay ends in this frame: {error or type(error).__name__}"
            yield Finding(path, offset, header.base_seq, what, REPORT)
