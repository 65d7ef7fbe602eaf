"""The seeding time of intervals adds up to that of the accounts, in any history."""

from __future__ import annotations

from attrs import evolve
from hypothesis import strategies as st

from tests.property.world import FIRST_SETTINGS, Step, World, steps
from tests.support import HandTime, MemoryLog, few_or_many, try_examples
from tracker.domain.state import State
from tracker.history.seeding import gained


@few_or_many(30, 300)
def test_intervals_add_up(count: int) -> None:
    """However a history is cut, each moment of an account in a torrent is in one interval."""
    history = st.lists(steps, min_size=10, max_size=50)
    try_examples(count, adds_up, history=history, pieces=st.integers(1, 5))


def adds_up(history: list[Step], pieces: int) -> None:
    log = MemoryLog()
    world = World(log, State(), HandTime(), first_settings=evolve(FIRST_SETTINGS, private=True))
    world.start()
    for step in history:
        world.step(step)
    log.cut()
    frames, state = log.frames(), State()
    found: dict[int, int] = {}
    size = len(frames) // pieces + 1
    for at in range(0, len(frames), size):
        begin_us = state.time_us
        for name, time_us in gained(state, frames[at : at + size], begin_us, begin_us).items():
            account = int.from_bytes(name[:4], "little")
            found[account] = found.get(account, 0) + time_us
    for account in range(1, len(state.accounts.uploaded)):
        assert found.get(account, 0) == state.totals(account).seeding_us
