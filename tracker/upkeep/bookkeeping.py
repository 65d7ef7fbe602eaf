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
from itertools import takewhile
from typing import TYPE_CHECKING

from eventlog import (
    LogPrunedError,
    first_seq,
    read_file,
    read_identity,
    sync_directory,
)
from tracker.domain.accounts import NOTHING
from tracker.domain.book_days import BookDays
from tracker.domain.booking import Booking
from tracker.domain.events import ADMIN, DAY_US
from tracker.domain.milestones import Milestones
from tracker.domain.seeded import Seeded
from tracker.domain.state import State
from tracker.store import (
    book,
    book_files,
    book_packing,
    book_rows,
    daily_rows,
    frames,
    judged_rows,
    placed_rows,
    seeded_rows,
    snapshots,
)
from tracker.store.book_files import BookError, Facts, Series
from tracker.store.book_rows import EMPTY, History, Row
from tracker.store.daily_rows import Days
from tracker.store.replay import collector_off
from tracker.store.snapshot_file import OPENING_SPARE_BYTES, SPARE_BYTES, Position

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from eventlog import Frame, Header, Reader
    from tracker.store.address_keys import Keyring
    from tracker.store.book_files import Layout, Listed, Part

MOST_ROWS = 200_000
"""Rows with new amounts that are held in memory, about 60 MB; then they are written."""
FULL_PART = 500_000
"""Rows of a part of milestones that is not merged with newer ones, so that it can be removed when
the log has none of its events: 25 MB.
"""


class Bookkeeper:
    """Notes what the events of a replay add, and writes it.

    It begins to note where the book that it goes on from ends. Until then `state.book` is None.
    """

    def __init__(
        self,
        log: Path,
        keys: Keyring,
        seq: int,
        listed: Listed | None = None,
        *,
        opening: bool = False,
    ) -> None:
        """`seq`: the first event that is not in the book `listed`; None = it begins there.
        `opening`: the rows "no torrent" come from the state there.
        """
        self._log, self._keys, self.seq, self._opening = log, keys, seq, opening
        self._parts = listed.parts if listed else ()
        self._days = listed.facts.days if listed else BookDays()
        self._dropped = listed.facts.dropped if listed else 0  # `cut` at the last removal of rows
        self._begun = listed.facts.begun if listed else seq * opening
        self._opening_rows: tuple[bytes, ...] = ()  # that are not written yet
        self._log_id = read_identity(log)
        self._judged: tuple[Part, ...] = ()
        self._placed: tuple[Part, ...] | None = ()  # None = still to be made from `_judged`
        if listed and listed.judged:
            self._judged, self._placed = listed.judged.parts, listed.judged.placed
        self._judge = judged_rows.judge(log, listed.judged if listed else None)
        # A list of a version without series has none of the days before.
        self._series = (listed.series if listed else None) or Series((), seq)
        self._seeded = listed.seeded if listed else None  # None = it begins with the state
        self._torrents = Seeded()
        # A list without milestones is of an earlier version.
        self._marks = (listed.milestones if listed else None) or Series((), seq)
        self._milestones = Milestones()
        self._booking = Booking(self._judge, self._torrents, self._milestones)
        self._booking.cut = self._days.cut
        self._last: Header | None = None  # of the last frame that was applied
        self._ticks = 0  # before that frame
        self._changed = False  # by administrators or the tracker, since the last list
        self._written_seq = seq
        self.spare = SPARE_BYTES  # free bytes to leave on the disk
        self.crowded = ""  # why old rows could not be removed the last time
        self.path: Path | None = None  # the list that was written last
        self.before_clear: Callable[[Booking], None] = lambda _booking: None
        self.locking: Callable[[], AbstractContextManager[None]] = partial(book_files.locked, log)

    @property
    def noted(self) -> bool:
        """Tells whether anything was noted that is not written yet."""
        booking = self._booking
        any_rows = len(booking) + len(booking.daily) + len(self._opening_rows) > 0
        marks = len(self._milestones.made) + len(self._torrents.changed)
        return any_rows or self._judge.noted or marks > 0

    @property
    def due(self) -> bool:
        """Tells whether a list should be written. Who waits for what is made from events needs one
        that reaches an administrator's change, also where no announce comes.
        """
        return self.noted or self._changed

    @property
    def full(self) -> bool:
        """Tells whether so much was noted that it should be written."""
        return self._held >= MOST_ROWS

    @property
    def overfull(self) -> bool:
        """Tells whether memory would grow too far if this could not be written."""
        return self._held >= 4 * MOST_ROWS

    @property
    def _held(self) -> int:
        booking = self._booking
        torrents, marks = len(self._torrents.changed), len(self._milestones.made)
        return max(len(booking), len(booking.daily), len(self._judge.touched), torrents, marks)

    def apply(self, state: State, frame: Frame, whole: Header | None = None) -> None:
        """Applies a frame, and notes what it adds. `whole`: the header of the frame of which it is
        a piece. Pieces add what the frame would add. Raises the errors of `frames.apply`.
        """
        if state.book is None and state.seq >= self.seq:
            self._begin(state)
        header = whole or frame.header
        if frame.header.base_seq == header.base_seq:
            self._begin_frame(state, header)
        frames.apply(state, frame)
        self._last = header
        # In public modes nobody has an account, and there is no book.
        self._changed |= header.kind == ADMIN and state.settings.private
        ticks = state.tally.ticks - self._ticks
        if ticks and state.book is not None and state.seq == header.next_seq:
            self._pass_time(state, ticks)

    def _begin_frame(self, state: State, header: Header) -> None:
        booking, lead_us = self._booking, state.dates.lead_us
        # The header's lead is that of its events, also where one of them changes it.
        booking.lead_us = header.lead_us
        booking.day = self._days.on((header.time_us - lead_us) // DAY_US)
        self._judge.epoch, self._judge.lead_us = header.epoch, lead_us
        self._milestones.epoch = header.epoch
        self._ticks = state.tally.ticks

    def _pass_time(self, state: State, ticks: int) -> None:
        settings, date = state.settings, state.dates.of(state.time_us) // DAY_US
        ran_ms, history_days = ticks * settings.tick_ms, settings.policy.history_days
        self._days = self._days.ran(ran_ms, date, history_days)
        self._booking.cut = self._days.cut

    def apply_all(self, state: State, found: Iterable[Frame]) -> None:
        """Applies frames, and writes what was noted whenever it is much: see `flush`."""
        with collector_off():
            for frame in found:
                self.apply(state, frame)
                if self.full:
                    self.flush(state)

    def _begin(self, state: State) -> None:
        if self._opening:
            self._opening_rows = tuple(_opening_rows(state))
        self._opening = False
        state.book = self._booking
        self._judge.begin(state)
        if self._seeded is None:
            self._seeded = Series((), state.seq)
            if state.settings.private:
                self._torrents.open(state)
        else:
            self._torrents.wrote(seeded_rows.SeededRows(self._log, self._seeded.parts))

    def write(self, state: State) -> bool:
        """Writes the book of the events that were applied; returns False where that is not due.

        Raises `OSError`, `SecretError`, `BookError`, and `LogPrunedError` where a removal of old
        segments took the parts: then there is a newer list to go on from.
        """
        last = self._last
        if state.book is None or last is None or last.next_seq != state.seq:
            return False
        if state.seq == self._written_seq or not (self._parts or self.due):
            return False
        with self.locking():
            folder = self._log / book_files.FOLDER
            files = self._parts + self._judged + (self._placed or ()) + self._series.parts
            files += self._marks.parts + (self._seeded.parts if self._seeded else ())
            if not all(os.path.lexists(folder / part.name) for part in files):
                raise LogPrunedError(self._log)
            parts = self._with_noted(state)
            before = self._judged, self._placed, self._series, self._seeded, self._marks
            try:
                self._write_others(state)
                self.path = self._list(state, parts, last.chain)
            except BaseException:
                self._judged, self._placed, self._series, self._seeded, self._marks = before
                raise
            self._note_written(parts)
            self._written_seq, self._changed = state.seq, False
            book_files.clean(self._log, self._keys, self.path)
        return True

    def _write_others(self, state: State) -> None:
        """Writes what was noted beside the rows of accounts. No list has its parts yet."""
        self._judged, self._placed = self._with_judged(state)
        self._series = self._with_days(state)
        self._seeded = self._with_seeded(state)
        self._marks = self._with_milestones(state)

    def _note_written(self, parts: tuple[Part, ...]) -> None:
        self._parts, self._dropped, self._opening_rows = parts, self._days.cut, ()
        self.before_clear(self._booking)
        self._booking.clear()
        self._milestones.made = []
        if self._torrents.changed and self._seeded:
            self._torrents.wrote(seeded_rows.SeededRows(self._log, self._seeded.parts))
        if self._judge.noted:
            self._judge.wrote(judged_rows.JudgedRows(self._log, self._judged))

    def _with_judged(self, state: State) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
        """Writes what was judged. Returns its parts, and those of transitions in the order of the
        log, which no list has yet.
        """
        judged, placed = self._judged, self._placed
        made = placed_rows.pack(self._judge.made)
        if placed is None:  # an earlier version wrote the book
            told = judged_rows.JudgedRows(self._log, judged).told(b"")
            placed, made = (), placed_rows.pack(one for one in told if any(one.name[:4])) + made
        if made:
            noted = made, b""
            placed = self._with_rows(state, placed, noted, book_files.PLACED)
        noted = judged_rows.noted(self._judge)
        if any(noted):
            judged = self._with_rows(state, judged, noted, book_files.JUDGED)
        return judged, placed

    def _with_rows(
        self, state: State, parts: tuple[Part, ...], noted: tuple[bytes, bytes], layout: Layout
    ) -> tuple[Part, ...]:
        none = History(0)
        return book_files.with_rows(self._log, state.seq, parts, noted, none, self.spare, layout)

    def _with_days(self, state: State) -> Series:
        """Writes the days that were noted. Returns the series, which no list has yet."""
        rows = daily_rows.noted(self._booking.daily)
        if not rows:
            return self._series
        parts = book_files.with_rows(
            self._log, state.seq, self._series.parts, (rows, b""), Days(), self.spare,
            book_files.SERIES,
        )  # fmt: skip
        return self._series._replace(parts=parts)

    def _with_seeded(self, state: State) -> Series | None:
        """Writes what changed in who seeds. Returns the rows, which no list has yet."""
        rows = seeded_rows.noted(self._torrents)
        if not rows or self._seeded is None:
            return self._seeded
        noted = rows, b""
        parts = self._with_rows(state, self._seeded.parts, noted, book_files.SEEDED)
        return self._seeded._replace(parts=parts)

    def _with_milestones(self, state: State) -> Series:
        """Writes new milestones, and leaves out parts of which the log has no event any more."""
        parts = self._marks.parts
        if len(parts) > 1:
            parts = placed_rows.since(self._log, parts, first_seq(self._log))
        if self._milestones.made:
            full = sum(1 for _ in takewhile(lambda part: part.rows >= FULL_PART, parts))
            noted = placed_rows.pack(self._milestones.made), b""
            newer = self._with_rows(state, parts[full:], noted, book_files.PLACED)
            parts = parts[:full] + newer
        return self._marks._replace(parts=parts)

    def _with_noted(self, state: State) -> tuple[Part, ...]:
        """Writes what was noted, and removes old rows once a day. Returns the parts, which no list
        has yet.
        """
        parts, history = self._parts, History(self._days.cut)
        if self._opening_rows:
            noted = b"".join(self._opening_rows), b""
            parts = book_files.with_rows(self._log, state.seq, parts, noted, history, self.spare)
        if len(self._booking):
            noted = _noted(self._booking)
            parts = book_files.with_rows(self._log, state.seq, parts, noted, history, self.spare)
        parts = self._with_ended(state, parts, history)
        if self._days.cut == self._dropped:
            return parts
        try:
            young = book_files.without_old(self._log, state.seq, parts, history, self.spare)
            parts, self.crowded = self._with_ended(state, young, history), ""
        except OSError as error:
            if error.errno not in book_files.FULL:
                raise
            self.crowded = str(error)  # readers leave old rows out, so another day will do
        return parts

    def _with_ended(
        self, state: State, parts: tuple[Part, ...], history: History
    ) -> tuple[Part, ...]:
        """Writes the rows "no torrent" of what ended."""
        while history.ended:
            noted, history.ended = (b"".join(sorted(history.ended.values())), b""), {}
            parts = book_files.with_rows(self._log, state.seq, parts, noted, history, self.spare)
        return parts

    def _list(
        self, state: State, parts: tuple[Part, ...], chain: bytes, path: Path | None = None
    ) -> Path:
        base_seq = self._last.base_seq if self._last else 0
        position = Position(self._log_id, state.seq, base_seq, chain)
        history_days = state.settings.policy.history_days
        hidden = self._days.hidden(state.dates.of(state.time_us) // DAY_US, history_days)
        if path is not None:  # that of the log's beginning, for readers of later moments
            hidden = self._days.cut
        facts = Facts(self._days, hidden, self._days.cut, self._begun)
        judged = None
        if self._judge.on:
            now = {"time_us": state.time_us, "lead_us": state.dates.lead_us}
            judged = book_files.Judged(self._judged, self._placed, self._judge.as_data() | now)
        return book_files.write_list(
            self._log, position, parts, facts, self._keys, path, judged, self._series, self._seeded,
            self._marks,
        )  # fmt: skip

    def flush(self, state: State) -> None:
        """Writes what was noted, without a list. The folder must stay locked until `name`.

        Raises `OSError`, `BookError`.
        """
        parts = self._with_noted(state)
        self._write_others(state)
        self._note_written(parts)

    def name(self, state: State, chain: bytes) -> tuple[str, str]:
        """Writes the list of a log that is to begin with the next event, after this chain value.

        Returns the name of the file, which does not count before `adopt`, and its SHA-256; "" = no
        account has a total. Raises `OSError`, `SecretError`, `BookError`.
        """
        self.flush(state)
        if not self._parts and not self._judge.on:
            return "", ""
        made = book_files.named_path(self._log, state.seq).with_suffix(f".{os.getpid()}.made")
        self._list(state, self._parts, chain, made)
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


def _noted(booking: Booking) -> tuple[bytes, bytes]:
    """Returns the rows and pairs of what was noted, sorted."""
    rows, pairs = book_packing.laid_out(booking)
    none = History(0)  # the rows "no torrent"
    for account, words in booking.ended:
        none.end(book_rows.pack(book_rows.name(account, None), book_rows.of_words(words)))
    for account, (number, up, down) in booking.corrections.items():
        row = EMPTY._replace(corrections=number, credited_uploaded=up, credited_downloaded=down)
        none.end(book_rows.pack(book_rows.name(account, None), row))
    for account, moved in booking.moves.items():
        row = EMPTY._replace(**moved.amounts())
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
        keeper = Bookkeeper(log, keys, listed.position.seq, listed)
    elif len(state.accounts.uploaded) <= 1:  # nobody has a total, so there are no rows
        # In a private mode there may be a rule of hit and run before the first announce.
        keeper = Bookkeeper(log, keys, first_seq(log) if state.settings.private else newest)
    else:
        keeper = Bookkeeper(log, keys, first_seq(log), opening=True)
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
        listed = opened.listed if opened else None
        keeper = Bookkeeper(log, keys, begin, listed, opening=opened is None and begin > 0)
        keeper.locking, keeper.spare = nullcontext, OPENING_SPARE_BYTES
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
        used = {part.name for part in book_files.read_list(named, read_identity(log), None).files}
        for path in named.parent.glob("*.part") if not book_files.found(log) else ():
            if path.name not in used:
                path.unlink(missing_ok=True)
