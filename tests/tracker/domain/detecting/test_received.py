"""Upload beyond what others can have received: each clause of docs/audit.md with an example."""

from __future__ import annotations

import pytest

from tests.tracker.domain.detecting.hearing import GB, MINUTE_US, TORRENT, Ear
from tracker.domain.detecting.intervals import CASE, LEAD, MOST_WAITING, Finding
from tracker.domain.detecting.received import ReceivedParameters, UploadBeyondReceived

A, B, C = 1, 2, 3
SIZE = 20 * GB
DAY = 1440


def _ear() -> Ear:
    ear = Ear(UploadBeyondReceived())
    ear.announce(0, A)
    return ear


def test_the_example_of_the_docs() -> None:
    ear = _ear()
    ear.announce(1, B, left=SIZE)
    ear.announce(2, C, left=9 * GB)
    ear.announce(3, A, down=1)
    ear.announce(33, A, up=30 * GB)
    ear.announce(34, B, left=16 * GB, down=4 * GB)
    assert not ear.found  # because C is still listed
    ear.silent(60, C)
    (finding,) = ear.found
    facts = {
        "sent": 30 * GB, "received": 13 * GB, "windows": 1, "unexplained_in_all": 15_350_000_000,
        "sent_in_all": 30 * GB,
    }  # fmt: skip
    assert finding == Finding(
        "upload_beyond_received", LEAD, A, TORRENT, finding.begin_us, finding.end_us,
        15_350_000_000, "bytes", (5,), facts,
    )  # fmt: skip
    assert finding.end_us - finding.begin_us == 30 * MINUTE_US


def test_few_windows_of_an_account_wait() -> None:
    """Because each announce in the torrent looks at all of them."""
    ear = _ear()
    ear.announce(1, B, left=0)
    for number in range(2, 100):
        ear.announce(number / 10, A, up=number * 10 * GB)
    assert not ear.found
    ear.announce(30, B, left=0)
    assert ear.amounts() == [(A, 9 * GB)] * MOST_WAITING


def test_where_too_many_fell_silent_nothing_is_judged() -> None:
    ear = Ear(UploadBeyondReceived(ReceivedParameters(most_silent=1)))
    ear.announce(0, A)
    for other in (B, C):
        ear.announce(1, other, left=GB)
    ear.silent(60, B)
    ear.announce(61, A, up=100 * GB)
    ear.silent(62, C)
    ear.announce(63, A, up=200 * GB)
    assert [account for account, _ in ear.amounts()] == [A]


def test_an_interval_that_overlaps_counts_whole() -> None:
    ear = _ear()
    ear.announce(1, B, left=SIZE)
    ear.announce(29, A, down=1)
    ear.announce(31, B, left=10 * GB, down=10 * GB)  # overlaps the window from 29 on
    ear.announce(59, A, up=11 * GB)
    ear.announce(61, B, left=10 * GB, down=10 * GB)
    assert not ear.found  # 10 * 1.05 + 1 = 11.5
    ear.announce(89, A, up=22 * GB)
    ear.announce(91, B, left=10 * GB, down=10 * GB)
    assert ear.amounts() == [(A, 10 * GB)]


def test_it_waits_until_each_of_the_others_has_announced_stopped_or_left() -> None:
    ear = _ear()
    for other in (B, C, 4):
        ear.announce(1, other, left=0)
    ear.announce(2, A, down=1)
    ear.announce(32, A, up=30 * GB)
    ear.announce(33, B)
    ear.announce(34, 5, left=SIZE)  # joined later, and is none of the others
    ear.announce(35, C, event="stopped")
    assert not ear.found
    ear.silent(47, 4)
    assert ear.amounts() == [(A, 29 * GB)]


@pytest.mark.parametrize(
    ("before", "after", "down", "received"),
    [
        (20 * GB, 17 * GB, 4 * GB, 4 * GB),  # some of it was damaged
        (20 * GB, 17 * GB, 0, 3 * GB),  # its counter stands
        (17 * GB, 20 * GB, 0, 0),  # it removed what it had
        (20 * GB, None, 0, 20 * GB),
        (None, 20 * GB, 0, 20 * GB),
    ],
)
def test_what_a_peer_can_have_received(
    before: int | None, after: int | None, down: int, received: int
) -> None:
    ear = _ear()
    ear.announce(1, B, left=before)
    ear.announce(2, A, down=1)
    ear.announce(32, A, up=50 * GB)
    ear.announce(33, B, left=after, down=down)
    assert ear.amounts() == [(A, 49 * GB - received * 105 // 100)]


@pytest.mark.parametrize(("left", "received"), [(5 * GB, 15 * GB), (0, SIZE), (None, 2 * SIZE)])
def test_a_first_announce_can_have_received_what_is_not_left(
    left: int | None, received: int
) -> None:
    ear = _ear()
    ear.announce(2, B, left=left)
    ear.announce(30, A, up=50 * GB)
    ear.announce(32, B, left=left)  # where `left` is not known, the size a second time
    assert ear.amounts() == [(A, 49 * GB - received * 105 // 100)]


def test_a_first_announce_of_a_peer_that_stopped_has_one_before_it() -> None:
    """The tracker forgets who stopped. Over IPv4 and IPv6 a client stops twice."""
    ear = _ear()
    ear.announce(2, B, left=15 * GB, event="stopped")
    ear.announce(3, A, down=1)
    ear.announce(4, B, left=12 * GB, event="stopped", new=True)
    ear.announce(33, A, up=10 * GB)
    assert ear.amounts() == [(A, 9 * GB - 3_150_000_000)]


def test_what_one_who_fell_silent_had_left_explains_windows_until_it_is_used() -> None:
    ear = _ear()
    ear.announce(1, C, left=10 * GB)
    ear.announce(2, A, down=1)
    ear.silent(50, C)
    ear.announce(60, A, up=5_200_000_000)  # 4.2 GB are C's: 4 GB of its 10
    ear.announce(90, A, up=11_450_000_000)  # 5.25 GB: 5 GB
    assert not ear.found
    ear.announce(120, A, up=17_700_000_000)  # 5.25 GB, and 1 GB is not used
    assert ear.amounts() == [(A, 4_200_000_000)]
    ear.announce(150, A, up=19 * GB)
    assert ear.amounts()[1:] == [(A, 300_000_000)]


def test_one_who_fell_silent_after_a_window_does_not_explain_it() -> None:
    ear = _ear()
    ear.announce(1, B, left=10 * GB)
    ear.announce(2, C)
    ear.announce(3, A, down=1)
    ear.announce(33, A, up=5 * GB)
    ear.announce(34, B, left=10 * GB)  # it received nothing in the window
    ear.silent(124, B)
    ear.announce(125, C)
    assert ear.amounts() == [(A, 4 * GB)]


def test_what_explains_one_member_explains_another_too() -> None:
    ear = _ear()
    ear.announce(1, B)
    ear.announce(1, C, left=10 * GB)
    ear.announce(2, A, down=1)
    ear.announce(2, B)
    ear.silent(50, C)
    ear.announce(60, A, up=11 * GB)
    ear.announce(60, B, up=11 * GB)
    ear.announce(90, A, up=11 * GB)
    assert not ear.found


@pytest.mark.parametrize(("days", "found"), [(7, []), (7.001, [(A, 9 * GB)])])
def test_one_who_fell_silent_explains_nothing_after_seven_days(
    days: float, found: list[tuple[int, int]]
) -> None:
    ear = _ear()
    ear.announce(1, C, left=10 * GB)
    ear.silent(50, C)
    ear.announce(days * DAY - 29, A, down=1)
    ear.announce(days * DAY + 1, A, up=10 * GB)
    assert ear.amounts() == found


def test_one_who_is_seen_again_explains_what_it_received() -> None:
    ear = _ear()
    ear.announce(1, C, left=10 * GB)
    ear.silent(50, C)
    ear.announce(60, A, down=1)
    ear.announce(70, C, left=8 * GB, down=2 * GB)
    ear.announce(90, A, up=10 * GB)
    ear.announce(100, C, left=8 * GB, down=2 * GB)
    assert ear.amounts() == [(A, 10 * GB - 2_100_000_000 - GB)]


@pytest.mark.parametrize(("minutes", "found"), [(10, [(A, 9 * GB)]), (11, [])])
def test_a_window_in_which_the_tracker_was_down_is_not_judged(
    minutes: int, found: list[tuple[int, int]]
) -> None:
    ear = _ear()
    ear.wait(10)
    ear.down(10 + minutes)
    ear.announce(10 + minutes, A, up=10 * GB)
    assert ear.amounts() == found
    ear.announce(40, A, up=20 * GB)
    assert ear.amounts() == [*found, (A, 9 * GB)]


def test_the_torrent_s_size_and_the_account_must_be_known() -> None:
    ear = Ear(UploadBeyondReceived(), size=0)
    ear.announce(0, A)
    ear.announce(30, A, up=50 * GB)
    ear.announce(60, A, up=100 * GB, size=20 * GB)
    assert ear.amounts() == [(A, 49 * GB)]
    ear.announce(0, 0, torrent=b"u" * 20)
    ear.announce(30, 0, torrent=b"u" * 20, up=50 * GB)
    assert len(ear.found) == 1


@pytest.mark.parametrize(
    ("each", "days", "honest", "grades"),
    [
        (7 << 30, 1, 0, [LEAD, LEAD, LEAD, CASE]),  # more than 3 windows
        (5 << 30, 1, 0, [LEAD, LEAD, LEAD, LEAD, CASE]),  # more than 20 GiB
        (7 << 30, 1, 600 << 30, [LEAD, LEAD, LEAD, LEAD, CASE]),  # more than 5 percent
        (7 << 30, 12, 0, [LEAD, LEAD, LEAD, LEAD, LEAD]),  # three within 30 days
    ],
)
def test_a_case_needs_windows_bytes_and_a_share_within_30_days(
    each: int, days: int, honest: int, grades: list[int]
) -> None:
    size = 1 << 30
    ear = Ear(UploadBeyondReceived(), size=size)
    if honest:  # to one whose `left` is not known, so that it can have received this
        ear.announce(0, A, torrent=b"h" * 20, size=honest)
        ear.announce(1, B, torrent=b"h" * 20, size=honest, left=None)
        ear.announce(9, A, torrent=b"h" * 20, size=honest, up=honest, event="stopped")
        ear.announce(10, B, torrent=b"h" * 20, size=honest, left=None, event="stopped")
    claimed = each + size * 5 // 100
    for count in range(len(grades)):
        torrent = bytes([count]) * 20  # they are added up over all torrents
        ear.announce(count * days * DAY + 20, A, torrent=torrent)
        ear.announce(count * days * DAY + 50, A, torrent=torrent, up=claimed, event="stopped")
    assert [found.grade for found in ear.found] == grades
    last = ear.found[-1]
    if last.grade == CASE:
        assert last.facts["windows"] == len(last.evidence) == len(grades)


def test_a_window_after_an_announce_that_tells_nothing_new_begins_with_the_one_before() -> None:
    """Because it may be an old one: here that of minute 30, which the one of minute 60 overtook."""
    ear = _ear()
    ear.announce(1, B, left=10 * GB)
    ear.announce(60, A, up=GB)
    ear.announce(75, B, left=0, down=10 * GB)
    ear.announce(80, A, up=GB)
    ear.announce(90, A, up=11 * GB)
    assert not ear.found
    ear.announce(91, A, up=11 * GB)
    ear.announce(92, A, up=11 * GB)
    ear.announce(93, A, up=21 * GB)
    ear.announce(94, B, left=0, down=10 * GB)
    assert ear.amounts() == [(A, 9 * GB)]


def test_what_counts_twice_after_an_old_announce_is_passed_over_three_times_in_30_days() -> None:
    ear = _ear()
    for number in range(5):
        ear.announce(60 * number + 30, A, up=10 * GB, down=1)
        ear.announce(60 * number + 40, A)  # accounts count from here once more
    assert ear.amounts() == [(A, 9 * GB)] * 2  # the first time that it was told, and the fifth


def test_a_client_that_began_anew_is_not_overtaken() -> None:
    """What it says next is less than before, or does not fit what it counted twice."""
    ear = _ear()
    ear.announce(30, A, up=GB)
    ear.announce(60, A)
    ear.announce(90, A, up=GB - 1, down=1)
    ear.announce(120, A)
    ear.announce(150, A, up=3 * GB)
    assert ear.amounts() == [(A, 2 * GB)]
