"""Runs a process that walks over the log for pages of events.

    python -m tracker.history.events_worker LOG SECRETS        (SECRETS is `-` if there are no keys)

The tracker starts the process (`events.py`) and asks over a pipe (`workers/question_pipe.py`). A
walk in a thread of the tracker would hold its interpreter again and again, and announces would wait
for it.
"""

from __future__ import annotations

import sys
import time
from array import array
from pathlib import Path
from typing import TYPE_CHECKING, Generic, TypeVar

from attrs import evolve

from eventlog import LogPrunedError, first_seq
from tracker.history.event_scan import Filter, Scan, Walked
from tracker.history.kind_count import KindCount, KindsCounted
from tracker.history.last_events import LastScan, LastWalked
from tracker.history.rates import rates
from tracker.ports import PrunedMomentError
from tracker.store.address_keys import Keyring
from tracker.store.known_frames import KeptIndexes
from tracker.workers.question_pipe import Worker, serve

if TYPE_CHECKING:
    from tracker import ports

K = TypeVar("K")
V = TypeVar("V")
SLICE_SECONDS = 0.02
"""Longest work for one question, in seconds, because the questions of other pages wait for it."""
MOST_WALKS = 64
"""Largest number of walks that are kept for their next questions."""
KEPT_SECONDS = 60.0
"""Longest time that a walk is kept for its next question, in seconds, because most pages end before
their walk does, and each walk has the index of a segment in memory. Parked ones wait for less.
"""


class Kept(Generic[K, V]):
    """Keeps walks for their next questions. Those that have none for long are dropped."""

    def __init__(self) -> None:
        self._walks: dict[K, tuple[float, V]] = {}  # the one used last is the last

    def __len__(self) -> int:
        return len(self._walks)

    def take(self, number: K) -> V | None:
        """Returns a walk, and keeps it no longer; None = it is not kept."""
        return self._walks.pop(number, (0.0, None))[1]

    def keep(self, number: K, walk: V) -> None:
        now = time.monotonic()
        self._walks[number] = now, walk
        for one, (used, _) in list(self._walks.items()):
            if len(self._walks) <= MOST_WALKS and now - used <= KEPT_SECONDS:
                break
            del self._walks[one]

    def clear(self) -> None:
        self._walks.clear()


class EventsWorker(Worker):
    """Answers the questions of `events.LogEvents`. A walk has a number that no other one had."""

    def __init__(self, log: Path, secrets: Path | None) -> None:
        self._keys = Keyring(secrets) if secrets else None
        super().__init__(log, self._keys)
        self._indexes = KeptIndexes(self._keys)
        self._walks = Kept[tuple[int, frozenset[int]], Scan | LastScan]()
        self._counting = Kept[int, tuple[Scan, KindCount]]()

    def forget(self) -> None:
        self._indexes.clear()
        self._walks.clear()
        self._counting.clear()

    def walk(
        self,
        number: int,
        part: ports.LogPart,
        wanted: ports.EventFilter,
        refs: frozenset[int],
        limit: int,
    ) -> Walked:
        """Goes on with a walk, or begins it at `part` if it is not kept, until it has found `limit`
        events or the time is over. `refs`: the `key_ref` of each key of the wanted account.

        Raises `PrunedMomentError` if retention removes what the walk reads.
        """
        scan = self._walks.take((number, refs))
        if not isinstance(scan, Scan):
            scan = Scan(self._log, part, self._filter(wanted, refs), self._keys, self._indexes)
        began = now = time.perf_counter()
        try:
            while not scan.over and len(scan.found) < limit and now - began < SLICE_SECONDS:
                scan.step(limit)
                now = time.perf_counter()
        except LogPrunedError:
            raise PrunedMomentError(first_seq(self._log)) from None
        if not scan.over:
            self._walks.keep((number, refs), scan)
        return Walked(scan.take(), scan.seq, scan.over, scan.at_end, now - began)

    def last(
        self,
        number: int,
        part: ports.LogPart,
        wanted: ports.EventFilter,
        refs: frozenset[int],
        limit: int,
        most: int,
    ) -> LastWalked:
        """Goes on with a walk backwards that looks for the last `limit` events of a part, as `walk`
        does. Returns `most` of them at most.
        """
        scan = self._walks.take((number, refs))
        if not isinstance(scan, LastScan):
            wanted_ones = self._filter(wanted, refs)
            scan = LastScan(self._log, part, wanted_ones, self._keys, limit, indexes=self._indexes)
        began = now = time.perf_counter()
        try:
            while not scan.over and now - began < SLICE_SECONDS:
                scan.step()
                now = time.perf_counter()
        except LogPrunedError:
            raise PrunedMomentError(first_seq(self._log)) from None
        found = scan.take(most)
        over = scan.over and not scan.to_take
        if not over:
            self._walks.keep((number, refs), scan)
        return LastWalked(found, scan.seq, over, scan.more, scan.end, now - began)

    def count(self, number: int, part: ports.LogPart, first: int, step_us: int) -> KindsCounted:
        """Goes on counting the events of a part from event `first` on, as `walk` does.

        `step_us`: microseconds of a piece; 0 = all is one.
        """
        scan, counts = self._counting.take(number) or (None, None)
        if scan is None or counts is None:
            counts = KindCount(evolve(part, first=first), step_us or None)
            scan = Scan(self._log, evolve(part, first=first), counts, self._keys, self._indexes)
        began = now = time.perf_counter()
        try:
            while not scan.over and now - began < SLICE_SECONDS:
                scan.step(1)
                now = time.perf_counter()
        except LogPrunedError:
            raise PrunedMomentError(first_seq(self._log)) from None
        if not scan.over:
            self._counting.keep(number, (scan, counts))
        return KindsCounted(counts.take(), scan.seq, scan.over, scan.at_end, now - began)

    def _filter(self, wanted: ports.EventFilter, refs: frozenset[int]) -> Filter:
        account_of = array("I", bytes(4 * (max(refs, default=0) + 1)))
        for key_ref in refs:
            account_of[key_ref] = wanted.account or 0
        return Filter(wanted, account_of, self._keys)

    def rates(self, seqs: list[int]) -> dict[int, tuple[int, int]]:
        """Returns how fast peers are, by the numbers of their announces."""
        return rates(self._log, seqs, self._keys)


def main() -> None:
    log, secrets = sys.argv[1:]
    serve(EventsWorker(Path(log), None if secrets == "-" else Path(secrets)))


if __name__ == "__main__":
    main()
