"""A process that answers questions about moments of the log: `python -m tracker.history.past_worker LOG SECRETS OPTIONS`.

The tracker starts it (`past_reads.py`) and asks over its pipe (`helper.py`). It keeps the state of the moment asked for last, and no other;
it ends when its standard input does. `OPTIONS` is JSON: `usage_statistics`, and `reasons`, the names of refusals.
"""

from __future__ import annotations

import json
import sys
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from eventlog import LogError, LogPrunedError, first_seq
from tracker import ports
from tracker.domain.codec import CodecError
from tracker.domain.state import ReplayError
from tracker.service.read_model import Projection
from tracker.store import snapshots
from tracker.store.address_keys import Keyring
from tracker.store.moments import ForwardReplay
from tracker.workers.question_pipe import Failed, serve

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_LISTINGS = 32  # more than are ever open at once


class Question(NamedTuple):
    """A call of the read model. With a `listing` (a number never used before) the answer is its first items; without
    a `method` it is the next ones of that listing."""

    moment: ports.Moment
    method: str = ""
    arguments: tuple[Any, ...] = ()
    listing: int | None = None


class Worker:
    """Answers questions over a log. Blocking."""

    def __init__(
        self,
        log: Path,
        secrets: Path,
        *,
        usage_statistics: bool = True,
        reasons: Mapping[int, str] | None = None,
    ) -> None:
        self._log, self._secrets = log, secrets
        self._usage_statistics, self._reasons = usage_statistics, reasons or {}
        self._past: ForwardReplay | None = None
        self._days: list[int] = []  # whose keys there were when the state was made
        self._model: Projection | None = None
        self._moment: ports.Moment | None = None  # of the model
        self._seq = -1  # its last event
        self._settled = False  # nothing that is still to come can belong to the moment
        self._listings: dict[int, Iterator[Any]] = {}

    def answer(self, asked: Question) -> object:
        """A value, a list of items, or what there is instead: `Failed`, `ports.NoMomentError`."""
        try:
            if asked.method:
                found = getattr(self._at(asked.moment), asked.method)(*asked.arguments)
                if asked.listing is None:
                    return found
                self._open(asked.listing, found)
            return self._more(asked.listing)
        except ports.NoMomentError as error:
            return error
        except LogPrunedError:
            return ports.PrunedMomentError(first_seq(self._log))
        except (LogError, CodecError, ReplayError, OSError) as error:
            return Failed(str(error))

    def _open(self, listing: int, items: Iterator[Any]) -> None:
        self._listings[listing] = items
        while len(self._listings) > MAX_LISTINGS:
            del self._listings[next(iter(self._listings))]

    def _more(self, listing: int | None) -> object:
        items = self._listings.get(listing or 0)
        if items is None:
            return Failed("the listing was given up")
        found = list(islice((item for item in items if item is not None), ports.LISTED_AT_ONCE))
        if len(found) < ports.LISTED_AT_ONCE:
            self._listings.pop(listing or 0, None)
        return found

    def _at(self, moment: ports.Moment) -> Projection:
        """Raises `ports.NoMomentError`, `LogError`, `OSError`."""
        self._forget_if_stale()
        if self._model is None or moment != self._moment or not self._settled:
            self._model = self._go(moment)
        begin = first_seq(self._log)
        if self._seq < begin:
            raise ports.PrunedMomentError(begin)
        return self._model

    def _forget_if_stale(self) -> None:
        """What was shredded since must not be told from memory. A new day's key takes nothing away."""
        days = Keyring(self._secrets).days()
        if not set(self._days) <= set(days):
            self._forget()

    def _forget(self) -> None:
        self._past = self._model = self._moment = None
        self._seq = -1
        self._listings.clear()

    def _go(self, moment: ports.Moment) -> Projection:
        """Replay to a moment."""
        past = ForwardReplay(self._log, lambda _done, _total: None, Keyring(self._secrets))
        seq = past.resolve(moment)
        # At the log's end more events of the same microsecond may come.
        self._settled = moment.seq is not None or (
            past.span is not None and seq < past.span.last_seq
        )
        if self._model is not None and (moment, seq) == (self._moment, self._seq):
            return self._model
        if self._past is None or not self._is_ahead(seq):
            self._forget()  # there is memory for one state
            self._past = past
            self._days = Keyring(self._secrets).days()
        self._model = None
        self._listings.clear()
        try:
            state = self._past.at(ports.Moment(seq=seq))
        except BaseException:
            self._forget()
            raise
        now_us = state.time_us if moment.time_us is None else moment.time_us
        self._moment, self._seq = moment, seq
        return Projection(state, {}, self._usage_statistics, now_us, self._reasons)

    def _is_ahead(self, seq: int) -> bool:
        """Whether the state at hand is the nearest one to begin with, and the log was known that far when it was made."""
        span = self._past.span if self._past else None
        if (
            span is None
            or not self._seq <= seq <= span.last_seq
            or self._seq < first_seq(self._log)
        ):
            return False
        starts = [snapshots.seq_of(path) for path in snapshots.found(self._log)]
        return not any(self._seq < start <= seq for start in starts)


def main() -> None:
    log, secrets, text = sys.argv[1:]
    options = json.loads(text)
    reasons = {int(number): name for number, name in options["reasons"].items()}
    worker = Worker(
        Path(log), Path(secrets), usage_statistics=options["usage_statistics"], reasons=reasons
    )
    serve(worker.answer)


if __name__ == "__main__":
    main()
