"""Tests that turns are given to all who wait, whoever gives up or is closed meanwhile."""

from __future__ import annotations

from typing import Any

import trio
import trio.testing
from attrs import define
from hypothesis import given
from hypothesis import strategies as st

from tracker.turns import Turns


@define(eq=False)
class _Connection:
    """Stands for a socket: it has a descriptor until it is closed."""

    number: int = 7

    def fileno(self) -> int:
        return self.number


LEAVING = st.none() | st.tuples(st.sampled_from(("cancelled", "closed")), st.integers(0, 6))
"""How one that waits leaves, and in which pass of the loop; None = it stays."""


@given(most=st.integers(1, 3), leaving=st.lists(LEAVING, min_size=1, max_size=12))
def test_all_who_stay_get_a_turn(most: int, leaving: list[tuple[str, int] | None]) -> None:
    taken: list[int] = []

    async def wait(number: int, turns: Turns, connection: Any, scope: trio.CancelScope) -> None:
        with scope:
            try:
                await turns.turn(connection)
            except trio.ClosedResourceError:
                return
            taken.append(number)

    async def main() -> None:
        turns = Turns(most)
        waiting = [(_Connection(), trio.CancelScope()) for _ in leaving]
        async with trio.open_nursery() as nursery:
            for number, (connection, scope) in enumerate(waiting):
                nursery.start_soon(wait, number, turns, connection, scope)
            for now in range(8):
                await trio.lowlevel.checkpoint()
                for one, (connection, scope) in zip(leaving, waiting, strict=True):
                    if one == ("cancelled", now):
                        scope.cancel()
                    elif one == ("closed", now):
                        connection.number = -1
            await trio.testing.wait_all_tasks_blocked()
            nursery.cancel_scope.cancel()  # whoever still waits would wait for ever

    trio.run(main)
    assert {number for number, one in enumerate(leaving) if one is None} <= set(taken)
    assert len(taken) == len(set(taken))
