"""Opens the book of a log for readers: implements `ports.BookRead`. Blocking.

Every byte of a part is compared with its list once, when it is first opened by a process.
"""

from __future__ import annotations

import heapq
import os
from functools import partial, reduce
from itertools import groupby, repeat
from operator import itemgetter
from typing import TYPE_CHECKING

from eventlog import LogCorruptError, LogPrunedError, Reader, first_seq, read_identity
from tracker.domain.events.admin import LogPruned
from tracker.store import book_files, book_rows, frames
from tracker.store.book_bytes import NAME_SIZE
from tracker.store.book_files import BookError, Listed, Opened
from tracker.store.book_rows import History
from tracker.store.daily_rows import DailyRows
from tracker.store.judged_rows import JudgedRows
from tracker.store.placed_rows import PlacedRows
from tracker.store.seeded_rows import SeededRows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tracker.domain.state import State
    from tracker.ports import BookRow
    from tracker.store.address_keys import Keyring
    from tracker.store.book_files import Part
    from tracker.store.checked_segments import CheckedSegments

OR_REMOVE = (
    "restore the file from a backup, or remove this list: then the book begins anew, and what accounts did in each "
    "torrent before the log begins is lost"
)
_ATTEMPTS = 3  # to open a book whose files are being replaced


def open_newest(
    log: Path,
    keys: Keyring | None,
    refused: Callable[[str], None] = lambda _why: None,
) -> Book | None:
    """Opens the newest usable book; None = there is none, or there are no secrets to check it.

    Each list that is passed over is reported to `refused` in a sentence. Raises what reading the
    log raises.
    """
    if keys is None:
        return None
    for _ in range(_ATTEMPTS):
        gone, begin = False, first_seq(log)
        for path in reversed(book_files.found(log)):
            if book_files.seq_of(path) < begin:
                break  # a removal went beyond it
            try:
                return Book(log, usable(log, path, keys))
            except FileNotFoundError:
                gone = True
            except (BookError, OSError) as error:
                refused(f"The book {path.name} is not used: {error}")
        if not gone:
            break
    return None


def usable(log: Path, path: Path, keys: Keyring) -> Listed:
    """Reads a list that fits the log. Raises `BookError`, `OSError`, `LogError`."""
    listed = book_files.read_list(path, read_identity(log), keys)
    book_files.follow(log, listed, keys)
    return listed


def named(
    log: Path, state: State, keys: Keyring | None, checked: CheckedSegments | None = None
) -> Listed | None:
    """Returns the book that the log names, with every byte checked. `state`: of this log.
    `checked`: remembers parts, which are then read only if somebody touched them since.

    None = it names none, or the list was removed. Raises `LogCorruptError` where it is another one
    or damaged, and what reading the log raises.
    """
    path = book_files.named_path(log, first_seq(log))
    if not os.path.lexists(path) or not (digest := digest_in_log(log, state, keys)):
        return None
    try:
        listed = book_files.read_list(path, read_identity(log), keys, digest)
        book_files.follow(log, listed, keys)
        if checked is None:
            Opened(log, listed.files)
        else:
            files = [log / book_files.FOLDER / part.name for part in listed.files]
            checked.check_parts(files, partial(_open_some, log, listed.files))
    except BookError as error:
        raise LogCorruptError(path, 0, str(error), OR_REMOVE) from None
    except FileNotFoundError as error:
        what = f"its part {os.path.basename(error.filename)} is missing"
        raise LogCorruptError(path, 0, what, OR_REMOVE) from None
    return listed


def _open_some(log: Path, parts: Sequence[Part], unknown: Sequence[bool]) -> None:
    """Checks the bytes of the parts that are not known, and that the others have their size."""
    for part, check in zip(parts, unknown, strict=True):
        Opened(log, [part], check=check)


def open_beginning(log: Path, keys: Keyring | None, state: State) -> Book | None:
    """Opens the book of the events that were removed from the log; None = there is none.

    Without `keys` the SHA-256 in the log is checked in place of the MAC. `state`: of this log.
    Raises `LogCorruptError`, and what reading the log raises.
    """
    begin = first_seq(log)
    path = book_files.named_path(log, begin)
    if not begin or not os.path.lexists(path):
        return None
    digest = None if keys else digest_in_log(log, state, None)
    if digest == "":
        return None
    try:
        listed = book_files.read_list(path, read_identity(log), keys, digest)
        book_files.follow(log, listed, keys)
        if listed.position.seq != begin:
            raise BookError("reaches beyond the first event of the log")
        return Book(log, listed)
    except BookError as error:
        raise LogCorruptError(path, 0, str(error), OR_REMOVE) from None
    except FileNotFoundError as error:
        if first_seq(log) != begin:
            raise LogPrunedError(log) from None
        what = f"its part {os.path.basename(error.filename)} is missing"
        raise LogCorruptError(path, 0, what, OR_REMOVE) from None


def digest_in_log(log: Path, state: State, keys: Keyring | None) -> str:
    """Returns the SHA-256 of the book that the log names where it begins; "" = none.

    `state`: of this log, at any event. Raises what reading the log raises.
    """
    begin = first_seq(log)
    known = [each.seq for each in state.tally.pruned if each.first_seq == begin]
    if not begin:
        return ""
    for frame in Reader(log, known[0] if known else state.seq, to_end=True, keys=keys).frames():
        for _, record in frames.admin(frame):
            event = record.event()
            if isinstance(event, LogPruned) and event.first_seq == begin:
                return event.book or ""
    return ""


class Book:
    """A book that was opened; see `ports.BookRead`."""

    def __init__(self, log: Path, listed: Listed) -> None:
        """Raises `BookError`, `OSError`."""
        self.listed = listed
        self._opened = Opened(log, listed.parts)
        judged = listed.judged
        self.judged: JudgedRows | None = None
        self.placed: PlacedRows | None = None
        if judged is not None:
            self.judged = JudgedRows(log, judged.parts, check=True)
            self.placed = PlacedRows(log, judged.placed or (), check=True)
        series = listed.series
        self.series = None if series is None else DailyRows(log, series.parts, series.begun)
        seeded = listed.seeded
        self.seeded = None if seeded is None else SeededRows(log, seeded.parts, check=True)
        milestones = listed.milestones.parts if listed.milestones else ()
        self.milestones = PlacedRows(log, milestones, check=True)

    @property
    def upto(self) -> int:
        return self.listed.position.seq

    @property
    def since(self) -> int:
        return self.listed.facts.begun

    def of_account(self, account: int, after: bytes | None = None) -> Iterator[BookRow]:
        return map(book_rows.shown, self._of_account(account, after))

    def everything(self) -> Iterator[BookRow]:
        """All rows, by account, and as `of_account` orders them."""
        account = self._account_from(0)
        while account is not None:
            yield from self.of_account(account)
            account = self._account_from(account + 1)

    def _account_from(self, least: int) -> int | None:
        """Returns the first account with rows, of those from `least` on."""
        low = least.to_bytes(4, "big")
        firsts = [next(iter(run.beginning_with(low, b"")), None) for run in self._opened.rows]
        found = min((row for row in firsts if row is not None), default=None)
        return int.from_bytes(found[:4], "big") if found is not None else None

    def _of_account(self, account: int, after: bytes | None) -> Iterator[bytes]:
        owner, history = account.to_bytes(4, "big"), self._history()
        if not self.listed.facts.hidden:
            return self._rows(book_rows.first_name(account, after), owner, history)
        rows = list(self._rows(owner, owner, history))
        none = [rows.pop(0)] if rows and not rows[0][4] else []
        if ended := history.ended.get(account):
            none = [book_rows.added(none[0], ended)] if none else [ended]
        if after is None:
            return iter([*none, *rows])
        return iter([row for row in rows if row[5:25] > after])

    def _history(self) -> History:
        return History(self.listed.facts.hidden)

    def of_torrent(self, info_hash: bytes, after: int | None = None) -> Iterator[BookRow]:
        low = info_hash if after is None else book_rows.pair(info_hash, after) + b"\0"
        opened, history = self._opened, self._history()
        pairs = [
            zip(run.beginning_with(low, info_hash), repeat(part))
            for part, run in enumerate(opened.pairs)
        ]
        at = [0] * len(pairs)  # where the next row of each part is looked for, because they ascend
        for pair, parts in groupby(heapq.merge(*pairs), key=itemgetter(0)):
            named = book_rows.name(int.from_bytes(pair[20:], "big"), info_hash)
            same = []
            for _, part in parts:
                run = opened.rows[part]
                at[part] = run.find(named, at[part])
                same.append(run.at(at[part]))
            row = reduce(history.added, same)
            if not history.is_over(row):
                yield book_rows.shown(row)

    def row(self, account: int, info_hash: bytes | None) -> BookRow | None:
        name = book_rows.name(account, info_hash)
        if info_hash is None:
            found = next(self._of_account(account, None), None)
            return book_rows.shown(found) if found and not found[4] else None
        return next(map(book_rows.shown, self._rows(name, name, self._history())), None)

    def _rows(self, low: bytes, prefix: bytes, history: History) -> Iterator[bytes]:
        """Yields the rows with a prefix, from the name `low` on, each once.

        Those that are too old are in `history` afterwards.
        """
        runs = [run.beginning_with(low, prefix) for run in self._opened.rows]
        # Of rows of one name the older part's comes first, because the merge is stable.
        for _, same in groupby(heapq.merge(*runs, key=_name), key=_name):
            row = reduce(history.added, same)
            if history.is_over(row):
                history.end(row)
            else:
                yield row


def _name(row: bytes) -> bytes:
    return row[:NAME_SIZE]
