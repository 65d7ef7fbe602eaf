"""More than the torrent can hold, and upload without leechers."""

from __future__ import annotations

import pytest

from tests.tracker.domain.detecting.hearing import GB, Ear
from tracker.domain.detecting.alone import UploadWithoutLeechers
from tracker.domain.detecting.holding import MoreThanTorrentHolds
from tracker.domain.detecting.intervals import CASE, LEAD, MOST_WAITING

A, B, C = 1, 2, 3
SIZE = 20 * GB
MB = 10**6
DAY = 1440


def _holding(size: int = SIZE) -> Ear:
    ear = Ear(MoreThanTorrentHolds(), size=size)
    ear.announce(0, A)
    return ear


def test_each_leecher_takes_the_size_and_a_tenth() -> None:
    ear = _holding()
    ear.announce(1, B, left=SIZE)
    ear.announce(2, C, left=SIZE)
    ear.announce(30, A, up=45 * GB)  # 44 GB, and less than a tenth of the size beyond
    assert not ear.found
    ear.announce(60, A, up=46 * GB)
    ear.announce(90, A, up=47 * GB)
    ear.announce(120, A, up=50 * GB)
    assert ear.amounts() == [(A, 2 * GB), (A, 4 * GB)]
    assert [found.grade for found in ear.found] == [CASE, CASE]
    assert ear.found[1].facts == {"sent": 50 * GB, "leechers": 2, "size": SIZE, "beyond": 6 * GB}


def test_a_little_beyond_is_a_lead() -> None:
    ear = _holding(100 * MB)
    ear.announce(1, B, left=100 * MB)
    ear.announce(30, A, up=900 * MB)
    ear.announce(60, A, up=1400 * MB)
    assert [found.grade for found in ear.found] == [LEAD, CASE]


@pytest.mark.parametrize(
    ("leecher", "seen"),
    [
        ([(1, SIZE, "none"), (5, 0, "completed")], 1),  # it went before the announce
        ([(1, SIZE, "none"), (5, 9 * GB, "stopped")], 1),
        ([(1, SIZE, "none"), (5, 0, "none"), (9, SIZE, "none")], 2),  # it loads again
        ([(1, 9 * GB, "none"), (9, SIZE, "none")], 2),
        ([(1, None, "none")], 1),
        ([(5, 0, "completed")], 1),  # its first announce was lost
        ([(5, 0, "none")], 0),
    ],
)
def test_who_counts_as_a_leecher(leecher: list[tuple[int, int | None, str]], seen: int) -> None:
    ear = _holding()
    for minute, left, event in leecher:
        ear.announce(minute, B, left=left, event=event)
    ear.announce(30, A, up=50 * GB)
    assert ear.found[0].facts["leechers"] == seen


def test_own_clients_are_no_leechers() -> None:
    ear = _holding()
    ear.announce(1, A, left=SIZE, peer=b"second")
    ear.announce(30, A, up=9 * GB)
    ear.announce(31, A, left=SIZE, peer=b"third")
    ear.announce(60, A, up=12 * GB)
    assert [found.facts["leechers"] for found in ear.found] == [0, 0]


def test_a_leecher_that_went_counts_for_seven_days_or_eight() -> None:
    ear = _holding()
    ear.announce(1, B, left=SIZE, event="stopped")
    ear.announce(6 * DAY, A, up=1)
    ear.announce(6 * DAY + 30, A, up=22 * GB)
    assert not ear.found
    ear.announce(20 * DAY, A, up=22 * GB)
    ear.announce(20 * DAY + 30, A, up=26 * GB)
    assert ear.amounts() == [(A, 4 * GB)]


def test_what_was_sent_while_the_tracker_was_down_does_not_count() -> None:
    ear = _holding()
    ear.down(60)
    ear.announce(61, A, up=50 * GB)
    assert not ear.found


def _alone() -> Ear:
    ear = Ear(UploadWithoutLeechers())
    ear.announce(200, A)
    return ear


def test_upload_while_nobody_is_there() -> None:
    ear = _alone()
    ear.announce(1, B, left=SIZE)
    ear.announce(109, B, left=SIZE, event="stopped")
    ear.announce(200, C, left=SIZE, torrent=b"another torrent.....")
    for count in (1, 2, 3):
        ear.announce(200 + 30 * count, A, up=400 * MB * count)
    ear.wait(320)
    assert not ear.found  # somebody may still come
    ear.wait(400)
    assert ear.amounts() == [(A, 400 * MB)] * 3
    assert [found.grade for found in ear.found] == [LEAD, LEAD, CASE]  # three, with 1 GiB
    assert len(ear.found[-1].evidence) == 3


@pytest.mark.parametrize("minute", [110, 199, 215, 231, 319])
def test_anybody_within_a_timeout_of_the_window_may_have_taken_it(minute: int) -> None:
    for refused in (False, True):
        ear = Ear(UploadWithoutLeechers())
        if refused:
            told = [(200, A, 0), (230, A, 400 * MB), (minute, B, 0)]
        else:
            told = [(200, A, 0), (230, A, 400 * MB), (minute, B, SIZE), (minute + 0.5, B, 0)]
        for at, account, number in sorted(told):
            if account == A:
                ear.announce(at, A, up=number)
            elif refused:
                ear.refused(at, B)
            else:
                ear.announce(at, B, left=number)
        ear.wait(400)
        assert not ear.found


@pytest.mark.parametrize(("left", "found"), [(None, 0), (0, 1)])
def test_one_who_was_there_before_counts_if_it_lacks_something(
    left: int | None, found: int
) -> None:
    ear = Ear(UploadWithoutLeechers())
    ear.announce(1, B, left=left)
    ear.announce(200, A)
    ear.announce(230, A, up=400 * MB)
    ear.wait(400)
    assert len(ear.found) == found


@pytest.mark.parametrize("minute", [150, 300])
def test_one_who_is_new_and_complete_may_have_loaded(minute: int) -> None:
    ear = Ear(UploadWithoutLeechers())
    for at, account, up in sorted([(200, A, 0), (230, A, 400 * MB), (minute, B, 0)]):
        ear.announce(at, account, up=up)
    ear.wait(400)
    assert not ear.found


@pytest.mark.parametrize(("days", "grade"), [(6, LEAD), (8, CASE)])
def test_it_is_no_case_while_one_who_fell_silent_may_load(days: int, grade: int) -> None:
    ear = Ear(UploadWithoutLeechers())
    ear.announce(1, B, left=SIZE)
    ear.silent(90, B)
    ear.announce(days * DAY, A)
    for count in (1, 2, 3):
        ear.announce(days * DAY + 30 * count, A, up=400 * MB * count)
    ear.wait(days * DAY + 300)
    assert [found.grade for found in ear.found] == [LEAD, LEAD, grade]


def test_neither_a_few_bytes_nor_the_member_s_own_leeching_nor_an_outage_shows_anything() -> None:
    ear = _alone()
    ear.announce(230, A, up=MB)
    ear.announce(231, B, left=SIZE, torrent=b"u" * 20)
    ear.announce(261, B, left=SIZE, up=400 * MB, torrent=b"u" * 20)  # to whom? nobody is there
    ear.wait(500)
    assert ear.amounts() == [(B, 400 * MB)]
    ear.down(600)
    ear.announce(600, A, up=400 * MB)
    ear.announce(630, A, up=800 * MB)
    ear.down(700)
    ear.wait(900)
    assert len(ear.found) == 1


def test_few_windows_of_an_account_wait() -> None:
    """Because each announce in the torrent looks at all of them."""
    ear = Ear(UploadWithoutLeechers())
    for number in range(100):
        ear.announce(number / 10, A, up=number * GB)
    ear.wait(DAY)
    assert ear.amounts() == [(A, GB)] * MOST_WAITING
