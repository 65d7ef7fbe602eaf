"""Checks that an event of the log confirms the opening balance, the kept frames and the history of
what was removed or was written before this format."""

from __future__ import annotations

from typing import TYPE_CHECKING

from eventlog import (
    REPORT,
    RESTORE,
    RESTORE_KEPT,
    Finding,
    LogError,
    kept_digests,
    kept_path,
    opening_path,
)
from tracker.domain.events import codec
from tracker.domain.events.admin import FormatBegun, LogPruned
from tracker.store import book_files, frames

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from eventlog import Frame, Verifier
    from tracker.store.address_keys import Keyring


RESTORE_BOOK = (
    "restore the file from a backup: the book cannot be made again without it. The tracker starts without the list, "
    "but then what accounts did in each torrent before the log begins is lost"
)


class Removals:
    """Takes every frame with `note`; afterwards `findings` says what is wrong."""

    def __init__(self, folder: Path, log: Verifier, keys: Keyring | None) -> None:
        """`log`: knows the history digests of the part walked so far."""
        self._keys = keys
        self._folder = folder
        self._begin = log.first_seq  # 0 = nothing was removed
        self._log = log
        self._others: list[Finding] = []
        self._confirmed: tuple[str, Mapping[str, str]] | None = None
        self._book: str | None = None  # SHA-256 of the book that the log names
        self.opening = ""  # SHA-256 of the opening balance; "" = it could not be read

    def note(self, path: Path, frame: Frame) -> None:
        try:
            for seq, record in frames.admin(frame):
                event = record.event()
                if isinstance(event, LogPruned):
                    self._history(path, seq, event.history_seq, event.history)
                    if event.first_seq == self._begin:
                        self._confirmed = event.opening, event.kept
                        self._book = event.book
                elif isinstance(event, FormatBegun):
                    self._history(path, seq, seq, event.history)
                    if self._confirmed is not None:  # by an event without a tag
                        self._confirmed = event.opening, event.kept
        except codec.CodecError:
            pass  # another check finds this

    def _history(self, path: Path, seq: int, before: int | None, said: str | None) -> None:
        """Compares the history digest before event `before` with what event `seq` says."""
        found = self._log.history_before(before) if before is not None else None
        if said is not None and found is not None and said != found.hex():
            what = f"event {seq} says that the history digest before event {before} is {said}, and it is {found.hex()}"
            self._others.append(Finding(path, 0, seq, what, RESTORE))

    def findings(self) -> Iterator[Finding]:
        yield from self._others
        if not self._begin:
            return
        path = opening_path(self._folder, self._begin)
        if self._confirmed is None:
            what = "no event of the log vouches for this opening balance"
            yield Finding(path, 0, self._begin, what, REPORT)
            return
        digest, files = self._confirmed
        if self.opening not in ("", digest):
            what = f"its SHA-256 is {self.opening}, and the log says {digest}"
            yield Finding(path, 0, self._begin, what, RESTORE)
        yield from self._kept(files)
        if self._book is not None:
            yield from self._named(self._book)

    def _named(self, digest: str) -> Iterator[Finding]:
        """Checks the book that the log names, and every byte of its parts."""
        path = book_files.named_path(self._folder, self._begin)
        try:
            listed = book_files.read_list(path, self._log.log_id, self._keys, digest)
            book_files.follow(self._folder, listed, self._keys)
        except FileNotFoundError:
            yield Finding(path, 0, self._begin, "is missing", RESTORE_BOOK)
        except book_files.BookError as error:
            yield Finding(path, 0, self._begin, str(error), RESTORE_BOOK)
        else:
            for part, what in book_files.wrong_parts(self._folder, listed):
                yield Finding(part, 0, self._begin, what, RESTORE_BOOK)

    def _kept(self, files: Mapping[str, str]) -> Iterator[Finding]:
        try:
            there = kept_digests(self._folder, self._begin)
        except LogError:
            return  # another check finds this
        for name in files.keys() - there.keys():
            yield Finding(kept_path(self._folder, name), 0, 0, "is missing", RESTORE_KEPT)
        for name, digest in there.items():
            if digest != files.get(name):
                what = f"its SHA-256 is {digest}, and the log says {files.get(name, 'nothing')}"
                yield Finding(kept_path(self._folder, name), 0, self._begin, what, RESTORE_KEPT)
