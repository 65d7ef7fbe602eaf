"""The feed of the detectors knows the peers that the state lists, in any history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve
from hypothesis import strategies as st

from tests.property.world import FIRST_SETTINGS, Step, World, steps
from tests.support import HandTime, MemoryLog, Rig, few_or_many, try_examples
from tests.tracker.domain.detecting.said import again, fields_of
from tracker.domain.detecting import feed as module
from tracker.domain.detecting.feed import Feed
from tracker.domain.detecting.intervals import Detector
from tracker.domain.detecting.watch import Watch
from tracker.domain.events.records import Tick
from tracker.domain.state import State
from tracker.upkeep.case_keeping import hear

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tracker.domain.detecting.intervals import Finding, Interval

DAY = 86_400  # seconds
waits = st.tuples(st.just("wait"), st.sampled_from([DAY // 3, DAY, 2 * DAY]))


class Listens(Detector):
    """Keeps what it hears."""

    name = "listens"

    def __init__(self) -> None:
        self.heard_of: list[Interval] = []

    def heard(self, interval: Interval) -> Iterable[Finding]:
        self.heard_of.append(interval)
        return ()


def listed(state: State) -> set[int]:
    """Returns the last announces of the peers with an account."""
    swarms = state.swarms
    rows = map(swarms.peer, filter(swarms.present, range(1, swarms.peer_slots)))
    return {row.last_seq for row in rows if row.key_ref}


@few_or_many(15, 150)
def test_it_knows_who_is_listed_after_each_frame(count: int) -> None:
    """Also where addresses cannot be read: then it hears the same, but for who called."""
    history = st.lists(st.one_of(steps, steps, waits), min_size=10, max_size=40)
    gone = st.lists(st.booleans(), min_size=1, max_size=8)
    try_examples(count, _agree, history=history, gone=gone)


def _agree(history: list[Step], gone: list[bool]) -> None:
    log = MemoryLog()
    world = World(log, State(), HandTime(), first_settings=evolve(FIRST_SETTINGS, private=True))
    world.start()
    for step in history:
        world.step(step)
        log.frames()
    heard = []
    for blind in ([False], gone):
        state, listens = State(), Listens()
        feed, state.gone = Feed(Watch([listens])), []
        for number, frame in enumerate(log.frames()):
            hidden = b"" if blind[number % len(blind)] else frame.protected
            read = frame._replace(protected=memoryview(bytes(hidden)))
            header = frame.header
            state.apply(header.kind, header.schema, header.base_seq, read.plain, read.protected)
            list(hear(feed, state, read))
            assert feed.listed == listed(state)
        heard.append([_seen(one) for one in listens.heard_of])
    assert heard[0] == heard[1]


@few_or_many(5, 50)
def test_it_remembers_a_bounded_number(count: int) -> None:
    history = st.lists(st.one_of(steps, steps, waits), min_size=10, max_size=40)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MOST_AWAY", 1)
        try_examples(count, _remember_one, history=history)


def _remember_one(history: list[Step]) -> None:
    log = MemoryLog()
    world = World(log, State(), HandTime(), first_settings=evolve(FIRST_SETTINGS, private=True))
    world.start()
    for step in history:
        world.step(step)
        log.frames()
    state = State()
    feed, state.gone = Feed(Watch([Listens()])), []
    for frame in log.frames():
        header = frame.header
        state.apply(header.kind, header.schema, header.base_seq, frame.plain, frame.protected)
        list(hear(feed, state, frame))
        assert feed.listed == listed(state)
        assert header.kind != Tick.kind or feed.away <= 1


def _seen(one: Interval) -> dict[str, Any]:
    return fields_of(again(one, peer_id=one.peer_id[:8], address=None, port=0, key=None))


class Clock(Detector):
    """Keeps the times that it hears."""

    name = "clock"

    def __init__(self) -> None:
        self.times: list[int] = []

    def heard(self, interval: Interval) -> Iterable[Finding]:  # noqa: ARG002  # the base's name
        return ()

    def ticked(self, time_us: int) -> Iterable[Finding]:
        self.times.append(time_us)
        return ()


def test_each_tick_of_a_frame_is_heard() -> None:
    """Else a tracker that ran all the time would look as if it had been down."""
    rig = Rig()
    times = []
    for _ in range(4):
        rig.time.advance(601)
        rig.service.tick()
        times.append(rig.state.time_us)
    state, clock = State(), Clock()
    feed, state.gone = Feed(Watch([clock])), []
    (frame,) = [one for one in rig.log.frames() if one.header.kind == Tick.kind]
    header = frame.header
    state.apply(header.kind, header.schema, header.base_seq, frame.plain, frame.protected)
    list(hear(feed, state, frame))
    assert clock.times == times
