"""The daily series are the ledger by days, however their files are written and made again."""

from __future__ import annotations

from collections import defaultdict
from itertools import groupby
from typing import TYPE_CHECKING, Any

import pytest
from attrs import define, evolve

from tests.independent_reader import daily
from tests.support import SECOND, events_in, hash_of
from tests.tracker.upkeep.book.site import MEMBERS, PRIVATE, TORRENTS, Site
from tracker.domain.events import DAY_US
from tracker.history.stays import as_json
from tracker.store import book_files, snapshots, stay_files
from tracker.store.book import open_newest
from tracker.store.stay_files import Sought, Stays

if TYPE_CHECKING:
    from eventlog import Frame
    from tests.support import Rig
    from tracker.store.daily_rows import DailyRows

HOUR = 3600 * SECOND
LONG = evolve(PRIVATE, max_peer_timeout=3 * 3600)
SUMS = (
    "uploaded", "downloaded", "credited_uploaded", "credited_downloaded", "seeding_us", "completed",
)  # fmt: skip


@define
class Days(Site):
    """A site whose rounds take hours, so that a run takes days."""

    def _round(self, rig: Rig) -> None:
        rig.time.advance(self.dice.choice([0, 0, 1, 4]) * HOUR)
        rig.service.tick()
        super()._round(rig)

    def series(self) -> DailyRows:
        book = open_newest(self.log, self.keys)
        assert book is not None
        assert book.series is not None
        return book.series

    def shown(self) -> dict[int | bytes, list[Any]]:
        """Returns the series of each account and torrent, read one by one and all together."""
        series = self.series()
        whose = [*range(1, MEMBERS + 1), *(hash_of(number + 1) for number in range(TORRENTS))]
        found = {each: days for each in whose if (days := list(series.of(each)))}
        together: dict[int | bytes, list[Any]] = defaultdict(list)
        for each, day in (*series.accounts(), *series.torrents()):
            together[each].append(day)
        assert found == together
        return found

    def ledger_by_day(self) -> dict[Any, list[int]]:
        """Returns what the ledgers gained by account or torrent, and day."""
        found: dict[Any, list[int]] = defaultdict(lambda: [0] * len(SUMS))
        before: dict[Any, list[int]] = {}
        for day, frames in groupby(self.frames, _day):
            *_, last = frames
            now = {
                name: [
                    sums.totals.uploaded, sums.totals.downloaded, sums.totals.credited_uploaded,
                    sums.totals.credited_downloaded, sums.totals.seeding_us, sums.totals.snatched,
                ]
                for name, sums in self.ledger(last.header.next_seq).items()
            }  # fmt: skip
            for (account, info_hash), sums in now.items():
                then = before.get((account, info_hash), [0] * len(SUMS))
                for whose in (account, info_hash) if info_hash else (account,):
                    row = found[whose, day]
                    found[whose, day] = [a + b - c for a, b, c in zip(row, sums, then, strict=True)]
            before = now
        return {name: row for name, row in found.items() if any(row)}


def _day(frame: Frame) -> int:
    return frame.header.date_us // DAY_US


@pytest.mark.parametrize(
    "seed", [0, 1, *(pytest.param(seed, marks=pytest.mark.faults) for seed in range(2, 20))]
)
def test_the_series_are_the_ledger(
    tmp_path: Any, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over restarts, clocks that go back, removed segments, and files that are made again."""
    site = Days(tmp_path / "log")
    dice = site.dice
    dice.seed(seed)
    for number in range(6):
        monkeypatch.setattr(book_files, "GROWTH", dice.choice([0, 3, 10**9]))
        back_us = dice.choice([0, 0, 0, 20 * HOUR])
        wall_us = site.time.wall - back_us if number and back_us else None
        site.go_on(dice.choice([4, 9, 30]), settings=LONG, wall_us=wall_us, pruned=number == 5)
        if number % 3 or number == 5:
            site.follow()
    told = site.ledger_by_day()
    shown = site.shown()
    rows = {
        (whose, day.day): [getattr(day, name) for name in SUMS]
        for whose, days in shown.items()
        for day in days
    }
    assert len({day for _, day in rows}) > 1
    assert {name: row for name, row in rows.items() if any(row)} == told
    assert site.series().begun == 0
    for path in (*site.files(".book"), *snapshots.found(site.log)):
        path.unlink()
    site.follow()
    assert site.shown() == shown
    first, last = (days := shown[1])[0].day, days[-1].day
    assert list(site.series().of(1, first + 1, last - 1)) == days[1:-1]


@pytest.mark.parametrize(
    "seed", [0, *(pytest.param(seed, marks=pytest.mark.faults) for seed in range(1, 20))]
)
def test_a_recomputation_agrees(tmp_path: Any, seed: int) -> None:
    """A reader that was written by the docs alone finds the same, with the largest swarms."""
    site = Days(tmp_path / "log")
    site.dice.seed(seed)
    for _ in range(3):
        site.go_on(site.dice.choice([9, 30]), settings=LONG)
        site.follow()
    stays = Stays(site.log, stay_files.read_list(site.log), site.keys, site.log)
    lines = [as_json(stay, stays.listed.clients) for stay in stays.find(Sought(), -1, 2**62)]
    found = {
        (whose if isinstance(whose, int) else whose.hex(), day.day): [
            *(getattr(day, name) for name in SUMS[:-1]), day.seeders or 0, day.leechers or 0,
        ]
        for whose, days in site.shown().items()
        for day in days
    }  # fmt: skip
    expected = daily.series(events_in(site.frames), lines)
    # A day with a completed download alone has a row, of which the other reader knows nothing.
    assert {name: row for name, row in found.items() if any(row)} == expected
