"""Warnings about a lasting condition: at its beginning, once a day, at its end."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from eventlog import RepeatedWarning

if TYPE_CHECKING:
    import pytest

HOUR = 3600.0


def test_a_warning_is_repeated_once_a_day(caplog: pytest.LogCaptureFixture) -> None:
    """The number of checks does not matter; a second occurrence begins anew."""
    now = [0.0]
    condition = RepeatedWarning(logging.getLogger("tracker"), "over", lambda: now[0])
    said = []
    for hour in range(60):
        now[0] = hour * HOUR
        if 5 <= hour < 55 and hour != 54:
            condition.warn("since %d", hour)
        else:
            condition.over()
        said += [(hour, record.getMessage()) for record in caplog.records]
        caplog.clear()
    assert said == [(5, "since 5"), (29, "since 29"), (53, "since 53"), (54, "over")]
