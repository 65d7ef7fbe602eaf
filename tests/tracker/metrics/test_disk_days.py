"""The text log warns days before the log's disk is full, at most once a day."""

from __future__ import annotations

import logging
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from eventlog import RepeatedWarning
from tracker.metrics import disk_days
from tracker.metrics.disk_days import LEAST_SECONDS, DiskDays
from tracker.metrics.loop_watch import DAY, Watch

if TYPE_CHECKING:
    from collections.abc import Callable

GIB = 1 << 30
HOUR = 3600.0
SOON, LAST, OVER = "in about 9.", "in about 0.", "not about to be full any more"


class Disk:
    """A disk whose log grows by 1 GiB a day, and the warnings that a tracker makes."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.free = 0.0  # GiB
        self.now = 0.0
        warning = partial(RepeatedWarning, clock=lambda: self.now)
        monkeypatch.setattr(disk_days, "RepeatedWarning", warning)
        self.made = DiskDays(self, Watch(lambda: int(self.now / DAY * GIB)), None)  # type: ignore[arg-type]  # one figure

    def statistics(self) -> Any:
        return SimpleNamespace(disk_free_bytes=self.free * GIB)

    def look(self, hours: float, free: float) -> None:
        """Goes on by so many hours, with looks between, while so much is free at the end."""
        end = self.now + hours * HOUR
        while self.now < end:
            self.now += 600
            self.free = free
            self.made.watch.look(self.now, self.now)
            self.made.look()


@pytest.fixture
def said(caplog: pytest.LogCaptureFixture) -> Callable[[], list[str]]:
    caplog.set_level(logging.WARNING)

    def since() -> list[str]:
        found = [record.getMessage() for record in caplog.records]
        caplog.clear()
        return found

    return since


def test_warnings(monkeypatch: pytest.MonkeyPatch, said: Callable[[], list[str]]) -> None:
    """None in the first hour or while there is space; then one a day, and one more at one day. The
    end is said once, when much more is free than where it begins.
    """
    disk = Disk(monkeypatch)
    disk.look(LEAST_SECONDS / HOUR, 9.5)
    assert not said()
    disk.look(5, 10.5)
    assert not said()
    disk.look(23, 9.5)
    (one,) = said()
    assert SOON in one
    assert "9.5 GiB are free, and the log grows by 1.00 GiB a day" in one
    disk.look(40, 9.4)
    assert [SOON in each for each in said()] == [True, True]
    disk.look(2, 15)
    disk.look(2, 9.4)
    assert not said()
    disk.look(2, 0.9)
    (one,) = said()
    assert LAST in one
    disk.look(1, 9.4)
    disk.look(1, 0.9)
    assert not said()
    disk.look(22, 0.9)
    assert [LAST in each for each in said()] == [True]
    disk.look(1, 21)
    assert [OVER in each for each in said()] == [True]
    disk.look(1, 0.9)
    assert [LAST in each for each in said()] == [True]
