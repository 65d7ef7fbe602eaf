"""A reader that goes by the index of frames finds what one finds that reads all frames."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

import eventlog.log
from eventlog import LogCorruptError, seal_path, segments_of
from tests.support import SECOND, Announce, Rig, endpoint4, hash_of, key_text
from tests.tracker.upkeep.book.site import MEMBERS, Site
from tracker.domain import events
from tracker.ledger.account import Ledger
from tracker.ledger.walk import Decryption, Walk
from tracker.store import frame_index
from tracker.store.address_keys import Keyring
from tracker.store.frame_index import index_path
from tracker.upkeep import retention

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
