"""A log of format 1 goes over to format 2 with the first segment that this version begins.

`served-v1` is the folder of a tracker of the version before, pruned twice and stopped in order:
with openings, kept frames, a snapshot, the note and all secrets. That version's writer of the
pruned golden log wrote it, with three events more.
"""

from __future__ import annotations

import re
import shutil
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING
from zlib import crc32

import pytest

from eventlog import LogCorruptError, Reader, open_header
from tests.golden.test_log_v1 import FOLDER, NAMES, contents, expected, seen
from tests.independent_reader import read_log
from tests.nonsense.whole import no_progress
from tests.support import SELECTION_KEY
from tracker.cli import main
from tracker.config.schema import EventLog as LogConfig
from tracker.domain.events.admin import TrackerStarted
from tracker.offline.verify import Verification
from tracker.service.clock import LogClock
from tracker.service.service import Service
from tracker.store import high_water_mark
from tracker.store.address_keys import Keyring
from tracker.store.replay import replay
from tracker.store.session import GOES_OVER, open_session
from tracker.upkeep.replaying_process import Pace, compare

if TYPE_CHECKING:
    from tracker.domain.state import State

SERVED = Path(__file__).parent / "served-v1"
SITES = {name: FOLDER / name for name in NAMES} | {"served": SERVED}


def start(site: Path) -> State:
    """Starts as a tracker does, appends the event of the start, and stops; returns the state that
    it began with, and leaves the note."""
    config = LogConfig(path=str(site / "log"), secrets_path=str(site / "secrets"))
    session = open_session(
        config, Keyring(site / "secrets"), lambda _: None, no_progress, serving=True
    )
    event_log = session.event_log
    began = replay(Reader(site / "log", to_end=True, keys=Keyring(site / "secrets")))
    assert began.digest() == session.state.digest()

    async def first_event() -> None:
        clock = LogClock(session.time_us)
        service = Service(event_log, session.state, clock, SELECTION_KEY)
        session.append_first(service.append)
        await event_log.wait_durable(service.append(TrackerStarted("2", event_log.epoch)))

    session.run(first_event)
    high_water_mark.note(site / "secrets", event_log, session.state.time_us)
    return began


def formats(site: Path) -> list[int]:
    return [open_header(path).format for path in sorted((site / "log/seg").glob("*.evl"))]


@pytest.mark.parametrize("name", SITES)
def test_going_over(
    tmp_path: Path,
    name: str,
    caplog: pytest.LogCaptureFixture,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Every fact stays, no file is rewritten, the start says once that there is no way back, and
    all readers read both formats."""
    site = tmp_path / "site"
    shutil.copytree(SITES[name], site)
    before, old = contents(site / "log"), formats(site)
    assert set(old) == {1}
    began = start(site)
    assert seen(site / "log", began) == expected(site)
    said = [one.getMessage() for one in caplog.records]
    assert [one for one in said if "no way back" in one] == [GOES_OVER % began.seq]
    after = contents(site / "log")
    assert {path: after[path] for path in before} == before
    assert formats(site) == [*old, 2]
    caplog.clear()
    assert start(site).seq == began.seq + 2
    assert "no way back" not in caplog.text
    verification = Verification(site / "log", Keyring(site / "secrets"))
    assert [one.what for one in verification.findings(no_progress) if one.damage] == []
    log, secrets = str(site / "log"), str(site / "secrets")
    capsys.readouterr()
    assert main(["events", "--log", log, "--secrets", secrets]) == 0
    told = capsys.readouterr().out
    assert told.startswith((SITES[name] / "events.jsonl").read_text())
    assert read_log.main([log, secrets]) == 0
    assert capsys.readouterr().out == told


def same_crc(data: bytearray, at: int, wanted: int, start: int) -> None:
    """Changes the four bytes at an offset so that the CRC-32 of the data is another one."""
    data[at : at + 4] = bytes(4)
    left = crc32(data, start) ^ wanted
    rows: list[tuple[int, int]] = []
    for bit in range(32):
        data[at : at + 4] = (1 << bit).to_bytes(4, "little")
        row = crc32(data, start) ^ left ^ wanted, 1 << bit
        for other in rows:
            row = min(row, (row[0] ^ other[0], row[1] ^ other[1]))
        rows.append(row)
        rows.sort(reverse=True)
    bits = 0
    for changes, made_by in rows:
        if left ^ changes < left:
            left, bits = left ^ changes, bits ^ made_by
    data[at : at + 4] = bits.to_bytes(4, "little")
    assert crc32(data, start) == wanted


def rewritten(site: Path) -> Path:
    """Changes an event that format 1 wrote, and nothing else: all checksums and the chain are
    right. Returns the segment."""
    path = max(path for path in (site / "log/seg").iterdir() if open_header(path).format == 1)
    data = bytearray(path.read_bytes())
    start = crc32(data[16:32])
    at = data.index(b'"signal"')  # why the tracker stopped
    begin = data.rindex(b"EVF1", 0, at)
    size = int.from_bytes(data[begin + 12 : begin + 16], "little")
    size += int.from_bytes(data[begin + 16 : begin + 20], "little")
    data[at : at + 8] = b'"SIGNAL"'
    header = data[begin : begin + 80]
    header[64:68] = crc32(data[begin + 80 : begin + 80 + size]).to_bytes(4, "little")
    head = header[:76]
    same_crc(head, 48, int.from_bytes(header[76:80], "little"), start)  # the boottime
    data[begin : begin + 76] = head
    path.write_bytes(data)
    for seal in (site / "log/seal").glob(f"{path.stem}.json"):
        seal.write_bytes(
            re.sub(
                b'(?<="sha256": ")[0-9a-f]*', sha256(data).hexdigest().encode(), seal.read_bytes()
            )
        )
    return path


def test_format_1_is_bound(tmp_path: Path) -> None:
    """What format 1 wrote cannot be changed once the log went over, although its checksums can be
    made right: `verify`, the replay in the background, and a start that reads it notice."""
    site = tmp_path / "site"
    shutil.copytree(SERVED, site)
    start(site)
    log, keys = site / "log", Keyring(site / "secrets")
    path = rewritten(site)
    said = "the history digest before"
    found = [one for one in Verification(log, keys).findings(no_progress) if one.damage]
    assert all("history" in one.what for one in found)
    assert any(said in one.what for one in found)
    for snapshot in (log / "snap").iterdir():
        snapshot.unlink()
    with pytest.raises(LogCorruptError, match=said):
        start(site)
    with pytest.raises(LogCorruptError, match=said):
        compare(log, keys, Pace(0))
    assert path.exists()


@pytest.mark.parametrize("which", ["opening", "snap"])
def test_files_of_format_1_are_bound(
    tmp_path: Path, which: str, caplog: pytest.LogCaptureFixture
) -> None:
    """An opening balance or a snapshot of format 1 has no MAC. Another one than there was when the
    log went over is damage, or is passed over."""
    site = tmp_path / "site"
    shutil.copytree(SERVED, site)
    start(site)
    path = max((site / "log" / which).iterdir())
    data = bytearray(path.read_bytes())
    data[40] ^= 1  # the log time
    data[124:128] = crc32(data[:124]).to_bytes(4, "little")
    path.write_bytes(data[:-32] + sha256(data[:-32]).digest())
    caplog.clear()
    found = Verification(site / "log", Keyring(site / "secrets")).findings(no_progress)
    assert [one.path for one in found if one.damage] == [path]
    if which == "snap":
        start(site)
        assert f"{path.name} is not used: has no MAC" in caplog.text
        return
    for snapshot in (site / "log/snap").iterdir():
        snapshot.unlink()
    with pytest.raises(LogCorruptError, match="does not vouch for this opening balance"):
        start(site)


def test_a_start_from_the_snapshot_of_the_version_before(tmp_path: Path) -> None:
    """Every total is as it was."""
    site = tmp_path / "site"
    shutil.copytree(SERVED, site)
    config = LogConfig(path=str(site / "log"), secrets_path=str(site / "secrets"))
    session = open_session(config, Keyring(site / "secrets"), lambda _: None, no_progress)
    session.event_log.release()
    assert seen(site / "log", session.state) == expected(site)
