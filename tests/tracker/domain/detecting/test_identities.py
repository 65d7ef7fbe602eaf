"""Accounts, addresses and clients: networks, addresses, peer_ids, clients and rates."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from tests.tracker.domain.detecting.hearing import GB, MINUTE_US, TORRENT, Ear
from tracker.domain.detecting.addresses import AddressParameters, SharedAddress
from tracker.domain.detecting.identities import AnotherClient, SharedPeerId
from tracker.domain.detecting.intervals import CASE, LEAD, PROOF
from tracker.domain.detecting.networks import ManyNetworks, NetworkParameters
from tracker.domain.detecting.steady import ConstantRate

A, B, C = 1, 2, 3
DAY = 1440
HOMES = [bytes([203, 0, each, 9]) for each in range(5)]
LINES = [bytes([0x20, 1, 0xD, 0xB8, 0, each]) + bytes(10) for each in range(5)]


def _load(ear: Ear, homes: list[bytes], *, hours: float = 3, torrents: int = 2) -> None:
    """Loads torrents of its own at each address, for some hours at the same time."""
    steps = int(hours * 2) + 1
    for step in range(steps):
        for at, home in enumerate(homes):
            for number in range(torrents):
                torrent = bytes([1 + at, number]).ljust(20)
                ear.announce(
                    step * 30 + at, A, left=(steps - step) * GB, down=step * GB, torrent=torrent,
                    address=home, peer=b"peer%d" % at,
                )  # fmt: skip


@pytest.mark.parametrize(
    ("homes", "hours", "torrents", "grades"),
    [
        (HOMES[:3], 3, 2, [LEAD, CASE]),
        (HOMES[:2], 3, 2, [LEAD]),
        (HOMES[:2], 1, 2, []),  # less than three intervals
        (HOMES[:3], 3, 1, []),
        ([HOMES[0], LINES[0]], 3, 2, []),  # one line has both
        (LINES[:2], 3, 2, [LEAD]),
        ([HOMES[0], HOMES[0][:3] + b"\x07"], 3, 2, []),  # one network
    ],
)
def test_networks_that_load_at_the_same_time(
    homes: list[bytes], hours: float, torrents: int, grades: list[int]
) -> None:
    ear = Ear(ManyNetworks())
    _load(ear, homes, hours=hours, torrents=torrents)
    assert [found.grade for found in ear.found] == grades
    if grades == [LEAD, CASE]:
        assert ear.found[1].amount == 3
        assert len(ear.found[1].evidence) == 6


def test_cross_seeds_and_moving_load_nothing_at_the_same_time() -> None:
    ear = Ear(ManyNetworks())
    for step in range(20):
        for at, home in enumerate(HOMES[:3]):  # the same torrents, and more that are only seeded
            for number in range(9):
                torrent = bytes([7 if number < 3 else at, number]).ljust(20)
                down = step * GB if number < 3 else 0
                left = (20 - step) * GB if number < 3 else 0
                ear.announce(
                    step * 30 + at, A, left=left, down=down, torrent=torrent, address=home,
                    peer=b"peer%d" % at,
                )  # fmt: skip
    for hour in range(5):  # one client, that is elsewhere each hour
        for number in range(9):
            torrent = bytes([9, number]).ljust(20)
            for half in (0, 30):
                ear.announce(
                    5000 + hour * 60 + half, B, left=GB * (9 - hour), down=hour * GB + half,
                    torrent=torrent, address=HOMES[hour],
                )  # fmt: skip
    assert not ear.found


def _loads(ear: Ear, day: int, at: int, torrent: int, others: list[int]) -> None:
    """Loads a torrent at one of `HOMES` on a day, while one is seeded at some others."""
    for half in range(5):
        minute = day * DAY + half * 30
        for other in others:
            ear.announce(
                minute, A, torrent=bytes([100 + other]).ljust(20), address=HOMES[other],
                peer=b"peer%d" % other,
            )  # fmt: skip
        ear.announce(
            minute + 1, A, left=(4 - half) * GB, down=half * GB, address=HOMES[at],
            torrent=bytes([at, torrent]).ljust(20), peer=b"peer%d" % at,
        )  # fmt: skip


def test_three_networks_that_load_little_are_a_lead_in_30_days() -> None:
    """Each two of them must have been in use at the same time."""
    ear = Ear(ManyNetworks())
    for day, at in enumerate((0, 1, 2) * 2):
        _loads(ear, 4 * day, at, day, [(at + 1) % 3])
    (found,) = ear.found
    assert (found.grade, found.amount, len(found.evidence)) == (LEAD, 3, 6)
    _loads(ear, 24, 3, 6, [0, 1, 2])
    _loads(ear, 28, 3, 7, [0, 1, 2])
    assert [(one.grade, one.amount) for one in ear.found[1:]] == [(LEAD, 4)]


def test_networks_that_load_one_after_the_other_or_long_ago_are_no_lead() -> None:
    for days, others in ((4, [1, 0, 0]), (7, [1, 2, 0])):
        ear = Ear(ManyNetworks())
        for day, at in enumerate((0, 1, 2) * 2):
            _loads(ear, days * day, at, day, [others[at]])
        assert not ear.found


def test_networks_that_are_declared_shared_are_left_out() -> None:
    ear = Ear(ManyNetworks(NetworkParameters(shared=(str(IPv4Address(HOMES[0])),))))
    _load(ear, HOMES[:2])
    assert not ear.found


def test_the_same_is_found_again_after_a_day() -> None:
    ear = Ear(ManyNetworks())
    _load(ear, HOMES[:2], hours=60)
    assert [found.grade for found in ear.found] == [LEAD] * 3


def _at_home(
    ear: Ear, *accounts: int, minute: float = 3 * DAY, rounds: int = 2, port: int = 0,
    key: int | None = None,
) -> None:  # fmt: skip
    """Announces from one address in turn, some rounds long."""
    for number in range(rounds):
        for place, account in enumerate(accounts):
            ear.announce(
                minute + number * 30 + place, account, address=HOMES[0], port=port, key=key
            )


def test_accounts_at_one_address_are_a_lead_for_both_once_in_30_days() -> None:
    ear = Ear(SharedAddress())
    _at_home(ear, A, B, rounds=3)
    _at_home(ear, A, B, minute=32 * DAY, rounds=9)
    _at_home(ear, A, B, minute=34 * DAY)
    assert [(found.account, found.grade) for found in ear.found] == [(B, LEAD), (A, LEAD)] * 2
    assert ear.found[0].facts == {"other_account": A, "same_port": 0, "same_key": 0}


@pytest.mark.parametrize(("port", "key"), [(40_001, None), (0, 4711)])
def test_the_same_port_or_key_is_a_case(port: int, key: int | None) -> None:
    ear = Ear(SharedAddress())
    ear.wait(0)
    _at_home(ear, A, B, port=port, key=key)
    assert [(found.account, found.grade) for found in ear.found] == [(B, CASE), (A, CASE)]


def test_a_port_that_many_use_shows_nothing_nor_does_any_in_the_first_two_days() -> None:
    ear = Ear(SharedAddress())
    ear.wait(0)
    _at_home(ear, A, B, minute=10, port=40_001)
    for account in range(10, 15):
        ear.announce(2 * DAY, account, port=6881)
    _at_home(ear, A, C, port=6881)
    assert {found.grade for found in ear.found} == {LEAD}


def test_one_after_the_other_is_no_lead() -> None:
    ear = Ear(SharedAddress())
    ear.announce(0, A, address=HOMES[0])
    ear.announce(30, A, address=HOMES[0])
    ear.announce(31, B, address=HOMES[0])  # the address is B's today
    ear.announce(61, B, address=HOMES[0])
    ear.announce(200, A, address=HOMES[0])
    assert not ear.found


def test_crowds_and_declared_networks_are_left_out() -> None:
    ear = Ear(SharedAddress())
    _at_home(ear, *range(1, 8), rounds=1)
    _at_home(ear, *range(1, 8), minute=3 * DAY + 30, rounds=3)
    assert not ear.found
    ear = Ear(SharedAddress(AddressParameters(shared=(str(IPv4Address(HOMES[0])),))))
    _at_home(ear, A, B)
    assert not ear.found


PEER_ID = b"-qB5010-abcdefghijkl"


@pytest.mark.parametrize(("keys", "grade"), [((7, 7), PROOF), ((7, 8), CASE), ((None, None), CASE)])
def test_one_peer_id_for_two_accounts(keys: tuple[int | None, int | None], grade: int) -> None:
    ear = Ear(SharedPeerId())
    for minute in (0, 30, 60):
        for account, key in zip((A, B), keys, strict=True):
            ear.announce(minute + account, account, peer=PEER_ID, key=key)
    assert [(found.account, found.grade) for found in ear.found] == [(A, grade), (B, grade)]
    assert ear.found[0].evidence == (2, 3)
    assert ear.found[0].end_us - ear.found[0].begin_us == 29 * MINUTE_US


def test_the_accounts_must_be_there_at_the_same_time_in_one_torrent() -> None:
    ear = Ear(SharedPeerId())
    ear.announce(0, A, peer=PEER_ID)
    ear.announce(1, B, peer=PEER_ID, torrent=b"another torrent.....")
    ear.announce(30, A, peer=PEER_ID)
    ear.announce(31, B, peer=PEER_ID)  # A's client got another key, and A is not gone yet
    ear.announce(61, B, peer=PEER_ID)
    ear.silent(120, A, peer=PEER_ID)
    ear.announce(121, A, peer=PEER_ID)
    assert not ear.found
    ear.announce(122, B, peer=PEER_ID)
    assert len(ear.found) == 2


def test_another_client_than_it_says() -> None:
    ear = Ear(AnotherClient())
    for account in (11, 12, 13):
        ear.announce(0, account, client=1)
    ear.announce(1, A, client=2)  # with the same prefix
    ear.announce(2, B, client=3, peer=b"-YY0001-b")  # nobody else has this prefix
    ear.announce(3, C, client=0)
    ear.wait(DAY)
    assert not ear.found
    ear.wait(DAY + 2)
    assert [(found.account, found.grade, found.amount) for found in ear.found] == [(A, LEAD, 1)]
    assert ear.found[0].facts == {"client": 2, "members": 1, "most_members": 3}


def test_a_client_that_three_members_have_by_the_next_day_is_real() -> None:
    ear = Ear(AnotherClient())
    for account in (11, 12, 13):
        ear.announce(0, account, client=1)
        ear.announce(account, account + 10, client=2)
    ear.wait(3 * DAY)
    assert not ear.found


def test_a_member_of_whom_nothing_is_heard_for_30_days_is_forgotten() -> None:
    ear = Ear(AnotherClient())
    for account in (11, 12, 13):
        ear.announce(0, account, client=1)
    ear.wait(33 * DAY)
    ear.announce(33 * DAY, A, client=2)
    ear.wait(35 * DAY)
    assert not ear.found


@pytest.mark.parametrize(
    ("rates", "found"),
    [
        ([100] * 12, 1),
        ([100] * 30, 1),
        ([100] * 11, 0),
        ([100, 101, 99] * 4, 1),
        ([100, 102] * 9, 0),
    ],
)
def test_a_constant_rate(rates: list[int], found: int) -> None:
    ear = Ear(ConstantRate())
    ear.announce(0, A)
    sent = 0
    for number, rate in enumerate(rates):
        sent += rate * 1800_000
        ear.announce(30 * number + 30, A, up=sent)
    assert [(each.account, each.amount, each.grade) for each in ear.found] == [
        (A, 100_000, LEAD)
    ] * found
    assert not found or ear.found[0].info_hash == TORRENT


def test_a_pause_ends_a_rate() -> None:
    ear = Ear(ConstantRate())
    for number in range(24):
        ear.announce(30 * number, A, up=GB * (number - (number > 11)))
    assert not ear.found
