"""Engines have turns, together 2 ms, and then other tasks run."""

from __future__ import annotations

from itertools import count, groupby

import pytest
import trio
import trio.testing

from tracker.frontends import fairness
from tracker.frontends.fairness import SERVE_NS, SHARE, Turn

STEPS = 12  # of a task that answers a request


class Clock:
    """Time that only work takes."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        return self.now

    def work(self, part: float) -> None:
        """`part`: of the time that engines serve together."""
        self.now += int(SERVE_NS * part)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(fairness, "perf_counter_ns", clock)
    return clock


async def test_there_is_nothing_to_wait_for_before_the_time_is_up(clock: Clock) -> None:
    """Short turns are no checkpoints, until they took 2 ms together."""
    turn, other = Turn(), Turn()
    with trio.testing.assert_no_checkpoints():
        for each in (turn, other, turn):
            await each.begin()
            assert each.until - clock.now == SERVE_NS - clock.now
            clock.work(0.25)
            assert not each.over()
    await turn.begin()
    clock.work(0.25)
    assert turn.over()
    with trio.testing.assert_checkpoints():
        await other.begin()
    assert other.until == clock.now + SERVE_NS
    assert not turn.over()  # it has none


@pytest.mark.parametrize("engines", [1, 3])
async def test_others_come_before_the_next_turn(clock: Clock, engines: int) -> None:
    """All steps of a request that is ready come between two turns, and engines take turns in
    order."""
    done: list[str] = []
    asked = trio.Event()

    async def engine(name: str) -> None:
        turn = Turn()
        while len(done) < 200:
            await turn.begin()
            while clock.now < turn.until:
                clock.work(0.5)
            done.append(name)
            if len(done) == 100:
                asked.set()
            assert turn.over()

    async with trio.open_nursery() as nursery:
        for number in range(engines):
            nursery.start_soon(engine, str(number))
        await asked.wait()
        for _ in range(STEPS):
            await trio.lowlevel.checkpoint()
            done.append("other")
    assert max(len(list(same)) for name, same in groupby(done) if name == "other") == STEPS
    turns = [name for name in done if name != "other"][10:160]  # all have begun, and none has ended
    assert turns == turns[:engines] * (150 // engines)
    assert len(set(turns)) == engines


async def test_others_that_never_end_have_a_share(clock: Clock) -> None:
    """A task that is always ready works a quarter of the time that the engine serves."""
    spent = 0

    async def busy() -> None:
        nonlocal spent
        for _ in count():
            await trio.lowlevel.checkpoint()
            clock.work(0.01)
            spent += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(busy)
        turn = Turn()
        for _ in range(100):
            await turn.begin()
            clock.work(1)
            turn.over()
        nursery.cancel_scope.cancel()
    assert 98 * 100 / SHARE <= spent <= 100 * (100 / SHARE + 2)


async def test_an_engine_that_ends_passes_its_turn_on(clock: Clock) -> None:
    """Engines that end while they wait for a turn, or for others to run, hold nobody up."""
    turn = Turn()
    await turn.begin()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(Turn().begin)
        nursery.start_soon(Turn().begin)
        await trio.testing.wait_all_tasks_blocked()
        clock.work(1)
        turn.over()  # one of them has the turn, and lets others run
        nursery.cancel_scope.cancel()
    with trio.fail_after(5):
        await turn.begin()
