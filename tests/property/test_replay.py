"""The project's first invariant: replaying the log gives the live state, after restarts too."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trio
from attrs import evolve
from hypothesis import strategies as st

from eventlog import EventLog, Reader, open_log
from tests.property.model import Model
from tests.property.world import FIRST_SETTINGS, KEYS, Step, World, steps
from tests.support import (
    SECOND,
    Announce,
    HandTime,
    MemoryLog,
    endpoint4,
    endpoint6,
    few_or_many,
    hash_of,
    own_keys,
    replayed,
    try_examples,
)
from tracker.domain.events import codec
from tracker.domain.state import State
from tracker.offline.verify import Verification
from tracker.service.read_model import Projection
from tracker.store import snapshots
from tracker.store.address_keys import day_of
from tracker.store.replay import replay

if TYPE_CHECKING:
    from collections.abc import Iterator


def _peers(state: State, hashes: list[bytes]) -> list[Any]:
    """Shows the peers of swarms as staff sees them, a second page too."""
    model = Projection(state, {})
    return [list(model.members(one, after, 2)) for one in hashes for after in (-1, 20)]


def assert_same(live: World, rebuilt: State) -> None:
    other = World(live.log, rebuilt, live.time, live.model, live.hashes)
    assert rebuilt.digest() == live.state.digest()
    assert other.choices() == live.choices()
    assert _peers(rebuilt, live.hashes) == _peers(live.state, live.hashes)
    other.check()


@pytest.mark.parametrize("private", [False, True], ids=["public", "private"])
@few_or_many(40, 240)
def test_frames_replayed_equal_the_live_state(count: int, private: bool) -> None:
    """In any history the model agrees at every step, and the replay at every stop."""
    history = st.lists(steps, min_size=10, max_size=50)
    try_examples(count, replays_agree, history=history, private=st.just(private))


def replays_agree(history: list[Step], private: bool) -> None:
    log = MemoryLog()
    first = evolve(FIRST_SETTINGS, private=private)
    world = World(log, State(), HandTime(), first_settings=first)
    world.start()
    for step in history:
        world.step(step)
        world.check()
        if step[0] == "hand over":
            log.frames()
        elif step[0] == "restart":
            rebuilt = replayed(log.frames())
            assert_same(world, rebuilt)
            world.time.advance(step[1] * SECOND)
            world = World(log, rebuilt, world.time, world.model)
            world.start()
    assert_same(world, replayed(log.frames()))
    assert_same(world, replayed(log.frames(), by_number=False))


def crowd(chance: random.Random, hashes: list[bytes]) -> list[Announce]:
    """Draws a busy tracker's batch: large and small swarms, both families, all events."""
    return [someone(chance, hashes) for _ in range(20)]


def someone(chance: random.Random, hashes: list[bytes]) -> Announce:
    """Draws an announce, mostly from the client's own address with its own key."""
    client = chance.randrange(300)
    place = client if chance.random() < 0.9 else chance.randrange(300)
    named = client if chance.random() < 0.9 else chance.randrange(300)
    return Announce(
        # The first swarms are large: they get every second announce.
        chance.choice(hashes[: chance.choice((2, len(hashes)))]),
        chance.choice((endpoint4, endpoint6))(place),
        b"-XX0001-%012d" % named,
        uploaded=chance.choice((5, 5, 5, 6)),
        left=chance.choice((0, 7, 7)),
        event=chance.choice((0, 0, 0, 1, 2, 3)),
        key=KEYS[client % 4],
    )


def test_large_swarms() -> None:
    """In 40,000 announces swarms of hundreds grow, shrink, end and begin again."""
    chance, log = random.Random(3), MemoryLog()
    hashes = [hash_of(number) for number in range(0, 600, 11)]
    world = World(log, State(), HandTime(), Model(), hashes)
    world.start()
    for number in range(2000):
        world.step(("announce", crowd(chance, hashes)))
        if number % 10 == 0:
            world.step(("tick", chance.choice((0, 1, 1, 1, 1, 1, 1, 15))))
        if number % 200 == 0:
            world.check()
            log.frames()
        if number % 700 == 0:
            world.step(("change", {"private": number % 1400 == 0}))
        if number % 150 == 75:
            # Revokes the key, or issues it again.
            world.step(("key", (KEYS[number // 150 % 4], "bert", None)))
    world.check()
    assert_same(world, replayed(log.frames()))
    assert_same(world, replayed(log.frames(), by_number=False))


def sessions(history: list[Step]) -> Iterator[list[Step]]:
    """Cuts the history at its restarts; a restart ends its part."""
    part: list[Step] = []
    for step in history:
        part.append(step)
        if step[0] == "restart":
            yield part
            part = []
    yield part


async def live_through(
    log: EventLog, state: State, time: HandTime, model: Model, history: list[Step]
) -> World:
    """Runs a tracker over a real log to an orderly end."""
    world = World(log, state, time, model)
    async with trio.open_nursery() as nursery:
        await nursery.start(log.run)
        world.start()
        for number, step in enumerate(history):
            world.step(step)
            if number % 5 == 0:
                await log.wait_durable(log.next_seq - 1)
        world.check()
        nursery.cancel_scope.cancel()
    return world


@few_or_many(10, 50)
def test_the_state_survives_restarts(count: int) -> None:
    """Each run begins with the last run's final state, by snapshot and by replay."""
    try_examples(count, restarts, history=st.lists(steps, min_size=10, max_size=60))


def restarts(history: list[Step]) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        time, model, last = HandTime(), Model(), State().digest()
        keys = own_keys(folder)
        for day in range(30):  # steps of the clock may come to any of them
            keys.prepare(day_of(time.wall) + day)
        for part in sessions(history):
            log = open_log(
                folder,
                codec.RECORD_SIZES,
                keys.tags,
                segment_bytes=2000,
                linger_seconds=0,
            )
            state, reader = snapshots.start(folder, keys, to_end=True)
            assert state.seq == log.next_seq  # no event came after the snapshot
            for one in state, replay(reader, state=state), replay(Reader(folder, to_end=True)):
                assert (one.digest(), one.seq) == (last, log.next_seq)
            world = trio.run(live_through, log, state, time, model, part)
            last = world.state.digest()
            assert_same(world, replay(Reader(folder)))
            assert snapshots.write(folder, world.state, keys)
            time.advance(part[-1][1] * SECOND if part and part[-1][0] == "restart" else 0)
        verification = Verification(folder, keys)
        assert list(verification.findings(lambda _done, _total: None)) == []
        assert verification.state.digest() == last
