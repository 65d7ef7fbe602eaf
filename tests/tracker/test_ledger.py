"""The ledger says where each byte comes from, and its sums are the account's totals."""

from __future__ import annotations

import random

from attrs import evolve

from tests.support import Announce, Rig, endpoint4, endpoint6, hash_of, key_text
from tracker.domain import events
from tracker.ledger import Ledger, find_account


def test_sums_are_the_totals() -> None:
    """For a long random history of two accounts, one of them with two keys and two addresses."""
    rng = random.Random(11)
    rig = Rig.with_settings(private=True)
    rig.issue(1, owner="alice")
    rig.issue(2)
    rig.issue(3, owner="alice")
    kinds = [events.NONE, events.STARTED, events.STOPPED, events.COMPLETED]
    for _ in range(2_000):
        number = rng.randrange(1, 4)
        peer = number % 2 + 1  # both of alice's keys announce the same peer
        one = Announce(
            hash_of(rng.randrange(2)),
            (endpoint4 if rng.random() < 0.7 else endpoint6)(peer),
            peer_id=b"-XX0001-%012d" % peer,
            uploaded=rng.randrange(1000),
            downloaded=rng.randrange(1000),
            event=rng.choice(kinds),
            key=key_text(number),
        )
        rig.announce(one)
    for who, account in (("alice", 1), ("3", 1), ("2", 2)):
        assert find_account(who, rig.log.frames()) == account
        entries = list(Ledger(account).entries(rig.log.frames()))
        totals = rig.totals(account)
        assert sum(one.delta_uploaded for one in entries) == totals.uploaded > 0
        assert sum(one.delta_downloaded for one in entries) == totals.downloaded > 0


def test_rules() -> None:
    """First, continued, a duplicate from another address, and a new session."""
    rig = Rig.with_settings(private=True)
    rig.issue(1)
    first = Announce(hash_of(1), endpoint4(1), uploaded=100, downloaded=7, key=key_text(1))
    later = evolve(first, uploaded=150, downloaded=9)
    rig.announce(first)
    rig.announce(later)
    rig.announce(evolve(later, endpoint=endpoint6(1)))
    rig.announce(evolve(first, uploaded=5))
    told = [
        (one.base_uploaded, one.delta_uploaded, one.delta_downloaded, one.rule)
        for one in Ledger(1).entries(rig.log.frames())
    ]
    seqs = [one.seq for one in Ledger(1).entries(rig.log.frames())]
    assert told == [
        (None, 0, 0, "first"),
        (100, 50, 2, "continued"),
        (150, 0, 0, f"duplicate of {seqs[1]}"),
        (None, 0, 0, "restarted"),
    ]
    assert list(Ledger(1, hash_of(2)).entries(rig.log.frames())) == []


def test_nobody() -> None:
    """Who never had a key is not known."""
    assert find_account("bob", Rig().log.frames()) is None
