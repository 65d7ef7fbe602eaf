"""Ghost leech and dark leech."""

from __future__ import annotations

from typing import Any

import pytest

from tests.tracker.domain.detecting.hearing import GB, Ear
from tracker.domain.detecting.intervals import CASE, LEAD
from tracker.domain.detecting.leeching import GhostLeech

A, SEEDER, OTHER = 1, 2, 3
SIZE = 20 * GB
DAY = 1440


def _download(ear: Ear, day: float, account: int = A, **changed: Any) -> None:
    """Loads a torrent from a seeder within an hour, and reports nothing of it."""
    told = {"sent": SIZE, "apart": 30, "down": 0, "other": 0, "peer": b""} | changed
    at, torrent = day * DAY, b"torrent %12d" % int(day * 100)
    ear.announce(at, SEEDER, torrent=torrent)
    ear.announce(at, OTHER, left=SIZE, torrent=torrent)
    ear.announce(at + 1, account, left=SIZE, torrent=torrent, peer=told["peer"])
    ear.announce(
        at + 1 + told["apart"], account, left=SIZE // 2, torrent=torrent, peer=told["peer"]
    )
    ear.announce(at + 60, SEEDER, up=told["sent"], torrent=torrent, event="stopped")
    ear.announce(at + 60, account, down=told["down"], torrent=torrent, peer=told["peer"])
    other = told["other"]
    ear.announce(at + 61, OTHER, left=SIZE - other, down=other, torrent=torrent, event="stopped")
    ear.wait(at + 120)


def _ear() -> Ear:
    """Makes an ear that knows that A's client counts downloads, where it wants to."""
    ear = Ear(GhostLeech())
    _count(ear)
    return ear


def _count(ear: Ear, minute: float = 0, peer: bytes = b"") -> None:
    torrent = b"counted %012d" % minute
    ear.announce(minute, A, left=SIZE, torrent=torrent, peer=peer)
    ear.announce(minute, A, left=0, down=SIZE, torrent=torrent, peer=peer)


def _grades(ear: Ear) -> list[int]:
    assert {found.account for found in ear.found} <= {A}
    return [found.grade for found in ear.found]


def test_a_ghost_leech_is_a_case_in_its_third_torrent() -> None:
    ear = _ear()
    for day in (1, 2, 3):
        _download(ear, day)
    assert _grades(ear) == [LEAD, LEAD, CASE]
    assert ear.amounts() == [(A, SIZE)] * 3
    assert ear.found[2].facts == {
        "came": SIZE, "sent_by_others": SIZE, "received_by_others": 0, "twice": 1, "torrents": 3,
        "members": 0, "counts": 1, "dark": 0,
    }  # fmt: skip


def test_only_torrents_of_30_days_count() -> None:
    ear = _ear()
    _count(ear, 1500)
    for day in (2, 3):
        _download(ear, day)
    _count(ear, 20 * DAY)
    _download(ear, 33.5)
    assert _grades(ear) == [LEAD, LEAD, LEAD]


def test_who_reports_what_he_loads_is_nothing() -> None:
    ear = _ear()
    _download(ear, 1, down=SIZE // 20)
    _download(ear, 2, down=SIZE // 20 + 1)
    assert _grades(ear) == [LEAD]


@pytest.mark.parametrize(
    "changed",
    [
        {"sent": 0},  # it added files that it had
        {"other": SIZE // 2},  # half of what was sent went to somebody else
        {"apart": 29},  # a check was over before the second announce
    ],
)
def test_what_may_be_a_check_of_files_makes_no_case(changed: dict[str, int]) -> None:
    ear = _ear()
    for day in (1, 2, 3, 4):
        _download(ear, day, **changed)
    assert _grades(ear) == [LEAD] * 4


def test_a_client_that_never_counts_for_its_member_makes_no_case() -> None:
    ear = Ear(GhostLeech())
    for day in (1, 2, 3, 4):
        _download(ear, day)
    _count(ear, 5 * DAY)
    _download(ear, 6)
    assert _grades(ear) == [LEAD] * 4 + [CASE]


def test_a_client_that_does_not_count_for_others_either_makes_no_case() -> None:
    ear = _ear()
    for member in (11, 12, 13):
        _download(ear, 1 + member / 100, member, peer=b"-XX0001-%d" % member)
    for day in (2, 3, 4):
        _download(ear, day)
    assert [found.grade for found in ear.found if found.account == A] == [LEAD] * 3
    _count(ear, 5 * DAY - 1, b"-YY0001-1")
    for day in (5, 6, 7):
        _download(ear, day, peer=b"-YY0001-1")
    assert [found.grade for found in ear.found][-3:] == [CASE] * 3  # six torrents by now


def test_a_dark_leech_is_silent_and_comes_back_complete() -> None:
    ear = _ear()
    for day in (1, 2, 3):
        at, torrent = day * DAY, bytes([day]) * 20
        ear.announce(at, SEEDER, torrent=torrent)
        ear.announce(at + 1, A, left=SIZE, torrent=torrent)
        ear.announce(at + 31, A, left=SIZE, torrent=torrent)
        ear.silent(at + 60, A, torrent=torrent)
        ear.announce(at + 90, SEEDER, up=SIZE, torrent=torrent)
        ear.announce(at + 91, A, torrent=torrent, peer=b"another%d" % day)
        ear.wait(at + 200)
    assert _grades(ear) == [LEAD, LEAD, CASE]
    assert ear.amounts() == [(A, SIZE)] * 3
    assert ear.found[0].facts["dark"] == 1


def test_who_comes_back_before_he_is_gone_is_dark_once_he_fell_silent() -> None:
    ear = _ear()
    ear.announce(1, A, left=SIZE)
    ear.announce(50, A, peer=b"another")
    ear.announce(51, A, left=SIZE)  # he has two clients
    ear.wait(200)
    assert not ear.found
    ear.announce(250, A, peer=b"third")
    ear.silent(260, A)
    ear.wait(400)
    assert ear.amounts() == [(A, SIZE)]


@pytest.mark.parametrize(("left", "down", "days"), [(GB, 0, 1), (0, SIZE, 1), (0, 0, 8)])
def test_who_comes_back_with_less_or_reports_it_or_late_is_not_dark(
    left: int, down: int, days: int
) -> None:
    ear = _ear()
    ear.announce(1, A, left=SIZE)
    ear.silent(60, A)
    ear.announce(days * DAY, A, left=left, down=down, peer=b"another")
    ear.wait(days * DAY + 200)
    assert not ear.found


def test_a_download_that_begins_anew_is_another() -> None:
    ear = _ear()
    ear.announce(1, A, left=SIZE)
    ear.announce(31, A, left=GB, down=19 * GB)
    ear.announce(61, A, left=SIZE, down=19 * GB)  # the file was damaged
    ear.announce(91, A, left=0, down=39 * GB)
    ear.announce(121, A, left=SIZE, down=39 * GB)
    ear.announce(151, A, left=0, down=39 * GB)
    ear.wait(300)
    assert ear.amounts() == [(A, SIZE)]


def test_what_a_silent_leecher_lacked_may_be_where_uploads_went() -> None:
    ear = _ear()
    for day in (1, 2, 3):
        at, torrent = day * DAY, bytes([day]) * 20
        ear.announce(at, SEEDER, torrent=torrent)
        ear.announce(at, OTHER, left=SIZE, torrent=torrent)
        ear.announce(at + 1, A, left=SIZE, torrent=torrent)
        ear.announce(at + 31, A, left=GB, torrent=torrent)
        ear.silent(at + 40, OTHER, torrent=torrent)
        ear.announce(at + 60, SEEDER, up=SIZE, torrent=torrent)
        ear.announce(at + 61, A, torrent=torrent)
        ear.wait(at + 200)
    assert [found.grade for found in ear.found if found.account == A] == [LEAD] * 3
