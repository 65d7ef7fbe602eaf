"""Keeps the book of a log while a replay applies its events. Blocking.

The follower has a `Bookkeeper`, and so has a removal that finds no book to name (`pruning`). It
begins with the newest usable book, else with the one that the latest `log_pruned` names, else with
the opening balance: then what was removed is in the rows "no torrent". From each of them the same
events lead to the same rows.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, nullcontext, suppress
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING

from eventlog import (
    LogPrunedError,
    first_seq,
    open_header,
    read_file,
    read_identity,
    segments_of,
    sync_directory,
)
from tracker.domain.accounts import NOTHING
from tracker.domain.booking import Booking
from tracker.domain.events import DAY_US
from tracker.domain.state import State
from tracker.store import book, book_files, book_packing, book_rows, frames, snapshots
from tracker.store.book_files import BookError
from tracker.store.book_rows import EMPTY, History, Row
from tracker.store.replay import collector_off
from tracker.store.snapshot_file import OPENING_SPARE_BYTES, SPARE_BYTES, Position

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from eventlog import Frame, Header, Reader
    from tracker.domain.dates import Dates
    from tracker.store.address_keys import Keyring
    from tracker.store.book_files import Listed, Part

MOST_ROWS = 200_000
"""Rows with new amounts that are held in memory, about 60 MB; then they are written."""


class Bookkeeper:
    """Notes what the events of a replay add, and writes it.

    It begins to note where the book that it goes on from ends. Until then `state.book` is None.
    """

    def __init__(
        self,
        log: Path,
        keys: Keyring,
        seq: int,
        parts: tuple[Part, ...],
        dropped_us: int = 0,
        *,
        opening: bool = False,
    ) -> None:
        """`seq`: the first event that is not in the `parts`. `dropped_us`: when old rows were
        removed last. `opening`: the rows "no torrent" come from the state there.
        """
        self._log, self._keys, self.seq, self._parts = log, keys, seq, parts
        self._opening = opening
        self._log_id = read_identity(log)
        self._booking = Booking()
        self._dropped_us = dropped_us
        self._last: Header | None = None  # of the last frame that was applied
        self._written_seq = seq
        self.spare = SPARE_BYTES  # free bytes to leave on the disk
        self.listing = True  # it writes lists that are the newest book
        self.path: Path | None = None  # the list that was written last
        self.locking: Callable[[], AbstractContextManager[None]] = partial(book_files.locked, log)

    @property
    def noted(self) -> bool:
        """Tells whether anything was noted that is not written yet."""
        return len(self._booking) > 0

    @property
    def full(self) -> bool:
        """Tells whether so much was noted that it should be written."""
        return len(self._booking) >= MOST_ROWS

    @property
    def overfull(self) -> bool:
        """Tells whether memory would grow too far if this could not be written."""
        return len(self._booking) >= 4 * MOST_ROWS

    def apply(self, state: State, frame: Frame) -> None:
        """Applies a frame, and notes what it adds. Raises the errors of `frames.apply`."""
        if state.book is None and state.seq >= self.seq:
            self._begin(state)
        self._booking.history_us = state.settings.policy.history_days * DAY_US
        frames.apply(state, frame)
        self._last = frame.header

    def apply_all(self, state: State, found: Iterable[Frame]) -> None:
        """Applies frames, and writes what was noted whenever it is much: see `flush`."""
        with collector_off():
            for frame in found:
                self.apply(state, frame)
                if self.full:
                    self.flush(state)

    def _begin(self, state: State) -> None:
        if self._opening and (rows := list(_opening_rows(state))):
            with self.locking():
                part = book_files.write_part(self._log, state.seq, rows, (), len(rows), self.spare)
                self._parts = (part,)
                if self.listing:  # else a removal would take the part for one of no use
                    chain = open_header(segments_of(self._log)[0]).previous
                    self.path = self._list(state, self._parts, 0, chain)
        self._opening = False
        state.book = self._booking

    def write(self, state: State) -> bool:
        """Writes the book of the events that were applied; returns False where that is not due.

        Raises `OSError`, `SecretError`, `BookError`, and `LogPrunedError` where a removal of old
        segments took the parts: then there is a newer list to go on from.
        """
        last = self._last
        if state.book is None or last is None or last.next_seq != state.seq:
            return False
        if state.seq == self._written_seq or not (self._parts or len(self._booking)):
            return False
        with self.locking():
            folder = self._log / book_files.FOLDER
            if not all(os.path.lexists(folder / part.name) for part in self._parts):
                raise LogPrunedError(self._log)
            parts, dropped_us = self._with_noted(state)
            self.path = self._list(state, parts, dropped_us, last.chain)
            self._parts, self._written_seq, self._dropped_us = parts, state.seq, dropped_us
            self._booking.clear()
            book_files.clean(self._log, self._keys, self.path)
        return True

    def _with_noted(self, state: State) -> tuple[tuple[Part, ...], int]:
        """Writes what was noted, and removes old rows once a day. Returns the parts, which no list
        has yet, and when old rows were removed last.
        """
        history_us, now_us = self._times(state)
        parts, dropped_us = self._parts, self._dropped_us
        # What was too old a day ago, because a clock that is ahead must remove nothing at once.
        history = History(history_us, min(dropped_us, now_us))
        if len(self._booking):
            noted = _noted(self._booking, state.dates)
            parts = book_files.with_rows(self._log, state.seq, parts, noted, history, self.spare)
        if history_us and not dropped_us <= now_us < dropped_us + DAY_US:
            dropped_us = now_us
            parts = book_files.without_old(self._log, state.seq, parts, history, self.spare)
        while history.ended:
            noted, history.ended = (b"".join(sorted(history.ended.values())), b""), {}
            parts = book_files.with_rows(self._log, state.seq, parts, noted, history, self.spare)
        return parts, dropped_us

    def _times(self, state: State) -> tuple[int, int]:
        """Returns the setting's microseconds, and the date of the last event."""
        return state.settings.policy.history_days * DAY_US, state.dates.of(state.time_us)

    def _list(
        self,
        state: State,
        parts: tuple[Part, ...],
        dropped_us: int,
        chain: bytes,
        path: Path | None = None,
    ) -> Path:
        base_seq = self._last.base_seq if self._last else 0
        position = Position(self._log_id, state.seq, base_seq, chain)
        history_us, now_us = self._times(state)
        times = now_us, history_us, dropped_us
        return book_files.write_list(self._log, position, parts, times, self._keys, path)

    def flush(self, state: State) -> None:
        """Writes what was noted, without a list. The folder must stay locked until `name`.

        Raises `OSError`, `BookError`.
        """
        self._parts, self._dropped_us = self._with_noted(state)
        self._booking.clear()

    def name(self, state: State, chain: bytes) -> tuple[str, str]:
        """Writes the list of a log that is to begin with the next event, after this chain value.

        Returns the name of the file, which does not count before `adopt`, and its SHA-256; "" = no
        account has a total. Raises `OSError`, `SecretError`, `BookError`.
        """
        self.flush(state)
        if not self._parts:
            return "", ""
        made = book_files.named_path(self._log, state.seq).with_suffix(f".{os.getpid()}.made")
        self._list(state, self._parts, self._dropped_us, chain, made)
        return made.name, sha256(read_file(made)).hexdigest()


def _opening_rows(state: State) -> Iterator[bytes]:
    """Yields the rows "no torrent" of a state: all that the accounts did before."""
    for account in range(1, len(state.accounts.uploaded)):
        totals = state.accounts.totals(account)
        if totals == NOTHING:
            continue
        first_us, last_us = (each and state.dates.of(each) for each in totals[7:9])
        row = Row(
            EMPTY.client, 0, totals.sessions, totals.snatched, 0, *totals[:5], totals.partial_us,
            first_us, last_us, 0,
        )  # fmt: skip
        yield book_rows.pack(book_rows.name(account, None), row)


def _noted(booking: Booking, dates: Dates) -> tuple[bytes, bytes]:
    """Returns the rows and pairs of what was noted, sorted."""
    rows, pairs = book_packing.laid_out(booking, dates)
    none = History(0, 0)  # the rows "no torrent"
    for account, words in booking.ended:
        row = book_rows.of_words(book_packing.dated(words, dates))
        none.end(book_rows.pack(book_rows.name(account, None), row))
    for account, (number, up, down) in booking.corrections.items():
        row = EMPTY._replace(corrections=number, credited_uploaded=up, credited_downloaded=down)
        none.end(book_rows.pack(book_rows.name(account, None), row))
    for one in none.ended.values():
        rows += one
    return book_packing.in_order(rows), bytes(pairs)


def start(
    log: Path,
    keys: Keyring,
    refused: Callable[[str], None] = lambda _why: None,
) -> tuple[Bookkeeper, State, Reader, int]:
    """Begins a replay that keeps the book.

    Returns also its state, a reader of the frames after it, and how far the newest usable snapshot
    reaches. Each snapshot and book that is passed over is reported to `refused` in a sentence.
    Raises `LogCorruptError` for a book that an event names and that is damaged, and what
    `snapshots.start` raises.
    """
    state, reader = snapshots.start(log, keys, refused=refused)
    newest = state.seq
    listed = _usable(log, state, keys, refused)
    if listed is not None:
        keeper = Bookkeeper(log, keys, listed.position.seq, listed.parts, listed.dropped_us)
    elif len(state.accounts.uploaded) <= 1:  # nobody has a total, so there are no rows
        return Bookkeeper(log, keys, newest, ()), state, reader, newest
    else:
        keeper = Bookkeeper(log, keys, first_seq(log), (), opening=True)
        refused(f"The book is made from event {keeper.seq} on: nothing has to be done")
    if newest > keeper.seq:
        del state, reader  # two states at a time may be too large
        state, reader = snapshots.start(log, keys, at_most=keeper.seq)
    return keeper, state, reader, newest


def _usable(
    log: Path, state: State, keys: Keyring, refused: Callable[[str], None]
) -> Listed | None:
    """Returns the newest usable book, with every byte checked; None = there is none."""
    opened = book.open_newest(log, keys, refused)
    if opened is not None:
        return opened.listed
    return book.named(log, state, keys)


@contextmanager
def naming(log: Path, keys: Keyring) -> Iterator[Bookkeeper]:
    """Gives a bookkeeper for a replay from the beginning of the log, which makes the list that
    `log_pruned` is to name: `Bookkeeper.name`.

    It goes on from the list that the log names now. Raises what `book.open_beginning` raises.
    """
    with book_files.locked(log, wait=True):
        begin, opened = first_seq(log), book.open_beginning(log, keys, State())
        if opened is None:
            keeper = Bookkeeper(log, keys, begin, (), opening=begin > 0)
        else:
            keeper = Bookkeeper(log, keys, begin, opened.listed.parts, opened.listed.dropped_us)
        keeper.locking, keeper.spare, keeper.listing = nullcontext, OPENING_SPARE_BYTES, False
        yield keeper


def adopt(log: Path, seq: int, made: str) -> None:
    """Gives a list that was made its final name, as `pruning.adopt` does with the opening."""
    target = book_files.named_path(log, seq)
    target.with_name(made).rename(target)
    sync_directory(target.parent)


def remove_before(log: Path, begin: int) -> None:
    """Removes the lists of other beginnings than event `begin`, once the removal is done.

    Parts are removed only where there is no newer list: then no follower writes, which would do it.
    """
    folder, named = log / book_files.FOLDER, book_files.named_path(log, begin)
    if not folder.is_dir():
        return
    lists = book_files.found(log)
    for path in folder.iterdir():
        old = path.suffix == ".book" and path in lists and book_files.seq_of(path) < begin
        if old or path.suffix == ".made" or (path.suffix == ".named" and path != named):
            path.unlink(missing_ok=True)
    if os.path.lexists(named):
        with suppress(OSError), book_files.locked(log):  # a follower may just write the first list
            _remove_unnamed(log, named)
    sync_directory(folder)


def _remove_unnamed(log: Path, named: Path) -> None:
    """Removes the parts that a named list does not have, where there is no other list."""
    with suppress(BookError):
        used = {part.name for part in book_files.read_list(named, read_identity(log), None).parts}
        for path in named.parent.glob("*.part") if not book_files.found(log) else ():
            if path.name not in used:
                path.unlink(missing_ok=True)
