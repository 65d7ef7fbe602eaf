"""The high-water mark: a start finds an older copy and another history."""

from __future__ import annotations

import json
import shutil
import threading
from typing import TYPE_CHECKING

import pytest
import trio
import trio.lowlevel
import trio.testing
from attrs import evolve

import eventlog.log
from eventlog import NO_CHAIN, EventLog, LogError, base_seq_of, chain_of, first_seq, open_log
from tests.eventlog.logs import running, segments
from tests.support import START_US, own_keys
from tests.tracker.logged import write_log
from tests.tracker.pruned import prune
from tests.tracker.upkeep.retention.logs import live, script
from tracker.domain.events import DAY_US, codec
from tracker.offline.verify import Verification
from tracker.store import high_water_mark, noting
from tracker.store.high_water_mark import Mark, OlderLogError
from tracker.store.noting import NotedLog, NotVouchedError

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
    verification.noted_in = secrets
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


def test_the_note_has_a_date(tmp_path: Path) -> None:
    """People read it, so it is not log time, which stays ahead after the clock was ahead once."""
    secrets, log = tmp_path / "secrets", opened(tmp_path / "log")
    log.pool.lead_us = 30 * DAY_US
    high_water_mark.note(secrets, log, START_US + 30 * DAY_US)
    mark = high_water_mark.read(secrets, log.log_id)
    assert mark is not None
    assert mark.time_us == START_US


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
    """The note follows the durable end. A failure to write it is logged once, and so is its end."""
    folder, secrets = tmp_path / "log", tmp_path / "secrets"
    log = open_log(folder, codec.RECORD_SIZES, own_keys(folder).tags, linger_seconds=0)
    noted = NotedLog(log, secrets)
    assert high_water_mark.read(secrets, log.log_id) == Mark(0, NO_CHAIN, 0, tagged_from=0)
    async with running(log), trio.open_nursery() as nursery:
        await nursery.start(noted.run, lambda: START_US)
        await noted.wait_durable(log.pool.append(2, 1, 1, b""))
        mark = high_water_mark.read(secrets, log.log_id)
        assert mark == Mark(1, log.end[1], START_US, 1, tagged_from=0)
        reached = secrets / high_water_mark.FOLDER
        shutil.rmtree(reached)
        reached.write_bytes(b"")
        for _ in range(2):
            with pytest.raises(NotVouchedError, match="Not a directory"):
                await noted.wait_durable(log.pool.append(2, 1, 1, b""))
            assert "Not a directory" in noted.trouble
        reached.unlink()
        monkeypatch.setattr(noting, "NOTE_SECONDS", 0.001)
        await noted.wait_durable(2)
        assert not noted.trouble
        await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()
    said = [record.getMessage() for record in caplog.records]
    assert [("cannot be written" in one, "is written" in one) for one in said] == [
        (True, False),
        (False, True),
    ]


async def test_one_note_serves_all_that_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Changes that come while a note is written share the next one. None is acknowledged before."""
    written: list[int] = []
    write, goes_on = high_water_mark.write, threading.Event()

    def slow(secrets: Path, log_id: bytes, mark: Mark) -> None:
        goes_on.wait(20)
        write(secrets, log_id, mark)
        written.append(mark.seq)

    log = open_log(
        tmp_path / "log", codec.RECORD_SIZES, own_keys(tmp_path / "log").tags, linger_seconds=0
    )
    noted = NotedLog(log, tmp_path / "secrets")
    monkeypatch.setattr(high_water_mark, "write", slow)
    async with running(log), trio.open_nursery() as nursery:
        await nursery.start(noted.run, lambda: START_US)
        async with trio.open_nursery() as waiting:
            waiting.start_soon(noted.wait_durable, log.pool.append(2, 1, 1, b""))
            await log.wait_durable(0)
            await trio.testing.wait_all_tasks_blocked()
            for _ in range(20):
                waiting.start_soon(noted.wait_durable, log.pool.append(2, 1, 1, b""))
            await log.wait_durable(20)
            await trio.testing.wait_all_tasks_blocked()
            assert not written
            goes_on.set()
        assert written == [1, 21]
        nursery.cancel_scope.cancel()


@pytest.mark.parametrize("torn", [0, 1])
def test_a_torn_note(tmp_path: Path, torn: int) -> None:
    """A power cut in the middle of a note leaves the one before; the next one mends it."""
    folder, secrets = tmp_path / "log", tmp_path / "secrets"
    write_log(folder)
    marks = [noted(folder, secrets)]
    for _ in range(1 + torn):
        write_log(folder)
        marks.append(noted(folder, secrets))
    (path,) = (secrets / high_water_mark.FOLDER).iterdir()
    data = bytearray(path.read_bytes())
    assert len(data) == 2 * high_water_mark.LINE_BYTES
    newest = marks[-1].number % 2 * high_water_mark.LINE_BYTES
    data[newest + 40] ^= 1
    path.write_bytes(data)
    assert high_water_mark.read(secrets, opened(folder).log_id) == marks[-2]
    assert problem(folder, secrets) == ""
    assert noted(folder, secrets).seq == marks[-1].seq
    assert len(path.read_bytes()) == len(data)


def test_the_note_of_an_earlier_version(tmp_path: Path) -> None:
    """It is read, compared, and replaced by one with all fields."""
    folder, secrets = tmp_path / "log", tmp_path / "secrets"
    write_log(folder)
    seq, chain = opened(folder).end
    (secrets / "reached").mkdir(parents=True)
    path = high_water_mark.mark_path(secrets, opened(folder).log_id)
    crc = int.from_bytes(chain[:4], "little")
    path.write_text(json.dumps({"seq": seq, "crc": crc, "time_us": 5}) + "\n")
    assert high_water_mark.read(secrets, opened(folder).log_id) == Mark(seq, chain_of(crc), 5)
    assert "holds other events" in problem(folder, secrets)  # because its end has a whole tag
    assert noted(folder, secrets).tagged_from == 0


@pytest.mark.parametrize("content", [b"", b"[]", b'{"seq": 1}', b"\xff", None])
def test_without_a_note(tmp_path: Path, content: bytes | None) -> None:
    """A log with tags and without a note is refused, and so it is with a malformed one."""
    folder, secrets = tmp_path / "log", tmp_path / "secrets"
    write_log(folder)
    noted(folder, secrets)
    (path,) = (secrets / high_water_mark.FOLDER).iterdir()
    path.unlink()
    if content is not None:
        path.write_bytes(content)
    said = problem(folder, secrets)
    assert path.name in said
    assert ("is missing" if content is None else "does not say how far the log was") in said


def test_a_missing_seal(tmp_path: Path) -> None:
    """It is damage below the place up to which the note says that there were seals."""
    folder, secrets = tmp_path / "log", tmp_path / "secrets"
    write_log(folder, segment_bytes=600)
    for path in (folder / "seal").glob("*"):
        path.unlink()
    mark = noted(folder, secrets)
    assert problem(folder, secrets) == ""
    first, second = segments(folder)[:2]
    log = opened(folder)
    sealed = evolve(mark, number=mark.number + 1, sealed_to=base_seq_of(second))
    high_water_mark.write(secrets, log.log_id, sealed)
    assert f"the seal of {first.name} is missing" in problem(folder, secrets)


def test_a_new_log_where_there_was_another(tmp_path: Path) -> None:
    """A new log beside the note of another one is found before anything is made."""
    folder, secrets = tmp_path / "log", tmp_path / "secrets"
    assert high_water_mark.replaced(secrets, folder) is None
    write_log(folder)
    mark = noted(folder, secrets)
    assert high_water_mark.replaced(secrets, folder) is None
    found = high_water_mark.replaced(secrets, tmp_path / "other")
    assert found is not None
    assert f"one of {mark.seq} events was served with the secrets" in found.what
    opened(tmp_path / "other")
    assert high_water_mark.replaced(secrets, tmp_path / "other") == found
    noted(tmp_path / "other", secrets)
    assert high_water_mark.replaced(secrets, tmp_path / "other") is None
