"""Rows of the book end after `history_days`, whenever its files are written or made again."""

from __future__ import annotations

import errno
from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve

from eventlog import first_seq
from tests.support import START_US, replayed
from tests.tracker.upkeep.book.site import MEMBERS, PRIVATE, Site, seq_of_newest
from tracker.domain.events import DAY_US
from tracker.domain.policy import Policy
from tracker.ledger.pages import SumsPages
from tracker.ledger.walk import Decryption
from tracker.store import book_files, snapshots
from tracker.store.book import open_newest

if TYPE_CHECKING:
    from tracker.domain.settings import Settings
    from tracker.ports import BookRow


def limited(history_days: int) -> Settings:
    return evolve(PRIVATE, policy=Policy(history_days=history_days))


def torrents(site: Site) -> dict[tuple[int, bytes | None], BookRow]:
    """Returns the newest book's rows but for those "no torrent"."""
    return {name: row for name, row in site.rows().items() if name[1]}


def made_again(site: Site) -> dict[tuple[int, bytes | None], BookRow]:
    """Returns the rows of a book that is made again from what the log names, to the same event."""
    newest = open_newest(site.log, site.keys)
    assert newest is not None
    for path in (*site.files(".book"), *snapshots.found(site.log)):
        path.unlink()
    site.follow()
    again = open_newest(site.log, site.keys)
    assert again is not None
    assert again.upto == newest.upto
    assert again.listed.facts == newest.listed.facts
    return site.rows()


@pytest.mark.parametrize(
    "seed", [0, 2, *(pytest.param(seed, marks=pytest.mark.faults) for seed in range(3, 10))]
)
def test_a_history_does_not_depend_on_the_files(
    site: Site, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor on when old rows are removed, over wrong clocks, outages and changes of the setting."""
    dice = site.dice
    dice.seed(seed)
    for number in range(14):
        monkeypatch.setattr(book_files, "GROWTH", dice.choice([0, 3, 10**9]))
        monkeypatch.setattr(book_files, "MOST_DROPPED", dice.choice([0, 1, 500_000]))
        wrong = dice.choice([None, None, None, START_US + 9000 * DAY_US, 1_000_000])
        settings = limited(dice.choice([2, 2, 30, 0]))
        rounds, days = dice.choice([1, 4, 9]), dice.choice([0, 1, 3])
        site.go_on(rounds, settings=settings, wall_us=wrong, days=days, pruned=number == 5)
        if wrong is not None:
            site.time.wall = START_US + 40 * number * DAY_US
        site.time.wall += dice.choice([0, DAY_US, 9 * DAY_US])
        if number % 4 or number == 13:
            site.follow()
    rows, state = site.rows(), replayed(site.frames)
    for account in range(1, MEMBERS + 1):
        assert site.totals(rows, account) == state.accounts.totals(account)[:7]
    assert made_again(site) == rows


def test_a_history_that_ends(site: Site) -> None:
    """Rows do not show after `history_days`, and are removed some days later; until then they go
    on with the next announce. The totals of accounts stay."""
    site.go_on(settings=limited(9))
    site.follow()
    old = torrents(site)
    site.go_on(0, settings=limited(9), days=10)
    site.follow()
    assert not torrents(site)
    site.go_on(3, settings=limited(9))  # not yet
    site.follow()
    again = torrents(site)
    assert 0 < len(again) <= 3
    assert all(row.announces > old[name].announces for name, row in again.items() if name in old)
    kept = sum(part.rows for part in _parts(site))
    site.go_on(0, settings=limited(9), days=5)
    site.follow()
    assert torrents(site).keys() == again.keys()
    assert sum(part.pairs for part in _parts(site)) == len(again) < kept
    site.go_on(0, settings=limited(9), days=15)
    site.go_on(6, settings=limited(9))
    site.follow()
    rows = site.rows()
    anew = {name: row for name, row in rows.items() if name[1]}
    assert sum(row.announces for row in anew.values()) == 2 * 6
    for account in range(1, MEMBERS + 1):
        totals = replayed(site.frames).accounts.totals(account)
        assert site.totals(rows, account) == totals[:7]


def _parts(site: Site) -> tuple[book_files.Part, ...]:
    newest = open_newest(site.log, site.keys)
    assert newest is not None
    return newest.listed.parts


@pytest.mark.parametrize("days", [0, 3])
@pytest.mark.parametrize("wrong_us", [START_US + 1000 * DAY_US, 1_000_000])
def test_a_history_under_a_wrong_clock(site: Site, wrong_us: int, days: int) -> None:
    """A clock that was ahead for less than a day, or was behind, ends no row: not when an account
    announces meanwhile, and not afterwards. One that is ahead for longer ends old rows for good.
    """
    settings = limited(200)
    site.go_on(settings=settings, days=3)
    site.follow()
    before = torrents(site)
    site.go_on(6, settings=settings, wall_us=wrong_us)
    site.follow()
    meanwhile = {name for name, row in torrents(site).items() if row != before.get(name)}
    assert meanwhile
    assert meanwhile == torrents(site).keys() or wrong_us < START_US
    site.go_on(0, settings=settings, wall_us=site.time.wall, days=days)
    site.go_on(6, settings=settings, wall_us=START_US + 9 * DAY_US, days=3)
    site.follow()
    rows = torrents(site)
    if days and wrong_us > START_US:
        told = site.ledger(site.frames[-1].header.next_seq)
        ended = {
            name
            for name in before
            if name not in rows or rows[name].announces < told[name].announces
        }
        assert ended == before.keys() - meanwhile
    else:
        site.check()
    assert made_again(site) == site.rows()


def test_a_removal_under_a_wrong_clock(site: Site) -> None:
    """What is hidden meanwhile is in its torrent for later ledgers."""
    settings = limited(200)
    site.go_on(settings=settings)
    site.follow()
    before = torrents(site)
    site.go_on(6, settings=settings, wall_us=START_US + 1000 * DAY_US)
    site.follow()
    assert len(torrents(site)) < len(before)
    ahead = seq_of_newest(site)
    site.go_on(9, settings=settings, wall_us=site.time.wall, pruned=True)
    assert first_seq(site.log) >= ahead
    site.go_on(1, settings=settings, wall_us=START_US + 2 * DAY_US)
    told = [
        (account, row.info_hash)
        for account in range(1, MEMBERS + 1)
        for row in SumsPages(site.log, account, Decryption(site.log, site.keys)).rows(None)[0]
    ]
    assert before.keys() <= set(told)
    site.follow()
    site.check()


def test_after_an_outage_who_announces_first_goes_on(site: Site) -> None:
    """His rows are not old, though the outage counts a day later; the others have ended."""
    site.go_on(settings=limited(30), days=3)
    site.follow()
    site.time.wall += 300 * DAY_US
    site.go_on(4, settings=limited(30))
    site.go_on(0, settings=limited(30), days=4)
    site.follow()
    rows = torrents(site)
    told = site.ledger(site.frames[-1].header.next_seq)
    assert 0 < len(rows) < len([name for name in told if name[1]])
    assert all(row.announces == told[name].announces for name, row in rows.items())


@pytest.mark.parametrize("error", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_without_room_for_the_whole_book(
    site: Site, error: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Old rows stay there for another day, and do not show; the book goes on."""
    site.go_on(settings=limited(2))
    site.follow()
    follower = site.follow()

    def full(*_: Any) -> Any:
        raise OSError(error, "a test")

    with monkeypatch.context() as crowded:
        crowded.setattr(book_files, "without_old", full)
        for _ in range(2):
            site.go_on(2, settings=limited(2), days=3)
            follower.catch_up()
            upto = site.frames[-1].header.next_seq
            assert [path for path in site.files(".book") if book_files.seq_of(path) == upto]
            assert len(torrents(site)) < sum(part.pairs for part in _parts(site))
    assert [one["crowded"] for one in site.said if "crowded" in one] == [f"[Errno {error}] a test"]
    rows = site.rows()
    site.go_on(0, settings=limited(2), days=1)
    follower.catch_up()
    assert site.said[-1] == {"crowded": ""} or {"crowded": ""} in site.said
    assert sum(part.pairs for part in _parts(site)) <= len(rows)
