"""In private modes an account and a peer id make one peer, whatever address it announces from."""

from __future__ import annotations

from array import array
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
    key_text,
    pick,
    replayed,
)
from tracker.domain import events, image
from tracker.domain.directory import SEEDS
from tracker.domain.events.admin import CompletedImported
from tracker.domain.refusals import KEY_REVOKED
from tracker.domain.settings import Settings
from tracker.wire import udp

if TYPE_CHECKING:
    from collections.abc import Iterator

HASH = hash_of(1)
NONE, COMPLETED, STARTED, STOPPED = range(4)
A = b"-XX0001.abcdefghijkl"
B = b"-XX0001.lkjihgfedcba"
HOME, HOME6, AWAY, AWAY6 = endpoint4(1), endpoint6(1), endpoint4(2), endpoint6(2)


@pytest.fixture
def rig() -> Iterator[Rig]:
    """A private tracker with three keys: the second and third belong to one owner. The log is
    replayed at the end of the test."""
    rig = Rig.with_settings(private=True)
    for number, owner in enumerate((None, "anna", "anna")):
        rig.issue(number, owner)
    yield rig
    assert replayed(rig.log.frames()).digest() == rig.state.digest()


def says(key: int, peer_id: bytes, endpoint: bytes, event: int = NONE, **more: Any) -> Announce:
    return Announce(HASH, endpoint, peer_id, event=event, key=b"key%029d" % key, **more)


def listed(rig: Rig) -> list[set[bytes]]:
    """The addresses that the tracker would hand out, by family."""
    swarms = rig.state.swarms
    torrent = swarms.lookup(HASH)
    return [set(pick(family, torrent, 74, 0, False, 0)) for family in (swarms.v4, swarms.v6)]


# Announces, the addresses that are then handed out, and the number of peers.
SWARMS: dict[str, tuple[list[Announce], set[bytes], int]] = {
    "both families are one peer": ([says(0, A, HOME), says(0, A, HOME6)], {HOME, HOME6}, 1),
    "the other family first": ([says(0, A, HOME6), says(0, A, HOME)], {HOME, HOME6}, 1),
    "a second address replaces the first": ([says(0, A, HOME), says(0, A, AWAY)], {AWAY}, 1),
    "a second IPv6 address replaces the first": (
        [says(0, A, HOME6), says(0, A, AWAY6)],
        {AWAY6},
        1,
    ),
    "a second address leaves the other family alone": (
        [says(0, A, HOME), says(0, A, HOME6), says(0, A, AWAY)],
        {AWAY, HOME6},
        1,
    ),
    "away and back again": ([says(0, A, HOME), says(0, A, AWAY), says(0, A, HOME)], {HOME}, 1),
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
    "a peer that moves to another's address evicts it": (
        [says(0, A, HOME), says(0, B, AWAY), says(0, A, AWAY)],
        {AWAY},
        1,
    ),
    "two peers swap their addresses": (
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
    "stopped at another's address changes no peer": (
        [says(0, A, HOME), says(0, B, HOME, STOPPED)],
        {HOME},
        1,
    ),
    "stopped of another account changes no peer": (
        [says(0, A, HOME), says(1, A, HOME, STOPPED)],
        {HOME},
        1,
    ),
    "stopped by the owner's other key": ([says(1, A, HOME), says(2, A, HOME, STOPPED)], set(), 0),
}


@pytest.mark.parametrize(("announces", "addresses", "count"), SWARMS.values(), ids=SWARMS)
@pytest.mark.parametrize("left", [0, 9], ids=["seeding", "leeching"])
@pytest.mark.parametrize("batched", [True, False], ids=["one batch", "one by one"])
def test_account_and_peer_id_identify_a_peer(
    rig: Rig, announces: list[Announce], addresses: set[bytes], count: int, left: int, batched: bool
) -> None:
    """The tracker hands out the expected addresses and counts the expected peers."""
    sent = [says_left(one, left) for one in announces]
    if batched:
        rig.announce(*sent)
    else:
        for one in sent:
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
    """A peer that announces from several addresses, as libtorrent does, has one completion and one
    role."""
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


def test_peer_ids_of_one_account_with_one_hash(rig: Rig) -> None:
    """The hash of an identity only narrows the search down: the row has the whole peer_id."""
    secret = rig.state.swarms._index.secret
    secret[:] = array("Q", bytes(8 * len(secret)))  # now all compiled hashes are 0
    rig.announce(says(1, A, HOME), says(1, B, AWAY))
    rig.announce(says(1, A, HOME6), says(1, B, AWAY6), says(2, B, AWAY))
    assert listed(rig) == [{HOME, AWAY}, {HOME6, AWAY6}]
    rig.announce(says(1, A, HOME, STOPPED))
    assert listed(rig) == [{AWAY}, {AWAY6}]


def test_evictions_are_events(rig: Rig) -> None:
    """The log holds an eviction before the announce that caused it. The eviction names the peer's
    last announce."""
    rig.announce(says(0, A, HOME), says(1, B, HOME), says(0, A, HOME))
    logged = rig.events()[-5:]
    assert [one["type"] for one in logged] == [
        "announced",
        "evicted",
        "announced",
        "evicted",
        "announced",
    ]
    assert [one["last_seq"] for one in logged if one["type"] == "evicted"] == [
        logged[0]["seq"],
        logged[2]["seq"],
    ]
    assert [one["seq"] for one in logged] == list(range(logged[0]["seq"], logged[0]["seq"] + 5))
    assert [one["prev_seq"] for one in logged if one["type"] == "announced"] == [None, None, None]


def test_announces_are_chained_over_addresses(rig: Rig) -> None:
    """`prev_seq` follows a peer from address to address, and each event names the key that was
    used."""
    rig.announce(says(1, A, HOME), says(2, A, AWAY6), says(1, A, AWAY))
    first, second, third = rig.events()[-3:]
    assert (second["prev_seq"], third["prev_seq"]) == (first["seq"], second["seq"])
    assert [one["key_ref"] for one in (first, second, third)] == [2, 3, 2]
    assert [one["rule"] for one in (first, second, third)] == ["first", "continued", "continued"]


def test_a_revocation_removes_the_peers_of_the_key(rig: Rig) -> None:
    """A revocation removes the peers of a key from all swarms and both families. Other peers stay,
    and empty torrents are removed."""
    other = Announce(hash_of(2), HOME, A, key=b"key%029d" % 0)
    rig.announce(says(0, A, HOME), says(0, A, HOME6), says(1, B, AWAY), other)
    rig.revoke(b"key%029d" % 0)
    assert listed(rig) == [{AWAY}, set()]
    assert rig.state.swarms.counts(HASH) == (0, 0, 1)
    assert rig.state.swarms.torrents_total == 1
    assert rig.announce(says(0, A, HOME), other) == [KEY_REVOKED] * 2
    assert rig.state.swarms.counts(HASH) == (0, 0, 1)


def test_a_revocation_removes_the_peers_that_used_the_key_last(rig: Rig) -> None:
    """A peer that continues with another key of its account belongs to that key."""
    rig.announce(says(1, A, HOME), says(2, A, HOME))
    rig.revoke(b"key%029d" % 1)
    assert rig.state.swarms.counts(HASH) == (0, 0, 1)
    rig.revoke(b"key%029d" % 2)
    assert rig.state.swarms.counts(HASH) == (0, 0, 0)


def test_rotating_keeps_account_and_peers(rig: Rig) -> None:
    """A rotated key keeps its account, its peers and its totals. The old key is refused."""
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


def test_each_key_has_its_time_of_last_use(rig: Rig) -> None:
    """Each key keeps the time of its own last accepted announce. A refused announce does not change
    it."""
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


def test_a_revocation_removes_peers_of_earlier_keys(rig: Rig) -> None:
    """The revocation of a rotated key removes a peer that only ever used the old key."""
    rig.announce(says(0, A, HOME))
    rig.rotate(b"key%029d" % 0, b"key%029d" % 7)
    rig.rotate(b"key%029d" % 7, b"key%029d" % 8)
    rig.revoke(b"key%029d" % 8)
    assert rig.state.swarms.counts(HASH) == (0, 0, 0)


def test_an_expired_peer_leaves_both_families(rig: Rig) -> None:
    """An expired peer leaves both families, and can return."""
    rig.announce(says(0, A, HOME), says(0, A, HOME6))
    rig.time.advance(2000 * SECOND)
    for _ in range(60):
        rig.service.tick()
    assert rig.state.swarms.torrents_total == 0
    rig.announce(says(0, A, HOME6))
    assert listed(rig) == [set(), {HOME6}]


@pytest.mark.parametrize("first", [True, False], ids=["from private", "from public"])
def test_changing_the_mode_drops_all_peers(rig: Rig, first: bool) -> None:
    """A change between public and private mode removes all peers, because their identities
    differ."""
    rig.service.change_settings(Settings(private=first))
    rig.announce(says(0, A, HOME), says(0, A, HOME6))
    rig.service.change_settings(Settings(private=not first))
    assert rig.state.swarms.torrents_total == 0
    rig.announce(says(0, A, HOME), says(0, A, AWAY))
    assert rig.state.swarms.counts(HASH) == (0, 0, 2 if first else 1)


def test_public_peers_have_no_key(rig: Rig) -> None:
    """A public peer has no key, although a private peer used its row before."""
    rig.announce(says(0, A, HOME))
    rig.service.change_settings(Settings(private=False))
    rig.announce(says(0, A, HOME))
    swarms = rig.state.swarms
    assert swarms.peer(swarms.find(swarms.lookup(HASH), HOME)).key_ref == 0


def test_imported_completions_add_up(rig: Rig) -> None:
    """Imported completions add to those that the tracker counted."""
    completed = CompletedImported(HASH, 40)
    rig.service.append(completed)
    assert rig.state.swarms.counts(HASH) == (0, 40, 0)
    rig.announce(says(0, A, HOME), says(0, A, HOME, COMPLETED, left=0))
    rig.service.append(completed)
    assert rig.state.swarms.counts(HASH) == (1, 81, 0)
    assert rig.state.swarms.completed_total == 81


def test_the_peers_of_an_account_in_a_torrent(rig: Rig) -> None:
    """They are found by the account's peers or by the torrent's, whichever is less work, also
    after a removal and in a state from an image.
    """
    others = [
        Announce(HASH, endpoint4(number), b"-XX0001-%012d" % number, key=key_text(0))
        for number in range(10, 110)
    ]
    rig.announce(*others, says(1, A, HOME), says(2, B, AWAY))
    rig.announce(*(evolve(says(1, A, HOME), info_hash=hash_of(n)) for n in range(2, 5)))
    rig.announce(says(1, A, HOME6), evolve(says(2, B, AWAY), event=STOPPED), *others[:3])
    taken = image.dump(rig.state)
    for state in rig.state, image.load(taken.plain, taken.private):
        swarms = state.swarms
        found = {
            (account, number): [
                swarms.peer(peer).peer_id
                for peer in swarms.of_account(swarms.lookup(hash_of(number)), account)
            ]
            for account in (1, 2, 3)
            for number in (1, 3)
        }
        assert sorted(found.pop((1, 1))) == sorted(one.peer_id for one in others)
        assert found == {(1, 3): [], (2, 1): [A], (2, 3): [A], (3, 1): [], (3, 3): []}
        assert (len(swarms.peers_of(1)), len(swarms.peers_of(2))) == (100, 4)


def test_a_crowd_of_one_account(rig: Rig) -> None:
    """One key with 300 clients, in swarms large enough for an index: a revocation finds and removes
    all of them."""
    crowd = [says(0, b"-XX0001.%012d" % n, endpoint4(n)) for n in range(300)]
    again = [says(0, b"-XX0001.%012d" % n, endpoint6(n), left=n % 2) for n in range(300)]
    rig.announce(*crowd, *again)
    assert rig.state.swarms.counts(HASH) == (150, 0, 150)
    rig.announce(*[says(1, B, endpoint4(n)) for n in range(0, 300, 3)])
    assert sum(rig.state.swarms.counts(HASH)) == 201
    rig.revoke(b"key%029d" % 0)
    assert listed(rig) == [{endpoint4(297)}, set()]


def test_more_completions_than_32_bits() -> None:
    """A completed count may exceed 32 bits. A UDP scrape then shows the largest value of 32
    bits."""
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
