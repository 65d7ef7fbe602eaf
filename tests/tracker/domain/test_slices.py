"""Ticks hold digests of slices of the state, and every replay compares them."""

from __future__ import annotations

import pytest

from tests.support import Announce, HandTime, MemoryLog, Rig, endpoint4, hash_of, replayed
from tracker.domain import slice_digest
from tracker.domain.events import codec
from tracker.domain.events.records import Tick
from tracker.domain.state import ReplayError, State

HASH = hash_of(1)


def short_log() -> MemoryLog:
    """A log of a few announces and three ticks."""
    rig = Rig()
    for number in range(3):
        rig.announce(Announce(HASH, endpoint4(number), left=number))
        rig.service.tick()
    return rig.log


def test_replay_compares_each_tick() -> None:
    """A tick with the digest of another state ends the replay with an error that names the
    event."""
    log = short_log()
    frames = log.frames()
    replayed(frames)
    at = max(n for n, frame in enumerate(frames) if frame.header.kind == Tick.kind)
    plain = bytearray(frames[at].plain)
    plain[-9] ^= 1  # of the digest
    frames[at] = frames[at]._replace(plain=memoryview(bytes(plain)))
    seq = frames[at].header.next_seq - 1
    with pytest.raises(ReplayError, match=f"event {seq} holds the digest of another state"):
        replayed(frames)


def test_a_changed_event_is_noticed_by_the_next_tick() -> None:
    """A changed byte count in an announce is noticed, although no other event depends on it."""
    frames = short_log().frames()
    first = frames[0]
    changed = bytearray(first.plain)
    changed[36] ^= 1  # uploaded
    with pytest.raises(ReplayError, match="event 1 holds the digest"):
        replayed([first._replace(plain=memoryview(bytes(changed))), *frames[1:]])


def test_a_tick_of_another_length_or_schema_is_refused() -> None:
    for schema, size in ((1, 32), (2, 40)):
        with pytest.raises(codec.CodecError, match=f"{size} bytes"):
            State().apply(Tick.kind, schema, 0, bytes(size - 1), b"")
    with pytest.raises(codec.UnknownEventError, match="kind 3, schema 0"):
        State().apply(Tick.kind, 0, 0, bytes(32), b"")


def test_digests_leave_out_addresses() -> None:
    """A digest covers a peer's counters, role and client, but neither its address nor the end of
    its peer id."""

    def digest(**changed: object) -> int:
        rig = Rig(MemoryLog(), HandTime())
        rig.announce(Announce(HASH, **{"endpoint": endpoint4(1), **changed}))  # type: ignore[arg-type]  # keywords of mixed types
        return rig.state.digest_of_slice(0)

    assert digest() == digest(endpoint=endpoint4(2)) == digest(peer_id=b"-XX0001." + bytes(12))
    others = [digest(uploaded=1), digest(left=0), digest(peer_id=b"-XX0002-abcdefghijkl")]
    assert len({digest(), *others}) == 4


def test_slices_cover_all_peers_in_turn() -> None:
    """One peer more than a slice holds makes two slices, and successive ticks take them in turn."""
    rig = Rig()
    for number in range(slice_digest.SIZE):
        rig.announce(Announce(hash_of(number % 7), endpoint4(number)))
    assert rig.state.slices() == 2
    before = [rig.state.digest_of_slice(number) for number in range(3)]
    rows = rig.state.swarms.rows
    rows[-1] ^= 1
    after = [rig.state.digest_of_slice(number) for number in range(3)]
    assert [one == other for one, other in zip(before, after, strict=True)] == [True, False, True]
    rows[-1] ^= 1
    for _ in range(3):
        rig.service.tick()
    ticks = [frame for frame in rig.log.frames() if frame.header.kind == Tick.kind]
    slices = [each.slice for frame in ticks for each in Tick.unpack(frame.plain)]
    assert slices == [0, 1, 0]
