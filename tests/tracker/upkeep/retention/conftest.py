"""The fixtures of the retention tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

import eventlog.log
from eventlog import EventLog
from tests.support import Rig, hash_of
from tests.tracker.upkeep.retention.logs import live, script_and_prune
from tracker.domain.events.admin import TorrentWhitelisted
from tracker.upkeep import retention

if TYPE_CHECKING:
    from pathlib import Path


MANY = 16  # segments in one removal: they are tiny here


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(eventlog.log, "WATERMARK_SECONDS", 0.001)
    monkeypatch.setattr(retention, "MOST_AT_ONCE", MANY)


@pytest.fixture(scope="package")
def prunable_log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A log that was pruned once, and can be again."""
    folder = tmp_path_factory.mktemp("retention") / "log"
    with pytest.MonkeyPatch.context() as patches:
        patches.setattr(retention, "MOST_AT_ONCE", MANY)
        live(folder, script_and_prune)

    async def more(rig: Rig, log: EventLog) -> None:
        for number in range(20, 40):
            rig.service.append(TorrentWhitelisted(hash_of(number)))
            await log.wait_durable(log.next_seq - 1)

    live(folder, more)
    return folder
