"""Sealing beside announces: it works in short steps, and ends between two of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from eventlog import open_log, seals
from eventlog.threads import Pace, in_thread
from tests.eventlog.logs import RECORD_SIZES, TAGS, append, running, segments, write

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
async def finished(tmp_path: Path) -> Path:
    """A log of which one segment is finished and not sealed."""
    log = open_log(tmp_path, RECORD_SIZES, TAGS, segment_bytes=2_000_000, linger_seconds=0)
    async with running(log):
        for number in range(9):
            await log.wait_durable(append(log, bytes([number]) * 300_000))
    assert not seals.list_seals(tmp_path)
    return tmp_path


async def test_sealing_pauses_between_short_steps_and_goes_on_later(finished: Path) -> None:
    steps = 0

    def twelve() -> None:
        nonlocal steps
        steps += 1
        if steps == 12:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        seals.write_missing(finished, TAGS, pace=twelve)
    assert not seals.list_seals(finished)
    assert seals.write_missing(finished, TAGS) is not None
    assert len(seals.list_seals(finished)) == 1


async def test_work_with_a_pace_ends_when_its_task_is_cancelled() -> None:
    pace = Pace()

    def work() -> None:
        while True:
            pace()

    with trio.move_on_after(0.02) as scope:
        await in_thread(work)
    assert scope.cancelled_caught


async def test_rereading_pauses_between_short_steps(finished: Path) -> None:
    seals.write_missing(finished, TAGS)
    path, steps = segments(finished)[0], list[None]()
    assert not seals.wrong_by_seal(path, TAGS, pace=lambda: steps.append(None))
    assert len(steps) >= path.stat().st_size / 300_000


def test_old_seals_are_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many segments were sealed, the next seal takes one of theirs: the newest."""
    write(tmp_path, *([b"%d" % number] for number in range(8)), segment_bytes=1)
    seals.write_missing(tmp_path, TAGS)
    *_, before, newest, _ = segments(tmp_path)
    seals.seal_path(newest).unlink()
    read: list[Path] = []

    def counted(path: Path, real: Callable[[Path], seals.Seal] = seals.read_seal) -> seals.Seal:
        read.append(path)
        return real(path)

    monkeypatch.setattr(seals, "read_seal", counted)
    seals.write_missing(tmp_path, TAGS)
    assert read == [seals.seal_path(before)]
    assert seals.seal_path(newest).exists()
