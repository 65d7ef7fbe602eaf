"""Rows of the book about when torrents were added and seeded: see `tracker.domain.seeded`.

A part (`book_files`) has them by torrent, as `book_rows.name` names it under account 0. Of the rows
of one torrent the newest counts. docs/log-format.md has the fields.
"""

from __future__ import annotations

from struct import Struct
from typing import TYPE_CHECKING

from tracker.domain.seeded import Known
from tracker.store.book_bytes import NAME_SIZE, SEEDED_SIZE
from tracker.store.book_files import Opened
from tracker.store.book_rows import History, merged, name

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from tracker.domain.seeded import Seeded
    from tracker.store.book_files import Part

_BODY = Struct("<QQQQIB")
_ROW = Struct(f"<5x20s{_BODY.format[1:]}")
_MOST = 2**64 - 1

if (_ROW.size, NAME_SIZE + _BODY.size) != (SEEDED_SIZE, SEEDED_SIZE):
    raise AssertionError("book_bytes.SEEDED_SIZE spells this size out")


def noted(seeded: Seeded) -> bytes:
    """Returns the rows of what changed, sorted."""
    return b"".join(
        name(0, info_hash) + _BODY.pack(*(min(each, _MOST) for each in one.fields()))
        for info_hash, one in sorted(seeded.changed.items())
    )


class SeededRows:
    """The rows of parts. Blocking."""

    def __init__(self, log: Path, parts: Iterable[Part], *, check: bool = False) -> None:
        """`check`: as in `Opened`. Raises `BookError`, `OSError`."""
        self._runs = Opened(log, parts, check=check).rows

    def one(self, info_hash: bytes) -> Known | None:
        named = name(0, info_hash)
        for run in reversed(self._runs):
            number = run.find(named)
            if number < run.count and run.name(number) == named:
                return Known(_BODY.unpack_from(run.at(number), NAME_SIZE))
        return None

    def all(self) -> Iterator[tuple[bytes, Known]]:
        """Yields every torrent, ascending."""
        if self._runs:
            for piece in merged(self._runs, History(0)):
                for info_hash, *fields in _ROW.iter_unpack(piece):
                    yield info_hash, Known(tuple(fields))
