"""A process that reads ledgers out of the log: `python -m tracker.ledger.worker LOG SECRETS`, `-` where there are no keys.

The tracker starts it (`ledger_reads.py`) and asks over its pipe (`helper.py`). A ledger is a walk over the log; the process
keeps the last few walks, so that the next page, or the same sums some time later, cost what lies between and no more.
"""

from __future__ import annotations

import json
import sys
import time
from collections import deque
from pathlib import Path
from typing import TYPE_CHECKING, Any

from eventlog import LogError, LogPrunedError
from tracker import ports
from tracker.domain.codec import CodecError
from tracker.domain.state import ReplayError
from tracker.ledger.account import Ledger, Opening
from tracker.ledger.pages import EntriesAsked, SumsAsked, entry_shown, sums_shown
from tracker.ledger.torrent import Contributions
from tracker.ledger.walk import Walk, decryptor
from tracker.store.address_keys import Keyring
from tracker.store.moments import Past
from tracker.workers.question_pipe import Failed, serve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from eventlog import Frame
    from tracker.ledger.account import Correction, Entry, Sums

MAX_WALKS = 4
PAGE_SECONDS = 2.0  # of work for what comes after a page's beginning; what is left is for the next


class Worker:
    """Answers questions over a log. Blocking."""

    def __init__(self, log: Path, secrets: Path | None) -> None:
        self._log = log
        self._keys = Keyring(secrets) if secrets else None
        self._days: list[int] = []  # whose keys there were when the oldest walk began
        self._walks: dict[object, _Pages | _Rows] = {}  # the one used last is the last

    def answer(self, asked: EntriesAsked | SumsAsked) -> object:
        """JSON text; or what there is instead: `Failed`, `ports.NoMomentError`."""
        try:
            self._forget_if_stale()
            try:
                found = self._found(asked)
            except LogPrunedError:
                self._walks.clear()
                found = self._found(asked)
        except ports.NoMomentError as error:
            return error
        except (LogError, CodecError, ReplayError, OSError) as error:
            self._walks.clear()
            return Failed(str(error))
        return json.dumps(found, separators=(",", ":"), ensure_ascii=False)

    def _forget_if_stale(self) -> None:
        """What was shredded since must not be told from memory. A new day's key takes nothing away."""
        days = self._keys.days() if self._keys else []
        if not set(self._days) <= set(days):
            self._walks.clear()
            self._keys = Keyring(self._keys.secrets) if self._keys else None
        if not self._walks:
            self._days = days

    def _found(self, asked: EntriesAsked | SumsAsked) -> dict[str, object]:
        end = None if asked.moment is None else self._resolve(asked.moment) + 1
        decrypt = decryptor(self._log, self._keys)
        if isinstance(asked, SumsAsked):
            name: object = asked.of
            rows = self._walks.pop(name, None)
            if not isinstance(rows, _Rows) or not rows.fits(end):
                rows = _Rows(self._log, asked.of, decrypt)
            self._keep(name, rows)
            return rows.page(asked.after, asked.limit, end)
        name = asked.account, asked.info_hash, end
        pages = self._walks.pop(name, None)
        if not isinstance(pages, _Pages) or not pages.fits(asked.after):
            pages = _Pages(self._log, asked, end, decrypt)
        self._keep(name, pages)
        return pages.page(asked.after, asked.limit)

    def _keep(self, name: object, walk: _Pages | _Rows) -> None:
        self._walks[name] = walk
        while len(self._walks) > MAX_WALKS:
            del self._walks[next(iter(self._walks))]

    def _resolve(self, moment: ports.Moment) -> int:
        """The last event that had happened by then. Raises `ports.NoMomentError`."""
        return Past(self._log, lambda _done, _total: None).resolve(moment)


class _Pages:
    """A ledger told page by page. The latest page stays at hand, should it be asked for again."""

    def __init__(
        self, log: Path, asked: EntriesAsked, end: int | None, decrypt: Callable[[Frame], Frame]
    ) -> None:
        self._ledger = Ledger(asked.account, asked.info_hash, decrypt)
        self._only = asked.info_hash
        self._end = end
        self._walk = Walk(log, decrypt)
        self._walk.hurried = self._hurried
        self._told: Iterator[Opening | Correction | Entry] | None = None
        self._held: deque[dict[str, Any]] = deque()
        self._let_go = -1  # entries up to this one are not held any more
        self._after = -1
        self._passed = 0.0  # when the walk came beyond that
        if self._only is not None and 0 <= asked.after < self._walk.first_seq:
            raise ports.PrunedMomentError(self._walk.first_seq)

    def fits(self, after: int) -> bool:
        return after >= self._let_go

    def page(self, after: int, limit: int) -> dict[str, object]:
        """`entries`, `next` (the `after` of the next page, None = that was all) and then `totals`.

        Raises `ports.PrunedMomentError` when entries behind `after` were removed: they are in the balance that the ledger
        now begins with, together with what was told before.
        """
        while self._held and self._held[0]["seq"] <= after:
            self._let_go = self._held.popleft()["seq"]
        self._after, self._passed = after, 0.0
        while len(self._held) <= limit:
            entry = self._next()
            if entry is None:
                break
            if entry.seq <= after:
                self._let_go = entry.seq
                continue
            if isinstance(entry, Opening) and 0 <= after != self._let_go:
                raise ports.PrunedMomentError(entry.seq)
            self._held.append(entry_shown(entry))
        return self._page(limit)

    def _page(self, limit: int) -> dict[str, object]:
        told = list(self._held)[:limit]
        if len(self._held) > limit:
            # The balance and the first event after it have one seq: no cursor comes between them.
            if self._held[limit]["seq"] == told[-1]["seq"]:
                told.append(self._held[limit])
            return {"entries": told, "next": told[-1]["seq"], "totals": None}
        if self._walk.paused:
            return {"entries": told, "next": self._walk.seq - 1, "totals": None}
        ledger, only = self._ledger, self._only
        sums = ledger.account if only is None else ledger.of_torrent(only)
        return {"entries": told, "next": None, "totals": sums_shown(sums)}

    def _next(self) -> Opening | Correction | Entry | None:
        """None at the end, and when it is enough for now."""
        if self._told is None:
            self._told = self._walk.tell(self._ledger, self._end)
        entry = next(self._told, None)
        if entry is None:
            self._told = None
        return entry

    def _hurried(self) -> bool:
        if self._walk.seq <= self._after + 1:
            return False
        now = time.perf_counter()
        self._passed = self._passed or now
        return now - self._passed > PAGE_SECONDS


class _Rows:
    """The sums of an account by torrent, or of a torrent by account."""

    def __init__(self, log: Path, of: int | bytes, decrypt: Callable[[Frame], Frame]) -> None:
        self._book = Contributions(of) if isinstance(of, bytes) else Ledger(of)
        self._walk = Walk(log, decrypt)

    def fits(self, end: int | None) -> bool:
        return end is None or self._walk.seq <= end

    def page(self, after: int | bytes | None, limit: int, end: int | None) -> dict[str, object]:
        """`totals` (rows), `next` (the `after` of the next page), and of which events: from `first_seq` to `seq`."""
        for _ in self._walk.tell(self._book, end):
            pass
        rows = [row for row in self._rows() if _beyond(row[0], after)]
        # No cursor comes after the row without a name: it is told beside the first one that has one.
        limit += bool(rows) and rows[0][0] is None
        told = rows[:limit]
        following = told[-1][0] if len(rows) > limit else None
        return {
            "totals": [{self._name: _shown(name), **sums_shown(sums)} for name, sums in told],
            "next": _shown(following),
            "first_seq": self._walk.first_seq,
            "seq": self._walk.seq - 1,
        }

    @property
    def _name(self) -> str:
        return "account" if isinstance(self._book, Contributions) else "info_hash"

    def _rows(self) -> list[tuple[int | bytes | None, Sums]]:
        """Ascending; what belongs to no torrent comes first."""
        if isinstance(self._book, Contributions):
            return list(self._book.sums().items())
        return sorted(self._book.torrents.items(), key=lambda row: row[0] or b"")


def _beyond(name: Any, after: Any) -> bool:
    return after is None or (name is not None and bool(name > after))


def _shown(name: int | bytes | None) -> int | str | None:
    return name.hex() if isinstance(name, bytes) else name


def main() -> None:
    log, secrets = sys.argv[1:]
    serve(Worker(Path(log), None if secrets == "-" else Path(secrets)).answer)


if __name__ == "__main__":
    main()
