"""Cases are the same in whatever pieces the log is followed, and after a deletion."""

from __future__ import annotations

import errno
import os
from shutil import rmtree
from typing import TYPE_CHECKING

import pytest

import eventlog.log
from eventlog import first_seq
from tests.support import START_US
from tests.tracker.upkeep.book.site import MEMBERS, Site
from tracker.domain.detecting.cases import Found, Said, cases
from tracker.domain.detecting.intervals import LEAD, Detector, Finding, Interval
from tracker.domain.detecting.watch import Watch
from tracker.domain.events import DAY_US
from tracker.domain.events.admin import CaseNoted, CaseTaken
from tracker.ports import Actor
from tracker.store import case_files, frames, snapshots
from tracker.upkeep import case_keeping, retention
from tracker.upkeep.case_keeping import CaseKeeper

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from tests.support import Rig


class Everything(Detector):
    """Finds something in each interval: its numbers."""

    name = "everything"

    def __init__(self) -> None:
        self.heard_of: list[Interval] = []

    def heard(self, interval: Interval) -> Iterable[Finding]:
        self.heard_of.append(interval)
        return (
            Finding(
                self.name, LEAD, interval.account, interval.info_hash, interval.before_us,
                interval.time_us, interval.up, "bytes", (interval.seq,),
                {"down": interval.down, "gone": interval.gone, "first": interval.first},
            ),
        )  # fmt: skip


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(eventlog.log, "WATERMARK_SECONDS", 0.001)
    monkeypatch.setattr(retention, "MOST_AT_ONCE", 64)
    monkeypatch.setattr(case_keeping, "MOST_A_DAY", 10**9)
    made = Site(tmp_path / "log")
    for day in range(6):
        made.keys.prepare(START_US // DAY_US + day)
    return made


def follow(site: Site) -> list[Interval]:
    """Follows the log as a new follower does. Returns what the detector heard."""
    told: list[str] = []
    detector = Everything()
    keeper = CaseKeeper(site.log, site.keys, told.append, Watch([detector]))
    state, reader = snapshots.start(site.log, site.keys, at_most=keeper.seq, to_end=True)
    for frame in reader.frames():
        keeper.before(state)
        frames.apply(state, frame)
        keeper.after(state, frame)
    keeper.write()
    assert told == []
    return detector.heard_of


def entries(site: Site) -> list[Found | Said]:
    return sorted(case_files.read(site.log).entries, key=lambda one: (one.seq, repr(one)))


def test_restarts_make_no_difference(site: Site) -> None:
    """Nor does a deletion: everything is found once."""
    for _ in range(3):
        site.go_on(25)
        follow(site)
    pieces = entries(site)
    follow(site)
    assert entries(site) == pieces
    rmtree(site.log / case_files.FOLDER)
    follow(site)
    assert entries(site) == pieces
    made = cases(pieces)
    assert {account for account, _ in made} <= set(range(1, MEMBERS + 1))
    assert sum(len(case.found) for case in made.values()) == len(pieces)


def test_what_is_found_late_is_said_to_be(site: Site) -> None:
    """As by detectors of another version, which hear the log again."""
    site.go_on(25)
    follow(site)
    before = entries(site)
    assert all(one.epoch and not one.late for one in before)
    upto = case_files.read(site.log).listed.upto
    site.go_on(5)
    told: list[Found | Said] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Everything, "name", "another")
        follow(site)
        told = [one for one in entries(site) if one not in before]
    late = [one for one in told if one.seq < upto]
    assert len(late) >= len(before)
    assert {one.placed for one in late} == {upto}
    assert not any(one.late for one in told if one.seq >= upto)


def test_no_day_has_too_many_findings(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an account by a detector, also where the follower began anew meanwhile."""
    site.go_on(60)
    follow(site)
    every = entries(site)
    rmtree(site.log / case_files.FOLDER)
    monkeypatch.setattr(case_keeping, "MOST_A_DAY", 2)
    for _ in range(2):
        follow(site)
        kept = [(_name(one), one.seq) for one in entries(site)]
        expected: dict[tuple[int, int], list[int]] = {}
        for one in every:
            expected.setdefault(_name(one), []).append(one.seq)
        assert max(map(len, expected.values())) > 2
        assert sorted(kept) == sorted(
            (name, seq) for name, seqs in expected.items() for seq in seqs[:2]
        )


def _name(one: Found | Said) -> tuple[int, int]:
    assert isinstance(one, Found)
    return one.finding.account, one.finding.end_us // DAY_US


def test_intervals_add_up_to_what_was_counted(site: Site) -> None:
    """By the tracker, for each account; peers go when they are no longer listed."""
    site.go_on(120)
    heard = follow(site)
    state, reader = snapshots.start(site.log, site.keys, at_most=0, to_end=True)
    for frame in reader.frames():
        frames.apply(state, frame)
    for account in range(1, MEMBERS + 1):
        own = [one for one in heard if one.account == account]
        totals = state.accounts.totals(account)
        assert sum(one.up for one in own) == totals.uploaded
        assert sum(one.down for one in own) == totals.downloaded
    listed = sum(1 for peer in range(1, state.swarms.peer_slots) if state.swarms.present(peer))
    came = {one.seq for one in heard if not one.gone}
    assert {one.evidence[0] for one in _found(site)} >= came
    there: dict[tuple[int, bytes, bytes], bool] = {}
    for one in heard:
        there[one.account, one.info_hash, one.peer_id] = not one.gone
    assert sum(there.values()) == listed
    assert any(one.gone for one in heard)


def test_what_was_found_and_said_stays(site: Site) -> None:
    """Where its events were removed too; after a deletion what staff said is there still."""

    def speak(rig: Rig) -> None:
        rig.service.append(CaseTaken(1, "everything"), Actor("ops", "", ""))
        rig.service.append(CaseNoted(2, "everything", "asked"), Actor("ops", "", ""))

    site.go_on(20, speak=speak)
    follow(site)
    before = entries(site)
    site.go_on(80, pruned=True)
    assert first_seq(site.log) > before[-1].seq
    follow(site)
    after = entries(site)
    assert after[: len(before)] == before
    assert len(after) > len(before)
    rmtree(site.log / case_files.FOLDER)
    follow(site)
    said = [one for one in before if isinstance(one, Said)]
    assert [type(one.event) for one in said] == [CaseTaken, CaseNoted]
    assert entries(site)[:2] == said


@pytest.mark.parametrize("name", [case_files.LIST, case_files.TIMELINE])
def test_damage_is_told_and_mended(site: Site, name: str) -> None:
    site.go_on(20)
    follow(site)
    before = entries(site)
    path = site.log / case_files.FOLDER / name
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    told: list[str] = []
    CaseKeeper(site.log, site.keys, told.append)
    assert told[0].startswith("Cases are found anew: ")
    follow(site)
    assert entries(site) == before


def test_an_unfinished_writing_does_not_count(site: Site) -> None:
    """What a crash left behind the list is written over."""
    site.go_on(20)
    follow(site)
    path = site.log / case_files.FOLDER / case_files.TIMELINE
    with path.open("ab") as file:
        file.write(b'{"seq":')
    site.go_on(20)
    follow(site)
    rest = entries(site)
    rmtree(site.log / case_files.FOLDER)
    follow(site)
    assert entries(site) == rest


@pytest.mark.parametrize("call", ["pwrite", "ftruncate", "fsync"])
def test_a_failed_writing_is_made_up_for(
    site: Site, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """By the same keeper: nothing is lost, and nothing is there twice."""

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    site.go_on(20)
    follow(site)
    expected = entries(site)
    rmtree(site.log / case_files.FOLDER)
    keeper = CaseKeeper(site.log, site.keys, watch=Watch([Everything()]))
    state, reader = snapshots.start(site.log, site.keys, at_most=keeper.seq, to_end=True)
    for number, frame in enumerate(reader.frames()):
        keeper.before(state)
        frames.apply(state, frame)
        keeper.after(state, frame)
        if number % 3:
            keeper.write()
        else:
            with monkeypatch.context() as patch:
                patch.setattr(os, call, fail)
                with pytest.raises(OSError, match="full"):
                    keeper.write()
    keeper.write()
    assert entries(site) == expected


def test_the_follower_keeps_cases(site: Site) -> None:
    """Where that is wanted; without them it ends, and the next one makes them anew."""
    site.go_on(20)
    site.follow()
    assert not (site.log / case_files.FOLDER).exists()
    follower = site.follow(cases=True)
    assert case_files.read(site.log).listed.upto == follower.state.seq
    assert CaseKeeper(site.log, site.keys, watch=follower.watch).seq == follower.state.seq
    rmtree(site.log / case_files.FOLDER)
    site.go_on(5)
    with pytest.raises(OSError, match="found anew"):
        follower.catch_up()
    assert not any("refused" in said for said in site.said)


def _found(site: Site) -> list[Finding]:
    return [one.finding for one in entries(site) if isinstance(one, Found)]
