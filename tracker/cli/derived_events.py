"""Finds what was made from events, and the events beside it, for `tracker events`."""

from __future__ import annotations

import time
from bisect import bisect_right
from typing import TYPE_CHECKING, Any

from attrs import evolve

from tracker.cli.output import CannotError, note
from tracker.domain.derived import CASES, DERIVED_TYPES, MOST_N
from tracker.ledger.mixed import is_within, place_of, shown
from tracker.ledger.worker import LedgerWorker
from tracker.ports import DerivedPlace
from tracker.store import case_files
from tracker.store.moments import span

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator
    from pathlib import Path

    from tracker.history.event_scan import Scan
    from tracker.ports import DerivedQuery, LogPart

_AT_ONCE = 1000  # events found before they are shown
_BOOKED_US = 60_000_000  # after which the book has what happened, in microseconds
_FOLLOW_SECONDS = 1.0  # between two looks at the book, which is written every ten


class DerivedEvents:
    """What is wanted of a log's book and cases, in one order with events."""

    def __init__(self, options: argparse.Namespace, folder: Path, secrets: Path | None) -> None:
        """Raises `CannotError` for options that do not go with it."""
        of_book = {*options.type} & {*DERIVED_TYPES} - {*CASES}
        if secrets is None and of_book:
            raise CannotError("what is made from events is read with the secrets: --secrets FOLDER")
        if options.key is not None:
            raise CannotError("--key: what is made from events has no key; use --account")
        if options.follow and options.newest is not None:
            raise CannotError("--last: does not go with --follow and what is made from events")
        self._folder, self._follow = folder, options.follow
        self._worker = LedgerWorker(folder, secrets)
        self._cases = case_files.there(folder)
        self._place = DerivedPlace(-1, MOST_N)

    def find(
        self, query: DerivedQuery, scan: Scan | None, part: LogPart
    ) -> Iterator[list[dict[str, Any]]]:
        """Yields what is found, ascending. `scan`: of the events that are wanted too."""
        if not self._cases:
            query = evolve(query, types=query.types.difference(CASES))
        self._place = DerivedPlace(part.first - 1, MOST_N)
        waiting: list[dict[str, Any]] = []
        while part.last is None or self._place.seq <= part.last:
            page = self._worker.derived(self._place, query)
            self._place = page.reached
            waiting += [
                event for event, one in zip(shown(page), page.found, strict=True)
                if is_within(one, part)
            ]  # fmt: skip
            known = self._place
            if scan is not None:
                waiting += _read(scan, self._place.seq)
                known = min(known, DerivedPlace(scan.seq - 1, MOST_N))
            waiting.sort(key=place_of)
            number = bisect_right(waiting, known, key=place_of)
            yield waiting[:number]
            del waiting[:number]
            if page.more:
                continue
            if not self._follow or _is_over(part):
                break
            time.sleep(_FOLLOW_SECONDS)
        if scan is not None:
            waiting += _read(scan, None)
        yield sorted(waiting, key=place_of)

    def say_what_is_missing(self, part: LogPart) -> None:
        """Says up to where it is known what events show."""
        there = span(self._folder)
        end = there.last_seq if there else -1
        if self._place.seq < (end if part.last is None else min(end, part.last)):
            note(
                f"What events after {self._place.seq} show is not known: the follower of a running tracker "
                "finds it within some seconds"
            )


def _is_over(part: LogPart) -> bool:
    """Tells whether all that a part can have is in the book."""
    return part.to_us is not None and time.time_ns() // 1000 > part.to_us + _BOOKED_US


def _read(scan: Scan, upto: int | None) -> list[dict[str, Any]]:
    """Returns the next events up to a number, as far as readers get them; None = all."""
    found: list[dict[str, Any]] = []
    scan.over = False
    while not scan.over and (upto is None or scan.seq <= upto):
        scan.step(_AT_ONCE)
        found += scan.take()
    return found
