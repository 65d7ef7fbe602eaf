"""Keeps the book of a log while a replay applies its events. Blocking.

The follower has a `Bookkeeper`, and so has a removal that finds no book to name (`pruning`). It
begins with the newest usable book, else with the one that the latest `log_pruned` names, else with
the opening balance: then what was removed is in the rows "no torrent". From each of them the same
events lead to the same rows.
"""

from __future__ import annotations

import os
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import TYPE_CHECKING

from eventlog import (
    first_seq,
    read_identity,
    sync_directory,
)
from tracker.domain.accounts import NOTHING
from tracker.domain.booking import Booking
from tracker.store import book, book_files, book_rows, frames, snapshots
from tracker.store.book_rows import EMPTY, Row
from tracker.store.replay import collector_off
from tracker.store.snapshot_file import OPENING_SPARE_BYTES, SPARE_BYTES, Position

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from eventlog import Frame, Header, Reader
    from tracker.domain.dates import Dates
    from tracker.domain.state import State
    from tracker.store.address_keys import Keyring
    from tracker.store.book_files import Listed, Part

MOST_ROWS = 200_000
"""Rows with new amounts that are held in memory, about 60 MB; then they are written."""


class Bookkeeper:
    """Notes what the events of a replay add, and writes it.

    It begins to note where the book that it goes on from ends. Until then `state.book` is None.
    """

    def __init__(
        self, log: Path, keys: Keyring, seq: int, parts: tuple[Part, ...], *, opening: bool = False
    ) -> None:
        """`seq`: the first event that is not in the `parts`. `opening`: the rows "no torrent" come
        from the state there.
        """
        self._log, self._keys, self._seq, self._parts = log, keys, seq, parts
        self._opening = opening
        self._log_id = read_identity(log)
        self._booking = Booking()
        self._last: Header | None = None  # of the last frame that was applied
        self._written_seq = seq
        self.spare = SPARE_BYTES  # free bytes to leave on the disk
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
        if state.book is None and state.seq >= self._seq:
            self._begin(state)
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
        if self._opening:
            rows = list(_opening_rows(state))
            if rows:
                with self.locking():
                    part = book_files.write_part(
                        self._log, state.seq, rows, (), len(rows), self.spare
                    )
                    self._parts = (part,)
            self._opening = False
        state.book = self._booking

    def write(self, state: State) -> bool:
        """Writes the book of the events that were applied; returns False where that is not due.

        Raises `OSError`, `SecretError`, `BookError`.
        """
        last = self._last
        if state.book is None or last is None or last.next_seq != state.seq:
            return False
        if state.seq == self._written_seq or not (self._parts or len(self._booking)):
            return False
        with self.locking():
            parts = self._with_noted(state)
            position = Position(self._log_id, state.seq, last.base_seq, last.chain)
            self.path = book_files.write_list(self._log, position, parts, self._keys).path
            self._parts, self._written_seq = parts, state.seq
            self._booking.clear()
            book_files.clean(self._log, self._keys)
        return True

    def _with_noted(self, state: State) -> tuple[Part, ...]:
        """Writes what was noted; returns the parts with it, which no list has yet."""
        if not len(self._booking):
            return self._parts
        rows, pairs = _noted(self._booking, state.dates)
        new = book_files.write_part(self._log, state.seq, rows, pairs, len(rows), self.spare)
        return book_files.with_part(self._log, state.seq, self._parts, new, self.spare)

    def flush(self, state: State) -> None:
        """Writes what was noted, without a list. The folder must stay locked until `name`.

        Raises `OSError`, `BookError`.
        """
        self._parts = self._with_noted(state)
        self._booking.clear()

    def name(self, state: State, chain: bytes) -> tuple[str, str]:
        """Writes the list of a log that is to begin with the next event, after this chain value.

        Returns the name of the file, which does not count before `adopt`, and its SHA-256; "" = no
        account has a total. Raises `OSError`, `SecretError`, `BookError`.
        """
        self.flush(state)
        if not self._parts or self._last is None:
            return "", ""
        made = book_files.named_path(self._log, state.seq).with_suffix(f".{os.getpid()}.made")
        position = Position(self._log_id, state.seq, self._last.base_seq, chain)
        listed = book_files.write_list(self._log, position, self._parts, self._keys, made)
        book_files.clean(self._log, self._keys)
        return made.name, listed.sha256


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


def _noted(booking: Booking, dates: Dates) -> tuple[list[bytes], list[bytes]]:
    """Returns the rows and pairs of what was noted, sorted."""
    rows, pairs = [], []
    for account, info_hash, words in booking.gains():
        *amounts, sessions, snatched, announces, first_us, last_us, completed_us, client = words
        times = (each and dates.of(each) for each in (first_us, last_us, completed_us))
        row = Row(client, announces, sessions, snatched, 0, *amounts, *times)
        if not announces:
            row = row._replace(client=EMPTY.client)
        rows.append(book_rows.pack(book_rows.name(account, info_hash), row))
        pairs.append(book_rows.pair(info_hash, account))
    for account, (number, up, down) in booking.corrections.items():
        row = EMPTY._replace(corrections=number, credited_uploaded=up, credited_downloaded=down)
        rows.append(book_rows.pack(book_rows.name(account, None), row))
    return sorted(rows), sorted(pairs)


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
        seq, parts, opening = listed.position.seq, listed.parts, False
    elif len(state.accounts.uploaded) <= 1:  # nobody has a total, so there are no rows
        return Bookkeeper(log, keys, newest, ()), state, reader, newest
    else:
        seq, parts, opening = first_seq(log), (), True
        refused(f"The book is made anew from event {seq} on")
    if newest > seq:
        state, reader = snapshots.start(log, keys, at_most=seq)
    return Bookkeeper(log, keys, seq, parts, opening=opening), state, reader, newest


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
        begin, opened = first_seq(log), book.open_beginning(log, keys)
        parts = opened.listed.parts if opened else ()
        keeper = Bookkeeper(log, keys, begin, parts, opening=begin > 0 and opened is None)
        keeper.locking, keeper.spare = nullcontext, OPENING_SPARE_BYTES
        yield keeper


def adopt(log: Path, seq: int, made: str) -> None:
    """Gives a list that was made its final name, as `pruning.adopt` does with the opening."""
    target = book_files.named_path(log, seq)
    target.with_name(made).rename(target)
    sync_directory(target.parent)


def remove_before(log: Path, begin: int) -> None:
    """Removes the lists of other beginnings than event `begin`, once the removal is done."""
    folder = log / book_files.FOLDER
    for path in folder.iterdir() if folder.is_dir() else ():
        old = path.suffix == ".named" and path != book_files.named_path(log, begin)
        if old or path.suffix == ".made":
            path.unlink(missing_ok=True)
            sync_directory(folder)
