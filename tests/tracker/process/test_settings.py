"""The settings that the log keeps follow from the configuration."""

from __future__ import annotations

import pytest

from tracker.config.schema import Config, Core, EventLog, Logging, Metadata, Policy
from tracker.process.settings import settings_of


@pytest.mark.parametrize(
    ("remember_days", "shred_days", "days"),
    [(7, 7, 7), (7, 1, 1), (2, 7, 2), (7, 0, 7), (0, 7, 0), (0, 0, 0)],
)
def test_bases_do_not_outlive_the_keys(remember_days: int, shred_days: int, days: int) -> None:
    """The shorter of the two counts; a `shred_days` of 0, never, does not."""
    config = Config(
        Metadata("2.0.0"),
        Logging("info"),
        Core(listed=False, private=True),
        policy=Policy(remember_days=remember_days),
        event_log=EventLog(shred_days=shred_days),
    )
    assert settings_of(config).policy.remember_days == days
