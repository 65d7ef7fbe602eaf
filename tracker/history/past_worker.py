"""Runs a process that answers questions about moments of the log.

    python -m tracker.history.past_worker LOG SECRETS OPTIONS

The tracker starts the process (`past.py`) and asks over a pipe (`workers/question_pipe.py`). The
process keeps only the state of the latest question's moment. `OPTIONS` is JSON with
`usage_statistics`.
"""

from __future__ import annotations

import json
import sys
import time
from functools import partial
from ipaddress import ip_address
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import evolve

from eventlog import LogError, first_seq
from tracker import ports
from tracker.history import handed, pseudonyms, seeding, stays
from tracker.history.explain import explain
from tracker.history.state_diff import differences
from tracker.history.state_summary import digest, picture, summary
from tracker.service.members import of_member
from tracker.service.read_model import Projection
from tracker.store import seeded_hours, snapshots
from tracker.store.address_keys import Keyring
from tracker.store.known_frames import KeptIndexes
from tracker.store.moments import ForwardReplay
from tracker.store.outages import Outages
from tracker.store.seeded_hours import HOUR_US, HourRows
from tracker.store.stay_files import StaysError
from tracker.workers.question_pipe import Failed, Worker, serve

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tracker.domain.state import State

WORK_SECONDS = 10.0
"""Longest work for a page of replies, in seconds. The next page does the rest."""
MAX_LISTINGS = 32
"""Largest number of listings to keep; more than are ever open."""


class PastWorker(Worker):
    """Answers calls of the read model at any moment.

    A listing gets a number that was never used before.
    """

    def __init__(
        self,
        log: Path,
        secrets: Path | None,
        *,
        usage_statistics: bool = True,
    ) -> None:
        self._keys = Keyring(secrets) if secrets else None
        super().__init__(log, self._keys)
        self._indexes = KeptIndexes(self._keys)
        self._usage_statistics = usage_statistics
        self._replay: ForwardReplay | None = None
        self._model: Projection | None = None
        self._moment: ports.Moment | None = None  # of the model
        self._outage: ports.Outage | None = None  # in which the moment lies
        self._outages: Outages | None = None  # of the log, as far as it was read
        # Events, history digest, and the number of the event after its place.
        self._history: tuple[int, bytes, int] | None = None
        # Two moments and a torrent, the changes, and the outages that the moments lie in.
        self._changes: tuple[object, list[dict[str, Any]], list[Any]] | None = None
        self._explained: tuple[int, dict[str, Any]] | None = None  # the latest one, by its event
        self._seq = -1  # the model's last event
        self._settled = False  # true = no later event of the log can belong to the moment
        self._listings: dict[int, Iterator[Any]] = {}
        self._seeding: tuple[int, HourRows] | None = None  # an hour, and its rows
        # The walk that a later page may go on with, and the query for that.
        self._walk: tuple[ports.HandedQuery, handed.Walk, Iterator[handed.Reply | None]] | None = (
            None
        )

    def one(self, moment: ports.Moment, method: str, arguments: tuple[Any, ...]) -> Any:
        """Calls a method of the read model at the moment, and returns its answer."""
        return getattr(self._at(moment), method)(*arguments)

    def first(
        self, listing: int, moment: ports.Moment, method: str, arguments: tuple[Any, ...]
    ) -> list[Any] | Failed:
        """Begins a listing with a method of the read model, and returns the first items."""
        self._listings[listing] = self.one(moment, method, arguments)
        while len(self._listings) > MAX_LISTINGS:
            del self._listings[next(iter(self._listings))]
        return self.more(listing)

    def more(self, listing: int) -> list[Any] | Failed:
        """Returns the next items of a listing. Fewer than `LISTED_AT_ONCE` are the last items."""
        items = self._listings.get(listing)
        if items is None:
            return Failed("the listing was given up")
        found = list(islice((item for item in items if item is not None), ports.LISTED_AT_ONCE))
        if len(found) < ports.LISTED_AT_ONCE:
            self._listings.pop(listing, None)
        return found

    def outage(self, moment: ports.Moment) -> ports.Outage | None:
        """Returns the time without events that the moment lies in, if it does."""
        if moment != self._moment:
            self._at(moment)
        return self._outage

    def outages(
        self, first: ports.Moment | None, last: ports.Moment | None, after: int, limit: int
    ) -> ports.OutagesPage:
        """Returns outages, in the order of the log. What was read is kept, because the next page
        goes on with it.
        """
        if self._outages is None or self._outages.first_seq != first_seq(self._log):
            self._outages = Outages(self._log, self._keys)
        replay = self._new_replay()
        after = after if first is None else max(after, replay.resolve(first))
        to = None if last is None else replay.resolve(last)
        log, ends = self._outages, time.monotonic() + WORK_SECONDS
        whole = not any(time.monotonic() >= ends for _ in log.read())
        found = log.within(after, to)
        if len(found) > limit:
            return ports.OutagesPage(found[:limit], found[limit - 1].to_seq)
        return ports.OutagesPage(found, None if whole else log.seq - 1)

    def explain(self, seq: int) -> dict[str, Any]:
        """Explains an announce. The explanation is kept, because who did not wait for it asks
        again.
        """
        if self._explained is None or self._explained[0] != seq or seq < first_seq(self._log):
            self._drop()
            log = self._new_replay()
            self._explained = seq, pseudonyms.named(explain(log, seq), self._needed())
        return self._explained[1]

    def swarm(
        self, moment: ports.Moment, info_hash: bytes, after: int, limit: int
    ) -> dict[str, Any]:
        """Returns the peers of a swarm whose last announces came after event `after`."""
        found = self._at(moment).members(info_hash, after, limit)
        return next(one for one in found if one is not None)

    def summary(self, moment: ports.Moment) -> dict[str, Any]:
        """Returns a state in numbers, with its digest and the history digest up to there. That is
        kept, because it takes as long as reading the log.
        """
        state, replay = self._replayed(moment)
        if self._history is None or self._history[0] != state.seq:
            self._history = state.seq, *replay.history()
        _, history, seq = self._history
        known = {"digest": digest(state), "history": history.hex(), "history_seq": seq}
        return {**summary(state), **known}

    def diff(
        self,
        moments: tuple[ports.Moment, ports.Moment],
        info_hash: bytes | None,
        after: int,
        limit: int,
    ) -> dict[str, Any]:
        """Returns what changed between two moments, beyond the first `after` changes. All are kept,
        because the next page goes on with them.
        """
        if self._changes is None or self._changes[0] != (moments, info_hash):
            self._drop()
            log = self._new_replay()
            forward = sorted(moments, key=log.resolve)
            pictures, outages = {}, {}
            for one in forward:
                pictures[one] = picture(log.at(one), info_hash)
                log.resolve(one)
                outages[one] = log.outage and log.outage.shown()
            show = partial(of_member, keys=self._keys)
            found = list(differences(pictures[moments[0]], pictures[moments[1]], show))
            self._changes = (moments, info_hash), found, [outages[each] for each in moments]
        _, found, told = self._changes
        end = after + limit
        return {
            "changes": found[after:end], "next": end if end < len(found) else None, "outages": told,
        }  # fmt: skip

    def handed(self, query: ports.HandedQuery, limit: int) -> ports.HandedPage:
        """Returns replies, in the order of the log. The walk is kept, because the next page goes on
        with it.
        """
        if self._walk is None or self._walk[0] != query:
            self._drop()
            log = self._new_replay()
            walk = handed.Walk(log, self._needed(), handed.question(query), query.part)
            self._walk = query, walk, walk.found()
        _, walk, replies = self._walk
        sought = None
        if query.address is not None:
            sought = pseudonyms.today(walk.log, ip_address(query.address).packed)
        self._walk = None  # a walk that fails cannot go on
        found: list[Any] = []
        ends = time.monotonic() + WORK_SECONDS
        for reply in replies:
            if reply is not None:
                found.append(pseudonyms.named(reply, self._needed()))
            if len(found) >= limit or time.monotonic() >= ends:
                following = walk.seq if reply is None else reply["seq"] + 1
                rest = evolve(query, part=evolve(query.part, first=following))
                self._walk = rest, walk, replies
                return ports.HandedPage(found, following, list(walk.unread), sought)
        return ports.HandedPage(found, None, list(walk.unread), sought)

    def stays(self, query: ports.StaysQuery, limit: int) -> ports.StaysPage | str:
        """Looks stays up in their index; returns why there is none."""
        log = self._new_replay()
        try:
            return stays.page(log, query, limit)
        except StaysError as error:
            return f"{error}; the follower writes it every ten seconds, and anew where stays/ is removed"

    def seeding(self, from_us: int, after: tuple[int, bytes], limit: int) -> list[ports.SeedingRow]:
        """Returns rows of an hour, which are kept, because the next page goes on with them."""
        if self._seeding is None or self._seeding[0] != from_us:
            rows = seeded_hours.read(self._log, from_us, self._keys)
            if rows is None:
                self._drop()
                log = self._new_replay()
                rows = seeding.between(log, from_us, from_us + HOUR_US)
            self._seeding = from_us, rows
        return self._seeding[1].after(*after, limit)

    def _new_replay(self) -> ForwardReplay:
        return ForwardReplay(self._log, lambda _done, _total: None, self._keys, self._indexes)

    def _needed(self) -> Keyring:
        """Returns the keys. Raises `LogError` without the secrets."""
        if self._keys is None:
            raise LogError(
                "which peers a reply listed follows from the secrets, which are not here"
            )
        return self._keys

    def _drop(self) -> None:
        """Drops what questions left behind, because the process has memory for only one state."""
        self._walk = self._outages = self._changes = self._seeding = self._explained = None
        self._replay = self._model = self._moment = None
        self._seq = -1
        self._listings.clear()

    def forget(self) -> None:
        self._indexes.clear()
        self._drop()

    def _replayed(self, moment: ports.Moment) -> tuple[State, ForwardReplay]:
        """Returns the state at a moment, and its replay. Raises what `_at` does."""
        self._at(moment)
        assert self._replay is not None  # noqa: S101  # for mypy: it made the model
        return self._replay.at(ports.Moment(seq=self._seq)), self._replay

    def _at(self, moment: ports.Moment) -> Projection:
        """Returns the model of a moment. Raises `ports.NoMomentError`, `LogError`, `OSError`."""
        if self._model is None or moment != self._moment or not self._settled:
            self._model = self._go(moment)
        begin = first_seq(self._log)
        if self._seq < begin:
            raise ports.PrunedMomentError(begin)
        return self._model

    def _go(self, moment: ports.Moment) -> Projection:
        """Replays to a moment."""
        replay = self._new_replay()
        seq = replay.resolve(moment)
        outage = replay.outage  # now, because the replay to `seq` resolves that anew
        # At the end of the log more events of the same microsecond may follow.
        self._settled = moment.seq is not None or (
            replay.span is not None and seq < replay.span.last_seq
        )
        if self._model is not None and (moment, seq) == (self._moment, self._seq):
            return self._model
        if self._replay is None or not self._is_ahead(seq):
            self._drop()
            self._replay = replay
        self._listings.clear()
        state = self._replay.at(ports.Moment(seq=seq))
        self._moment, self._seq, self._outage = moment, seq, outage
        return Projection(state, {}, self._usage_statistics, moment.time_us, keys=self._keys)

    def _is_ahead(self, seq: int) -> bool:
        """Tells whether the state can be replayed on to `seq`, and no snapshot is nearer."""
        span = self._replay.span if self._replay else None
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
    given = None if secrets == "-" else Path(secrets)
    serve(PastWorker(Path(log), given, usage_statistics=options["usage_statistics"]))


if __name__ == "__main__":
    main()
