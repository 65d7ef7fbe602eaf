"""Implements `ports.Changes`: what changed of the live state since a position.

The first question begins the looks (`tracker/domain/changes.py`); until then they cost nothing. A
look takes a millisecond at a time, so that announces go on, and may find that something changed
before or after an event of that time: it then comes twice, but is never missed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import trio
from attrs import define, field

from tracker.domain.changes import Changes
from tracker.domain.swarms import MOST_DROPPED
from tracker.ports import Account, ChangesPage, TorrentSummary

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tracker.domain.state import State
    from tracker.ports import ChangesQuery
    from tracker.service.read_model import Source

    Look = Callable[[Any, int, int, int], None]

AT_ONCE = 50_000
"""Rows of a look between two pauses, which takes about a millisecond."""
_NOTED_AT_ONCE = 1000  # dropped torrents between two pauses
_GONE = 1 << 40
"""Numbers from here on are of torrents that were dropped, in the order in which that was seen."""

T = TypeVar("T")


@define(eq=False)
class LiveChanges:
    """Implements `ports.Changes` with the state that the tracker serves from."""

    _source: Source
    log_id: str
    _epoch: Callable[[], int]
    _accounts: Changes = field(factory=Changes)
    _torrents: Changes = field(factory=Changes)
    _gone: dict[bytes, tuple[int, int]] = field(factory=dict)  # event, as `Changes.at`; number
    _last: int = _GONE  # number of the newest of them
    _known_from: int = 0  # nothing is known of torrents that were dropped before this event
    _looking: trio.Lock = field(factory=trio.Lock)

    @property
    def epoch(self) -> int:
        return self._epoch()

    async def accounts(self, query: ChangesQuery) -> ChangesPage[Account] | None:
        state, seen = self._source.state, self._accounts
        seq, after = query.after or (0, 0)
        if query.since > state.seq:
            return None
        if query.after is None:
            async with self._looking:
                seq = state.seq
                await self._look(seen.accounts, state.accounts, len(state.accounts.uploaded))
        found = seen.after(query.since, after + 1, query.limit + 1)
        return _page([(number, _account(state, number)) for number in found], query, seq)

    async def torrents(self, query: ChangesQuery) -> ChangesPage[TorrentSummary] | None:
        state = self._source.state
        seq, after = query.after or (0, 0)
        if query.after is None:
            async with self._looking:
                seq = state.seq
                with trio.CancelScope(shield=True):  # else some would not be noted
                    await self._note_dropped(state)
                await self._look(self._torrents.torrents, state.swarms, len(state.swarms.completed))
        if 0 < query.since < self._known_from or query.since > state.seq:
            return None
        return _page(self._found(state, query, after), query, seq)

    async def _look(self, look: Look, columns: object, end: int) -> None:
        for first in range(0, end, AT_ONCE):
            look(columns, first, min(first + AT_ONCE, end), self._source.state.seq)
            await trio.lowlevel.checkpoint()

    async def _note_dropped(self, state: State) -> None:
        """Notes the torrents that were dropped since the look before, or begins anew with all that
        have a completed count.
        """
        swarms = state.swarms
        dropped, swarms.dropped = swarms.dropped, []
        most = MOST_DROPPED + len(swarms.retired)
        if dropped is None or len(dropped) >= MOST_DROPPED or len(self._gone) >= most:
            self._torrents, self._gone, self._known_from = Changes(), {}, state.seq
            dropped = [(0, info_hash) for info_hash in swarms.retired]
        for number, (torrent, info_hash) in enumerate(dropped, 1):
            self._torrents.forget(torrent)
            self._gone.pop(info_hash, None)  # so that they stand in the order of their numbers
            self._last += 1
            self._gone[info_hash] = state.seq, self._last
            if number % _NOTED_AT_ONCE == 0:
                await trio.lowlevel.checkpoint()

    def _found(
        self, state: State, query: ChangesQuery, after: int
    ) -> list[tuple[int, TorrentSummary]]:
        """Returns one torrent more than the page, where there is one."""
        swarms = state.swarms
        found: list[tuple[int, bytes]] = []
        most = query.limit + 1
        while after < _GONE and len(found) < most:
            numbers = self._torrents.after(query.since, after + 1, most - len(found))
            found += [(each, swarms.hash_of(each)) for each in numbers if swarms.in_use(each)]
            after = numbers[-1] if numbers else _GONE
        if len(found) < most:
            gone = (
                (number, info_hash) for info_hash, (seq, number) in self._gone.items()
                if number > after and seq > query.since
            )  # fmt: skip
            found += list(gone)[: most - len(found)]
        return [(number, TorrentSummary(each, *swarms.counts(each))) for number, each in found]


def _account(state: State, number: int) -> Account:
    totals = state.accounts.totals(number)
    first_us, last_us = (
        state.dates.of(each) if each else None for each in (totals.first_us, totals.last_us)
    )
    seen = {"first_us": first_us, "last_us": last_us}
    owner, merge = state.access.owner_of(number), state.access.merged.get(number)
    merged = {"merged_into": merge.into, "merged_us": merge.since_us} if merge else {}
    return Account(number, **{**totals._asdict(), **seen, **merged}, owner=owner)


def _page(found: Sequence[tuple[int, T]], query: ChangesQuery, seq: int) -> ChangesPage[T]:
    """Makes a page of what was found, one more than the page where there is one."""
    shown = found[: query.limit]
    following = (seq, shown[-1][0]) if len(found) > len(shown) else None
    return ChangesPage([each for _, each in shown], following, seq)
