"""A pruned log still gives the live state, at any moment and after any history."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import pytest
import trio
from attrs import evolve
from hypothesis import strategies as st

import eventlog.log
from eventlog import EventLog, Reader, first_seq, open_log, read_kept_frames
from tests.independent_reader import check_rules
from tests.independent_reader.count_credit import count, moved
from tests.property.test_credit_2 import histories
from tests.property.test_hidden import long_steps
from tests.property.world import FIRST_SETTINGS, HASHES, Step, World
from tests.support import (
    HandTime,
    events_in,
    few_or_many,
    ledger_of,
    own_keys,
    try_examples,
    undated,
)
from tests.tracker.pruned import prune
from tracker.domain.events import codec
from tracker.domain.events.admin import ADMIN_EVENTS
from tracker.domain.state import State
from tracker.ledger.account import Ledger
from tracker.ledger.pages import SumsPages
from tracker.ledger.torrent import Contributions
from tracker.ledger.walk import Decryption
from tracker.offline.verify import Verification
from tracker.ports import LedgerOpening
from tracker.store.moments import split
from tracker.store.opening_balance import begin
from tracker.store.replay import replay

if TYPE_CHECKING:
    from eventlog import Frame
    from tracker.domain.accounts import Totals
    from tracker.domain.settings import Settings

pruned_steps = st.one_of(long_steps, long_steps, long_steps, st.tuples(st.just("prune"), st.none()))


def ledger_totals(folder: Path, account: int) -> Totals:
    """Returns an account's totals in the ledger of a log, from its opening entry on."""
    reader = Reader(folder)

    def opened(ledger: Ledger) -> None:
        if reader.first_seq:
            kept = read_kept_frames(folder, reader.first_seq)
            found = list(ledger.opening(kept, begin(folder, reader.first_seq, None)[0]))
            assert isinstance(found[-1], LedgerOpening)

    return ledger_of(account, [*reader.frames()], opened)[0].whole().totals


def same_but_for_addresses(world: World, rebuilt: State) -> None:
    """Compares a state with the live one. The opening of a log has no addresses of its peers."""
    assert rebuilt.digest(addresses=False) == world.state.digest(addresses=False)


def administrators(folder: Path) -> dict[int, object]:
    """Returns by seq what administrators did and can be read."""
    seen = events_in(read_kept_frames(folder, first_seq(folder))) + events_in(
        Reader(folder).frames()
    )
    names = {one.name for one in ADMIN_EVENTS.values() if one.administered}
    return {each["seq"]: each for each in seen if each["type"] in names}


def check(folder: Path, world: World, admin: dict[int, object]) -> None:
    """Checks every reader of a log."""
    same_but_for_addresses(world, replay(Reader(folder)))
    for account in range(1, world.model.key_refs + 1):
        assert undated(ledger_totals(folder, account)) == undated(world.state.totals(account))
    assert administrators(folder) == admin
    verification = Verification(folder, own_keys(folder))
    assert list(verification.findings(lambda _done, _total: None)) == []
    same_but_for_addresses(world, verification.state)


OF: list[int | bytes] = [*range(1, 9), *HASHES]


class Books:
    """The rows of accounts and torrents over every event that the log ever had."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.seq = 0  # the next event to take
        self.frames: list[Frame] = []  # so far
        self.listeners = [
            Ledger(of, reread=self.reread) if isinstance(of, int) else Contributions(of)
            for of in OF
        ]

    def reread(self, ledger: Ledger, end: int) -> None:
        list(
            ledger.entries(
                split(one, end)[0] or one for one in self.frames if one.header.base_seq < end
            )
        )

    def take(self) -> None:
        """Takes the events that are new, before they are removed."""
        every = Reader(self.folder, to_end=True).frames()
        frames = [one for one in every if one.header.base_seq >= self.seq]
        self.seq = frames[-1].header.next_seq if frames else self.seq
        self.frames += frames
        for listener in self.listeners:
            list(listener.entries(frames))

    def check(self) -> None:
        """Compares them with what is left of the log and the book of what was removed."""
        self.take()
        for of, listener in zip(OF, self.listeners, strict=True):
            walk = SumsPages(self.folder, of, Decryption(self.folder, None))
            assert walk.rows(None)[0] == listener.rows()


def counted_alike(told: list[dict[str, Any]], world: World) -> None:
    """Compares the totals with what rules 2 say of all events that there ever were."""
    check_rules.check(told)
    rows, moves = count(told), moved(told)
    for account in range(1, world.model.key_refs + 1):
        own = [row for (whose, _), row in rows.items() if whose == account]
        own.append(moves[account])
        totals = world.state.totals(account)
        assert [totals.uploaded, totals.downloaded, totals.seeding_us, totals.partial_us] == [
            sum(row[at] for row in own) for at in (0, 1, 4, 5)
        ]


async def live_through(
    log: EventLog,
    world: World,
    history: list[Step],
    told: dict[int, dict[str, Any]],
    books: Books,
) -> dict[int, object]:
    """Runs the history with prunings; returns by seq what administrators did, and adds to `told`
    all events."""
    admin: dict[int, object] = {}
    async with trio.open_nursery() as nursery:
        await nursery.start(log.run)
        world.start()
        for name, argument in [*history, ("prune", None)]:
            if name == "prune":
                await log.wait_durable(log.next_seq - 1)
                admin |= administrators(log.path)
                books.take()
                told |= {
                    one["seq"]: one for one in events_in(Reader(log.path, to_end=True).frames())
                }
                await prune(world.service, log)
                same_but_for_addresses(world, replay(Reader(log.path, to_end=True)))
            else:
                world.step((name, argument))
            await log.wait_durable(log.next_seq - 1)
        if world.state.settings.accounting == 1:  # the model knows no others
            world.check()
        nursery.cancel_scope.cancel()
    return admin


@pytest.mark.parametrize(
    ("private", "rules"), [(False, 1), (True, 1), (True, 2)], ids=["public", "private", "rules-2"]
)
@few_or_many(6, 60)
def test_pruned_at_any_moment(count: int, private: bool, rules: int) -> None:
    """A log pruned now and then is whole; replay, ledger and admin events lose nothing.

    The log has tiny segments on disk, and each pruning goes as far as it can.
    """
    first = evolve(FIRST_SETTINGS, private=private, accounting=rules)
    history = st.lists(pruned_steps, max_size=60)
    if rules == 2:
        parts = st.lists(st.tuples(histories, st.booleans()), min_size=1, max_size=2)
        history = parts.map(
            lambda found: [
                step for part, prune in found for step in (*part, *[("prune", None)] * prune)
            ]
        )
    try_examples(count, pruned, history=history, first=st.just(first))


def pruned(history: list[Step], first: Settings) -> None:
    told: dict[int, dict[str, Any]] = {}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        log = open_log(
            folder, codec.RECORD_SIZES, own_keys(folder).tags, segment_bytes=500, linger_seconds=0
        )
        world = World(log, State(), HandTime(), first_settings=first)
        with patch.object(eventlog.log, "WATERMARK_SECONDS", 0.001):
            books = Books(folder)
            admin = trio.run(live_through, log, world, history, told, books)
        books.check()
        check(folder, world, admin | administrators(folder))
        if first.accounting == 2:
            told |= {one["seq"]: one for one in events_in(Reader(folder).frames())}
            counted_alike([told[seq] for seq in sorted(told)], world)
