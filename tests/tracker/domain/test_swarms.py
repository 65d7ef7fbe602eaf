"""Swarms and state, case by case: sessions and `completed`, expiry, torrents that leave and
return."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve

from tests.support import (
    SECOND,
    Announce,
    Rig,
    endpoint4,
    endpoint6,
    hash_of,
    replayed,
)
from tracker.domain import events
from tracker.domain.events import codec
from tracker.domain.events.admin import ClockStepped, TorrentWhitelisted, TrackerStarted
from tracker.domain.events.records import Tick
from tracker.domain.settings import Settings
from tracker.domain.state import ReplayError, State
from tracker.domain.swarms import MARK_EVENT, Swarms

if TYPE_CHECKING:
    from collections.abc import Callable

HASH = hash_of(1)
OTHER = hash_of(257)  # in the bucket of HASH
LEECHER = Announce(HASH, endpoint4(1), left=10)
SEEDER = Announce(HASH, endpoint4(2), left=0)
NONE, COMPLETED, STARTED, STOPPED, PAUSED = range(5)


def says(event: int, **changed: Any) -> Announce:
    return evolve(LEECHER, event=event, **changed)


SESSIONS: dict[str, tuple[list[Announce], int]] = {
    "completes": ([says(STARTED), says(COMPLETED, left=0)], 1),
    "completes without starting": ([says(NONE), says(COMPLETED, left=0)], 1),
    "completes as the very first": ([says(COMPLETED, left=0)], 0),
    "completes twice": ([says(STARTED), says(COMPLETED), says(COMPLETED)], 1),
    "completes, continues, completes": ([says(STARTED), says(COMPLETED), says(0), says(1)], 1),
    "completes first and again": ([says(COMPLETED), says(NONE), says(COMPLETED)], 0),
    "stops, starts, completes": (
        [says(STARTED), says(COMPLETED), says(STOPPED), says(STARTED), says(COMPLETED)],
        2,
    ),
    "counter lower at completed": (
        [says(STARTED, downloaded=9), says(COMPLETED, downloaded=3)],
        0,
    ),
    "counter lower before completed": (
        [says(STARTED, downloaded=9), says(COMPLETED, downloaded=9), says(NONE), says(COMPLETED)],
        2,
    ),
    "another client at the address": (
        [says(STARTED), says(COMPLETED), says(COMPLETED, peer_id=b"b" * 20)],
        1,
    ),
    "two families are two peers": (
        [
            says(STARTED),
            says(STARTED, endpoint=endpoint6(1)),
            says(COMPLETED),
            says(COMPLETED, endpoint=endpoint6(1)),
        ],
        2,
    ),
}


@pytest.mark.parametrize("name", SESSIONS)
def test_completed_is_counted_once_a_session(name: str) -> None:
    """A known peer that announces `completed` counts once in each session."""
    announces, expected = SESSIONS[name]
    rig = Rig()
    for one in announces:
        rig.announce(one)
    assert rig.state.swarms.counts(HASH)[1] == expected
    assert rig.state.swarms.completed_total == expected


def test_roles_follow_left() -> None:
    """Zero bytes left makes a seeder, any other number makes a leecher, and the role may change
    back."""
    rig = Rig()
    for left, counts in ((5, (0, 0, 1)), (0, (1, 0, 0)), (events.LEFT_UNKNOWN, (0, 0, 1))):
        rig.announce(evolve(LEECHER, left=left))
        assert rig.state.swarms.counts(HASH) == counts


def test_the_last_event_is_kept() -> None:
    """A row holds the event of the last announce, for leechers, seeders and a new client at the
    address."""
    rig = Rig()
    swarms = rig.state.swarms
    for left, peer_id in product((10, 0), (LEECHER.peer_id, b"b" * 20)):
        for event in STARTED, NONE, NONE, COMPLETED, NONE, PAUSED, PAUSED, NONE, STARTED, PAUSED:
            rig.announce(says(event, left=left, peer_id=peer_id))
            (number,) = swarms.peers(swarms.lookup(HASH))
            assert swarms.peer(number).mark & MARK_EVENT == event
    assert replayed(rig.log.frames()).digest() == rig.state.digest()


def test_stopped_from_an_unknown_peer_changes_no_swarm() -> None:
    """`stopped` from an unknown peer creates neither peer nor torrent, and the log holds it."""
    rig = Rig()
    assert rig.announce(says(STOPPED)) == [0]
    assert rig.state.swarms.torrents_total == 0
    assert rig.types() == ["announced"]


def test_a_new_peer_in_a_freed_slot_starts_empty() -> None:
    """A new peer in a freed slot has no data of the peer before."""
    rig = Rig()
    rig.announce(says(STARTED), says(COMPLETED, left=0, uploaded=99), says(STOPPED))
    newcomer = Announce(OTHER, endpoint6(9), peer_id=b"n" * 20, left=4)
    rig.announce(newcomer, evolve(newcomer, event=COMPLETED))
    swarms = rig.state.swarms
    assert swarms.counts(OTHER) == (0, 1, 1)
    (number,) = swarms.peers(swarms.lookup(OTHER))
    row = swarms.peer(number)
    assert (row.peer_id, row.uploaded, row.left, row.torrent) == (
        b"n" * 20, 0, 4, swarms.lookup(OTHER),
    )  # fmt: skip
    assert (swarms.v4.endpoint(number), swarms.v6.endpoint(number)) == (b"", endpoint6(9))


def rig_with_expiry(**changed: int | bool) -> Rig:
    values = {"max_peer_timeout": 30, "inactive_peer_cleanup_interval": 10, **changed}
    return Rig.with_settings(**values)


def tick_after(rig: Rig, seconds: float) -> None:
    """Ticks once, after these seconds."""
    rig.time.advance(int(seconds * SECOND))
    rig.service.tick()


def test_peers_expire_one_timeout_after_they_were_seen() -> None:
    """The first tick a whole timeout after a peer's last announce removes it, in both families."""
    rig = rig_with_expiry()
    rig.announce(LEECHER, SEEDER, evolve(LEECHER, endpoint=endpoint6(5)))
    tick_after(rig, 20)
    rig.announce(SEEDER)
    tick_after(rig, 9.999_999)
    assert rig.state.swarms.counts(HASH) == (1, 0, 2)
    tick_after(rig, 0.000_001)
    assert rig.state.swarms.counts(HASH) == (1, 0, 0)
    tick_after(rig, 20)
    assert rig.state.swarms.torrents_total == 0


def test_the_whole_of_a_crowd_expires() -> None:
    """One sweep removes hundreds of expired peers and misses none."""
    rig = rig_with_expiry()
    crowd = [
        Announce(hash_of(h), endpoint(n), left=n % 3)
        for h in (1, 257, 513)
        for n in range(200)
        for endpoint in (endpoint4, endpoint6)
    ]
    rig.announce(*crowd)
    rig.time.advance(5 * SECOND)
    rig.announce(*crowd[::7])
    tick_after(rig, 25)
    swarms = rig.state.swarms
    assert swarms.seeders_total + swarms.leechers_total == len(crowd[::7])
    tick_after(rig, 5)
    assert (swarms.seeders_total, swarms.leechers_total, swarms.torrents_total) == (0, 0, 0)


def test_a_sweep_is_spread_over_the_clean_up_interval() -> None:
    """Three ticks make an interval, and each sweeps a third of the buckets."""
    rig = rig_with_expiry(inactive_peer_cleanup_interval=30)
    numbers = (0, 84, 85, 169, 170, 255)
    rig.announce(*(Announce(hash_of(number), endpoint4(1)) for number in numbers))
    left = []
    for _ in range(3):
        tick_after(rig, 30)
        left.append([n for n in numbers if rig.state.swarms.lookup(hash_of(n))])
    assert left == [[85, 169, 170, 255], [170, 255], []]


def test_a_dropped_torrent_comes_back_with_its_completed_count() -> None:
    """The completed count outlives the swarm: a scrape shows it, and the torrent has it when it
    returns."""
    rig = rig_with_expiry()
    rig.announce(says(STARTED), says(COMPLETED, left=0))
    tick_after(rig, 30)
    swarms = rig.state.swarms
    assert (swarms.lookup(HASH), swarms.torrents_total) == (0, 0)
    assert (swarms.counts(HASH), swarms.completed_total) == ((0, 1, 0), 1)
    # Another torrent takes the freed number first.
    rig.announce(evolve(LEECHER, info_hash=OTHER))
    assert swarms.counts(OTHER) == (0, 0, 1)
    rig.announce(says(STARTED), says(COMPLETED))
    assert (swarms.counts(HASH), swarms.completed_total) == ((0, 2, 1), 2)
    assert replayed(rig.log.frames()).digest() == rig.state.digest()


def test_empty_torrents_stay_where_the_settings_say_so() -> None:
    """Without removal an empty torrent stays with zeros. Turning removal on sweeps it."""
    rig = rig_with_expiry(remove_peerless_torrents=False)
    rig.announce(LEECHER)
    tick_after(rig, 30)
    assert rig.state.swarms.torrents_total == 1
    assert rig.state.swarms.counts(HASH) == (0, 0, 0)
    rig.service.change_settings(evolve(rig.state.settings, remove_peerless_torrents=True))
    tick_after(rig, 10)
    assert rig.state.swarms.torrents_total == 0


def test_after_a_restart_peers_have_one_timeout() -> None:
    """A restart gives every peer one timeout, because nobody could announce during the outage."""
    rig = rig_with_expiry()
    rig.announce(LEECHER, SEEDER)
    rig.time.advance(3600 * SECOND)
    rig.service.append(TrackerStarted("test", 2))
    tick_after(rig, 29.999_999)
    assert rig.state.swarms.counts(HASH) == (1, 0, 1)
    rig.announce(SEEDER)
    tick_after(rig, 0.000_001)
    assert rig.state.swarms.counts(HASH) == (1, 0, 0)


def test_a_clean_up_interval_of_zero_turns_expiry_off() -> None:
    rig = rig_with_expiry(inactive_peer_cleanup_interval=0)
    rig.announce(LEECHER)
    tick_after(rig, 100_000)
    assert rig.state.swarms.counts(HASH) == (0, 0, 1)


def test_a_mode_change_keeps_completed_counts() -> None:
    """A mode change empties the swarms in both directions, and keeps completed counts."""
    rig = rig_with_expiry()
    for private in (True, False):
        rig.announce(says(STARTED), says(COMPLETED), evolve(LEECHER, endpoint=endpoint6(3)))
        rig.service.change_settings(Settings(private=private))
        assert rig.state.swarms.torrents_total == rig.state.swarms.leechers_total == 0
    assert rig.state.swarms.counts(HASH) == (0, 2, 0)


def test_names_of_events() -> None:
    assert events.EVENT_NAMES[PAUSED] == "paused"
    assert set(codec.EVENT_TYPES) >= {"announced", "tick", "counted", "settings_changed"}


def test_empty_swarms_read_as_zeros() -> None:
    """Empty swarms return zeros, and raise no error."""
    swarms = Swarms()
    assert (swarms.lookup(HASH), swarms.counts(HASH)) == (0, (0, 0, 0))
    assert swarms.find(0, endpoint4(1)) == swarms.find(0, endpoint6(1)) == 0
    assert swarms.peers(0) == []


def tick(time_us: int) -> bytes:
    """A tick of an empty tracker."""
    return Tick(time_us, 10_000, False, 0, State().digest_of_slice(0)).pack()


def test_replay_refuses_impossible_events() -> None:
    """A gap, an unknown kind, an unknown admin type and a wrong predecessor are errors."""
    with pytest.raises(ReplayError, match="event 5 where 0 is due"):
        State().apply(Tick.kind, Tick.schema, 5, tick(1), b"")
    with pytest.raises(codec.UnknownEventError, match="event 0 is of kind 9, schema 1"):
        State().apply(9, 1, 0, b"", b"")
    with pytest.raises(codec.UnknownEventError, match="of type 999, schema 1"):
        State().apply(events.ADMIN, 1, 0, codec.encode_admin(999, 1, {}), b"")
    with pytest.raises(codec.CodecError):
        State().apply(events.ADMIN, 1, 0, b"\xff" * 16, b"")
    rig = Rig()
    rig.announce(LEECHER, LEECHER)
    (frame,) = rig.log.frames()
    second = frame.plain[codec.PLAIN.size :], frame.protected[codec.PROTECTED.size :]
    state = State()
    state.apply(Tick.kind, Tick.schema, 0, tick(1), b"")
    with pytest.raises(ReplayError, match="event 2 continues 0, but"):
        state.apply(events.ANNOUNCE, frame.header.schema, 1, *doubled(*second))


def doubled(plain: memoryview, protected: memoryview) -> tuple[bytes, bytes]:
    return bytes(plain) * 2, bytes(protected) * 2


DIFFERENCES: dict[str, Callable[[Rig], object]] = {
    "nothing": lambda _: None,
    "an announce": lambda rig: rig.announce(LEECHER),
    "a tick": lambda rig: rig.service.tick(),
    "a counter": lambda rig: rig.service.append(ClockStepped(1)),
    "the whitelist": lambda rig: rig.service.append(TorrentWhitelisted(HASH)),
    "a setting": lambda rig: rig.service.change_settings(Settings(listed=True)),
    "an uploaded total": lambda rig: rig.announce(evolve(LEECHER, uploaded=1)),
    "a port": lambda rig: rig.announce(evolve(LEECHER, endpoint=endpoint4(1, 9))),
    "a role": lambda rig: rig.announce(evolve(LEECHER, left=0)),
    "a peer id": lambda rig: rig.announce(evolve(LEECHER, peer_id=b"z" * 20)),
    "a hash": lambda rig: rig.announce(evolve(LEECHER, info_hash=OTHER)),
}


def test_the_digest_sees_every_difference() -> None:
    """Two states that differ in one thing have different digests."""
    digests = set()
    for change in DIFFERENCES.values():
        rig = Rig()
        change(rig)
        digests.add(rig.state.digest())
    assert len(digests) == len(DIFFERENCES)
