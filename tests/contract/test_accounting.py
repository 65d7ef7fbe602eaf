"""What members are credited with, announce by announce; time and the log in the test's hands."""

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


def says(event: int = NONE, up: int = 0, down: int = 0, left: int = SIZE, **more: Any) -> Announce:
    more = {"info_hash": HASH, "endpoint": endpoint4(1), "peer_id": ME, **more}
    return Announce(uploaded=up, downloaded=down, left=left, event=event, **more)


def play(*announces: Announce) -> Rig:
    """They come from one account, ten seconds apart; the log alone tells the same of them."""
    rig = Rig.with_settings(private=True)
    key = rig.issue(0)
    for one in announces:
        rig.time.advance(10 * SECOND)
        (torrent,) = rig.announce(evolve(one, key=key))
        assert torrent >= 0
    assert replayed(rig.log.frames()).digest() == rig.state.digest()
    return rig


# Uploaded, downloaded, sessions and snatched of the account afterwards.
CREDITED = [
    case(13, "a number that no counter reaches", [says(STARTED), says(up=2**63 - 1), says(STOPPED)],
         (2**63 - 1, 0, 1, 0)),
    case(17, "completed as the first word: no session saw it begin", [says(COMPLETED, left=0)],
         (0, 0, 1, 0)),
    case(18, "completed twice", [says(STARTED), says(COMPLETED, left=0), says(COMPLETED, left=0)],
         (0, 0, 1, 1)),
    case(18, "started again, as its answer was lost: nothing is lost",
         [says(STARTED), says(STARTED, 100, 50), says(NONE, 200, 90)], (200, 90, 1, 0)),
    case(18, "started again from zero: another session",
         [says(STARTED), says(NONE, 100, 50), says(STARTED), says(NONE, 10, 5)], (110, 55, 2, 0)),
    case(19, "done without a word", [says(STARTED), says(NONE, 0, SIZE, 0)], (0, SIZE, 1, 1)),
    case(19, "done, and gone without a word", [says(STARTED), says(STOPPED, 0, SIZE, 0)],
         (0, SIZE, 1, 1)),
    case(19, "and then completed: still one", [says(STARTED), says(left=0), says(COMPLETED, left=0)],
         (0, 0, 1, 1)),
    case(21, "stopped with zeros takes nothing back",
         [says(STARTED), says(NONE, 500, 300), says(STOPPED)], (500, 300, 1, 0)),
    case(21, "nor begins a session", [says(STARTED), says(NONE, 500), says(STOPPED, left=UNKNOWN)],
         (500, 0, 1, 0)),
    case(22, "nothing for what was moved before the first announce", [says(STARTED, 700, 800)],
         (0, 0, 1, 0)),
    case(22, "a seeder that checked its files", [says(STARTED, 0, SIZE, 0), says(NONE, 9, SIZE, 0)],
         (9, 0, 1, 0)),
    case(22, "it is the base of the next", [says(STARTED, 700, 800), says(NONE, 750, 810)],
         (50, 10, 1, 0)),
    case(23, "totals that go back: nothing, and a new base",
         [says(STARTED), says(NONE, 500, 300), says(NONE, 100, 20)], (500, 300, 2, 0)),
    case(23, "from which it goes on",
         [says(STARTED), says(NONE, 500, 300), says(NONE, 100, 20), says(NONE, 150, 30)],
         (550, 310, 2, 0)),
    case(23, "one of the two is enough",
         [says(STARTED), says(NONE, 500, 300), says(NONE, 600, 20), says(NONE, 601, 21)],
         (501, 301, 2, 0)),
    case(24, "protocol bytes are bytes", [says(STARTED), says(NONE, 3_002_539, SIZE, 0)],
         (3_002_539, SIZE, 1, 1)),
    case(54, "two addresses tell the same: credited once",
         [says(STARTED), says(STARTED, endpoint=endpoint6(1)), says(NONE, 500, 300),
          says(NONE, 500, 300, endpoint=endpoint6(1))], (500, 300, 1, 0)),
    case(54, "and leave together",
         [says(STARTED), says(STARTED, endpoint=endpoint6(1)), says(STOPPED, 500),
          says(STOPPED, 500, endpoint=endpoint6(1))], (500, 0, 1, 0)),
    case(55, "started again with another id: a base of its own",
         [says(STARTED), says(NONE, 500), says(NONE, 900, peer_id=ANOTHER),
          says(NONE, 910, peer_id=ANOTHER)], (510, 0, 2, 0)),
    case(56, "from another address: it goes on",
         [says(STARTED), says(NONE, 500), says(NONE, 600, endpoint=endpoint4(2))], (600, 0, 1, 0)),
    case(63, "the same again", [says(STARTED), says(NONE, 500), says(NONE, 500), says(NONE, 500)],
         (500, 0, 1, 0)),
    case(82, "sent again", [says(STARTED), says(STOPPED, 500), says(STOPPED, 500)], (500, 0, 1, 0)),
    case(15, "paused", [says(STARTED), says(PAUSED, 500, 300)], (500, 300, 1, 0)),
]  # fmt: skip


@pytest.mark.parametrize(("announces", "expected"), CREDITED)
def test_credited(announces: list[Announce], expected: tuple[int, int, int, int]) -> None:
    """Sums of differences, never less than nothing, never twice."""
    totals = play(*announces).totals(1)
    assert (totals.uploaded, totals.downloaded, totals.sessions, totals.snatched) == expected


def test_case_62_however_early() -> None:
    """What is announced before the interval has passed is credited at once."""
    rig = Rig.with_settings(private=True, interval=1800, interval_min=1800)
    key = rig.issue(0)
    rig.announce(says(STARTED, key=key), says(NONE, 5, key=key), says(NONE, 9, key=key))
    assert rig.totals(1).uploaded == 9


def test_case_23_both_sessions_in_the_log() -> None:
    """The announce that went back says so, and names the one before it."""
    rig = play(says(STARTED), says(NONE, 500), says(NONE, 100))
    told = [one for one in rig.events() if one["type"] == "announced"]
    assert [one["uploaded"] for one in told] == [0, 500, 100]
    assert [one["rule"] for one in told] == ["first", "continued", "restarted"]
    assert [one["prev_seq"] for one in told[1:]] == [one["seq"] for one in told[:-1]]


def test_case_59_silence_is_not_seeding() -> None:
    """A seeder that was not heard of for longer than the timeout is credited with no more than that."""
    rig = Rig.with_settings(private=True, max_peer_timeout=900)
    key = rig.issue(0)
    rig.announce(says(left=0, key=key))
    rig.time.advance(5000 * SECOND)
    rig.announce(says(left=0, key=key))
    assert rig.totals(1).seeding_us <= 900 * SECOND
