"""Who is who in private modes: an account's peer_id is one peer, wherever it announces from."""

from __future__ import annotations

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
    pick,
    replayed,
)
from tracker.domain import events
from tracker.domain.directory import SEEDS
from tracker.domain.events.admin import CompletedImported
from tracker.domain.refusals import KEY_REVOKED
from tracker.domain.settings import Settings
from tracker.wire import udp

if TYPE_CHECKING:
    from collections.abc import Iterator

HASH = hash_of(1)
NONE, COMPLETED, STARTED, STOPPED = range(4)
A = b"-XX0001-abcdefghijkl"
B = b"-XX0001-lkjihgfedcba"
HOME, HOME6, AWAY, AWAY6 = endpoint4(1), endpoint6(1), endpoint4(2), endpoint6(2)


@pytest.fixture
def rig() -> Iterator[Rig]:
    """A private tracker with three keys: two accounts' own, the third of the same owner as the
    second. What the test did is replayed at its end.
    """
    rig = Rig.with_settings(private=True)
    for number, owner in enumerate((None, "anna", "anna")):
        rig.issue(number, owner)
    yield rig
    assert replayed(rig.log.frames()).digest() == rig.state.digest()


def says(key: int, peer_id: bytes, endpoint: bytes, event: int = NONE, **more: Any) -> Announce:
    return Announce(HASH, endpoint, peer_id, event=event, key=b"key%029d" % key, **more)


def listed(rig: Rig) -> list[set[bytes]]:
    """The addresses that would be handed out, of both families."""
    swarms = rig.state.swarms
    torrent = swarms.lookup(HASH)
    return [set(pick(family, torrent, 74, 0, False, 0)) for family in (swarms.v4, swarms.v6)]


# Announces; then the addresses handed out, and how many peers are counted.
SWARMS: dict[str, tuple[list[Announce], set[bytes], int]] = {
    "both families are one peer": ([says(0, A, HOME), says(0, A, HOME6)], {HOME, HOME6}, 1),
    "the other family first": ([says(0, A, HOME6), says(0, A, HOME)], {HOME, HOME6}, 1),
    "a second address replaces the first": ([says(0, A, HOME), says(0, A, AWAY)], {AWAY}, 1),
    "also in IPv6": ([says(0, A, HOME6), says(0, A, AWAY6)], {AWAY6}, 1),
    "and leaves the other family alone": (
        [says(0, A, HOME), says(0, A, HOME6), says(0, A, AWAY)],
        {AWAY, HOME6},
        1,
    ),
    "back and forth": ([says(0, A, HOME), says(0, A, AWAY), says(0, A, HOME)], {HOME}, 1),
    "another port is another address": (
        [says(0, A, HOME), says(0, A, endpoint4(1, 9))],
        {endpoint4(1, 9)},
        1,
    ),
    "two peer ids are two peers": ([says(0, A, HOME), says(0, B, AWAY)], {HOME, AWAY}, 2),
    "two accounts are two peers": ([says(0, A, HOME), says(1, A, AWAY)], {HOME, AWAY}, 2),
    "two keys of one owner are one": ([says(1, A, HOME), says(2, A, AWAY)], {AWAY}, 1),
    "a new peer id evicts the old": ([says(0, A, HOME), says(0, B, HOME)], {HOME}, 1),
    "another account evicts as well": ([says(0, A, HOME), says(1, A, HOME)], {HOME}, 1),
    "the evicted is gone from both families": (
        [says(0, A, HOME), says(0, A, HOME6), says(0, B, HOME)],
        {HOME},
        1,
    ),
    "moving to where another is evicts it": (
        [says(0, A, HOME), says(0, B, AWAY), says(0, A, AWAY)],
        {AWAY},
        1,
    ),
    "two take each other's places": (
        [says(0, A, HOME), says(0, B, AWAY), says(0, A, AWAY), says(0, B, HOME)],
        {HOME, AWAY},
        2,
    ),
    "one announce evicts in its family only": (
        [says(0, A, HOME), says(1, B, HOME6), says(0, A, HOME6)],
        {HOME, HOME6},
        1,
    ),
    "stopped leaves from everywhere": (
        [says(0, A, HOME), says(0, A, HOME6), says(0, A, HOME, STOPPED)],
        set(),
        0,
    ),
    "stopped from an address never seen": (
        [says(0, A, HOME), says(0, A, AWAY6, STOPPED)],
        set(),
        0,
    ),
    "stopped at another's address touches nobody": (
        [says(0, A, HOME), says(0, B, HOME, STOPPED)],
        {HOME},
        1,
    ),
    "stopped of another account touches nobody": (
        [says(0, A, HOME), says(1, A, HOME, STOPPED)],
        {HOME},
        1,
    ),
    "stopped by the owner's other key": ([says(1, A, HOME), says(2, A, HOME, STOPPED)], set(), 0),
}


@pytest.mark.parametrize(("announces", "addresses", "count"), SWARMS.values(), ids=SWARMS)
@pytest.mark.parametrize("left", [0, 9], ids=["seeding", "leeching"])
@pytest.mark.parametrize("batched", [True, False], ids=["one batch", "one by one"])
def test_identity(
    rig: Rig, announces: list[Announce], addresses: set[bytes], count: int, left: int, batched: bool
) -> None:
    """Who is listed where, and how many there are."""
    told = [says_left(one, left) for one in announces]
    if batched:
        rig.announce(*told)
    else:
        for one in told:
            rig.announce(one)
    v4, v6 = listed(rig)
    assert v4 | v6 == addresses
    counts = rig.state.swarms.counts(HASH)
    assert counts == ((count, 0, 0) if left == 0 else (0, 0, count))


def says_left(one: Announce, left: int) -> Announce:
    return Announce(
        one.info_hash, one.endpoint, one.peer_id, left=left, event=one.event, key=one.key
    )


def test_a_moving_peer_completes_once(rig: Rig) -> None:
    """Each announce is made from both families, as libtorrent does: one completion, one role."""
    for event, left in ((STARTED, 9), (COMPLETED, 0), (NONE, 0)):
        rig.announce(
            says(0, A, HOME, event, left=left),
            says(0, A, HOME6, event, left=left),
            says(0, A, AWAY, event, left=left),
        )
    assert rig.state.swarms.counts(HASH) == (1, 1, 0)
    assert (rig.totals(1).snatched, rig.totals(1).sessions) == (1, 1)
    swarms = rig.state.swarms
    for directory in (swarms.v4, swarms.v6, swarms.identities):
        assert list(directory.column(SEEDS)) == [0, 1]


def test_evictions_are_events(rig: Rig) -> None:
    """An eviction stands in the log before the announce that caused it, and names the peer's
    last.
    """
    rig.announce(says(0, A, HOME), says(1, B, HOME), says(0, A, HOME))
    told = rig.events()[-5:]
    assert [one["type"] for one in told] == [
        "announced",
        "evicted",
        "announced",
        "evicted",
        "announced",
    ]
    assert [one["last_seq"] for one in told if one["type"] == "evicted"] == [
        told[0]["seq"],
        told[2]["seq"],
    ]
    assert [one["seq"] for one in told] == list(range(told[0]["seq"], told[0]["seq"] + 5))
    assert [one["prev_seq"] for one in told if one["type"] == "announced"] == [None, None, None]


def test_announces_are_chained_over_addresses(rig: Rig) -> None:
    """prev_seq follows the peer, not the address; the log tells the key."""
    rig.announce(says(1, A, HOME), says(2, A, AWAY6), says(1, A, AWAY))
    first, second, third = rig.events()[-3:]
    assert (second["prev_seq"], third["prev_seq"]) == (first["seq"], second["seq"])
    assert [one["key_ref"] for one in (first, second, third)] == [2, 3, 2]
    assert [one["rule"] for one in (first, second, third)] == ["first", "continued", "continued"]


def test_revoking_sends_the_peers_of_a_key_away(rig: Rig) -> None:
    """From all swarms and both families at once; others stay, and torrents left empty go."""
    other = Announce(hash_of(2), HOME, A, key=b"key%029d" % 0)
    rig.announce(says(0, A, HOME), says(0, A, HOME6), says(1, B, AWAY), other)
    rig.revoke(b"key%029d" % 0)
    assert listed(rig) == [{AWAY}, set()]
    assert rig.state.swarms.counts(HASH) == (0, 0, 1)
    assert rig.state.swarms.torrents_total == 1
    assert rig.announce(says(0, A, HOME), other) == [KEY_REVOKED] * 2
    assert rig.state.swarms.counts(HASH) == (0, 0, 1)


def test_revoking_takes_the_peers_that_used_the_key_last(rig: Rig) -> None:
    """A peer that goes on with another key of its account belongs to that one."""
    rig.announce(says(1, A, HOME), says(2, A, HOME))
    rig.revoke(b"key%029d" % 1)
    assert rig.state.swarms.counts(HASH) == (0, 0, 1)
    rig.revoke(b"key%029d" % 2)
    assert rig.state.swarms.counts(HASH) == (0, 0, 0)


def test_rotating_keeps_account_and_peers(rig: Rig) -> None:
    """The new key goes on where the old one was: same peer, same totals; the old one is refused."""
    old, new = b"key%029d" % 0, b"key%029d" % 7
    rig.announce(says(0, A, HOME), says(0, A, HOME, uploaded=5))
    rig.rotate(old, new)
    assert rig.state.swarms.counts(HASH) == (0, 0, 1)
    assert rig.announce(says(0, A, HOME, uploaded=9)) == [KEY_REVOKED]
    rig.announce(says(7, A, HOME, uploaded=9))
    assert (rig.totals(1).uploaded, rig.totals(1).sessions) == (9, 1)
    assert rig.state.swarms.counts(HASH) == (0, 0, 1)
    rig.revoke(new)
    assert rig.state.swarms.counts(HASH) == (0, 0, 0)


def test_when_keys_were_used(rig: Rig) -> None:
    """Each key by itself, by its announces that were taken: of one account, stopped, refused,
    rotated, issued again.
    """
    used = rig.state.access.last_used
    first = rig.service.now_us()
    rig.announce(says(1, A, HOME))
    assert list(used) == [0, 0, first, 0]
    rig.time.advance(SECOND)
    second = rig.service.now_us()
    rig.announce(says(2, A, HOME), says(0, A, AWAY, STOPPED))
    assert list(used) == [0, second, first, second]
    rig.rotate(b"key%029d" % 1, b"key%029d" % 7)
    rig.time.advance(SECOND)
    assert rig.announce(says(1, A, HOME)) == [KEY_REVOKED]
    assert list(used) == [0, second, first, second, 0]
    rig.announce(says(7, A, HOME6))
    rig.revoke(b"key%029d" % 7)
    rig.issue(7)
    assert list(used) == [0, second, first, second, rig.service.now_us(), 0]


def test_revoking_a_rotated_key(rig: Rig) -> None:
    """A peer that never came with the new key leaves with it all the same."""
    rig.announce(says(0, A, HOME))
    rig.rotate(b"key%029d" % 0, b"key%029d" % 7)
    rig.rotate(b"key%029d" % 7, b"key%029d" % 8)
    rig.revoke(b"key%029d" % 8)
    assert rig.state.swarms.counts(HASH) == (0, 0, 0)


def test_expiry_takes_a_peer_from_everywhere(rig: Rig) -> None:
    """A peer unseen for the timeout goes from both families and can return."""
    rig.announce(says(0, A, HOME), says(0, A, HOME6))
    rig.time.advance(2000 * SECOND)
    for _ in range(60):
        rig.service.tick()
    assert rig.state.swarms.torrents_total == 0
    rig.announce(says(0, A, HOME6))
    assert listed(rig) == [set(), {HOME6}]


@pytest.mark.parametrize("first", [True, False], ids=["from private", "from public"])
def test_changing_the_mode_drops_all_peers(rig: Rig, first: bool) -> None:
    """Peers of one kind of identity never meet those of the other."""
    rig.service.change_settings(Settings(private=first))
    rig.announce(says(0, A, HOME), says(0, A, HOME6))
    rig.service.change_settings(Settings(private=not first))
    assert rig.state.swarms.torrents_total == 0
    rig.announce(says(0, A, HOME), says(0, A, AWAY))
    assert rig.state.swarms.counts(HASH) == (0, 0, 2 if first else 1)


def test_public_peers_have_no_key(rig: Rig) -> None:
    """A row that a private peer had before tells nothing of it."""
    rig.announce(says(0, A, HOME))
    rig.service.change_settings(Settings(private=False))
    rig.announce(says(0, A, HOME))
    swarms = rig.state.swarms
    assert swarms.peer(swarms.find(swarms.lookup(HASH), HOME)).key_ref == 0


def test_imported_completions_add_up(rig: Rig) -> None:
    """Before, beside and after completions of our own."""
    completed = CompletedImported(HASH, 40)
    rig.service.append(completed)
    assert rig.state.swarms.counts(HASH) == (0, 40, 0)
    rig.announce(says(0, A, HOME), says(0, A, HOME, COMPLETED, left=0))
    rig.service.append(completed)
    assert rig.state.swarms.counts(HASH) == (1, 81, 0)
    assert rig.state.swarms.completed_total == 81


def test_a_crowd_of_one_account(rig: Rig) -> None:
    """Hundreds of clients with one key, in swarms large enough for an index: all found, all
    revoked.
    """
    crowd = [says(0, b"-XX0001-%012d" % n, endpoint4(n)) for n in range(300)]
    again = [says(0, b"-XX0001-%012d" % n, endpoint6(n), left=n % 2) for n in range(300)]
    rig.announce(*crowd, *again)
    assert rig.state.swarms.counts(HASH) == (150, 0, 150)
    rig.announce(*[says(1, B, endpoint4(n)) for n in range(0, 300, 3)])
    assert sum(rig.state.swarms.counts(HASH)) == 201
    rig.revoke(b"key%029d" % 0)
    assert listed(rig) == [{endpoint4(297)}, set()]


def test_more_completions_than_32_bits() -> None:
    """Counts imported from elsewhere may be large; the torrent comes back, goes on counting, and
    scrapes.
    """
    rig = Rig.with_settings()
    rig.service.append(CompletedImported(hash_of(1), 2**32 - 1))
    first = Announce(hash_of(1), endpoint4(1))
    rig.announce(first)
    rig.announce(evolve(first, left=0, event=events.COMPLETED))
    rig.service.append(CompletedImported(hash_of(1), 2**40))
    assert rig.state.swarms.counts(hash_of(1)) == (1, 2**32 + 2**40, 0)
    assert replayed(rig.log.frames()).digest() == rig.state.digest()
    counts = udp.scrape_reply(b"abcd", [rig.service.scrape(hash_of(1))])
    assert counts[-8:-4] == b"\xff\xff\xff\xff"
