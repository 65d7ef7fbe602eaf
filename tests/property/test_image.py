"""A state that was dumped and loaded is equal and stays equal, after any history."""

from __future__ import annotations

import random
from array import array
from typing import TYPE_CHECKING

import pytest
from attrs import evolve
from hypothesis import strategies as st

from tests.property.test_hidden import DAY, counts, everybody_goes, long_steps
from tests.property.test_replay import crowd
from tests.property.world import FIRST_SETTINGS, Step, World
from tests.support import (
    SECOND,
    Announce,
    HandTime,
    MemoryLog,
    Rig,
    endpoint4,
    endpoint6,
    few_or_many,
    hash_of,
    replayed,
    try_examples,
)
from tracker.domain import events, image
from tracker.domain.state import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from eventlog import Frame

modes = pytest.mark.parametrize("private", [False, True], ids=["public", "private"])


def lived(history: list[Step], private: bool) -> tuple[World, list[Frame]]:
    """Returns a world after a history at whose end all peers go, with one frame for each step."""
    log = MemoryLog()
    world = World(log, State(), HandTime(), first_settings=evolve(FIRST_SETTINGS, private=private))
    world.start()
    for step in history:
        world.step(step)
        log.frames()
    everybody_goes(world)
    return world, log.frames()


def applied(state: State, frames: Iterable[Frame]) -> State:
    for one in frames:
        header = one.header
        state.apply(header.kind, header.schema, header.base_seq, one.plain, one.protected)
    return state


@modes
@few_or_many(10, 60)
def test_any_history_goes_on_from_an_image(count: int, private: bool) -> None:
    """A state loaded at any moment is equal, and equal after every later frame."""
    history = st.lists(long_steps, min_size=10, max_size=40)
    try_examples(count, goes_on, history=history, cut=st.floats(0, 1), private=st.just(private))


def goes_on(history: list[Step], cut: float, private: bool) -> None:
    world, frames = lived(history, private)
    at = int(len(frames) * cut)
    state = replayed(frames[:at])
    taken = image.dump(state)
    loaded = image.load(taken.plain, taken.private)
    assert image.dump(loaded) == taken
    for one in frames[at:]:
        assert loaded.digest() == state.digest()
        applied(state, [one])
        applied(loaded, [one])
    assert loaded.digest() == state.digest() == world.state.digest()
    assert image.dump(loaded) == image.dump(state)


@modes
@few_or_many(10, 60)
def test_addresses_may_be_left_out(count: int, private: bool) -> None:
    """An image without some or all addresses has right counts and in the end the right state.

    The digest without addresses is equal after every frame, also by way of a second image, taken
    while peers are hidden.
    """
    strategies = {
        "history": st.lists(long_steps, min_size=10, max_size=40),
        "cut": st.floats(0, 1),
        "gone": st.lists(st.booleans(), min_size=1, max_size=8),
    }
    try_examples(count, goes_on_without, **strategies, private=st.just(private))


def goes_on_without(history: list[Step], cut: float, gone: list[bool], private: bool) -> None:
    world, frames = lived(history, private)
    at = int(len(frames) * cut)
    state = replayed(frames[:at])
    taken = image.dump(state, addresses=gone[0])
    days = sorted({day for day, _ in taken.private})
    there = {
        (day, name): data
        for (day, name), data in taken.private.items()
        if not gone[days.index(day) % len(gone)]
    }
    loaded = image.load(taken.plain, there)
    for number, one in enumerate(frames[at:]):
        if number == len(frames[at:]) // 2:
            again = image.dump(loaded)
            loaded = image.load(again.plain, again.private)
        assert counts(loaded, world.hashes) == counts(state, world.hashes)
        applied(state, [one])
        applied(loaded, [one])
        assert image.dump(loaded).digest() == image.dump(state).digest()
    assert not loaded.hidden_peers()
    assert loaded.digest() == world.state.digest()


@modes
def test_large_swarms_from_an_image(private: bool) -> None:
    """Large swarms, which have an index, are equal after every load."""
    chance, log = random.Random(7), MemoryLog()
    hashes = [hash_of(number) for number in range(0, 200, 11)]
    first = evolve(FIRST_SETTINGS, private=private)
    world = World(log, State(), HandTime(), hashes=hashes, first_settings=first)
    world.start()
    for number in range(200):
        world.step(("announce", crowd(chance, hashes)))
        if number % 10 == 0:
            world.step(("tick", chance.choice((0, 1, 1, 15))))
            log.frames()
    state = State()
    for number, one in enumerate(log.frames()):
        applied(state, [one])
        if number % 4 == 0:
            taken, before = image.dump(state), state.digest()
            state = image.load(taken.plain, taken.private)
            assert state.digest() == before
    assert state.digest() == world.state.digest()


def test_no_address_is_in_the_plain_part() -> None:
    """The plain part has no address and no end of a peer_id, even of peers that left."""
    history: list[Step] = [("announce", crowd(random.Random(1), [hash_of(1)])) for _ in range(30)]
    world, frames = lived(history, private=False)
    for state in replayed(frames[:20]), world.state:
        plain = b"".join(image.dump(state).plain.values())
        for _, batch in history:
            for one in batch:
                assert one.endpoint not in plain
                assert one.peer_id[8:] not in plain


def test_other_columns_are_refused() -> None:
    """Missing, empty, short and foreign columns are errors."""
    rig = Rig.with_settings(private=True)
    rig.announce(Announce(hash_of(1), endpoint4(1), key=rig.issue(1)))
    taken = image.dump(rig.state)
    for name, data in taken.plain.items():
        changed = {**taken.plain, name: data + b"\1"}
        with pytest.raises(image.ImageError):
            image.load({key: value for key, value in taken.plain.items() if key != name}, {})
        with pytest.raises(image.ImageError):
            image.load(changed, {})


ROWS_OF = {
    "rows": ["rows", "of_key.key", "of_key.before", "of_key.after"],
    "completed": ["completed", "largest", "hashes", "seeders", "leechers", "partial"],
}
for prefix in ("v4.", "v6.", "identities."):
    ROWS_OF["rows"].append(prefix + "position")
    ROWS_OF["completed"] += [prefix + word for word in ("first", "count", "seeds", "room")]


@pytest.mark.parametrize("of", ROWS_OF)
def test_tables_without_rows_are_refused(of: str) -> None:
    """A table without its reserved first row is an error, in one column or in all."""
    taken = image.dump(State())
    for names in (*([name] for name in ROWS_OF[of]), ROWS_OF[of]):
        with pytest.raises(image.ImageError):
            image.load({**taken.plain, **dict.fromkeys(names, b"")}, {})


@pytest.mark.parametrize("paths", [0, 3, 5])
def test_announces_over_four_paths(paths: int) -> None:
    """The next announce over each protocol and family is counted for that path."""
    taken = image.dump(State())
    with pytest.raises(image.ImageError):
        image.load({**taken.plain, "announces": bytes(8 * paths)}, {})


def test_places_that_are_not_there_are_refused() -> None:
    """Places outside a table are errors, in each family and among identities."""
    rig = Rig.with_settings(private=True)
    rig.announce(Announce(hash_of(1), endpoint4(1), key=rig.issue(1)))
    rig.announce(Announce(hash_of(1), endpoint6(1), key=rig.issue(2)))
    taken = image.dump(rig.state)
    for directory in ("v4", "v6", "identities"):
        name = f"{directory}.position"
        places = array("I", taken.plain[name])
        beyond = array("I", [place | 0x1000 for place in places]).tobytes()
        for private in (taken.private, {}):
            with pytest.raises(image.ImageError):
                image.load({**taken.plain, name: beyond}, private)


FAMILIES = (endpoint4, "v4.addresses"), (endpoint6, "v6.addresses")


@pytest.mark.parametrize("families", [FAMILIES, FAMILIES[::-1]], ids=["IPv4 first", "IPv6 first"])
def test_a_peer_at_the_same_place_of_both_families(
    families: tuple[tuple[Callable[[int], bytes], str], ...],
) -> None:
    """Places are numbered in each family; each address is encrypted with its own day's key."""
    (earlier, first), (later, then) = families
    rig = Rig.with_settings(private=True, max_peer_timeout=10 * DAY)
    both = [Announce(hash_of(1), endpoint, key=rig.issue(1)) for endpoint in (earlier(1), later(1))]
    rig.announce(both[0])
    rig.time.advance(DAY * SECOND)
    rig.announce(both[1])
    swarms = rig.state.swarms
    assert swarms.v4.position(1) == swarms.v6.position(1)
    taken = image.dump(rig.state)
    today = rig.time.wall // events.DAY_US
    assert set(taken.private) == {(today - 1, first), (today, then), (today, "tails")}
    loaded = image.load(taken.plain, taken.private)
    assert loaded.digest() == rig.state.digest()
    assert loaded.swarms.find(1, both[0].endpoint) == loaded.swarms.find(1, both[1].endpoint) == 1


@pytest.mark.parametrize(("endpoint", "name"), FAMILIES)
def test_a_peer_of_a_public_mode_is_of_its_last_day(
    endpoint: Callable[[int], bytes], name: str
) -> None:
    """In public mode a peer's row keeps the day of its last announce only."""
    rig = Rig.with_settings(max_peer_timeout=10 * DAY)
    rig.announce(Announce(hash_of(1), endpoint(1)))
    rig.time.advance(DAY * SECOND)
    rig.announce(Announce(hash_of(1), endpoint(1)))
    today = rig.time.wall // events.DAY_US
    assert set(image.dump(rig.state).private) == {(today, name), (today, "tails")}
