"""Tests credit, announce by announce, over a log in memory and clocks that the test moves."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve

from tests.contract.cases import case
from tests.support import SECOND, Announce, Rig, endpoint4, endpoint6, hash_of, replayed

HASH = hash_of(1)
NONE, COMPLETED, STARTED, STOPPED, PAUSED = range(5)
ME, ANOTHER = b"-XX0001-abcdefghijkl", b"-XX0001-lkjihgfedcba"
SIZE = 3_000_000
UNKNOWN = 2**64 - 1


def moved(event: int = NONE, up: int = 0, down: int = 0, left: int = SIZE, **more: Any) -> Announce:
    more = {"info_hash": HASH, "endpoint": endpoint4(1), "peer_id": ME, **more}
    return Announce(uploaded=up, downloaded=down, left=left, event=event, **more)


def play(*announces: Announce) -> Rig:
    """Makes the announces from one account, ten seconds apart, and checks that a replay agrees."""
    rig = Rig.with_settings(private=True)
    key = rig.issue(0)
    for one in announces:
        rig.time.advance(10 * SECOND)
        (torrent,) = rig.announce(evolve(one, key=key))
        assert torrent >= 0
    assert replayed(rig.log.frames()).digest() == rig.state.digest()
    return rig


# A row has the announces, then the account's uploaded, downloaded, sessions and snatched.
CREDITED = [
    case(13, "uploaded of 2**63 - 1 is credited whole",
         [moved(STARTED), moved(up=2**63 - 1), moved(STOPPED)],
         (2**63 - 1, 0, 1, 0)),
    case(17, "completed as the first announce of a session is no snatch",
         [moved(COMPLETED, left=0)],
         (0, 0, 1, 0)),
    case(18, "completed twice is one snatch",
         [moved(STARTED), moved(COMPLETED, left=0), moved(COMPLETED, left=0)],
         (0, 0, 1, 1)),
    case(18, "started again with higher totals continues the session",
         [moved(STARTED), moved(STARTED, 100, 50), moved(NONE, 200, 90)], (200, 90, 1, 0)),
    case(18, "started again from zero begins another session",
         [moved(STARTED), moved(NONE, 100, 50), moved(STARTED), moved(NONE, 10, 5)], (110, 55, 2, 0)),
    case(19, "left 0 without completed is a snatch",
         [moved(STARTED), moved(NONE, 0, SIZE, 0)], (0, SIZE, 1, 1)),
    case(19, "left 0 in stopped is a snatch", [moved(STARTED), moved(STOPPED, 0, SIZE, 0)],
         (0, SIZE, 1, 1)),
    case(19, "completed after left 0 is no second snatch",
         [moved(STARTED), moved(left=0), moved(COMPLETED, left=0)],
         (0, 0, 1, 1)),
    case(21, "stopped with zeros keeps the credit",
         [moved(STARTED), moved(NONE, 500, 300), moved(STOPPED)], (500, 300, 1, 0)),
    case(21, "stopped with zeros begins no session",
         [moved(STARTED), moved(NONE, 500), moved(STOPPED, left=UNKNOWN)],
         (500, 0, 1, 0)),
    case(22, "totals of the first announce are not credited", [moved(STARTED, 700, 800)],
         (0, 0, 1, 0)),
    case(22, "downloaded of a new seeder is not credited",
         [moved(STARTED, 0, SIZE, 0), moved(NONE, 9, SIZE, 0)],
         (9, 0, 1, 0)),
    case(22, "totals of the first announce are the base of the second",
         [moved(STARTED, 700, 800), moved(NONE, 750, 810)],
         (50, 10, 1, 0)),
    case(23, "totals that go back are not credited",
         [moved(STARTED), moved(NONE, 500, 300), moved(NONE, 100, 20)], (500, 300, 2, 0)),
    case(23, "totals that go back are the base of the next",
         [moved(STARTED), moved(NONE, 500, 300), moved(NONE, 100, 20), moved(NONE, 150, 30)],
         (550, 310, 2, 0)),
    case(23, "one total that goes back makes a new base for both",
         [moved(STARTED), moved(NONE, 500, 300), moved(NONE, 600, 20), moved(NONE, 601, 21)],
         (501, 301, 2, 0)),
    case(24, "downloaded beyond the size is credited whole",
         [moved(STARTED), moved(NONE, 3_002_539, SIZE, 0)],
         (3_002_539, SIZE, 1, 1)),
    case(54, "the same totals from two addresses are credited once",
         [moved(STARTED), moved(STARTED, endpoint=endpoint6(1)), moved(NONE, 500, 300),
          moved(NONE, 500, 300, endpoint=endpoint6(1))], (500, 300, 1, 0)),
    case(54, "stopped from two addresses is credited once",
         [moved(STARTED), moved(STARTED, endpoint=endpoint6(1)), moved(STOPPED, 500),
          moved(STOPPED, 500, endpoint=endpoint6(1))], (500, 0, 1, 0)),
    case(55, "another peer id has a base of its own",
         [moved(STARTED), moved(NONE, 500), moved(NONE, 900, peer_id=ANOTHER),
          moved(NONE, 910, peer_id=ANOTHER)], (510, 0, 2, 0)),
    case(56, "another address continues the session",
         [moved(STARTED), moved(NONE, 500), moved(NONE, 600, endpoint=endpoint4(2))], (600, 0, 1, 0)),
    case(63, "repeated totals are credited once",
         [moved(STARTED), moved(NONE, 500), moved(NONE, 500), moved(NONE, 500)],
         (500, 0, 1, 0)),
    case(82, "stopped sent twice is credited once",
         [moved(STARTED), moved(STOPPED, 500), moved(STOPPED, 500)], (500, 0, 1, 0)),
    case(15, "paused is credited", [moved(STARTED), moved(PAUSED, 500, 300)], (500, 300, 1, 0)),
]  # fmt: skip


@pytest.mark.parametrize(("announces", "expected"), CREDITED)
def test_credited(announces: list[Announce], expected: tuple[int, int, int, int]) -> None:
    """An account is credited with the sum of the differences between its sessions' announces."""
    totals = play(*announces).totals(1)
    assert (totals.uploaded, totals.downloaded, totals.sessions, totals.snatched) == expected


def test_case_62_early_announces_are_credited() -> None:
    """An announce before the interval has passed is credited at once."""
    rig = Rig.with_settings(private=True, interval=1800, interval_min=1800)
    key = rig.issue(0)
    rig.announce(moved(STARTED, key=key), moved(NONE, 5, key=key), moved(NONE, 9, key=key))
    assert rig.totals(1).uploaded == 9


def test_case_23_the_log_marks_a_restarted_session() -> None:
    """The announce whose totals went back is `restarted` and names the announce before it."""
    rig = play(moved(STARTED), moved(NONE, 500), moved(NONE, 100))
    announces = [one for one in rig.events() if one["type"] == "announced"]
    assert [one["uploaded"] for one in announces] == [0, 500, 100]
    assert [one["rule"] for one in announces] == ["first", "continued", "restarted"]
    assert [one["prev_seq"] for one in announces[1:]] == [one["seq"] for one in announces[:-1]]


def test_case_59_seeding_time_ends_at_the_timeout() -> None:
    """A silent seeder is credited with seeding time up to the timeout and no more."""
    rig = Rig.with_settings(private=True, max_peer_timeout=900)
    key = rig.issue(0)
    rig.announce(moved(left=0, key=key))
    rig.time.advance(5000 * SECOND)
    rig.announce(moved(left=0, key=key))
    assert rig.totals(1).seeding_us == 900 * SECOND
