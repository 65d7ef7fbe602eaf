"""The ledger explains each byte of an account, and its sums are the account's totals."""

from __future__ import annotations

import random

import attrs
from attrs import evolve

from tests.support import SECOND, Announce, Rig, endpoint4, endpoint6, hash_of, key_text
from tracker.domain import events
from tracker.domain.accounts import Totals
from tracker.domain.events.admin import CreditFactorEnded
from tracker.ledger.account import Ledger, find_account
from tracker.ports import LedgerAnnounce, LedgerCorrection

HASH, OTHER = hash_of(1), hash_of(2)


def test_sums_are_the_totals() -> None:
    """A long random history of two accounts gives equal sums and totals. One account has two keys
    and two addresses."""
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
            peer_id=b"-XX0001.%012d" % peer,
            uploaded=rng.randrange(1000),
            downloaded=rng.randrange(1000),
            event=rng.choice(kinds),
            key=key_text(number),
        )
        rig.announce(one)
    for name, account in (("alice", 1), ("3", 1), ("2", 2)):
        assert find_account(name, rig.log.frames()) == account
        entries = list(Ledger(account).entries(rig.log.frames()))
        totals = rig.totals(account)
        assert sum(one.delta_uploaded for one in entries) == totals.uploaded > 0
        assert sum(one.delta_downloaded for one in entries) == totals.downloaded > 0


def test_rules() -> None:
    """Each entry names its rule: first, continued, a duplicate from another address, or
    restarted."""
    rig = Rig.with_settings(private=True)
    rig.issue(1)
    first = Announce(hash_of(1), endpoint4(1), uploaded=100, downloaded=7, key=key_text(1))
    later = evolve(first, uploaded=150, downloaded=9)
    rig.announce(first)
    rig.announce(later)
    rig.announce(evolve(later, endpoint=endpoint6(1)))
    rig.announce(evolve(first, uploaded=5))
    found = [
        (one.base_uploaded, one.delta_uploaded, one.delta_downloaded, one.rule)
        for one in Ledger(1).entries(rig.log.frames())
    ]
    seqs = [one.seq for one in Ledger(1).entries(rig.log.frames())]
    assert found == [
        (None, 0, 0, "first"),
        (100, 50, 2, "continued"),
        (150, 0, 0, f"same as {seqs[1]}"),
        (None, 0, 0, "restarted"),
    ]
    assert list(Ledger(1, hash_of(2)).entries(rig.log.frames())) == []


def write_history(rig: Rig) -> list[int]:
    """Writes the history of two accounts with factors, and returns the numbers of account 1's
    announces."""
    for number in (1, 2):
        rig.issue(number)
    seqs = []

    def says(number: int, info_hash: bytes, moved: int, left: int = 5) -> None:
        peer_id = b"-XX0001.%012d" % number
        one = Announce(info_hash, endpoint4(number), peer_id, moved, moved, left)
        rig.time.advance(100 * SECOND)
        if number == 1:
            seqs.append(rig.state.seq)
        rig.announce(evolve(one, key=key_text(number)))

    says(1, HASH, 10)
    says(1, OTHER, 10)
    says(1, HASH, 20)
    free = rig.set_factor(download_percent=0, info_hash=HASH, scope="torrent")
    double = rig.set_factor(upload_percent=200, account=1, scope="account")
    rig.set_factor(upload_percent=900, account=2, scope="account")
    says(1, HASH, 31, left=0)
    says(1, OTHER, 31)
    says(2, HASH, 50)
    rig.service.append(CreditFactorEnded(free))
    says(1, HASH, 40, left=0)
    rig.service.append(CreditFactorEnded(double))
    says(1, HASH, 41, left=0)
    return seqs


def test_credit() -> None:
    """Entries hold raw and credited differences, and name the factors that applied."""
    rig = Rig.with_settings(private=True)
    write_history(rig)
    found = [
        (one.info_hash, *attrs.astuple(one)[-7:-1])
        for one in Ledger(1).entries(rig.log.frames())
        if isinstance(one, LedgerAnnounce)
    ]
    assert found == [
        (HASH, 0, 0, 0, 0, "first", ()),
        (OTHER, 0, 0, 0, 0, "first", ()),
        (HASH, 10, 10, 10, 10, "continued", ()),
        (
            HASH,
            11,
            11,
            22,
            0,
            "continued, upload 200% by factor 2, download 0% by factor 1",
            (1, 2),
        ),
        (OTHER, 21, 21, 42, 21, "continued, upload 200% by factor 2", (2,)),
        (HASH, 9, 9, 18, 9, "continued, upload 200% by factor 2", (2,)),
        (HASH, 1, 1, 1, 1, "continued", ()),
    ]


def test_corrections() -> None:
    """Corrections stand among the announces, name the corrected event, and change credited totals
    only."""
    rig = Rig.with_settings(private=True)
    seqs = write_history(rig)
    first = rig.correct(1, -7, 11, corrects=seqs[3])
    second = rig.correct(1, 7, 0, corrects=first)
    third = rig.correct(1, 1, 0, corrects=0)
    rig.correct(2, 1, 0, corrects=seqs[3])
    ledger = Ledger(1)
    entries = list(ledger.entries(rig.log.frames()))
    assert [one for one in entries if isinstance(one, LedgerCorrection)] == [
        LedgerCorrection(first, rig.state.time_us, HASH, -7, 11, seqs[3], "a test"),
        LedgerCorrection(second, rig.state.time_us, HASH, 7, 0, first, "a test"),
        LedgerCorrection(third, rig.state.time_us, None, 1, 0, 0, "a test"),
    ]
    only = Ledger(1, HASH).entries(rig.log.frames())
    assert [one.seq for one in only] == [one.seq for one in entries if one.info_hash == HASH]
    assert ledger.account.totals == rig.totals(1)
    assert (ledger.account.announces, ledger.account.corrections) == (7, 3)
    assert rig.totals(1)[:4] == (52, 52, 94, 52)


def test_totals_by_torrent() -> None:
    """The ledger sums an account by torrent: bytes, credit, seeding time, sessions, snatches and
    times."""
    rig = Rig.with_settings(private=True)
    began = rig.time.wall
    seqs = write_history(rig)
    rig.correct(1, 5, 0, corrects=seqs[1])
    rig.correct(1, 6, 0, corrects=0)
    ledger = Ledger(1)
    for _ in ledger.entries(rig.log.frames()):
        pass
    s = SECOND
    assert {name: sums.totals for name, sums in ledger.torrents.items()} == {
        HASH: Totals(31, 31, 51, 20, 400 * s, 1, 1, began + 100 * s, began + 800 * s),
        OTHER: Totals(21, 21, 47, 21, 0, 1, 0, began + 200 * s, began + 500 * s),
        None: Totals(0, 0, 6, 0, 0, 0, 0, 0, 0),
    }


def test_a_key_that_came_later() -> None:
    """The number of any key leads to all announces of its account. A name of an owner wins over a
    key number."""
    rig = Rig.with_settings(private=True)
    old, new = rig.issue(1, owner="7"), key_text(9)
    one = Announce(HASH, endpoint4(1), key=old)
    rig.announce(one, evolve(one, uploaded=5))
    rig.rotate(old, new)
    rig.announce(evolve(one, uploaded=9, key=new))
    rig.issue(3, owner="2")
    frames = rig.log.frames()
    assert [find_account(name, frames) for name in ("7", "1", "2", "3", "4")] == [1, 1, 3, 3, None]
    assert len(list(Ledger(1).entries(frames))) == 3


def test_an_unknown_owner_has_no_account() -> None:
    assert find_account("bob", Rig().log.frames()) is None
