"""A reader that goes by the index of frames finds what one finds that reads all frames."""

from __future__ import annotations

import json
from shutil import rmtree
from typing import TYPE_CHECKING, Any

import pytest
import trio
from attrs import evolve

import eventlog.log
from eventlog import LogCorruptError, seal_path, segments_of
from tests.support import SECOND, Announce, Rig, StillLog, endpoint4, hash_of, key_text, replayed
from tests.tracker.upkeep.book.site import MEMBERS, Site
from tracker.domain import events
from tracker.history import event_scan
from tracker.history.events import LogEvents
from tracker.history.events_worker import EventsWorker
from tracker.ledger.account import Ledger
from tracker.ledger.walk import Decryption, Walk
from tracker.ports import EventFilter, LogPart, Moment, NoMomentError
from tracker.store import frame_index
from tracker.store.address_keys import Keyring
from tracker.store.frame_index import index_path
from tracker.store.moments import ForwardReplay
from tracker.store.outages import Outages
from tracker.upkeep import follower_process, retention
from tracker.upkeep.follower_process import Follower

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from eventlog import Frame
    from tracker.ports import LedgerEntry


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    monkeypatch.setattr(eventlog.log, "WATERMARK_SECONDS", 0.001)
    monkeypatch.setattr(retention, "MOST_AT_ONCE", 64)
    return Site(tmp_path / "log")


class Counting(Ledger):
    """A ledger that counts the frames of announces that it gets."""

    got = 0

    def entries(self, frames: Iterable[Frame]) -> Iterator[LedgerEntry]:  # type: ignore[override]
        def counted() -> Iterator[Frame]:
            for frame in frames:
                self.got += frame.header.kind == events.ANNOUNCE
                yield frame

        return super().entries(counted())


def read(site: Site, ends: Iterable[int | None] = (None,)) -> tuple[list[Any], int]:
    """Reads all ledgers in walks with stops. Returns what they say, and how many frames of
    announces they got."""
    found, got = list[Any](), 0
    for account in range(1, MEMBERS + 1):
        decrypt = Decryption(site.log, Keyring(site.log / "secrets"))
        ledger, walk = Counting(account, decrypt=decrypt), Walk(site.log, decrypt)
        for end in ends:
            found += [*walk.tell(ledger, end), ledger.whole(), ledger.sums(), walk.seq]
        got += ledger.got
    return found, got


def rotated(rig: Rig) -> None:
    """A member gets another key in the middle of a segment."""
    rig.rotate(key_text(1), key_text(11))
    for number in range(6):
        rig.time.advance(SECOND)
        one = Announce(hash_of(1), endpoint4(10), uploaded=number * 9_000, key=key_text(11))
        rig.announce(one)


def test_ledgers_are_the_same(site: Site) -> None:
    """Also where they stop in passed frames, after outages, with another key, and when the log's
    beginning was removed."""
    site.go_on(30)
    site.go_on(12, pruned=True)
    site.go_on(12, speak=rotated)
    last = site.frames[-1].header.next_seq
    ends = [*range(last - 80, last - 20, 7), None]
    whole, all_frames = read(site, ends)
    site.follow()
    indexed = {path.name for path in (site.log / frame_index.FOLDER).iterdir()}
    while frame_index.write_next(site.log, site.keys):  # one segment at a time
        pass
    indexes = {path.name for path in (site.log / frame_index.FOLDER).iterdir()}
    assert len(indexed) == 1
    assert indexes == {index_path(path).name for path in segments_of(site.log)[:-1]}
    found, some_frames = read(site, ends)
    assert found == whole
    assert some_frames < all_frames * 2 // 3


def _forged(data: bytes) -> bytes:
    """Hides all announces, as somebody would who has no key."""
    head = {**json.loads(data.partition(b"\n")[0]), "frames": 0, "keys": 0, "places": 0}
    return json.dumps(head).encode() + b"\n" + bytes(4)


def test_a_bad_index_costs_only_time(site: Site) -> None:
    """Each row changes the index of one segment, or its seal."""
    site.go_on(20)
    whole, all_frames = read(site)
    site.follow()
    while frame_index.write_next(site.log, site.keys):
        pass
    _, some_frames = read(site)
    segment, other = segments_of(site.log)[1:3]
    path, seal = index_path(segment), seal_path(segment)
    good, sealed = path.read_bytes(), seal.read_bytes()
    for what, index, its_seal in (
        ("no index", None, sealed),
        ("an empty one", b"", sealed),
        ("one that was cut", good[:-3], sealed),
        ("one with another bit", good[:-2] + bytes([good[-2] ^ 1]) + good[-1:], sealed),
        ("that of another segment", index_path(other).read_bytes(), sealed),
        ("a forged one", _forged(good), sealed),
        ("no seal", good, None),
        ("a changed seal", good, sealed.replace(b'"length": ', b'"length": 1')),
    ):
        for file, content in ((path, index), (seal, its_seal)):
            file.unlink()
            if content is not None:
                file.write_bytes(content)
        found, more_frames = read(site)
        assert found == whole, what
        assert some_frames < more_frames < all_frames, what
        path.write_bytes(good)
        seal.write_bytes(sealed)
    path.unlink()
    path.mkdir()
    assert read(site) == (whole, more_frames)


async def _listed(site: Site, account_of: Any) -> list[Any]:
    """Reads lists of events with many filters, page by page."""
    end = site.frames[-1].header.next_seq
    secrets = site.log / "secrets"
    worker = EventsWorker(site.log, secrets)
    log = LogEvents(StillLog(site.log, end), account_of, trio.Event(), secrets, worker)
    begin_us, end_us = site.frames[0].header.date_us, site.frames[-1].header.date_us
    third, found = (end_us - begin_us) // 3, list[Any]()
    whole = LogPart()
    for wanted in (
        EventFilter(account=2),
        EventFilter(account=1, info_hash=hash_of(1)),
        EventFilter(key_ref=1),
        EventFilter(key_ref=0),
        EventFilter(info_hash=hash_of(2), types=frozenset({"announced", "key_issued"})),
        EventFilter(info_hash=hash_of(9)),
        EventFilter(types=frozenset({"tick"})),
    ):
        for part in (
            whole,
            LogPart(first=end // 3, last=end * 2 // 3),
            LogPart(from_us=begin_us + third, to_us=begin_us + 2 * third),
            LogPart(from_us=end_us - third, last=end - 5),
        ):
            page, rest = await log.read(part, wanted, 7), part
            found.append(page.events)
            while page.following is not None:
                rest = evolve(rest, first=page.following)
                page = await log.read(rest, wanted, 7)
                found[-1] += page.events
    return found


def _moments(site: Site) -> list[Any]:
    """Returns the event of each of many dates, and the outage there."""
    replay = ForwardReplay(site.log, lambda _done, _total: None, site.keys)
    found = list[Any]()
    near = {frame.header.date_us for frame in site.frames[::5]}
    for date_us in sorted({each + by for each in near for by in (-1, 0, SECOND // 2)}):
        try:
            found.append((replay.resolve(Moment(time_us=date_us)), replay.outage))
        except NoMomentError as error:
            found.append(str(error))
    return found


def _silent(rig: Rig) -> None:
    """Nothing is written for two minutes, and then a little."""
    rig.time.advance(120 * SECOND)
    rotated(rig)


def test_lists_are_the_same(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Events by account, key, torrent, type, number and date, and outages, while the clock is set
    back and forth.
    """
    site.go_on(30)
    site.go_on(12, wall_us=site.time.wall - 600 * SECOND, speak=_silent)
    site.go_on(12, wall_us=site.time.wall + 90 * SECOND)
    account_of = replayed(site.frames).access.account_of
    whole = trio.run(_listed, site, account_of)
    assert sum(map(len, whole)) > 200
    moments = _moments(site)
    every = Outages(site.log, site.keys)
    frames = len(list(every.read()))
    assert {one.why for one in every.found} == {"killed", "silent"}
    site.follow()
    while frame_index.write_next(site.log, site.keys):
        pass
    got = list[int]()
    within = event_scan._between

    def counted(frame: Frame, *part: Any) -> Frame | None:
        got.append(frame.header.base_seq)
        return within(frame, *part)

    monkeypatch.setattr(event_scan, "_between", counted)
    assert trio.run(_listed, site, account_of) == whole
    passing = Outages(site.log, site.keys)
    assert len(list(passing.read())) * 2 < frames
    assert passing.found == every.found
    assert _moments(site) == moments
    some = len(got)
    rmtree(site.log / frame_index.FOLDER)
    trio.run(_listed, site, account_of)
    assert some * 3 < (len(got) - some) * 2


def test_a_damaged_index_is_written_again(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """The follower looks at one after the other, and says which was damaged."""
    monkeypatch.setattr(follower_process, "SEAL_SECONDS", 0.0)
    site.go_on(20)
    said: list[dict[str, Any]] = []
    follower = Follower(site.log, site.log / "secrets", lambda **told: said.append(told))
    segments = segments_of(site.log)[:-1]
    for _ in segments:
        follower.catch_up()
    path = index_path(segments[2])
    good = path.read_bytes()
    path.write_bytes(good[:-1])
    for _ in (*segments, "the look that writes it"):
        follower.catch_up()
    assert path.read_bytes() == good
    assert [one["refused"] for one in said if "refused" in one] == [
        f"An index of frames is damaged, and is written again: {path}"
    ]


def test_a_frame_that_is_read_is_checked(site: Site) -> None:
    """An index lets nobody read a changed frame."""
    site.go_on(10)
    site.follow()
    while frame_index.write_next(site.log, site.keys):
        pass
    segment = segments_of(site.log)[1]
    data = bytearray(segment.read_bytes())
    index = frame_index.read(segment, segments_of(site.log)[2], site.keys)
    assert index is not None
    data[index.offsets[index.with_key(1)[0]] + 140] ^= 1
    segment.write_bytes(data)
    with pytest.raises(LogCorruptError):
        read(site)
