"""The hours that the follower writes have the rows that a replay of them has."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from attrs import evolve

import eventlog.log
from tests.support import SECOND, START_US, Announce, Rig, endpoint4, hash_of, key_text
from tests.tracker.upkeep.book.site import MEMBERS, PRIVATE, TORRENTS, Site
from tracker.domain.events import DAY_US
from tracker.history import seeding
from tracker.history.past_worker import PastWorker
from tracker.ports import PrunedMomentError, SeedingRow
from tracker.store import seeded_hours
from tracker.store.moments import ForwardReplay
from tracker.store.seeded_hours import HOUR_US
from tracker.times import parse
from tracker.upkeep import bookkeeping, retention

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(eventlog.log, "WATERMARK_SECONDS", 0.001)
    monkeypatch.setattr(retention, "MOST_AT_ONCE", 64)
    made = Site(tmp_path / "log")
    for day in range(6):
        made.keys.prepare(START_US // DAY_US + day)
    return made


def live(site: Site, steps: int = 60, *, wall_us: int | None = None, pruned: bool = False) -> None:
    """Lets members announce for some hours; many announces of an hour's end are in one frame."""

    def speak(rig: Rig) -> None:
        dice = site.dice
        for _ in range(steps):
            rig.time.advance(dice.choice([1, 60, 300, 900]) * SECOND)
            if dice.random() < 0.4:
                rig.service.tick()
            member = dice.randint(1, MEMBERS)
            one = Announce(
                hash_of(dice.randint(1, TORRENTS)), endpoint4(member * 10 + dice.randint(0, 1)),
                b"-XX0001-%012d" % member, dice.randrange(10_000), 7, dice.choice([0, 0, 0, 9]),
                dice.choice([0, 0, 0, 1, 3]), key=key_text(member),
            )  # fmt: skip
            rig.announce(one)

    settings = evolve(PRIVATE, max_peer_timeout=2700)
    site.go_on(2, settings=settings, speak=speak, wall_us=wall_us, pruned=pruned)


def hours(site: Site) -> list[int]:
    """Returns the beginnings of the hours that have files."""
    names = sorted(path.name[:13] for path in (site.log / seeded_hours.FOLDER).iterdir())
    return [parse(f"{name}:00:00Z") or 0 for name in names]


def replayed(site: Site, from_us: int) -> list[SeedingRow]:
    log = ForwardReplay(site.log, lambda _done, _total: None, site.keys)
    return seeding.between(log, from_us, from_us + HOUR_US).after(0, b"", 10_000)


def kept(site: Site, from_us: int) -> list[SeedingRow] | None:
    rows = seeded_hours.read(site.log, from_us, site.keys)
    return None if rows is None else rows.after(0, b"", 10_000)


def test_they_are_those_of_a_replay(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where the book is written in the middle of an hour, when followers come and go, the
    clock is set back, and the log's beginning is removed."""
    monkeypatch.setattr(bookkeeping, "MOST_ROWS", 3)
    live(site, 80)
    site.follow()
    live(site)
    site.follow()
    before = hours(site)
    live(site, 80, wall_us=site.time.wall - 3 * HOUR_US)
    site.follow()
    after = hours(site)
    assert set(before) - set(after)  # these dates came again
    assert len(after) > 8
    assert not [one for one in site.said if "refused" in one]  # the book ends with whole frames
    found = {from_us: kept(site, from_us) for from_us in after}
    assert found == {from_us: replayed(site, from_us) for from_us in after}
    assert sum(map(bool, found.values())) > 8
    live(site, 4, pruned=True)
    assert [kept(site, from_us) for from_us in after] == [None] * len(after)
    with pytest.raises(PrunedMomentError):
        PastWorker(site.log, site.log / "secrets").seeding(after[0], (0, b""), 10)


def test_a_bad_file_costs_only_time(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the hour is replayed, and has the same rows."""
    live(site)
    site.follow()
    from_us, other = next(
        (one, another)
        for one in hours(site)
        for another in hours(site)
        if one != another and kept(site, one) and kept(site, another) != kept(site, one)
    )
    path = seeded_hours.hour_path(site.log, from_us)
    good, rows = path.read_bytes(), replayed(site, from_us)
    line, _, data = good.partition(b"\n")
    more = {**json.loads(line), "from_us": from_us + 1}
    for what, content in (
        ("no file", None),
        ("an empty one", b""),
        ("one that was cut", good[:-16]),
        ("more seconds", good[:-3] + bytes([good[-3] ^ 1]) + good[-2:]),
        ("that of another hour", seeded_hours.hour_path(site.log, other).read_bytes()),
        ("another head", json.dumps(more).encode() + b"\n" + data),
    ):
        path.unlink()
        if content is not None:
            path.write_bytes(content)
        assert kept(site, from_us) is None, what
        worker = PastWorker(site.log, site.log / "secrets")
        assert worker.seeding(from_us, (0, b""), 1000) == rows, what
        path.write_bytes(good)
    monkeypatch.setattr(seeding, "between", None)
    worker, pages = PastWorker(site.log, site.log / "secrets"), list[SeedingRow]()
    while page := worker.seeding(
        from_us, (pages[-1].account, pages[-1].info_hash) if pages else (0, b""), 2
    ):
        pages += page
    assert pages == rows
