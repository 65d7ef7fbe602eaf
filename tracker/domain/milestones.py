"""Notes when downloads were completed, and when torrents got and lost their seeders.

Only a process that keeps the book has it, so the tracker's own announces pay nothing. It is no part
of the state. It knows the torrents of private modes.
"""

from __future__ import annotations

from typing import NamedTuple

from tracker.domain.derived import COMPLETED, FIRST_MILESTONE, FIRST_SEEDER, LAST_SEEDER_LEFT
from tracker.domain.derived import MILESTONES as NAMES
from tracker.domain.hit_and_run import name_of


class Milestone(NamedTuple):
    """What happened to a torrent, by whom and when."""

    name: bytes  # of the account and the torrent
    seq: int  # the event that shows it
    n: int  # from `FIRST_MILESTONE` on, of this event
    epoch: int
    state: int  # its number in `derived.MILESTONES`
    date_us: int


class Milestones:
    """Those since the book was written, in the order of the log."""

    __slots__ = ("_n", "_seq", "epoch", "made")

    def __init__(self) -> None:
        self.made: list[Milestone] = []
        self.epoch = 0  # of the frame that is applied
        self._seq, self._n = -1, 0  # of the last one

    def completed(self, account: int, info_hash: bytes, seq: int, date_us: int) -> None:
        self._add(COMPLETED, account, info_hash, seq, date_us)

    def counted(self, account: int, info_hash: bytes, seq: int, date_us: int, seeders: int) -> None:
        """Enters that the first seeder of a swarm came, or the last one went (`seeders` 0)."""
        what = FIRST_SEEDER if seeders else LAST_SEEDER_LEFT
        self._add(what, account, info_hash, seq, date_us)

    def _add(self, what: str, account: int, info_hash: bytes, seq: int, date_us: int) -> None:
        self._n = self._n + 1 if seq == self._seq else FIRST_MILESTONE
        self._seq = seq
        named, state = name_of(account, info_hash), NAMES.index(what)
        self.made.append(Milestone(named, seq, self._n, self.epoch, state, date_us))
