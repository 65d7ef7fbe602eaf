"""Damage in the files that retention leaves is found."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from eventlog import LogCorruptError, LogError, Reader, first_seq, opening_path
from tests.eventlog.logs import segments
from tests.support import own_keys
from tests.tracker.upkeep.retention.logs import findings, live, nothing, script
from tracker.store import snapshots
from tracker.store.replay import replay
from tracker.upkeep import pruning

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("kind", ["opening", "kept", "seal"])
def test_damage_is_found(prunable_log: Path, tmp_path: Path, kind: str) -> None:
    """`verify` finds any changed byte and any cut, empty or missing file of each kind."""
    folder = tmp_path / "log"
    shutil.copytree(prunable_log, folder)
    path = min((folder / kind).iterdir())
    data = path.read_bytes()
    step = max(1, len(data) // 20)
    for at in range(0, len(data), step):
        path.write_bytes(data[:at] + bytes([data[at] ^ 4]) + data[at + 1 :])
        assert any(one.damage for one in findings(folder)[0]), at
    for at in (0, 1, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:at])
        assert any(one.damage for one in findings(folder)[0]), at
    path.unlink()
    assert any(one.damage for one in findings(folder)[0]) == (kind != "seal")
    path.write_bytes(data)
    assert findings(folder)[0] == []


def test_damage_at_start(prunable_log: Path, tmp_path: Path) -> None:
    """A start needs no kept events. It refuses a damaged or missing opening or sealed segment."""
    folder = tmp_path / "log"
    shutil.copytree(prunable_log, folder)
    begin = first_seq(folder)
    path, first = opening_path(folder, begin), segments(folder)[0]

    def starts() -> bool:
        try:
            live(folder, nothing)
        except LogError:
            return False
        return True

    for each in (path, first):
        data = each.read_bytes()
        each.write_bytes(data[:-1])
        assert not starts()
        each.write_bytes(data)
    first.rename(tmp_path / "aside")
    assert not starts()
    (tmp_path / "aside").rename(first)
    for each in (folder / "kept").iterdir():
        each.unlink()
    assert starts()


def test_without_its_opening(prunable_log: Path, tmp_path: Path) -> None:
    """Replay names the missing events of a log without its opening, and `verify` reports them once.
    Child processes report no disagreement.
    """
    folder = tmp_path / "log"
    shutil.copytree(prunable_log, folder)
    begin = first_seq(folder)
    shutil.rmtree(folder / "opening")
    shutil.rmtree(folder / "snap", ignore_errors=True)
    missing = f"events 0 to {begin - 1} are missing"
    with pytest.raises(LogCorruptError, match=missing):
        replay(Reader(folder))
    with pytest.raises(LogCorruptError, match=missing):
        snapshots.start(folder, None)
    with pytest.raises(LogCorruptError, match=missing):
        pruning.make(folder, begin, own_keys(folder))
    assert [missing in one.what for one in findings(folder)[0]] == [True]


def test_no_segment_begins_there(tmp_path: Path) -> None:
    """An opening inside a segment is refused with the reason."""
    folder = tmp_path / "log"
    live(folder, script)
    begun = {int(each.name[:20]) for each in segments(folder)}
    inside = {frame.header.base_seq for frame in Reader(folder).frames()} - begun
    with pytest.raises(LogCorruptError, match="no segment begins with event"):
        pruning.make(folder, min(inside), own_keys(folder))


def test_another_opening(prunable_log: Path, tmp_path: Path) -> None:
    """An opening that is whole is refused when its checksum is not the one in the log."""
    folder = tmp_path / "log"
    shutil.copytree(prunable_log, folder)
    begin = first_seq(folder)
    data = opening_path(folder, begin).read_bytes()
    made = rewritten(folder, begin)
    assert made != data
    opening_path(folder, begin).write_bytes(made)
    with pytest.raises(LogCorruptError, match="no event of the log vouches"):
        replay(Reader(folder))
    assert sum("the log says" in one.what for one in findings(folder)[0]) == 1


def rewritten(folder: Path, begin: int) -> bytes:
    """Makes the opening again, with another nonce; returns its bytes."""
    from tracker.store import opening_balance

    name, _ = opening_balance.write(
        folder, opening_balance.begin(folder, begin, None)[0], own_keys(folder), bytes(32)
    )
    path = folder / "opening" / name
    data = path.read_bytes()
    path.unlink()
    return data
