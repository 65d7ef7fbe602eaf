"""Any history of starts and changes by staff: the newest change of each setting is in force."""

from __future__ import annotations

from functools import partial
from typing import Any

import trio
from attrs import evolve, fields
from hypothesis import strategies as st

from tests.support import (
    SELECTION_KEY,
    HandTime,
    MemoryLog,
    few_or_many,
    replayed,
    try_examples,
)
from tracker import ports
from tracker.domain import image
from tracker.domain.policy import Policy
from tracker.domain.settings import Settings
from tracker.domain.state import State
from tracker.service.commands import ServiceCommands
from tracker.service.read_model import LiveReads
from tracker.service.service import Service

SHRED_DAYS = 5
KEYS = {
    "core.listed": ("listed", [False, True]),
    "core.announce_policy.interval": ("interval", [60, 120]),
    "core.inactive_peer_cleanup_interval": ("inactive_peer_cleanup_interval", [3, 600]),
    "policy.max_peers": ("max_peers", [0, 7, 9]),
    "policy.clients_denied": ("clients_denied", [(), ("-XX",)]),
    "policy.remember_days": ("remember_days", [3, SHRED_DAYS, 7]),
}
said = st.dictionaries(
    st.sampled_from(sorted(KEYS)), st.integers(0, 2), min_size=1, max_size=3
).map(lambda some: {key: KEYS[key][1][which % len(KEYS[key][1])] for key, which in some.items()})
steps = st.one_of(
    st.tuples(st.just("start"), said),
    st.tuples(st.just("staff"), said, st.sampled_from(["anna", "bert"])),
    st.tuples(st.just("staff"), said, st.sampled_from(["anna", "bert"])),
    st.tuples(st.just("start again"), st.none()),
)


def settings(values: dict[str, Any]) -> Settings:
    """Returns what a file with these values says."""
    policy = {KEYS[key][0]: value for key, value in values.items() if key.startswith("policy.")}
    core = {KEYS[key][0]: value for key, value in values.items() if key.startswith("core.")}
    cleanup = core.get("inactive_peer_cleanup_interval", 600)
    return Settings(**core, tick_ms=min(10_000, cleanup * 1000), policy=Policy(**policy))


@few_or_many(30, 600)
def test_the_newest_change_wins(count: int) -> None:
    try_examples(count, lives, history=st.lists(steps, min_size=1, max_size=12))


def lives(history: list[tuple[Any, ...]]) -> None:
    log, time, state = MemoryLog(), HandTime(), State()
    file: dict[str, Any] = {}
    in_force: dict[str, Any] = {}
    authors: dict[str, str | None] = {}
    for number, step in enumerate([("start", {}), *history]):
        time.advance(1_000_000)
        if step[0] != "staff":
            restarted = replayed(log.frames())
            assert restarted.digest() == state.digest()
            state = again(restarted) if number % 2 else restarted
        service = Service(
            log, state, time.log_clock(state.time_us), SELECTION_KEY, shred_days=SHRED_DAYS
        )
        if step[0] == "staff":
            changed = change(service, log, step[1], step[2])
        else:
            said = file if step[1] is None else step[1]
            bounded = {**said, "policy.remember_days": min(said.get("policy.remember_days", 7), 5)}
            service.start_with(settings(bounded))
            changed = {
                key: bounded.get(key, usual(key))
                for key in KEYS
                if not number or bounded.get(key, usual(key)) != file.get(key, usual(key))
            }
            file = bounded
        for key, value in changed.items():
            if in_force.get(key, object()) != value:
                authors[key] = step[2] if step[0] == "staff" else None
            in_force[key] = value
        shown = {one.key: one for one in LiveReads(service).now().settings().keys}
        for key, value in in_force.items():
            assert shown[key].value == plain(value)
            assert shown[key].file == plain(file.get(key, usual(key)))
            origin = shown[key].origin
            assert origin is not None
            assert (origin.by, origin.values[key]) == (authors[key], plain(value))
        cleanup = in_force["core.inactive_peer_cleanup_interval"]
        assert state.settings.tick_ms == min(10_000, cleanup * 1000)
    assert replayed(log.frames()).digest() == state.digest()


def change(service: Service, log: MemoryLog, values: dict[str, Any], who: str) -> dict[str, Any]:
    """Has staff change settings; returns those that are in force then, by key."""
    commands, before = ServiceCommands(service, log, b"s" * 32), service.settings
    as_json = {key: plain(value) for key, value in values.items()}
    ask = partial(commands.change_settings, as_json, ports.Actor(who, "", "", "why"))
    try:
        told = trio.run(partial(ask, dry_run=True))
        assert service.settings is before
        made = trio.run(ask)
    except ports.InvalidSettingError:
        assert values["policy.remember_days"] > SHRED_DAYS
        assert service.settings is before
        return {}
    assert told == evolve(made, seq=None)
    assert (made.seq is None) == (service.settings is before)
    assert {one.key: one.after for one in made.differences}.items() <= as_json.items()
    return values


def again(state: State) -> State:
    """Returns a state that went through an image."""
    taken = image.dump(state)
    loaded = image.load(taken.plain, taken.private)
    assert loaded.digest() == state.digest()
    assert image.dump(loaded) == taken
    return loaded


def usual(key: str) -> Any:
    if key == "policy.remember_days":
        return SHRED_DAYS
    owner = Policy if key.startswith("policy.") else Settings
    name = KEYS[key][0]
    return next(one.default for one in fields(owner) if one.name == name)


def plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
