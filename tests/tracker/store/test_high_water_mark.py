"""The high-water mark: a start finds an older copy and another history."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
import trio

import eventlog.log
from eventlog import EventLog, LogError, first_seq, open_log
from tests.eventlog.logs import running, segments
from tests.support import START_US, own_keys
from tests.tracker.logged import write_log
from tests.tracker.pruned import prune
from tests.tracker.upkeep.retention.logs import live, script
from tracker.domain.events import codec
from tracker.offline.verify import Verification
from tracker.store import high_water_mark
from tracker.store.high_water_mark import Mark, OlderLogError

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support import Rig


def opened(folder: Path) -> EventLog:
    log = open_log(folder, codec.RECORD_SIZES, own_keys(folder).tags)
    log.release()
    return log


def noted(folder: Path, secrets: Path) -> Mark:
    """Writes the high-water mark, as a stop does."""
    log = opened(folder)
    high_water_mark.note(secrets, log, START_US)
    mark = high_water_mark.read(secrets, log.log_id)
    assert mark is not None
    return mark


def problem(folder: Path, secrets: Path) -> str:
    """Returns the problem that a start finds, and checks that `verify` finds the same."""
    log = opened(folder)
    found = high_water_mark.compare(secrets, log.path, log.log_id, log.end)
    verification = Verification(folder)
    verification.high_water_mark = high_water_mark.read(secrets, log.log_id)
    every = verification.findings(lambda _done, _total: None)
    findings = [one.what for one in every if one.path == folder / "seg"]  # time jumps in these logs
    assert findings == ([found.what] if found else [])
    return found.what if found else ""


def test_the_log_that_was_served(tmp_path: Path) -> None:
    """A log at its high-water mark or beyond it has no problem."""
    folder, secrets = tmp_path / "log", tmp_path / "secrets"
    write_log(folder)
    mark = noted(folder, secrets)
    assert mark.seq == opened(folder).next_seq
    assert problem(folder, secrets) == ""
    write_log(folder)
    assert problem(folder, secrets) == ""


def test_an_older_copy(tmp_path: Path) -> None:
    """An older copy is noticed: of the whole folder, without the newest file, or with an older
    newest file.
    """
    folder, secrets, older = tmp_path / "log", tmp_path / "secrets", tmp_path / "older"
    write_log(folder, segment_bytes=1 << 20)
    shutil.copytree(folder, older)
    half = segments(folder)[-1].read_bytes()
    write_log(folder, segment_bytes=1 << 20)
    mark = noted(folder, secrets)
    what = problem(older, secrets)
    assert f"up to event {mark.seq - 1} (2027-01-15T08:00:00" in what
    assert f"ends before event {opened(older).next_seq}" in what
    assert [one.name for one in segments(older)] == [one.name for one in segments(folder)[:1]]
    newest = segments(folder)[-1]
    newest.unlink()
    assert "older copy" in problem(folder, secrets)
    segments(folder)[-1].write_bytes(half[:-1000])
    assert "older copy" in problem(folder, secrets)


def test_a_copy_with_another_history(tmp_path: Path) -> None:
    """A log with as many events but another history is noticed."""
    folder, secrets, older = tmp_path / "log", tmp_path / "secrets", tmp_path / "older"
    write_log(folder)
    shutil.copytree(folder, older)
    write_log(folder)
    noted(folder, secrets)
    write_log(older)
    write_log(older)
    assert "holds other events now" in problem(older, secrets)


def test_a_writer_of_an_older_copy_is_refused(tmp_path: Path) -> None:
    """A command that appends to an older copy is refused with advice."""
    folder, secrets, older = tmp_path / "log", tmp_path / "secrets", tmp_path / "older"
    write_log(folder)
    shutil.copytree(folder, older)
    write_log(folder)
    noted(folder, secrets)
    log = opened(older)
    found = high_water_mark.compare(secrets, log.path, log.log_id, log.end)
    assert found is not None
    with pytest.raises(OlderLogError, match=r"restore the newest copy .* --accept-older-log"):
        high_water_mark.refuse(log.path, found)
    assert issubclass(OlderLogError, LogError)


def test_a_log_that_lost_its_beginning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A mark before the first event of a pruned log is no problem."""
    monkeypatch.setattr(eventlog.log, "WATERMARK_SECONDS", 0.001)
    folder, secrets = tmp_path / "log", tmp_path / "secrets"
    write_log(folder)
    mark = noted(folder, secrets)

    async def go_on(rig: Rig, log: EventLog) -> None:
        await script(rig, log)
        assert await prune(rig.service, log)

    live(folder, go_on)
    assert first_seq(folder) > mark.seq
    assert problem(folder, secrets) == ""


async def test_it_is_noted_while_the_log_grows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The mark follows the durable end. A failure to write it is logged once, and so is its end."""
    monkeypatch.setattr(high_water_mark, "NOTE_SECONDS", 0.001)
    folder, secrets = tmp_path / "log", tmp_path / "secrets"
    log = open_log(folder, codec.RECORD_SIZES, own_keys(folder).tags, linger_seconds=0)

    async def until(seq: int) -> None:
        with trio.fail_after(20):
            while (mark := high_water_mark.read(secrets, log.log_id)) is None or mark.seq < seq:  # noqa: ASYNC110  # nor does a file
                await trio.sleep(0.001)

    async with running(log), trio.open_nursery() as nursery:
        log.pool.append(2, 1, 1, b"")
        nursery.start_soon(high_water_mark.keep, secrets, log, lambda: START_US)
        await until(1)
        reached = secrets / high_water_mark.FOLDER
        shutil.rmtree(reached)
        reached.write_bytes(b"")
        log.pool.append(2, 1, 1, b"")
        await log.wait_durable(1)
        with trio.fail_after(20):
            while not caplog.records:  # noqa: ASYNC110  # there is no event for it
                await trio.sleep(0.001)
        reached.unlink()
        await until(2)
        nursery.cancel_scope.cancel()
    said = [record.getMessage().partition(",")[0] for record in caplog.records]
    assert said[:1] == ["The high-water mark cannot be written"]
    assert said.count("The high-water mark cannot be written") <= 2


@pytest.mark.parametrize("content", [b"", b"[]", b'{"seq": 1}', b"\xff"])
def test_a_malformed_mark(tmp_path: Path, caplog: pytest.LogCaptureFixture, content: bytes) -> None:
    """A start passes over a malformed mark with a warning."""
    folder, secrets = tmp_path / "log", tmp_path / "secrets"
    write_log(folder)
    noted(folder, secrets)
    (path,) = (secrets / high_water_mark.FOLDER).iterdir()
    path.write_bytes(content)
    assert problem(folder, secrets) == ""
    assert path.name in caplog.text


def test_a_new_log_where_there_was_another(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A start on a new log beside the mark of another one warns and goes on, because the disk may
    not be mounted.
    """
    folder, secrets = tmp_path / "log", tmp_path / "secrets"
    write_log(folder)
    mark = noted(folder, secrets)
    assert problem(tmp_path / "other", secrets) == ""
    assert f"another one of {mark.seq} events was served with these secrets" in caplog.text
