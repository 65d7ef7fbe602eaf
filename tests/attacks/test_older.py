"""An insider changes what lies before the newest snapshot, where no start replays it."""

from __future__ import annotations

import os
from array import array
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

import pytest

from eventlog import LogCorruptError, first_seq
from tests.attacks.support import (
    Files,
    Log,
    Segment,
    check_refused,
    files_in,
    pack_frame,
    seal_of,
    site,
)
from tests.attacks.test_planted import resealed, went_over
from tests.independent_reader.read_log import parse_frame
from tests.nonsense.whole import no_progress, put, refusal
from tracker import ports
from tracker.domain import events
from tracker.history.event_scan import Filter, Scan
from tracker.ledger.account import Ledger
from tracker.ledger.walk import Decryption, Walk
from tracker.store import checked_segments, frames, snapshots
from tracker.store.address_keys import Keyring
from tracker.store.checked_segments import CheckedSegments
from tracker.upkeep import pruning

if TYPE_CHECKING:
    from collections.abc import Callable


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
    segment.frames[at] = one._replace(
        protected=one.protected[:15] + bytes([one.protected[15] ^ 1]) + one.protected[16:]
    )
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
    said = "SHA-256" if sealed else "frame tag does not match"  # also where the note knows no seal
    checked = CheckedSegments(tmp_path / "site/log", Keyring(tmp_path / "site/secrets"))
    with pytest.raises(LogCorruptError, match=said):
        checked.check(no_progress)


def test_before_there_were_tags(tmp_path: Path) -> None:
    """The same for a segment of format 1, with a right seal."""
    check_refused(tmp_path / "site", resealed(went_over(tmp_path / "served")))


def events_of(folder: Path, first: int = 0) -> Scan:
    """Reads all events, as `tracker events` and the API do."""
    wanted = Filter(ports.EventFilter(), array("I"))
    scan = Scan(folder / "log", ports.LogPart(first=first), wanted, Keyring(folder / "secrets"))
    while not scan.over:
        scan.step(1 << 20)
    return scan


def ledger_of(folder: Path) -> None:
    """Reads a ledger, as `tracker ledger` and the API do."""
    decrypt = Decryption(folder / "log", Keyring(folder / "secrets"))
    for _ in Walk(folder / "log", decrypt).tell(Ledger(1, None, decrypt)):
        pass


@pytest.mark.parametrize("served", [False, True], ids=["never served", "served before"])
def test_readers_of_what_had_no_tags(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, served: bool
) -> None:
    """`events`, `ledger` and the API refuse changed segments of format 1, and changed kept events
    from there, also where no start looked at them."""
    monkeypatch.setattr(checked_segments, "REST_NS", 0)
    folder = tmp_path / "site"
    files = went_over(tmp_path / "served")
    put(folder, files)
    if served:
        assert refusal(folder) is None
        files = files_in(folder)
    else:
        files = {name: data for name, data in files.items() if "/checked/" not in name}
    put(folder, files)
    assert events_of(folder).found
    ledger_of(folder)
    tagged = min(one.base_seq for one in Log.of(files).segments if one.format > 1)

    put(folder, resealed(files))
    with pytest.raises(LogCorruptError, match="says that the history digest"):
        events_of(folder, first_seq(folder / "log"))
    with pytest.raises(LogCorruptError, match="says that the history digest"):
        ledger_of(folder)
    assert events_of(folder, tagged).found

    put(folder, files | other_kept(files))
    with pytest.raises(LogCorruptError, match="not the kept events that the log vouches for"):
        events_of(folder)
    with pytest.raises(LogCorruptError, match="not the kept events that the log vouches for"):
        ledger_of(folder)


def other_kept(files: Files) -> Files:
    """Changes the first frame of format 1 that was kept, with its checksums made right."""
    name = min(name for name in files if name.endswith(".evk"))
    data = files[name]
    one = parse_frame(data[64:], crc32(data[16:32]))
    assert one.header.format == 1
    changed = one._replace(plain=one.plain.replace(b'"version":"', b'"VERSION":"'))
    assert changed != one
    return {name: data[:64] + pack_frame(changed, data[16:32])[0] + data[64 + one.header.size :]}


def test_no_opening_is_made_of_it(tmp_path: Path) -> None:
    """A removal of old segments would vouch for what it reads."""
    put(tmp_path / "site", resealed(went_over(tmp_path / "served")))
    log, keys = tmp_path / "site/log", Keyring(tmp_path / "site/secrets")
    at = max(one.base_seq for one in Log.of(files_in(tmp_path / "site")).segments)
    with pytest.raises(LogCorruptError, match="says that the history digest"):
        pruning.make(log, at, keys)
    assert not list((log / "opening").glob("*.made"))


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
        assert (
            len(CheckedSegments(folder / "log", keys).unknown()) == len(Log.of(site()).segments) - 1
        )
