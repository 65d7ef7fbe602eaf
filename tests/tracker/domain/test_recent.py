"""Replay finds a peer by the number of its last announce."""

from __future__ import annotations

import pytest
from attrs import evolve

from tests.support import Announce, Rig, endpoint4, hash_of, replayed
from tracker.domain import events
from tracker.domain.peer_by_seq import Recent
from tracker.domain.state import ReplayError, State
from tracker.store import frames

HASH = hash_of(1)
PEER = Announce(HASH, endpoint4(1), uploaded=5)


def test_the_ring_is_empty_unless_started() -> None:
    """A live tracker writes no ring: the ring works between its start and its stop only."""
    recent = Recent()
    recent.note(3, 7)
    assert recent.peer(3) == 0
    recent.start(Rig().state.swarms)
    recent.note(3, 7)
    assert recent.peer(3) == 7
    recent.stop()
    recent.note(3, 7)
    assert recent.peer(3) == 0


def test_the_ring_finds_every_peer_as_the_swarms_grow() -> None:
    """The ring finds 300 peers by their last announces, those from before its start included."""
    rig = Rig()
    recent = Recent()
    for crowd in range(1, 4):
        for number in range(100):
            rig.announce(Announce(HASH, endpoint4(crowd * 100 + number)))
        if crowd == 1:
            recent.start(rig.state.swarms)
        recent.prepare(rig.state.swarms, b"")
    swarms = rig.state.swarms
    for peer in range(1, swarms.peer_slots):
        assert recent.peer(swarms.peer(peer).last_seq) == peer


@pytest.mark.parametrize("event", [events.NONE, events.STOPPED])
def test_a_peer_whose_place_was_overwritten_is_still_found(event: int) -> None:
    """A peer continues after more announces of another peer than the ring has places."""
    rig = Rig.with_settings()
    other = evolve(PEER, endpoint=endpoint4(2))
    rig.announce(PEER)
    for number in range(16):
        rig.announce(evolve(other, uploaded=number, event=event if number > 7 else events.NONE))
    rig.announce(evolve(PEER, uploaded=6))
    assert replayed(rig.log.frames()).digest() == rig.state.digest()


@pytest.mark.parametrize("by_number", [False, True])
def test_an_announce_that_continues_a_removed_peer_is_refused(by_number: bool) -> None:
    """The removed peer's number still stands in its row and in the ring."""
    rig = Rig.with_settings()  # event 0 is no announce
    rig.announce(PEER)
    rig.log.frames()
    rig.announce(evolve(PEER, uploaded=6))
    settings, first, second = rig.log.frames()
    state = State()
    if by_number:
        state.recent.start(state.swarms)
    for frame in settings, first:
        frames.apply(state, frame)
    swarms = state.swarms
    swarms.remove(1, swarms.find(1, PEER.endpoint))
    with pytest.raises(
        ReplayError, match="event 2 continues 1, but that peer's last announce is 0"
    ):
        frames.apply(state, second)
