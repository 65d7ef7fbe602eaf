"""An insider changes what lies before the newest snapshot, where no start replays it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.attacks.support import Files, Log, Segment, check_refused, files_in, put, seal_of, site
from tests.attacks.test_planted import other_author, resealed, went_over
from tests.nonsense.whole import refusal
from tracker.domain import events
from tracker.store import checked_segments, frames, snapshots
from tracker.store.address_keys import Keyring
from tracker.store.checked_segments import CheckedSegments

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.usefixtures("unsynced")


def with_a_snapshot(folder: Path) -> Files:
    """Returns the files of a site whose newest segment alone comes after a snapshot."""
    put(folder, site())
    keys, log = Keyring(folder / "secrets"), folder / "log"
    state, reader = snapshots.start(log, keys)
    first_of_last = Log.of(site()).segments[-1].base_seq
    for frame in reader.frames():
        if frame.header.next_seq <= first_of_last:
            frames.apply(state, frame)
    assert snapshots.write(log, state, keys) is not None
    return files_in(folder)


def other_name(log: Log) -> Segment:
    segment, at = log.authored()
    segment.replace_plain(at, b'"alice"', b'"malic"')
    return segment


def other_address(log: Log) -> Segment:
    segment, at = log.find(events.ANNOUNCE)
    one = segment.frames[at]
    segment.frames[at] = one._replace(protected=one.protected[:15] + bytes([one.protected[15] ^ 1]) + one.protected[16:])
    return segment


ATTACKS: dict[str, Callable[[Log], Segment]] = {"author": other_name, "address": other_address}


@pytest.mark.parametrize("sealed", [True, False], ids=["sealed", "seal deleted"])
@pytest.mark.parametrize("name", ATTACKS)
def test_an_older_segment(tmp_path: Path, name: str, sealed: bool) -> None:
    """Checksums and length are right, and a later snapshot is there: a start ends with exit code 3
    and changes nothing."""
    files = with_a_snapshot(tmp_path / "honest")
    log = Log.of(files)
    segment = ATTACKS[name](log)
    changed = log.files()
    assert len(changed[segment.name]) == len(files[segment.name])
    if sealed:
        changed[seal_of(segment.name)] = files[seal_of(segment.name)]
    check_refused(tmp_path / "site", changed)


def test_before_there_were_tags(tmp_path: Path) -> None:
    """The same for a segment of format 1, with a right seal."""
    check_refused(tmp_path / "site", resealed(went_over(tmp_path / "served")))


def test_between_two_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start reads again what changed since the start before, whatever the file's date says, and
    nothing else."""
    monkeypatch.setattr(checked_segments, "REST_NS", 0)
    folder = tmp_path / "site"
    put(folder, with_a_snapshot(tmp_path / "honest"))
    assert refusal(folder) is None
    keys = Keyring(folder / "secrets")
    finished = CheckedSegments(folder / "log", keys).unknown()  # since then
    assert [path.name for path in finished] == [Path(Log.of(site()).segments[-1].name).name]
    log = Log.of(files_in(folder))
    segment = other_name(log)
    path = folder / segment.name
    before = path.stat()
    path.write_bytes(log.files()[segment.name])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert CheckedSegments(folder / "log", keys).unknown() == [path, *finished]
    changed = files_in(folder)
    assert "SHA-256" in str(refusal(folder))
    assert files_in(folder) == changed


def test_what_is_remembered_may_be_nonsense(tmp_path: Path) -> None:
    """A damaged file of it costs time alone."""
    folder = tmp_path / "site"
    put(folder, site())
    keys = Keyring(folder / "secrets")
    checked = CheckedSegments(folder / "log", keys)
    for text in b"", b"[" * 10_000, b'{"segments": {"a": ["x"]}}', b'{"segments": [1]}':
        path = checked_segments.checked_path(keys.secrets, bytes.fromhex(checked._file.stem))
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(text)
        assert len(CheckedSegments(folder / "log", keys).unknown()) == len(Log.of(site()).segments) - 1
