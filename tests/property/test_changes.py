"""A site that asks only for what changed has the totals of the state, in any history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import trio
import trio.testing
from attrs import define, evolve, field
from hypothesis import strategies as st

from tests.property.world import FIRST_SETTINGS, HASHES, Step, World, steps
from tests.support import HandTime, MemoryLog, few_or_many, try_examples
from tracker.domain.state import State
from tracker.ports import ChangesQuery
from tracker.service import changes
from tracker.service.changes import LiveChanges

if TYPE_CHECKING:
    import pytest

asks = st.tuples(st.just("ask"), st.integers(0, 3))


@define
class Table:
    """A table of a site, and where it goes on reading."""

    ask: Any
    name: str
    rows: dict[Any, Any] = field(factory=dict)
    query: ChangesQuery = field(factory=lambda: ChangesQuery(since=0, limit=2))
    lock: trio.Lock = field(factory=trio.Lock)

    async def read_page(self) -> bool:
        """Reads a page; returns whether it was the last one."""
        async with self.lock:
            page = await self.ask(self.query)
            assert len(page.items) <= 2
            self.rows |= {getattr(each, self.name): each for each in page.items}
            last = page.following is None
            since = page.seq if last else self.query.since
            self.query = evolve(self.query, since=since, after=page.following)
            return last


@few_or_many(40, 400)
def test_what_changed(count: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages, looks and questions of two sites come at any time, and each has everything."""
    monkeypatch.setattr(changes, "AT_ONCE", 2)
    monkeypatch.setattr(changes, "_NOTED_AT_ONCE", 1)
    history = st.lists(st.one_of(steps, steps, asks), min_size=10, max_size=50)
    try_examples(count, lives, history=history, private=st.booleans())


def lives(history: list[Step], private: bool) -> None:
    trio.run(live, history, private)


async def live(history: list[Step], private: bool) -> None:
    first = evolve(FIRST_SETTINGS, private=private, remove_peerless_torrents=True)
    world = World(MemoryLog(), State(), HandTime(), first_settings=first)
    world.start()
    told = LiveChanges(world.service, "ab" * 16, lambda: 1)
    tables = [Table(told.accounts, "account"), Table(told.torrents, "info_hash")]
    tables += [Table(told.accounts, "account"), Table(told.torrents, "info_hash")]
    async with trio.open_nursery() as nursery:
        for number, step in enumerate(history):
            if step[0] == "ask":
                nursery.start_soon(tables[step[1]].read_page)
                if number % 3:  # else the next step comes in the middle of a look
                    await trio.testing.wait_all_tasks_blocked()
            else:
                world.step(step)
                await trio.lowlevel.checkpoint()
    for table in tables * 2:  # the first time it may end what it had begun
        while not await table.read_page():
            pass
    for accounts, torrents in (tables[:2], tables[2:]):
        for number in range(1, len(world.state.accounts.uploaded)):
            totals = world.state.accounts.totals(number)
            row = accounts.rows[number]
            assert [getattr(row, name) for name in AMOUNTS] == [
                getattr(totals, name) for name in AMOUNTS
            ]
        for info_hash in HASHES:
            counts = world.state.swarms.counts(info_hash)
            found = torrents.rows.get(info_hash)
            assert (found is None and not any(counts)) or (
                (found.seeders, found.completed, found.leechers) == counts
            )


AMOUNTS = (
    "uploaded", "downloaded", "credited_uploaded", "credited_downloaded", "seeding_us", "partial_us",
    "sessions", "snatched",
)  # fmt: skip
