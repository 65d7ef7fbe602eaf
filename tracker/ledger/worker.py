"""Runs a process that reads ledgers from the log.

    python -m tracker.ledger.worker LOG SECRETS        (SECRETS is `-` if there are no keys)

The tracker starts the process (`client.py`) and asks over a pipe (`workers/question_pipe.py`). A
ledger is a walk over the log. The process keeps the last few walks, so that the next page, or the
same sums later, reads only the events in between.
"""

from __future__ import annotations

import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from attrs import evolve

from eventlog import read_identity
from tracker.domain.derived import CASES
from tracker.ledger import rows
from tracker.ledger.cases import CaseList, detectors
from tracker.ledger.derived import Derivations
from tracker.ledger.judged import Judgements
from tracker.ledger.pages import EntryPages, SumsPages
from tracker.ledger.seeded import SeededTorrents
from tracker.ledger.walk import Decryption
from tracker.ports import (
    BookPage,
    CasesPage,
    DerivedPage,
    JudgedPage,
    SeededPage,
    SeriesPage,
    TransitionsPage,
)
from tracker.store import book_files
from tracker.store.address_keys import Keyring
from tracker.store.book import Book, open_newest
from tracker.store.case_files import CasesError
from tracker.store.known_frames import KeptIndexes
from tracker.store.moments import ForwardReplay
from tracker.workers.question_pipe import Worker, serve

if TYPE_CHECKING:
    from tracker.ports import (
        BookQuery,
        CasesQuery,
        CaseTold,
        DerivedPlace,
        DerivedQuery,
        Detector,
        EntriesPage,
        JudgedQuery,
        ListQuery,
        Moment,
        Outage,
        RuleInForce,
        SumsPage,
        Transition,
        TransitionPlace,
    )

MAX_WALKS = 4  # the most walks to keep

Pages = TypeVar("Pages", EntryPages, SumsPages)


class LedgerWorker(Worker):
    """Answers the questions of `client.LogLedgers`: each has the name of a method."""

    def __init__(self, log: Path, secrets: Path | None) -> None:
        self._keys = Keyring(secrets) if secrets else None
        super().__init__(log, self._keys)
        self._indexes = KeptIndexes(self._keys)
        self._walks: dict[object, EntryPages | SumsPages] = {}  # the one used last is the last
        self._newest: list[Path] = []  # the list of the book that was opened last
        self._judged: Judgements | None = None  # what that book says
        self._seeded: SeededTorrents | None = None  # likewise
        self._book: Book | None = None  # that book
        self._case_list: CaseList | None = None  # as it was read last

    def entries(
        self,
        account: int,
        info_hash: bytes | None,
        moment: Moment | None,
        after: int,
        limit: int,
    ) -> EntriesPage:
        end, outage = self._end(moment)
        name = account, info_hash, end
        pages = self._walks.pop(name, None)
        if not isinstance(pages, EntryPages) or not pages.fits(after):
            decrypt = Decryption(self._log, self._keys)
            pages = EntryPages(self._log, account, info_hash, end, after, decrypt, self._indexes)
        return evolve(self._keep(name, pages).page(after, limit), outage=outage)

    def account_totals(
        self, account: int, moment: Moment | None, after: bytes | None, limit: int
    ) -> SumsPage:
        return self._sums(account, moment, after, limit)

    def torrent_totals(
        self, info_hash: bytes, moment: Moment | None, after: int | None, limit: int
    ) -> SumsPage:
        return self._sums(info_hash, moment, after, limit)

    def _sums(
        self, of: int | bytes, moment: Moment | None, after: int | bytes | None, limit: int
    ) -> SumsPage:
        end, outage = self._end(moment)
        return evolve(self._walked(of, end).page(after, limit, end), outage=outage)

    def _walked(self, of: int | bytes, end: int | None) -> SumsPages:
        pages = self._walks.pop(of, None)
        if not isinstance(pages, SumsPages) or not pages.fits(end):
            pages = SumsPages(self._log, of, Decryption(self._log, self._keys), self._indexes)
        return self._keep(of, pages)

    def account_rows(
        self, account: int, moment: Moment | None, query: BookQuery, newest: bool
    ) -> BookPage:
        return self._rows(account, moment, query, newest=newest)

    def torrent_rows(
        self, info_hash: bytes, moment: Moment | None, query: BookQuery, newest: bool
    ) -> BookPage:
        return self._rows(info_hash, moment, query, newest=newest)

    def _rows(
        self, of: int | bytes, moment: Moment | None, query: BookQuery, *, newest: bool
    ) -> BookPage:
        """Makes a page of the `newest` book. Else, and where there is no book yet, it reads the
        log, with the book of what was removed from it.
        """
        end, outage = self._end(moment)
        book = open_newest(self._log, self._keys) if newest else None
        if book is not None:
            found = rows.stored(book, of, query)
            return BookPage(*rows.page(found, of, query), book.since, book.upto - 1)
        walked, since, seq = self._walked(of, end).rows(end)
        return BookPage(*rows.page(walked, of, query), since, seq, outage)

    def hit_and_run_rules(self) -> list[RuleInForce]:
        found = self._judgements()
        return found.rules() if found else []

    def judged(self, query: JudgedQuery, moment: Moment | None) -> JudgedPage:
        end, outage = self._end(moment)
        found = self._judgements()
        return evolve(found.page(query, end), outage=outage) if found else JudgedPage([], None, -1)

    def judged_history(self, account: int, info_hash: bytes) -> list[Transition]:
        found = self._judgements()
        return found.history(account, info_hash) if found else []

    def transitions(self, after: TransitionPlace | None, limit: int) -> TransitionsPage:
        found = self._judgements()
        if found is None:
            return TransitionsPage([], False, None, read_identity(self._log).hex(), -1)
        return found.transitions(after, limit)

    def derived(self, after: DerivedPlace, query: DerivedQuery) -> DerivedPage:
        self._judgements()
        wants_cases = not query.types.isdisjoint(CASES)
        log_id = read_identity(self._log).hex()
        found = Derivations(log_id, self._book, self._cases() if wants_cases else None)
        return found.page(after, query)

    def seeded(self, query: ListQuery) -> SeededPage:
        self._judgements()
        return self._seeded.page(query) if self._seeded else SeededPage([], None, -1, -1)

    def series(self, whose: int | bytes, first: int, last: int, limit: int) -> SeriesPage:
        book = open_newest(self._log, self._keys)
        if book is None or book.series is None:
            return SeriesPage([], None, -1, book.upto - 1 if book else -1)
        days = list(islice(book.series.of(whose, first, last), limit + 1))
        following = days[limit - 1].day if len(days) > limit else None
        return SeriesPage(days[:limit], following, book.series.begun, book.upto - 1)

    def _judgements(self) -> Judgements | None:
        """Opens the newest book, unless it is still the one that was opened last."""
        newest = book_files.found(self._log)[-1:]
        if newest != self._newest or not newest:
            book = open_newest(self._log, self._keys)
            self._newest, self._judged = newest, Judgements(book) if book else None
            self._seeded = SeededTorrents(book) if book else None
            self._book = book
        return self._judged

    def cases(self, query: CasesQuery) -> CasesPage:
        found = self._cases()
        return found.page(query) if found else CasesPage([], None, -1)

    def case(self, account: int, detector: str) -> CaseTold | None:
        found = self._cases()
        return found.told(account, detector) if found else None

    def detectors(self) -> list[Detector]:
        return detectors(self._cases())

    def _cases(self) -> CaseList | None:
        """Reads the cases, unless they are still those that were read last."""
        try:
            if self._case_list is None:
                self._case_list = CaseList(self._log)
            else:
                self._case_list.go_on()
        except CasesError:
            self._case_list = None  # the follower makes them anew
        return self._case_list

    def _keep(self, name: object, pages: Pages) -> Pages:
        self._walks[name] = pages
        while len(self._walks) > MAX_WALKS:
            del self._walks[next(iter(self._walks))]
        return pages

    def forget(self) -> None:
        self._indexes.clear()
        self._walks.clear()
        self._newest, self._judged, self._seeded, self._book = [], None, None, None

    def _end(self, moment: Moment | None) -> tuple[int | None, Outage | None]:
        """Returns the number of the first event after the moment (None = the end of the log), and
        the outage in which the moment lies.

        Raises `NoMomentError`.
        """
        if moment is None:
            return None, None
        log = ForwardReplay(self._log, lambda _done, _total: None, self._keys, self._indexes)
        return log.resolve(moment) + 1, log.outage


def main() -> None:
    log, secrets = sys.argv[1:]
    serve(LedgerWorker(Path(log), None if secrets == "-" else Path(secrets)))


if __name__ == "__main__":
    main()
