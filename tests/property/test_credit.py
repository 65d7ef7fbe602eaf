"""Raw and credited totals are what the ledger's entries sum to, whatever happened."""

from __future__ import annotations

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.property.world import FIRST_SETTINGS, Step, World, batches, steps
from tests.support import HandTime, MemoryLog, steady
from tracker.domain.accounts import Totals
from tracker.domain.state import State
from tracker.ledger import Entry, Ledger


@settings(steady, max_examples=300)
@given(history=st.lists(st.one_of(batches, steps), max_size=60))
def test_the_ledger_sums_to_the_totals(history: list[Step]) -> None:
    """For each account: entry by entry, by torrent, and in all; the model agrees as well."""
    log = MemoryLog()
    world = World(log, State(), HandTime(), first_settings=evolve(FIRST_SETTINGS, private=True))
    world.start()
    for step in history:
        world.step(step)
    world.check()
    for account in range(1, world.model.key_refs + 1):
        totals = world.state.accounts.totals(account)
        ledger = Ledger(account)
        entries = list(ledger.entries(log.frames()))
        announces = [one for one in entries if isinstance(one, Entry)]
        assert (
            sum(one.delta_uploaded for one in announces),
            sum(one.delta_downloaded for one in announces),
            sum(one.credited_uploaded for one in entries),
            sum(one.credited_downloaded for one in entries),
        ) == totals[:4]
        assert ledger.account.totals == totals
        assert summed([sums.totals for sums in ledger.torrents.values()]) == totals


def summed(parts: list[Totals]) -> Totals:
    """Sums of all but the times: of those the first and the last."""
    columns = list(zip(*parts, strict=True)) or [(0,)] * len(Totals._fields)
    *sums, firsts, lasts = columns
    first = min((time for time in firsts if time), default=0)
    return Totals._make([*map(sum, sums), first, max(lasts)])
