"""A removal that fails says why, and the tracker goes on."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
import trio

from eventlog import open_log
from tests.eventlog.logs import running
from tests.support import Rig, own_keys
from tracker.domain.events import codec
from tracker.ports import LogUnavailableError
from tracker.upkeep.retention import Pruner, PruningError, keep_schedule
from tracker.workers import child

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("code", "said", "what"),
    [
        (1, b"a warning\nno space left\n", "no space left"),
        (1, b"", "exit code 1"),
        (0, b"", "exit code 0"),
        (-9, b"{", "{"),
        (0, b'{"first_seq": 1', '{"first_seq": 1'),
    ],
)
async def test_a_failed_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int, said: bytes, what: str
) -> None:
    """A process that fails, is killed or ends early is reported with its last line or exit code."""

    async def run(_: list[str]) -> tuple[int, bytes]:
        await trio.lowlevel.checkpoint()
        return code, said

    monkeypatch.setattr(child, "run", run)
    log = open_log(tmp_path, codec.RECORD_SIZES, own_keys(tmp_path).tags)
    async with running(log):
        pruner = Pruner(Rig(log=log).service, log, 1, 0, tmp_path / "secrets")
        with pytest.raises(PruningError, match=re.escape(what)):
            await pruner._make(7)


async def test_a_log_without_space(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The text log has the reason why nothing was removed."""

    async def measure(_: Pruner) -> None:
        raise LogUnavailableError

    monkeypatch.setattr(Pruner, "measure", measure)
    log = open_log(tmp_path, codec.RECORD_SIZES, own_keys(tmp_path).tags)
    async with running(log):
        with trio.move_on_after(0):
            await keep_schedule(Pruner(Rig(log=log).service, log, 1, 0, tmp_path / "secrets"))
    assert caplog.messages == [
        "The log could not be pruned, tried again every minute: the log takes nothing in now: its disk is full, or cannot be written"
    ]
