"""After any history, raw and credited totals are the sums of the ledger's entries."""

from __future__ import annotations

from attrs import evolve
from hypothesis import strategies as st

from tests.property.world import FIRST_SETTINGS, HASHES, KEYS, Step, World, factors, steps
from tests.support import (
    Announce,
    HandTime,
    MemoryLog,
    endpoint4,
    few_or_many,
    ledger_of,
    try_examples,
)
from tracker.domain.accounts import Totals
from tracker.domain.state import State
from tracker.ledger.sums import dated
from tracker.ports import LedgerAnnounce, LedgerMove

# Two members that stay in two torrents, and move data in most announces.
moving = st.builds(
    lambda who, info_hash, moved: Announce(
        info_hash,
        endpoint4(who),
        b"-XX0001-%012d" % who,
        uploaded=moved,
        downloaded=moved // 3,
        key=KEYS[who],
    ),
    st.integers(0, 1),
    st.sampled_from(HASHES[:2]),
    st.one_of(st.integers(0, 1000), st.sampled_from([2**62, 2**63 - 1])),
)
credit_steps = st.one_of(
    st.tuples(st.just("announce"), st.lists(moving, min_size=1, max_size=4)),
    st.tuples(st.just("factor"), factors),
    st.tuples(st.just("tick"), st.integers(0, 3)),
    steps,
)


@few_or_many(25, 120)
def test_the_ledger_sums_to_the_totals(count: int) -> None:
    """Each account's entries, sums by torrent and totals agree with each other and the model."""
    try_examples(count, sums_agree, history=st.lists(credit_steps, min_size=15, max_size=60))


def sums_agree(history: list[Step]) -> None:
    log = MemoryLog()
    world = World(log, State(), HandTime(), first_settings=evolve(FIRST_SETTINGS, private=True))
    world.start()
    for step in history:
        world.step(step)
        world.check_totals()
    for account in range(1, world.model.key_refs + 1):
        totals = dated(world.state.accounts.totals(account), world.state.dates)
        ledger, entries = ledger_of(account, log.frames())
        announces = [one for one in entries if isinstance(one, LedgerAnnounce)]
        moves = [one for one in entries if isinstance(one, LedgerMove)]
        assert (
            sum(one.delta_uploaded for one in announces) + sum(one.uploaded for one in moves),
            sum(one.delta_downloaded for one in announces) + sum(one.downloaded for one in moves),
            sum(one.credited_uploaded for one in entries),
            sum(one.credited_downloaded for one in entries),
        ) == totals[:4]
        of_account = ledger.account.totals
        parts = summed([sums.totals for sums in ledger.torrents.values()])
        if world.state.dates.changes:  # then the earliest date need not be the first
            parts, of_account, totals = (
                each._replace(first_us=0, last_us=0) for each in (parts, of_account, totals)
            )
        assert of_account == parts == totals


def summed(parts: list[Totals]) -> Totals:
    """Returns the sums of all columns; of the times, the first and the last."""
    columns = list(zip(*parts, strict=True)) or [(0,)] * len(Totals._fields)
    *sums, firsts, lasts, partial = columns
    first = min((time for time in firsts if time), default=0)
    return Totals._make([*map(sum, sums), first, max(lasts), sum(partial)])
