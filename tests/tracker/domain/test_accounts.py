"""Announces add to an account's totals session by session. The totals are sums of differences, and
they never fall."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support import SECOND, START_US, Announce, Rig, endpoint4, endpoint6, hash_of, replayed

HASH = hash_of(1)
NONE, COMPLETED, STARTED, STOPPED, PAUSED = range(5)
ME = b"-XX0001-abcdefghijkl"
ANOTHER = b"-XX0001-lkjihgfedcba"
HUGE = 2**63 - 1  # the largest counter of a client, in bytes


def says(event: int = NONE, up: int = 0, down: int = 0, left: int = 10, **more: Any) -> Announce:
    more = {"info_hash": HASH, "endpoint": endpoint4(1), "peer_id": ME, **more}
    return Announce(uploaded=up, downloaded=down, left=left, event=event, **more)


# Announces ten seconds apart, then the expected uploaded, downloaded, sessions and snatched.
ACCOUNTED: dict[str, tuple[list[Announce], tuple[int, int, int, int]]] = {
    "the first announce credits nothing": ([says(STARTED, 100, 50)], (0, 0, 1, 0)),
    "a first announce without an event credits nothing": ([says(NONE, 100, 50)], (0, 0, 1, 0)),
    "later announces credit their differences": ([says(STARTED), says(up=5, down=7), says(up=9, down=7)], (9, 7, 1, 0)),
    "differences count from the first counters": ([says(STARTED, 100, 50), says(up=130, down=51)], (30, 1, 1, 0)),
    "equal counters credit nothing": ([says(STARTED), says(up=5), says(up=5), says(up=5)], (5, 0, 1, 0)),
    "stopped credits the last difference": ([says(STARTED), says(STOPPED, 5, 6)], (5, 6, 1, 0)),
    "stopped with zeros takes nothing": (
        [says(STARTED), says(up=5, down=6), says(STOPPED)],
        (5, 6, 1, 0),
    ),
    "stopped with one counter lower": (
        [says(STARTED), says(up=5, down=6), says(STOPPED, 9, 0)],
        (9, 6, 1, 0),
    ),
    "stopped twice": ([says(STARTED), says(STOPPED, 5), says(STOPPED, 5)], (5, 0, 1, 0)),
    "stopped from an unknown peer": ([says(STOPPED, 500, 500)], (0, 0, 0, 0)),
    "a new session after stopped": (
        [says(STARTED), says(STOPPED, 5), says(STARTED, 5), says(up=8)],
        (8, 0, 2, 0),
    ),
    "a counter that went down begins again": (
        [says(STARTED), says(up=50), says(up=10), says(up=15)],
        (55, 0, 2, 0),
    ),
    "either counter that went down begins again": (
        [says(STARTED), says(up=5, down=50), says(up=60, down=1), says(up=61, down=2)],
        (6, 51, 2, 0),
    ),
    "started again at zero": (
        [says(STARTED), says(up=50, down=20), says(STARTED), says(up=1)],
        (51, 20, 2, 0),
    ),
    "started again, counters going on": (
        [says(STARTED), says(up=50), says(STARTED, 50), says(up=60)],
        (60, 0, 1, 0),
    ),
    "two torrents": (
        [says(STARTED), says(STARTED, info_hash=hash_of(2)), says(up=3),
         says(up=4, info_hash=hash_of(2))],
        (7, 0, 2, 0),
    ),
    "two clients": (
        [says(STARTED), says(STARTED, peer_id=ANOTHER, endpoint=endpoint4(2)), says(up=3),
         says(up=4, peer_id=ANOTHER, endpoint=endpoint4(2))],
        (7, 0, 2, 0),
    ),
    "two addresses of one client count once": (
        [says(STARTED), says(STARTED, endpoint=endpoint4(2)), says(up=9),
         says(up=9, endpoint=endpoint4(2))],
        (9, 0, 1, 0),
    ),
    "two families count once": (
        [says(STARTED), says(STARTED, endpoint=endpoint6(1)), says(up=9, down=3),
         says(up=9, down=3, endpoint=endpoint6(1)), says(STOPPED, 9, 3),
         says(STOPPED, 9, 3, endpoint=endpoint6(1))],
        (9, 3, 1, 0),
    ),
    "another port continues the session": (
        [says(STARTED), says(up=5), says(up=9, endpoint=endpoint4(1, 9))],
        (9, 0, 1, 0),
    ),
    "another client at the address has counters of its own": (
        [says(STARTED), says(up=5), says(up=100, peer_id=ANOTHER), says(up=101, peer_id=ANOTHER)],
        (6, 0, 2, 0),
    ),
    "completed": ([says(STARTED), says(COMPLETED, left=0)], (0, 0, 1, 1)),
    "completed twice": (
        [says(STARTED), says(COMPLETED, left=0), says(COMPLETED, left=0)],
        (0, 0, 1, 1),
    ),
    "nothing left, without saying completed": ([says(STARTED), says(left=0)], (0, 0, 1, 1)),
    "nothing left, then completed": (
        [says(STARTED), says(left=0), says(COMPLETED, left=0)],
        (0, 0, 1, 1),
    ),
    "completed, then nothing left": (
        [says(STARTED), says(COMPLETED), says(left=0)],
        (0, 0, 1, 1),
    ),
    "nothing left when it stops": ([says(STARTED), says(STOPPED, left=0)], (0, 0, 1, 1)),
    "a seeder from the first": ([says(STARTED, left=0), says(left=0)], (0, 0, 1, 0)),
    "completed as the very first": ([says(COMPLETED, left=0), says(left=0)], (0, 0, 1, 0)),
    "back to leeching and done again": (
        [says(STARTED), says(left=0), says(left=5), says(left=0)],
        (0, 0, 1, 1),
    ),
    "done in two sessions": (
        [says(STARTED), says(COMPLETED, left=0), says(STOPPED, left=0), says(STARTED), says(left=0)],
        (0, 0, 2, 2),
    ),
    "done while the counters begin again": (
        [says(STARTED, 9), says(COMPLETED, 1, left=0), says(up=2, left=0)],
        (1, 0, 2, 0),
    ),
    "paused credits its difference": ([says(STARTED), says(PAUSED, 5, 5)], (5, 5, 1, 0)),
}  # fmt: skip


@pytest.mark.parametrize(("announces", "expected"), ACCOUNTED.values(), ids=ACCOUNTED)
def test_totals(announces: list[Announce], expected: tuple[int, int, int, int]) -> None:
    """An account's bytes, sessions and downloads are the expected ones, live and after a replay."""
    rig, totals = announce_all(announces)
    assert (totals.uploaded, totals.downloaded, totals.sessions, totals.snatched) == expected
    assert replayed(rig.log.frames()).digest() == rig.state.digest()


def announce_all(announces: list[Announce], seconds: int = 10, **changed: Any) -> tuple[Rig, Any]:
    """Announces with one key, at equal distances, and returns the account's totals."""
    rig = Rig.with_settings(private=True, **changed)
    key = rig.issue(0)
    for number, one in enumerate(announces):
        if number:
            rig.time.advance(seconds * SECOND)
        assert rig.announce(with_key(one, key))[0] >= 0
    return rig, rig.totals(1)


def with_key(one: Announce, key: bytes) -> Announce:
    return says(
        one.event, one.uploaded, one.downloaded, one.left,
        info_hash=one.info_hash, endpoint=one.endpoint, peer_id=one.peer_id, key=key,
    )  # fmt: skip


SEEDING: dict[str, tuple[list[Announce], int]] = {
    "a leecher": ([says(), says(), says()], 0),
    "a seeder": ([says(left=0), says(left=0), says(left=0)], 200),
    "from the announce with nothing left": ([says(), says(left=0), says(left=0)], 100),
    "to the stop": ([says(left=0), says(STOPPED, left=0)], 100),
    "not while stopped": ([says(left=0), says(STOPPED, left=0), says(STARTED, left=0)], 100),
    "not over a restart": ([says(up=9, left=0), says(left=0), says(left=0)], 100),
    "an unknown number of bytes left is not seeding": (
        [says(left=2**64 - 1), says(left=2**64 - 1)],
        0,
    ),
    "two addresses count once": (
        [says(left=0), says(left=0, endpoint=endpoint6(1)), says(left=0)],
        200,
    ),
}


@pytest.mark.parametrize(("announces", "seconds"), SEEDING.values(), ids=SEEDING)
def test_seeding_time(announces: list[Announce], seconds: int) -> None:
    """Seeding time is the time between the announces of a seeder. Here they are 100 seconds
    apart."""
    assert announce_all(announces, 100)[1].seeding_us == seconds * SECOND


def test_a_long_silence_adds_at_most_one_timeout_of_seeding() -> None:
    announces = [says(left=0), says(left=0)]
    assert announce_all(announces, 5000, max_peer_timeout=900)[1].seeding_us == 900 * SECOND


def test_first_and_last_seen() -> None:
    """An account holds the times of its first and its last announce."""
    totals = announce_all([says(), says(), says(STOPPED)])[1]
    assert (totals.first_us, totals.last_us) == (START_US, START_US + 20 * SECOND)


def test_expiry_gives_no_second_credit() -> None:
    """A peer that returns after its expiry starts from new counters, and its earlier bytes stay
    credited."""
    rig, _ = announce_all([says(STARTED), says(up=50)])
    rig.time.advance(10_000 * SECOND)
    for _ in range(60):
        rig.service.tick()
    assert rig.state.swarms.counts(HASH) == (0, 0, 0)
    key = rig.issue(1)
    rig.revoke(key)  # no peer uses this key
    rig.announce(with_key(says(up=80), b"key%029d" % 0), with_key(says(up=90), b"key%029d" % 0))
    assert (rig.totals(1).uploaded, rig.totals(1).sessions) == (60, 2)


def test_a_mode_change_keeps_totals() -> None:
    """A change of the mode removes the peers and keeps the totals."""
    rig, before = announce_all([says(STARTED), says(up=50, down=20)])
    for private in (False, True):
        rig.service.change_settings(type(rig.service.settings)(private=private))
    assert rig.state.swarms.counts(HASH) == (0, 0, 0)
    assert rig.totals(1) == before


def test_keys_of_one_owner_share_an_account() -> None:
    """Keys of one owner add to one account. An account that never announced has zeros."""
    rig = Rig.with_settings(private=True)
    keys = [rig.issue(0), rig.issue(1, "anna"), rig.issue(2, "anna")]
    for number, key in enumerate(keys):
        where = endpoint4(number)
        peer_id = b"-XX0001-%012d" % number
        rig.announce(
            says(key=key, endpoint=where, peer_id=peer_id),
            says(up=10 + number, key=key, endpoint=where, peer_id=peer_id),
        )
    assert [rig.totals(number).uploaded for number in range(5)] == [0, 10, 23, 0, 0]
    assert rig.totals(2).sessions == 2


def test_impossible_numbers_cannot_break_the_tracker() -> None:
    """Extreme counters never lower the totals and raise no error, and the log replays."""
    rig = Rig.with_settings(private=True)
    key = rig.issue(0)
    last = 0
    for _ in range(5):
        for moved in (0, HUGE):
            assert rig.announce(says(up=moved, down=moved, key=key))[0] > 0
            assert rig.totals(1).uploaded >= last
            last = rig.totals(1).uploaded
    assert replayed(rig.log.frames()).digest() == rig.state.digest()
