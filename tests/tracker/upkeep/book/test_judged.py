"""What is judged is in the book, and is the same however its files are written and made again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from eventlog import read_identity
from tests.support import SECOND, START_US, hash_of
from tests.tracker.domain.judged import judge
from tests.tracker.upkeep.book.site import MEMBERS, TORRENTS, Site
from tracker.domain.events.admin import HitAndRunPardoned, HitAndRunRuleSet, TorrentDescribed
from tracker.domain.hit_and_run import STATES, Rule
from tracker.ledger.judged import Judgements
from tracker.ports import Actor, JudgedQuery, TransitionPlace
from tracker.store import book_files, snapshots
from tracker.store.book import open_newest

if TYPE_CHECKING:
    from tests.support import Rig
    from tracker.ports import JudgedDownload

EASY = Rule(buffer_permille=100, seed_seconds=600, warn_absent=90, grace_absent=240)
BY = Actor("ops", "", "", "a test")


class Judged(Site):
    """A site with a rule from its first day on."""

    def _begin(self, rig: Rig, settings: Any) -> None:
        first = not rig.state.seq
        super()._begin(rig, settings)
        if first:
            for number in range(1, TORRENTS + 1):
                rig.service.append(TorrentDescribed(hash_of(number), size=9000), BY)
            rig.service.append(HitAndRunRuleSet(EASY), BY)
        elif self.dice.random() < 0.5:
            now = rig.service.now_us()
            rig.service.append(HitAndRunPardoned(until_us=now - 300 * SECOND), BY)

    def judgements(self) -> Judgements:
        book = open_newest(self.log, self.keys)
        assert book is not None
        return Judgements(book)

    def downloads(self) -> list[JudgedDownload]:
        return list(self.judgements().page(JudgedQuery(limit=1000), None).downloads)

    def in_order(self, at_once: int = 1000) -> list[Any]:
        """Returns all transitions in the order of the log, read by pages."""
        found: list[Any] = []
        after, more, judgements = None, True, self.judgements()
        while more:
            page = judgements.transitions(after, at_once)
            for each in page.transitions:
                one = each.transition
                after = TransitionPlace(one.epoch, one.seq, one.n)
                found.append(
                    [each.account, each.info_hash, (one.state, one.time_us, one.seq, one.n)]
                )
            more = page.more
        assert after == page.last
        return found

    def histories(self) -> list[Any]:
        judgements = self.judgements()
        return [
            [account, hash_of(number), *((one.state, one.time_us, one.seq, one.n) for one in told)]
            for account in range(1, MEMBERS + 1)
            for number in range(1, TORRENTS + 1)
            if (told := judgements.history(account, hash_of(number)))
        ]


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.faults) for seed in range(1, 10))]
)
def test_it_does_not_depend_on_the_files(
    tmp_path: Any, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over outages, removed segments, and a book that is written now and then and made again."""
    site = Judged(tmp_path / "log")
    dice = site.dice
    dice.seed(seed)
    for number in range(8):
        monkeypatch.setattr(book_files, "GROWTH", dice.choice([0, 3, 10**9]))
        rounds = dice.choice([4, 9, 40])
        site.go_on(rounds, pruned=number == 7 or rounds == 40)
        site.time.wall += dice.choice([0, 100, 1000]) * SECOND
        if number % 3 or number == 7:
            site.follow()
    told, downloads = site.histories(), site.downloads()
    assert len(told) > 3
    assert told == _in_memory(site)
    placed = [[*one[:2], each] for one in told for each in one[2:]]
    placed.sort(key=lambda one: one[2][2:])
    assert site.in_order(dice.choice([1, 7])) == placed
    for path in (*site.files(".book"), *snapshots.found(site.log)):
        path.unlink()
    site.follow()
    assert site.histories() == told
    assert site.in_order() == placed
    assert site.downloads() == downloads
    assert [one.since.state for one in downloads] == [one[-1][0] for one in told]


def _in_memory(site: Judged) -> list[Any]:
    """Returns the histories by every frame that there ever was."""
    found: dict[bytes, list[Any]] = {}
    for one in judge(site.frames).made:
        history = found.setdefault(one.name, [int.from_bytes(one.name[:4], "big"), one.name[5:]])
        history.append((STATES[one.state], one.date_us, one.seq, one.n))
    return [found[name] for name in sorted(found)]


def test_the_book_of_an_earlier_version(tmp_path: Any) -> None:
    """It has no transitions in the order of the log, so the next writing adds them all."""
    site = Judged(tmp_path / "log")
    site.go_on(60)
    site.follow()
    placed, (path,) = site.in_order(), site.files(".book")
    listed = book_files.read_list(path, read_identity(site.log), site.keys)
    assert listed.judged is not None
    earlier = listed.judged._replace(placed=None)
    book_files.write_list(
        site.log, listed.position, listed.parts, listed.facts, site.keys, judged=earlier
    )
    assert (len(placed) > 3, site.in_order()) == (True, [])
    site.go_on(30)
    site.follow()
    assert site.in_order()[: len(placed)] == placed
    assert len(site.in_order()) == sum(len(one) - 2 for one in site.histories())


def test_the_past_and_pages(tmp_path: Any) -> None:
    """States at a moment follow from the transitions; pages go on where the one before ended."""
    site = Judged(tmp_path / "log")
    site.dice.seed(4)
    site.go_on(200)
    site.follow()
    judgements, whole = site.judgements(), site.downloads()
    pages, after = [], None
    while True:
        page = judgements.page(JudgedQuery(limit=2, after=after), None)
        pages += page.downloads
        after = page.following
        if after is None:
            break
    assert pages == whole
    for end in (site.frames[-1].header.next_seq // 2, site.frames[-1].header.next_seq):
        then = {
            (one.account, one.info_hash): one.since
            for one in judgements.page(JudgedQuery(limit=1000), end).downloads
        }
        told = {(account, info_hash): history for account, info_hash, *history in site.histories()}
        past = {name: [one for one in history if one[2] < end] for name, history in told.items()}
        assert {name: one.state for name, one in then.items()} == {
            name: history[-1][0] for name, history in past.items() if history
        }
    some = judgements.page(JudgedQuery(limit=1000, states=("violated",)), None).downloads
    assert list(some) == [one for one in whole if one.since.state == "violated"]
    assert {
        one.account for one in judgements.page(JudgedQuery(limit=9, account=2), None).downloads
    } == {2}
    assert whole[0].since.time_us > START_US
