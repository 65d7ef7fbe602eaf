"""What the book says of seeders is what the log says, however its files are written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from attrs import define

from tests.support import Rig, events_in, hash_of
from tests.tracker.upkeep.book.site import TORRENTS, Site
from tracker.domain.events.admin import TorrentDelisted, TorrentDescribed, TorrentWhitelisted
from tracker.domain.state import State
from tracker.store import book_files, frames, snapshots
from tracker.store.book import open_newest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from eventlog import Frame

HASHES = [hash_of(number + 1) for number in range(TORRENTS + 1)]  # nobody announces the last one


@define
class Seeds(Site):
    """A site that lists and describes torrents."""

    def _round(self, rig: Rig) -> None:
        super()._round(rig)
        info_hash = self.dice.choice(HASHES)
        added_us = self.dice.choice([None, 5])
        event = self.dice.choice([
            TorrentWhitelisted(info_hash), TorrentDelisted(info_hash),
            TorrentDescribed(info_hash, "x", added_us=added_us), None, None, None,
        ])  # fmt: skip
        listed = info_hash in rig.state.access.whitelist
        if event and isinstance(event, TorrentDelisted) == listed:
            rig.service.append(event)

    def shown(self) -> dict[bytes, tuple[int, ...]]:
        book = open_newest(self.log, self.keys)
        assert book is not None
        assert book.seeded is not None
        found = {info_hash: one.fields() for info_hash, one in book.seeded.all()}
        assert list(found) == sorted(found)
        for info_hash in HASHES:
            one = book.seeded.one(info_hash)
            assert (one and one.fields()) == found.get(info_hash)
        return found

    def told(self) -> dict[bytes, tuple[int, ...]]:
        """Works it out from events, and from the state between two frames."""
        found: dict[bytes, list[int]] = {}
        for info_hash, frame, events, before, after in self._each():
            one = found.get(info_hash, [0] * 6)
            date_us = frame.header.date_us
            mine = [each for each in events if each.get("info_hash") == info_hash.hex()]
            for each in mine:
                kind = each["type"]
                if kind in ("torrent_whitelisted", "torrent_described"):
                    one[0] = one[0] or date_us
                if kind == "torrent_described":
                    one[1] = each.get("added_us") or 0
                if kind.endswith("listed"):
                    one[5] = int(kind == "torrent_delisted")
            seeds = [
                each for each in mine
                if each["type"] == "announced" and not each["left"] and each["event"] != "stopped"
            ]  # fmt: skip
            if seeds:
                one[2] = one[2] or date_us
            if after:
                one[3] = 0
            elif before or seeds:
                one[3] = date_us
            if any(one):
                found[info_hash] = one
        return {name: tuple(one) for name, one in found.items()}

    def _each(self) -> Iterator[tuple[bytes, Frame, list[dict[str, Any]], int, int]]:
        """Yields each torrent and frame, with its events, and the seeders before and after."""
        state = State()
        for frame in self.frames:
            before = [state.swarms.counts(each)[0] for each in HASHES]
            frames.apply(state, frame)
            events = list(events_in([frame]))
            for each, seeders in zip(HASHES, before, strict=True):
                yield each, frame, events, seeders, state.swarms.counts(each)[0]


def without_account(rows: dict[bytes, tuple[int, ...]]) -> dict[bytes, tuple[int, ...]]:
    return {name: (*one[:4], 0, one[5]) for name, one in rows.items()}


@pytest.mark.parametrize(
    "seed", [0, 1, 2, *(pytest.param(seed, marks=pytest.mark.faults) for seed in range(3, 25))]
)
def test_seeders(tmp_path: Any, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over restarts, removed segments, and files that are made again."""
    site = Seeds(tmp_path / "log")
    site.dice.seed(seed)
    for number in range(5):
        monkeypatch.setattr(book_files, "GROWTH", site.dice.choice([0, 3, 10**9]))
        site.go_on(site.dice.choice([4, 9, 30]), pruned=number == 4)
        if number % 3 or number == 4:
            site.follow()
    shown = site.shown()
    assert without_account(shown) == site.told()
    if seed < 3:
        assert any(one[3] for one in shown.values())
    for info_hash, one in shown.items():
        announced = {
            each["key_ref"] for each in events_in(site.frames)
            if each["type"] == "announced" and each["info_hash"] == info_hash.hex()
        }  # fmt: skip
        assert (one[4] in announced) == bool(one[2])
    for path in (*site.files(".book"), *snapshots.found(site.log)):
        path.unlink()
    site.follow()
    assert site.shown() == shown


def test_a_book_of_an_earlier_version(tmp_path: Any) -> None:
    """It begins with the state there: who seeds, what is listed and described."""
    site = Seeds(tmp_path / "log")
    site.go_on(40)
    site.follow()
    rows = site.shown()
    book = open_newest(site.log, site.keys)
    assert book is not None
    listed = book.listed
    path = site.files(".book")[-1]
    path.unlink()
    book_files.write_list(
        site.log, listed.position, listed.parts, listed.facts, site.keys, path, listed.judged,
        listed.series,
    )  # fmt: skip
    site.go_on(0)
    site.follow()
    told = {name: (bool(one[0]), one[1], one[3] == 0) for name, one in rows.items() if one[2]}
    begun = site.shown()
    assert {name for name, one in begun.items() if one[2] and not one[3]} <= told.keys()
    for name, one in begun.items():
        assert bool(one[0]) == bool(rows[name][0])
        assert one[1] == rows[name][1]
    again = open_newest(site.log, site.keys)
    assert again is not None
    assert again.listed.seeded is not None
    assert again.listed.seeded.begun == listed.position.seq
