"""Runs the follower: a process that replays the durable log as it grows, writes snapshots, the book
and the index of stays, finds cases where that is wanted, and seals finished segments and indexes
their frames.

So the tracker never pauses for a snapshot, and never hashes its log.

    python -m tracker.upkeep.follower_process LOG SECRETS [--events N] [--seconds S] [--pause S]
        [--cases] [--shared NETWORK]... [--rate WHO=BYTES]...

The tracker starts it (`follower.py`) and reads its reports, a JSON object a line. The follower ends
when its standard input ends, and the kernel kills it when the tracker is gone. It holds one state,
one frame of the log, and what the book gains until it is written; while it writes a snapshot, it
holds the image of the state too.

Exit codes: 0 the tracker ended; 1 cannot go on; 3 the log is damaged; 4 the log and its replay
disagree.
"""

from __future__ import annotations

import argparse
import errno
import gc
import json
import os
import signal
import sys
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from eventlog import (
    LogError,
    LogPrunedError,
    LogUnusableError,
    seal_path,
    segments_of,
    write_missing,
)
from tracker.domain.detecting.declared import Declared
from tracker.domain.detecting.watch import Watch
from tracker.domain.events.codec import CodecError
from tracker.domain.state import ReplayError
from tracker.store import frame_index, opening_balance, snapshots
from tracker.store.address_keys import Keyring
from tracker.store.book_files import BookError
from tracker.store.frame_index import index_path, write_next
from tracker.store.replay import TOO_LITTLE_MEMORY
from tracker.store.server_secret import SecretError
from tracker.upkeep import bookkeeping
from tracker.upkeep.case_keeping import CaseKeeper, Hiding
from tracker.upkeep.hour_keeping import HourKeeper
from tracker.upkeep.stay_keeping import StayKeeper
from tracker.workers import lifetime

if TYPE_CHECKING:
    from collections.abc import Callable

    from eventlog import Reader
    from tracker.domain.state import State

CANNOT, LOG_DAMAGED, DISAGREES = 1, 3, 4

EVENTS = 500_000
"""Number of events after which a snapshot is due; a start replays them in two or three seconds."""
SECONDS = 600.0
"""Seconds after which a snapshot is due, if there was any event."""
PAUSE_SECONDS = 60.0
"""Shortest time between two snapshots, in seconds, because a snapshot of a million peers takes 140
MB.
"""
MANY_EVENTS, MANY_TIMES = 500_000, 2
"""Events after which a snapshot is due without a pause, and the least number of them for each peer,
so that writing it stays a small part of the work.
"""
SEAL_SECONDS = 5.0
"""Seconds between two looks for finished segments without a seal."""
BOOK_SECONDS = 10.0
"""Seconds between two writings of the book, the index of stays and cases, because people read them.
"""
RETRY_SECONDS = 60.0
"""Seconds until a segment that could not be sealed is tried again."""
REMEMBER_SHARE = 20
"""What the detectors remember is not written again before this many times the time it took, because
snapshots follow one another in seconds where the follower catches up.
"""
_POLL_SECONDS = 1.0  # between two looks at the log
_REPORTED_FRAMES = 500  # between two reports while it catches up: 200,000 announces in full frames


class Report(Protocol):
    def __call__(self, **message: Any) -> None: ...


class DisagreementError(Exception):
    """An event of the log cannot be applied to the state, or a tick's digest is not the state's."""


class Follower:
    """Keeps a state up to date with the durable log.

    It reports `seq` (events applied), `snapshot` (written), `refused` (a snapshot that it could not
    use), `failed` (a snapshot that it could not write), `unbooked` (why the book could not be
    written), `booked` (it was written after that), `crowded` (why old rows of it could not be
    removed; "" = they could, after that), `unindexed` and `indexed` (the same of the index of
    stays), `unlisted` and `listed` (the same of cases), `sealed` (the newest sealed history digest,
    and the number of the event after it) and `unsealed` (why a segment could not be sealed).
    """

    def __init__(
        self,
        log: Path,
        secrets: Path,
        report: Report,
        *,
        events: int = EVENTS,
        seconds: float = SECONDS,
        pause: float = PAUSE_SECONDS,
        cases: bool = False,
        declared: Declared | None = None,
    ) -> None:
        """Starts from the newest snapshot, or where the book ends. With `cases` it starts where
        the detectors ended, or from the beginning of the log, and finds cases, by what the site
        `declared`. Raises the errors of `bookkeeping.start`.
        """
        self._log, self._report = log, report
        self._events, self._seconds, self._pause = events, seconds, pause
        self.state: State
        self._reader: Reader
        self._keys = Keyring(secrets)
        self._keeper, self.state, self._reader, self._written_seq = bookkeeping.start(
            log, self._keys, refused=self._refused
        )
        self._hours = HourKeeper(log, self._keys, self._no_hour)
        self._keeper.before_clear = self._hours.cleared
        self._stays = self._stay_keeper()
        self._hiding = Hiding(self._keys)
        self.watch = Watch.of(declared or Declared(), self._hiding)
        self._cases = CaseKeeper(log, self._keys, self._refused, self.watch) if cases else None
        seq = min(each.seq for each in (self._keeper, self._stays, self._cases) if each)
        if seq < self.state.seq:
            del self.state, self._reader  # two states at a time may be too large
            self.state, self._reader = snapshots.start(log, self._keys, at_most=seq)
        self._unlisted = False  # the cases could not be written
        self._unindexed = False  # the index of stays could not be written
        self._written_at = time.monotonic()
        self._behind = self.state.seq < self._written_seq  # the book was, at the start
        self._unbooked = False  # the book could not be written
        self._crowded = ""  # why old rows of the book could not be removed, as reported
        self._book_from = self._stays_from = 0.0  # when book and index of stays are due
        self._remember_from = 0.0  # when what the detectors remember is due
        self._remember_again = 0.0  # when it may be written with a snapshot, too
        self._seal_from = 0.0  # when the next look for finished segments is due
        self._all_sealed = False  # since the start, all older segments got theirs
        self._frames_from = 0.0  # when the next look for segments without an index is due
        self._all_indexed = False  # since the start, all older segments got theirs
        self._frames_failed = False  # an index of frames could not be written
        self._looked = 0  # indexes of frames that were looked at

    def _stay_keeper(self) -> StayKeeper | None:
        """Goes on with the index of stays; None = that is not possible, and all else goes on."""
        try:
            return StayKeeper(self._log, self._keys, self._refused)
        except OSError as error:
            self._report(unindexed=str(error))
            return None

    def _no_hour(self, error: OSError) -> None:
        self._refused(f"An hour of seeding time could not be written, and is replayed: {error}")

    def _refused(self, why: str) -> None:
        self._report(refused=why)

    def catch_up(self) -> None:
        """Applies the new durable events, and writes a snapshot and seals that are due.

        Raises `DisagreementError`, `LogError`, `OSError`.
        """
        if not self._keeper.overfull or self._write_book():
            self._apply_new()
        self._do_what_is_due()

    def _apply_new(self) -> None:
        """Applies the new events. Stops while nothing more can be noted for the book."""
        for number, frame in enumerate(self._reader.frames(), 1):
            header = frame.header
            if self._stays:
                self._with_stays(partial(self._stays.before, self.state, frame), vital=True)
            try:
                if self._cases:
                    self._cases.before(self.state)
                for piece in self._hours.pieces(self.state, frame):
                    self._keeper.apply(self.state, piece, header)
                if self._cases:
                    self._cases.after(self.state, frame)
            except (CodecError, ReplayError) as error:
                raise DisagreementError(
                    f"replay ends at event {header.base_seq} or in its frame: {error}"
                ) from error
            if self._stays:
                self._stays.after(frame)
                if self._stays.full:
                    self._write_stays()
            if self._keeper.full and not self._write_book() and self._keeper.overfull:
                return
            if number % _REPORTED_FRAMES == 0:
                self._do_what_is_due()

    def _do_what_is_due(self) -> None:
        self._report(seq=self.state.seq)
        self._write_if_due()
        if self._keeper.due and time.monotonic() >= self._book_from:
            self._write_book()
        now = time.monotonic()
        if now >= self._stays_from:
            self._write_stays()
            self._write_cases(remember=now >= self._remember_from)
        self._seal_if_due()
        self._index_frames_if_due()

    def _index_frames_if_due(self) -> None:
        """Writes the index of one segment, because that takes a third of a second. Where none is
        missing, it looks whether another one is damaged.
        """
        now = time.monotonic()
        if now < self._frames_from:
            return
        newest = segments_of(self._log)[-2:-1]
        if self._all_indexed and all(os.path.lexists(index_path(path)) for path in newest):
            self._frames_from = now + SEAL_SECONDS
            self._look_at_an_index()
            return
        try:
            self._all_indexed = not write_next(self._log, self._keys)
        except (FileNotFoundError, LogPrunedError):
            return  # the tracker removed old segments meanwhile
        except (LogError, OSError, SecretError) as error:
            self._frames_from = now + RETRY_SECONDS
            if not self._frames_failed:
                self._refused(
                    f"The index of frames cannot be written, so ledgers take longer: {error}"
                )
            self._frames_failed = True
            return
        self._frames_failed = False
        if self._all_indexed:
            self._frames_from = now + SEAL_SECONDS

    def _look_at_an_index(self) -> None:
        """Removes an index that is damaged, so that the next look writes it again."""
        self._looked += 1
        try:
            damaged = frame_index.remove_damaged(self._log, self._keys, self._looked)
        except (LogError, OSError, SecretError):
            return  # whoever reads the segment says so
        if damaged is not None:
            self._refused(f"An index of frames is damaged, and is written again: {damaged}")
            self._all_indexed, self._frames_from = False, 0.0

    def _seal_if_due(self) -> None:
        now = time.monotonic()
        if now < self._seal_from:
            return
        self._seal_from = now + SEAL_SECONDS
        finished = segments_of(self._log)[-2:-1]
        if self._all_sealed and all(os.path.lexists(seal_path(path)) for path in finished):
            return
        begin = partial(opening_balance.history, self._log, self._keys)
        try:
            newest = write_missing(self._log, self._keys.tags, begin, cutting=False)
        except (FileNotFoundError, LogPrunedError):
            return  # the tracker removed old segments meanwhile
        except (LogError, OSError, SecretError) as error:
            self._report(unsealed=str(error))
            self._seal_from = now + RETRY_SECONDS
            return
        self._all_sealed = True
        if newest is not None:
            self._report(sealed=newest[0].hex(), after=newest[1])

    def _write_if_due(self) -> None:
        if self._behind and self.state.seq >= self._written_seq:
            self._behind = not self._write_book()
        new = self.state.seq - self._written_seq
        waited = time.monotonic() - self._written_at
        many = new >= max(MANY_EVENTS, MANY_TIMES * self.state.swarms.peer_slots)
        some = waited >= self._pause and (new >= self._events or waited >= self._seconds)
        if new <= 0 or not (many or some):
            return
        if not self._write_book():  # first, so that a start from the snapshot finds the book there
            return
        self._write_stays()
        self._write_cases(remember=True)
        began = time.monotonic()
        try:
            self._keys.forget()  # keys of days that were shredded meanwhile
            self._hiding.forget()
            path = snapshots.write(self._log, self.state, self._keys)
        except (OSError, MemoryError) as error:
            self._report(failed=str(error) or TOO_LITTLE_MEMORY)
        else:
            if path is not None:
                took = round(time.monotonic() - began, 3)
                self._report(snapshot=self.state.seq, bytes=path.stat().st_size, seconds=took)
        self._written_seq, self._written_at = self.state.seq, time.monotonic()

    def _write_book(self) -> bool:
        """Returns False while a removal uses the folder.

        Raises `OSError` if it cannot be written and memory would grow too far, or if the next start
        must make it again. Else an error is reported, and all goes on without the book.
        """
        self._book_from = time.monotonic() + BOOK_SECONDS
        try:
            self._keeper.write(self.state)
        except (OSError, BookError, SecretError) as error:
            if isinstance(error, OSError) and error.errno == errno.EBUSY:
                return False
            if self._keeper.overfull or isinstance(error, BookError | FileNotFoundError):
                raise OSError(f"the book cannot be written: {error}") from error
            self._unbooked = True
            self._report(unbooked=str(error))
        else:
            if self._unbooked:
                self._unbooked = False
                self._report(booked=self.state.seq)
            if self._keeper.crowded != self._crowded:
                self._crowded = self._keeper.crowded
                self._report(crowded=self._crowded)
        return True

    def _write_stays(self) -> None:
        self._stays_from = time.monotonic() + BOOK_SECONDS
        if self._stays:
            self._with_stays(partial(self._stays.write, self.state))

    def _with_stays(self, do: Callable[[], None], *, vital: bool = False) -> None:
        """Does something for the index of stays. An error is reported, and all else goes on. Where
        that is `vital`, or memory would grow too far, nothing more is noted until the next start,
        which makes up for it.

        Raises `OSError` where the index was removed, because the next start makes it anew.
        """
        try:
            do()
        except FileNotFoundError as error:
            raise OSError(f"the index of stays was removed, and is made anew: {error}") from None
        except OSError as error:
            self._unindexed = True
            self._report(unindexed=str(error))
            if vital or (self._stays and self._stays.overfull):
                self._stays = self.state.stays = None
        else:
            if self._unindexed and not vital:
                self._unindexed = False
                self._report(indexed=self.state.seq)

    def _write_cases(self, *, remember: bool = False) -> None:
        """Writes the cases, and where that is due what the detectors remember.

        Raises `OSError` where the cases were removed, because the next start makes them anew.
        """
        try:
            if self._cases:
                self._cases.write()
                began = time.monotonic()
                if remember and began >= self._remember_again:
                    self._remember_from = began + self._seconds
                    self._cases.remember(self.state)
                    now = time.monotonic()
                    self._remember_again = now + REMEMBER_SHARE * (now - began)
        except FileNotFoundError as error:
            raise OSError(f"the cases were removed, and are found anew: {error}") from None
        except (OSError, SecretError) as error:
            self._unlisted = True
            self._report(unlisted=str(error))
        else:
            if self._unlisted:
                self._unlisted = False
                self._report(listed=self.state.seq)


def main(arguments: list[str] | None = None) -> int:
    options = _options(arguments)
    for number in (signal.SIGINT, signal.SIGTERM):  # it ends when the tracker does
        signal.signal(number, signal.SIG_IGN)
    lifetime.end_with_parent()
    lifetime.end_with_input()
    lifetime.step_back()
    gc.disable()  # replay makes no reference cycles, and the tables are large
    try:
        follower = Follower(
            options.log, options.secrets, _print_report,
            events=options.events, seconds=options.seconds, pause=options.pause, cases=options.cases,
            declared=Declared(tuple(options.shared), tuple(map(_rate, options.rate))),
        )  # fmt: skip
        while True:
            follower.catch_up()
            time.sleep(_POLL_SECONDS)
    except DisagreementError as error:
        _print_report(alarm=str(error))
        return DISAGREES
    except (LogPrunedError, LogUnusableError) as error:
        _print_report(error=str(error))
        return CANNOT
    except LogError as error:
        _print_report(error=str(error))
        return LOG_DAMAGED
    except (OSError, MemoryError) as error:
        _print_report(error=str(error) or TOO_LITTLE_MEMORY)
        return CANNOT


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tracker.upkeep.follower_process")
    parser.add_argument("log", type=Path)
    parser.add_argument("secrets", type=Path)
    parser.add_argument("--events", type=int, default=EVENTS)
    parser.add_argument("--seconds", type=float, default=SECONDS)
    parser.add_argument("--pause", type=float, default=PAUSE_SECONDS)
    parser.add_argument("--cases", action="store_true")
    parser.add_argument("--shared", metavar="NETWORK", action="append", default=[])
    parser.add_argument("--rate", metavar="WHO=BYTES", action="append", default=[])
    return parser.parse_args(arguments)


def _rate(text: str) -> tuple[str, int]:
    who, _, limit = text.partition("=")
    return who, int(limit)


def _print_report(**message: Any) -> None:
    try:
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        os._exit(0)


if __name__ == "__main__":
    sys.exit(main())
