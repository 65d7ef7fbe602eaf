"""Replay without some addresses: counts are right at every moment, in the end so is the state."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest
from attrs import evolve
from hypothesis import strategies as st

from tests.property.test_replay import crowd
from tests.property.world import FIRST_SETTINGS, Step, World, steps
from tests.support import (
    Announce,
    HandTime,
    MemoryLog,
    Rig,
    endpoint4,
    few_or_many,
    hash_of,
    replayed,
    try_examples,
)
from tracker.domain import events, image
from tracker.domain.state import State

if TYPE_CHECKING:
    from eventlog import Frame

DAY = 86_400  # seconds

waits = st.tuples(st.just("wait"), st.sampled_from([DAY // 3, DAY, 2 * DAY]))
long_steps = st.one_of(steps, steps, steps, waits)
modes = pytest.mark.parametrize("private", [False, True], ids=["public", "private"])


def shredded(frame: Frame) -> Frame:
    """Returns a frame as a reader without the key reads it."""
    return frame._replace(protected=memoryview(b""))


def counts(state: State, hashes: list[bytes]) -> object:
    """Returns all facts that need no address."""
    swarms = state.swarms
    return (
        [swarms.counts(info_hash) for info_hash in hashes],
        (swarms.torrents_total, swarms.seeders_total, swarms.leechers_total),
        (swarms.completed_total, swarms.retired, list(swarms.announces)),
        (
            state.accounts.digest(),
            state.access.digest(),
            state.tally.counters,
            state.sweep.digest(),
        ),
        [len(swarms.peers(swarms.lookup(each))) for each in hashes if swarms.lookup(each)],
        state.digest(addresses=False),
    )


def compare(frames: list[Frame], gone: list[bool], hashes: list[bytes]) -> State:
    """Replays with and without the shredded addresses, side by side."""
    whole, part = State(), State()
    for number, frame in enumerate(frames):
        given_out = shredded(frame) if gone[number % len(gone)] else frame
        for state, one in ((whole, frame), (part, given_out)):
            state.apply(
                one.header.kind, one.header.schema, one.header.base_seq, one.plain, one.protected
            )
        assert counts(part, hashes) == counts(whole, hashes)
        if not part.hidden_peers():
            assert part.digest() == whole.digest()
    return part


@modes
@few_or_many(25, 150)
def test_any_frames_may_be_shredded(count: int, private: bool) -> None:
    """Any frames of any history may be shredded.

    Counts agree after every frame, and states whenever no peer is hidden; none is once all peers
    are gone.
    """
    history = st.lists(long_steps, min_size=10, max_size=40)
    gone = st.lists(st.booleans(), min_size=1, max_size=8)
    try_examples(count, shredding, history=history, gone=gone, private=st.just(private))


def shredding(history: list[Step], gone: list[bool], private: bool) -> None:
    log = MemoryLog()
    world = World(log, State(), HandTime(), first_settings=evolve(FIRST_SETTINGS, private=private))
    world.start()
    for step in history:
        world.step(step)
        log.frames()
        world.check()
    everybody_goes(world)
    part = compare(log.frames(), gone, world.hashes)
    assert not part.hidden_peers()
    assert part.digest() == world.state.digest() == replayed(log.frames()).digest()


def everybody_goes(world: World) -> None:
    """Lets the timeout and a whole sweep pass, so that all peers go."""
    world.step(("change", {"inactive_peer_cleanup_interval": 10, "max_peer_timeout": 20}))
    for _ in range(2):
        world.step(("tick", 60))
    assert not world.state.swarms.seeders_total + world.state.swarms.leechers_total


@modes
def test_days_of_large_swarms(private: bool) -> None:
    """Without the keys of seven of ten days, the state is right once all peers announced again."""
    chance, log = random.Random(5), MemoryLog()
    hashes = [hash_of(number) for number in range(0, 200, 11)]
    first = evolve(FIRST_SETTINGS, private=private, max_peer_timeout=DAY)
    world = World(log, State(), HandTime(), hashes=hashes, first_settings=first)
    world.start()
    for number in range(300):
        world.step(("announce", crowd(chance, hashes)))
        if number % 3 == 0:
            world.step(("tick", 60))
        if number % 30 == 29:
            world.step(("wait", DAY))
            log.frames()
    world.check()
    frames = log.frames()
    shred_before = (frames[0].header.time_us // events.DAY_US + 7) * events.DAY_US
    gone = [frame.header.time_us < shred_before for frame in frames]
    assert 100 < sum(gone) < len(gone)
    part = compare(frames, gone, hashes)
    assert not part.hidden_peers()
    assert part.digest() == world.state.digest()


@modes
def test_stopped_under_another_peer_id(private: bool) -> None:
    """`stopped` under another peer_id leaves the same state with and without addresses."""
    rig = Rig.with_settings(private=private)
    key = rig.issue(1) if private else None
    stays = Announce(hash_of(1), endpoint4(1), key=key)
    goes = evolve(stays, endpoint=endpoint4(2), peer_id=b"-XX0002-abcdefghijkl")
    rig.announce(stays, goes)
    rig.log.frames()
    rig.announce(evolve(goes, peer_id=b"-YY0003-abcdefghijkl", event=events.STOPPED))
    rig.service.tick()  # the digests cover every row, also freed ones
    frames = rig.log.frames()
    first = next(
        number for number, frame in enumerate(frames) if frame.header.kind == events.ANNOUNCE
    )
    part = compare(frames, [number == first for number in range(len(frames))], [hash_of(1)])
    assert image.dump(part).digest() == image.dump(rig.state).digest()


@modes
def test_peers_that_were_silent_for_long(private: bool) -> None:
    """A peer is found by its last announce, however many other announces came since, and whoever
    was looked for meanwhile."""
    rig = Rig.with_settings(private=private)
    first = Announce(hash_of(1), endpoint4(1), key=rig.issue(1) if private else None)
    busy = evolve(first, endpoint=endpoint4(2), peer_id=b"-XX0002-abcdefghijkl")
    second = evolve(first, endpoint=endpoint4(3), peer_id=b"-XX0003-abcdefghijkl")
    # The last but one looks for `first` while `second` is still easy to find.
    for quiet, others in (
        (second, 0),
        (first, 50),
        (second, 0),
        (first, 5),
        (second, 3),
        (first, 50),
    ):
        rig.announce(quiet)
        for _ in range(others):
            rig.announce(busy)
    rig.announce(second)
    frames = rig.log.frames()
    assert compare(frames, [True], [hash_of(1)]).hidden_peers()
