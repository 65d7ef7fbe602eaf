"""Rows of the book about hit and run: downloads, their transitions, and what is known of torrents.

A part (`book_files`) has a row for each download, of which the newest one counts, and one for each
torrent, under account 0. In the place of pairs it has transitions, and under account 0 the times in
which the clock stood for a torrent. docs/log-format.md has the fields.
"""

from __future__ import annotations

import heapq
from itertools import groupby
from operator import itemgetter
from struct import Struct
from struct import error as StructError  # noqa: N812  # a class
from typing import TYPE_CHECKING, NamedTuple

from tracker.domain.hit_and_run import KEPT, Download, kept_of
from tracker.domain.judging import Judge, Stand, Swarm
from tracker.store.book_bytes import JUDGED_SIZE, NAME_SIZE
from tracker.store.book_files import JUDGED, Opened
from tracker.store.book_rows import name

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator
    from pathlib import Path

    from tracker.store.book_files import Judged, Part
    from tracker.store.book_rows import Run

_BODY = Struct("<B??HIII15Q")
_PLACE = Struct(">Ix20s")  # account and info hash of a name
_TOLD_NAME = Struct(">25sQI")
_TOLD = Struct("<BIQQ")
_MOST = 2**64 - 1
_TORRENTS = bytes(4) + b"\1"  # what the names of torrents' rows begin with

if (NAME_SIZE + _BODY.size, _TOLD_NAME.size, _TOLD_NAME.size + _TOLD.size) != (
    (JUDGED_SIZE, JUDGED.pair_name, JUDGED.pair)
):
    raise AssertionError("book_files.JUDGED spells these sizes out")


class Told(NamedTuple):
    """A transition, or under account 0 a time in which the clock stood."""

    name: bytes
    seq: int
    n: int
    state: int
    epoch: int
    time_us: int
    date_us: int


def pack(one: Download) -> bytes:
    try:
        return one.name + _BODY.pack(*kept_of(one))
    except StructError:  # rare, so looking at each number first would cost more
        state, met, left, *counts = kept_of(one)
        fitting = (min(max(0, each), _MOST) for each in counts)
        return one.name + _BODY.pack(state, met, left, *fitting)


def unpack(row: bytes) -> Download:
    one = Download(*_PLACE.unpack_from(row))
    for field, value in zip(KEPT, _BODY.unpack_from(row, NAME_SIZE), strict=True):
        setattr(one, field, value)
    return one


def _pack_swarm(swarm: Swarm) -> bytes:
    row = Download(0, swarm.info_hash)
    row.last_us, row.end_us, row.absent_us = swarm.dry_us, swarm.end_us, swarm.delisted_us
    return pack(row)


def _swarm(row: Download) -> Swarm:
    swarm = Swarm(row.info_hash)
    swarm.dry_us, swarm.end_us, swarm.delisted_us = row.last_us, row.end_us, row.absent_us
    return swarm


def _pack_told(one: Told) -> bytes:
    return _TOLD_NAME.pack(*one[:3]) + _TOLD.pack(*one[3:5], *(max(0, each) for each in one[5:]))


def told(row: bytes) -> Told:
    return Told(*_TOLD_NAME.unpack_from(row), *_TOLD.unpack_from(row, _TOLD_NAME.size))


def noted(judge: Judge) -> tuple[bytes, bytes]:
    """Returns what a judge noted since the book was written: rows, and transitions, sorted."""
    rows = [*map(pack, judge.touched), *map(_pack_swarm, judge.touched_swarms)]
    news = [
        _pack_told(Told(one.name, one.seq, one.n, one.state, one.epoch, one.time_us, one.date_us))
        for one in judge.made
    ]
    news += [
        _pack_told(Told(name(0, info_hash), begin_us, kind, kind, 0, begin_us, end_us))
        for info_hash, (begin_us, end_us, kind) in judge.stood
    ]
    return b"".join(sorted(rows)), b"".join(sorted(news))


class JudgedRows:
    """The rows of parts. Blocking."""

    def __init__(self, log: Path, parts: Iterable[Part], *, check: bool = False) -> None:
        """`check`: as in `Opened`. Raises `BookError`, `OSError`."""
        self._opened = Opened(log, parts, check=check)

    def one(self, name: bytes) -> Download | None:
        for run in reversed(self._opened.rows):
            number = run.find(name)
            if number < run.count and run.name(number) == name:
                return unpack(run.at(number))
        return None

    def all(self) -> Iterator[Download]:
        return (one for one in self.beginning_with(b"") if one.account)

    def beginning_with(
        self, prefix: bytes, after: bytes = b"", states: Container[int] = range(256)
    ) -> Iterator[Download]:
        """Yields downloads, and torrents as such, by name. `after`: only later names."""
        low = max(after + b"\0", prefix) if after else prefix
        for _, same in groupby(_merged(self._opened.rows, low, prefix, _name), key=_name):
            row = list(same)[-1]
            if row[NAME_SIZE] in states:  # before it is unpacked, because there are many
                yield unpack(row)

    def swarms(self) -> Iterator[Swarm]:
        """Yields the torrents, with the times in which the clock stood for them."""
        stands: dict[bytes, list[Stand]] = {}
        for one in self.told(_TORRENTS):
            stand = Stand(one.time_us, one.date_us, one.state)
            stands.setdefault(one.name[5:], []).append(stand)
        for row in self.beginning_with(_TORRENTS):
            swarm = _swarm(row)
            swarm.stands = stands.get(swarm.info_hash, [])
            yield swarm

    def swarm(self, info_hash: bytes) -> Swarm:
        row = self.one(name(0, info_hash))
        swarm = _swarm(row) if row else Swarm(info_hash)
        found = self.told(name(0, info_hash))
        swarm.stands = [Stand(one.time_us, one.date_us, one.state) for one in found]
        return swarm

    def told(self, prefix: bytes) -> Iterator[Told]:
        """Yields transitions by name, seq and `n`."""
        return map(told, _merged(self._opened.pairs, prefix, prefix, _told_name))


_name, _told_name = itemgetter(slice(NAME_SIZE)), itemgetter(slice(JUDGED.pair_name))


def _merged(
    runs: Iterable[Run], low: bytes, prefix: bytes, key: Callable[[bytes], bytes]
) -> Iterator[bytes]:
    """Yields rows with a prefix by name; of one name the oldest first."""
    return heapq.merge(*(run.beginning_with(low, prefix) for run in runs), key=key)


def judge(log: Path, judged: Judged | None) -> Judge:
    """Makes the judge that goes on from a list of the book; None = nothing was judged."""
    found = Judge(JudgedRows(log, judged.parts if judged else ()))
    if judged is not None:
        found.set_data(judged.data)
        found.swarms = {swarm.info_hash: swarm for swarm in found.shelf.swarms()}
        for one in found.shelf.all():
            found.take(one)
    return found
